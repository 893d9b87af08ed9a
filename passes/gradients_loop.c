/* gradients_loop.c - the gradient of a loop is a loop over the reversed rows. The forward loop also stacks its carries as they
 * were at the start of each iteration (the tape); an iteration of the backward loop computes the forward one again from
 * them, and asks for its gradient by a `grad`, which the autodiff pass expands when it comes to the body:
 *   forward    h_t+1, y_t = body(t, x_t, h_t, w)
 *   backward   s = sum(y_t * dy_t) + sum(h_t+1 * dh)        dx_t, dh, dw_t = grad s, x_t, h_t, w         dw = dw + dw_t
 * Rows that an early stop left out pass dh on and add nothing.
 */
#include "passes/gradients.h"

typedef struct Reversed {
    Grad  *g;
    Grad   in;                          /* g for nodes of the new body */
    Func  *f, *forward, *body;
    uint32_t sequences, carries, same, yields;
    Node **dy;                          /* of the forward loop's results; NULL: nothing flows */
    Node **tape;                        /* stacked carries */
    Node **map;                         /* forward body -> its copy in the new one */
    Node **d_yield, **d_carry;          /* arguments of the new body; NULL: none */
    VEC(Node *) outer;                  /* operands */
    VEC(Node *) of, d;                  /* what the gradient is taken by, and the gradients */
    uint32_t rows;
} Reversed;

static bool is_float(const Node *n) { return dtype_is_float(n->type->dtype); }

/* Operand k of the loop is argument k + 1 of its body. */
static Node *formal(const Reversed *r, uint32_t k) { return r->forward->args.at[k + 1].node; }

/* Results of the forward loop that stack its carries: those it has, or more, in a body of its own. */
static void keep_carries(Reversed *r)
{
    Node *y = r->g->y;
    Arena *a = r->f->module->arena;
    uint32_t *at = arena_array(a, uint32_t, r->carries + 1), before = r->yields;
    Func *body = func_body_copy(r->f, r->forward);
    VEC(Result) last = {0};
    for (uint32_t i = 0; i < r->carries; i++) vec_push(a, &last, body->results.at[r->yields + i]);
    body->results.n = r->yields;
    for (uint32_t i = 0; i < r->carries; i++) {
        Node *carry = body->args.at[1 + r->sequences + i].node;
        for (at[i] = 0; at[i] < body->results.n && body->results.at[at[i]].node != carry; at[i]++) {}
        if (at[i] == body->results.n) func_result(body, arena_printf(a, "before %s", body->args.at[carry->attr.arg].name), carry, NULL);
    }
    uint32_t more = body->results.n - before;
    for (uint32_t i = 0; i < r->carries; i++) vec_push(a, &body->results, last.at[i]);
    if (more) {                         /* in place: its values are used above */
        Attr attr = y->attr;
        attr.loop.body = body;
        ShapeCall call = {.m = r->f->module, .op = OP_loop, .nargs = y->nargs, .arg = y->arg, .attr = &attr};
        Type *t = shape_infer(&call);
        if (!t) {
            r->g->error = call.error;
            return;
        }
        y->attr = attr;
        y->type = t;
        for (uint32_t i = 0; i < r->f->body.nodes.n; i++) {
            Node *n = r->f->body.nodes.at[i];
            if (n->op == OP_get && n->arg[0] == y && n->attr.axis >= before) n->attr.axis += more;
        }
    }
    for (uint32_t i = 0; i < r->carries; i++) r->tape[i] = ir_get(r->f, y, at[i], y->span);
}

static Node *reversed(Grad *g, Node *x)
{
    return ir_node(g->f, OP_reverse, 1, &x, &(Attr){.axes = 1}, NULL, g->y->span);
}

/* One more operand, and the argument for it; rows: the operand's. */
static Node *operand(Reversed *r, const char *name, Node *outer, bool row)
{
    if (!outer) return NULL;
    Type *t = outer->type;
    if (row) t = type_tensor(r->f->module, t->dtype, t->rank - 1, t->dim + 1);
    vec_push(r->f->module->arena, &r->outer, outer);
    return func_arg(r->body, ARG_INPUT, name, t, NULL, r->g->y->span);
}

/* The forward iteration again. */
static void copy_forward(Reversed *r)
{
    Arena *a = r->f->module->arena;
    for (uint32_t i = 0; i < r->forward->body.nodes.n; i++) {
        Node *n = r->forward->body.nodes.at[i];
        if (n->op == OP_arg) continue;
        Node **arg = arena_array(a, Node *, n->nargs + 1);
        for (uint32_t k = 0; k < n->nargs; k++) arg[k] = r->map[n->arg[k]->id];
        Attr attr = n->attr;
        if (n->op == OP_loop) attr.loop.body = func_body_copy(r->body, attr.loop.body);
        Node *copy = r->map[n->id] = ir_node(r->body, n->op, n->nargs, arg, &attr, n->type, n->span);
        if (!copy) return;
        copy->remat = n->remat;
        copy->made = MADE_AGAIN;
    }
}

/* s + sum(value * d), in f64 where their types differ. */
static Node *add_product(Reversed *r, Node *s, Node *value, Node *d)
{
    Grad *g = &r->in;
    Node *p = g_binary(g, OP_mul, value, d);
    if (p && p->type->rank) p = ir_reduce(r->body, RED_sum, p, (uint32_t)((UINT64_C(1) << p->type->rank) - 1), g->y->span);
    if (!s || !p) return p;
    if (s->type != p->type) s = ir_cast(r->body, s, DT_f64, g->y->span), p = ir_cast(r->body, p, DT_f64, g->y->span);
    return g_binary(g, OP_add, s, p);
}

/* d where the forward loop ran this iteration, else `otherwise`. */
static Node *if_run(Reversed *r, Node *ran, Node *d, Node *otherwise)
{
    if (!ran || !d || !otherwise) return d;
    return g_select(&r->in, ir_splat(r->body, ran, type_with_dtype(r->f->module, d->type, DT_bool), d->span), d, otherwise);
}

/* Arguments of the new body in the order of a loop: slices, carries, the rest. */
static void open_body(Reversed *r, Node **total)
{
    Grad *g = r->g;
    Node *y = g->y;
    Dim *last = dim_sub(r->f->module, y->attr.loop.length, dim_const(r->f->module, 1));
    for (uint32_t i = 0; i < r->sequences; i++) r->map[formal(r, i)->id] = operand(r, "row", reversed(g, y->arg[i]), true);
    for (uint32_t i = 0; i < r->carries; i++) r->map[formal(r, r->sequences + i)->id] = operand(r, "before", reversed(g, r->tape[i]), true);
    for (uint32_t i = 0; i < r->yields; i++)
        if (r->dy[i]) r->d_yield[i] = operand(r, "d_yield", reversed(g, r->dy[i]), true);
    r->rows = r->outer.n;
    for (uint32_t i = 0; i < r->carries; i++) {
        Node *before = y->arg[r->sequences + i], *d = r->dy[r->yields + i];
        if (is_float(before)) r->d_carry[i] = operand(r, "d_carry", d ? d : g_zeros(g, before->type), false);
    }
    for (uint32_t i = 0; i < r->same; i++) {
        uint32_t k = r->sequences + r->carries + i;
        if (g->wanted[k]) total[i] = operand(r, "d_same", g_zeros(g, y->arg[k]->type), false);
    }
    for (uint32_t i = 0; i < r->same; i++) r->map[formal(r, r->sequences + r->carries + i)->id] = operand(r, "same", y->arg[r->sequences + r->carries + i], false);
    Node *at = ir_node(r->body, OP_dim, 0, NULL, &(Attr){.dim = last}, NULL, y->span);
    r->map[r->forward->args.at[0].node->id] = g_binary(&r->in, OP_sub, at, r->body->args.at[0].node);
}

/* The gradient by argument k + 1 of the forward body. */
static Node *gradient_by(Reversed *r, uint32_t k)
{
    for (uint32_t i = 0; i < r->of.n; i++)
        if (r->of.at[i] == r->map[formal(r, k)->id]) return r->d.at[i];
    return NULL;
}

static bool take_gradients(Reversed *r, Node *s)
{
    Arena *a = r->f->module->arena;
    uint32_t n = r->sequences + r->carries + r->same;
    VEC(Node *) arg = {0};
    vec_push(a, &arg, s);
    for (uint32_t k = 0; k < n; k++) {
        bool carry = k >= r->sequences && k < r->sequences + r->carries;
        if (carry ? !r->d_carry[k - r->sequences] : !r->g->wanted[k]) continue;
        vec_push(a, &r->of, r->map[formal(r, k)->id]);
        vec_push(a, &arg, r->map[formal(r, k)->id]);
    }
    Node *all = ir_node(r->body, OP_grad, arg.n, arg.at, NULL, NULL, r->g->y->span);
    for (uint32_t i = 0; all && i < r->of.n; i++) vec_push(a, &r->d, ir_get(r->body, all, i, r->g->y->span));
    return all;
}

void grad_loop(Grad *g)
{
    Node *y = g->y;
    Func *forward = y->attr.loop.body;
    Arena *a = g->f->module->arena;
    if (!y->attr.loop.length) {
        g->error = "a `while` cannot be differentiated, its number of iterations is unknown; `scan ... while` can";
        return;
    }
    Reversed r = {.g = g, .in = *g, .f = g->f, .forward = forward, .sequences = y->attr.loop.sequences, .carries = y->attr.loop.carries};
    r.same = y->nargs - r.sequences - r.carries;
    r.yields = forward->results.n - r.carries;
    r.dy = arena_array(a, Node *, forward->results.n + 1);
    r.tape = arena_array(a, Node *, r.carries + 1);
    r.map = arena_array(a, Node *, forward->nodes_made + 1);
    r.d_yield = arena_array(a, Node *, r.yields + 1);
    r.d_carry = arena_array(a, Node *, r.carries + 1);
    Node **total = arena_array(a, Node *, r.same + 1), *s = NULL;
    for (uint32_t i = 0; i < forward->results.n; i++) r.dy[i] = g->dy_of ? g->dy_of[i] : NULL;
    keep_carries(&r);
    if (g->error) return;
    r.in.f = r.body = func_body(g->f, y->span);
    open_body(&r, total);
    copy_forward(&r);
    for (uint32_t i = 0; i < forward->results.n; i++) {
        Node *d = i < r.yields ? r.d_yield[i] : r.d_carry[i - r.yields];
        if (d) s = add_product(&r, s, r.map[forward->results.at[i].node->id], d);
    }
    if (!s || !take_gradients(&r, s)) return;           /* what could not be made is reported by autodiff.c */
    Node *ran = y->attr.loop.condition ? r.map[formal(&r, r.sequences)->id] : NULL;
    uint32_t carried = 0, stacked = 0;
    for (uint32_t i = 0; i < r.sequences; i++) {
        Node *d = g->wanted[i] ? gradient_by(&r, i) : NULL;
        if (d) func_result(r.body, arena_printf(a, "d_row.%u", i), if_run(&r, ran, d, g_zeros(&r.in, d->type)), NULL);
    }
    stacked = r.body->results.n;
    for (uint32_t i = 0; i < r.carries; i++)
        if (r.d_carry[i]) func_result(r.body, arena_printf(a, "d_carry.%u", i), if_run(&r, ran, gradient_by(&r, r.sequences + i), r.d_carry[i]), NULL);
    for (uint32_t i = 0; i < r.same; i++) {
        if (!total[i]) continue;
        Node *sum = g_binary(&r.in, OP_add, total[i], gradient_by(&r, r.sequences + r.carries + i));
        func_result(r.body, arena_printf(a, "d_same.%u", i), if_run(&r, ran, sum, total[i]), NULL);
    }
    carried = r.body->results.n - stacked;
    for (uint32_t i = 0; i < r.body->results.n; i++)
        if (!r.body->results.at[i].node) return;
    Attr attr = {.loop = {.body = r.body, .length = y->attr.loop.length, .sequences = r.rows, .carries = carried}};
    Node *back = ir_node(g->f, OP_loop, r.outer.n, r.outer.at, &attr, NULL, y->span);
    uint32_t next = 0;
    for (uint32_t i = 0; back && i < r.sequences; i++)
        if (g->wanted[i]) g->dx[i] = reversed(g, ir_get(g->f, back, next++, y->span));
    for (uint32_t i = 0; back && i < r.carries; i++) {
        if (!r.d_carry[i]) continue;
        Node *d = ir_get(g->f, back, next++, y->span);
        if (g->wanted[r.sequences + i]) g->dx[r.sequences + i] = d;
    }
    for (uint32_t i = 0; back && i < r.same; i++)
        if (total[i]) g->dx[r.sequences + r.carries + i] = ir_get(g->f, back, next++, y->span);
}
