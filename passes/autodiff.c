/* autodiff - replace each `grad` by the nodes that compute it: reverse mode, on the primitive operators.
 * In:  any verified graph.
 * Out: no `grad`, `stop`, `custom` or `hole` is left.
 *   %1 = mul %0, %0 : f32[]
 *   %2 = grad %1, %0 : (f32[])       d %1 / d %0          ->   %2 = const 1.0 : f32[]
 *   %3 = get %2 {member = 0} : f32[]                           %3 = mul %2, %0 : f32[]   (twice, and added)
 *
 * A `grad` takes a scalar loss and the values to differentiate it by. The chain rule is applied from the loss down to those
 * values, over the nodes that depend on one of them: what nobody asked for is never computed (a first layer's input
 * gradient, frozen parts). Gradients are ordinary nodes, so a later `grad` differentiates through an earlier one. The
 * rules are in gradients_*.c, named by ops.def.
 *
 * Values with a remat tag are those of a recompute(f): the gradients of its nodes see clones of them, made from the region's
 * inputs when the first of these gradients is made. So what the region computed need not live until then.
 */
#include <string.h>

#include "passes/gradients.h"

enum { MAX_NODES = 1 << 20 };           /* of a function: gradients of gradients of ... grow exponentially */

static GradRule *const rules[OP_COUNT] = {
#define OP(name, args, attr, shape, eval, grad, class) [OP_##name] = grad_##grad,
#include "ir/ops.def"
#undef OP
};

GradRule *grad_rule(Op op) { return rules[op]; }

/* One `grad`: adjoints by id of the nodes that exist when it begins. */
typedef struct Backward {
    Arena   scratch;
    Func   *f;
    uint32_t n;
    bool   *depends;                    /* on a value that is differentiated by */
    Node  **adjoint;
    Node ***members;                    /* of nodes with a tuple type */
    uint32_t *before;                   /* of nodes with a remat tag: id + 1 of the last one before with the same; 0: none */
    Node  **again;                      /* their clones */
    uint32_t tags;                      /* the highest in use */
    Span    span;
} Backward;

/* May a gradient pass from n to its operand k? */
static bool is_open(const Node *n, uint32_t k)
{
    return n->op == OP_custom ? k >= 2 && k % 2 == 0 : n->op != OP_stop;
}

static void accumulate(Backward *b, Node **to, Node *d, Span span)
{
    *to = *to ? ir_binary(b->f, OP_add, *to, d, span) : d;
}

static void no_gradient(Backward *b, const Node *y, const char *why)
{
    Diags *d = b->f->module->diags;
    if (!d) return;
    Diag *error = diag_error(d, DL_no_gradient, y->span, "%s has no gradient: %s", op_name(y->op), why);
    diag_note(d, error, b->span, "asked for here");
}

static void find_regions(Backward *b)
{
    Map *last = map_new(&b->scratch);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t tag = b->f->body.nodes.at[i]->remat;
        if (!tag) continue;
        if (tag > b->tags) b->tags = tag;
        b->before[i] = (uint32_t)(uintptr_t)map_get(last, &tag, sizeof tag);
        map_set(last, &tag, sizeof tag, (void *)(uintptr_t)(i + 1));
    }
}

/* y as its gradient sees it: its clone where it is to be computed again. The first that is asked for is the region's last
 * that matters, so all before it are made now; what nobody uses is dropped in the end. */
static Node *recomputed(Backward *b, Node *y)
{
    if (!y->remat || b->again[y->id]) return y->remat ? b->again[y->id] : y;
    if (b->tags == UINT32_MAX) return y;
    VEC(Node *) region = {0};
    uint32_t tag = ++b->tags;
    for (uint32_t i = y->id + 1; i; i = b->before[i - 1]) vec_push(&b->scratch, &region, b->f->body.nodes.at[i - 1]);
    while (region.n--) {
        Node *x = region.at[region.n];
        b->again[x->id] = x;
        if (x->op == OP_arg || x->op == OP_hole) continue;
        Node **arg = arena_array(&b->scratch, Node *, x->nargs + 1);
        for (uint32_t k = 0; k < x->nargs; k++) arg[k] = x->arg[k]->remat == y->remat ? b->again[x->arg[k]->id] : x->arg[k];
        Node *clone = ir_node(b->f, x->op, x->nargs, arg, &x->attr, x->type, x->span);
        if (!clone) continue;                           /* never: x was made the same way */
        clone->remat = tag;
        clone->made = MADE_AGAIN;
        b->again[x->id] = clone;
    }
    return b->again[y->id];
}

/* Apply y's rule and pass the results on to its operands. */
static void step(Backward *b, Node *y)
{
    Node **dx = arena_array(&b->scratch, Node *, y->nargs + 1);
    bool *wanted = arena_array(&b->scratch, bool, y->nargs + 1), any = false;
    for (uint32_t i = 0; i < y->nargs; i++) {
        Type *t = y->arg[i]->type;
        wanted[i] = is_open(y, i) && b->depends[y->arg[i]->id] && (t->kind == TYPE_TUPLE || dtype_is_float(t->dtype));
        any |= wanted[i];
    }
    if (!any) return;
    if (y->op == OP_get) {                              /* the member's adjoint, kept at the tuple */
        Node *tuple = y->arg[0];
        if (!b->members[tuple->id]) b->members[tuple->id] = arena_array(&b->scratch, Node *, tuple->type->rank + 1);
        accumulate(b, &b->members[tuple->id][y->attr.axis], b->adjoint[y->id], y->span);
        return;
    }
    const char *before = ir_error(b->f->module);
    Grad g = {.f = b->f, .y = recomputed(b, y), .dy = b->adjoint[y->id], .dy_of = b->members[y->id], .dx = dx, .wanted = wanted};
    rules[y->op](&g);
    /* A node that could not be made: each failure has its own text. */
    if (!g.error && ir_error(b->f->module) != before) g.error = ir_error(b->f->module);
    if (g.error) {
        no_gradient(b, y, g.error);
        return;
    }
    for (uint32_t i = 0; i < y->nargs; i++)
        if (wanted[i] && dx[i]) accumulate(b, &b->adjoint[y->arg[i]->id], dx[i], y->span);
}

/* The value of `grad loss, of...`: a tuple. */
static Node *differentiate(Func *f, Node *loss, Node *const *of, uint32_t nof, Span span)
{
    Backward b = {.f = f, .n = f->body.nodes.n, .span = span};
    b.depends = arena_array(&b.scratch, bool, b.n);
    b.adjoint = arena_array(&b.scratch, Node *, b.n);
    b.members = arena_array(&b.scratch, Node **, b.n);
    b.before = arena_array(&b.scratch, uint32_t, b.n);
    b.again = arena_array(&b.scratch, Node *, b.n);
    find_regions(&b);
    for (uint32_t i = 0; i < nof; i++) b.depends[of[i]->id] = true;
    for (uint32_t i = 0; i < b.n; i++) {
        const Node *n = f->body.nodes.at[i];
        for (uint32_t k = 0; k < n->nargs; k++) b.depends[i] |= is_open(n, k) && b.depends[n->arg[k]->id];
    }
    b.adjoint[loss->id] = ir_scalar(f, loss->type->dtype, 1, span);
    for (uint32_t i = loss->id + 1; i-- > 0;) {
        Node *y = f->body.nodes.at[i];
        if (f->body.nodes.n > MAX_NODES) {
            no_gradient(&b, loss, "it would take more than a million operators");
            break;
        }
        if (b.depends[i] && (b.adjoint[i] || b.members[i])) step(&b, y);
    }
    Node **result = arena_array(&b.scratch, Node *, nof + 1);
    for (uint32_t i = 0; i < nof; i++) {
        result[i] = b.adjoint[of[i]->id];
        if (!result[i]) result[i] = ir_splat(f, ir_scalar(f, of[i]->type->dtype, 0, span), of[i]->type, span);
    }
    Node *tuple = ir_node(f, OP_tuple, nof, result, NULL, NULL, span);
    arena_free(&b.scratch);
    return tuple;
}

static bool is_of_gradients(Op op) { return op == OP_grad || op == OP_stop || op == OP_custom || op == OP_hole; }

static bool has_work(const Func *f)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (is_of_gradients(f->body.nodes.at[i]->op)) return true;
    return false;
}

static void expand(Func *f)
{
    if (has_work(f)) {
        /* First every `grad`, in order; `stop` and `custom` stay, since a later one must see them. */
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *old = rw.old[n];
            if (old->op != OP_grad) {
                rewrite_copy(&rw, old);
                continue;
            }
            Node **arg = arena_array(f->module->arena, Node *, old->nargs);
            for (uint32_t k = 0; k < old->nargs; k++) arg[k] = rw.map[old->arg[k]->id];
            uint32_t made = f->body.nodes.n;
            rw.map[old->id] = differentiate(f, arg[0], arg + 1, old->nargs - 1, old->span);
            for (; made < f->body.nodes.n; made++) {
                Node *n = f->body.nodes.at[made];
                if (n->made == MADE_AGAIN) continue;
                n->made = MADE_BACKWARD;
                if (!n->remat) n->remat = old->remat;   /* a gradient inside a region is part of it */
            }
        }
        rewrite_end(&rw);
        rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *old = rw.old[n];
            if (old->op == OP_stop || old->op == OP_custom) rw.map[old->id] = rw.map[old->arg[0]->id];
            else if (old->op == OP_hole) rw.map[old->id] = ir_splat(f, ir_scalar(f, old->type->dtype, 0, old->span), old->type, old->span);
            else rewrite_copy(&rw, old);
        }
        rewrite_end(&rw);
    }
}

/* A function before the bodies of its loops: the gradient of a loop is another, whose body has a `grad`. */
static void expand_all(Func *f)
{
    expand(f);
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->op == OP_loop) expand_all(f->body.nodes.at[i]->attr.loop.body);
}

void pass_autodiff(Module *m)
{
    for (uint32_t i = 0; i < m->funcs.n; i++) expand_all(m->funcs.at[i]);
}
