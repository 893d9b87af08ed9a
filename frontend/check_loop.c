/* check_loop.c - run-time loops: `scan` and `while`. The body is evaluated once, into an IR function of its own. What it
 * uses of the function around becomes an argument of the body: a value is the same in each iteration; a param or state
 * that the body changes by `:=` is one more carry, whose last value is what the place has after the loop.
 */
#include <string.h>

#include "frontend/check.h"

enum { MAX_LOOPS = 32 };                /* loops in loops */

/* What belongs to the function that is being built. */
typedef struct Work {
    Func *func;
    Node *key, *calls, *condition;
    uint32_t remat;
    Places changed;
} Work;

/* A place that the body reads or sets. */
typedef struct Touched {
    Place *place;
    Func  *func;                        /* what the place has in the function around */
    Node  *node;
    Nodes  earlier;
    Node  *arg;                         /* and at the start of an iteration */
} Touched;

struct Loop {
    Loop  *up;
    uint32_t depth;
    Work   around, inside;              /* the one that is not at work */
    Map   *captured;                    /* node of the function around -> argument of the body */
    Nodes  outer, same;                 /* those nodes, and the arguments */
    VEC(Touched) touched;
    bool   yields;
    Value  yielded;
};

/* ---- in and out of the body ---------------------------------------------------------------------------- */

static Work work(const Check *c)
{
    Work w = {.func = c->func, .key = c->key, .calls = c->calls, .condition = c->condition, .remat = c->remat, .changed = c->changed};
    return w;
}

static void resume(Check *c, const Work *w)
{
    c->func = w->func;
    c->key = w->key;
    c->calls = w->calls;
    c->condition = w->condition;
    c->remat = w->remat;
    c->changed = w->changed;
}

static Loop *step_out(Check *c)
{
    Loop *l = c->loop;
    l->inside = work(c);
    resume(c, &l->around);
    c->loop = l->up;
    return l;
}

static void step_in(Check *c, Loop *l)
{
    l->around = work(c);
    resume(c, &l->inside);
    c->loop = l;
}

/* ---- what the body sees of the function around ------------------------------------------------------------ */

/* Cheaper made again than handed in. Floats are handed in: a gradient may be taken by them. */
static bool is_cheap(const Node *n)
{
    return n->op == OP_dim || n->op == OP_iota || (n->op == OP_const && !n->type->rank && !dtype_is_float(n->type->dtype));
}

/* A node of the function around, in the body. */
static Node *capture(Check *c, Node *outer)
{
    Loop *l = c->loop;
    Node *n = map_get(l->captured, &outer, sizeof outer);
    if (n || !step(c, 1, outer->span)) return n;
    if (is_cheap(outer)) {
        n = ir_node(c->func, outer->op, 0, NULL, &outer->attr, outer->type, outer->span);
    } else {
        n = func_arg(c->func, ARG_INPUT, arena_printf(c->a, "same%u", l->same.n), outer->type, NULL, outer->span);
        if (n) {
            vec_push(c->a, &l->outer, outer);
            vec_push(c->a, &l->same, n);
        }
    }
    if (n) map_set(l->captured, &outer, sizeof outer, n);
    return n;
}

Node *capture_around(Check *c, Node *n)
{
    const Func *f = c->func;
    while (f && f != n->func) f = f->outer;
    if (!f && n->func != c->root) {
        fail(c, DL_operator_rule, n->span, "a value of a loop's body is used outside of it");
        return NULL;
    }
    Loop *l = step_out(c);
    Node *outer = as_node(c, (Value){.kind = V_TENSOR, .node = n});
    step_in(c, l);
    return outer ? capture(c, outer) : NULL;
}

Node *capture_made(Check *c, Node *(*make)(Check *))
{
    Loop *l = step_out(c);
    Node *outer = make(c);
    step_in(c, l);
    return outer ? capture(c, outer) : NULL;
}

Node *capture_place(Check *c, Place *p)
{
    Loop *l = step_out(c);
    Node *outer = place_node(c, p);
    Touched t = {.place = p, .func = c->func, .node = outer, .earlier = p->earlier};
    step_in(c, l);
    if (!outer) return NULL;
    const char *name = p->param->path ? p->param->path : "param";
    t.arg = func_arg(c->func, ARG_INPUT, name, outer->type, NULL, p->param->span);
    vec_push(c->a, &l->touched, t);
    p->func = c->func;
    p->node = t.arg;
    p->earlier = (Nodes){0};
    return t.arg;
}

/* Outside again the place has what it had. */
static void put_back(const Touched *t)
{
    t->place->func = t->func;
    t->place->node = t->node;
    t->place->earlier = t->earlier;
}

Node *iteration_number(const Check *c) { return c->func->args.at[0].node; }

/* ---- trees of tensors -------------------------------------------------------------------------------------- */

/* The tensors of v in order; numbers become tensors. What is known at compile time alone stays as it is. false: reported. */
static bool flatten(Check *c, Value *v, Span at, Nodes *out, int depth)
{
    if (is_poison(*v)) return false;
    if (is_list(*v)) {
        if (depth > MAX_LIST_DEPTH) return fail(c, DL_tree, at, "lists are nested deeper than %d", MAX_LIST_DEPTH), false;
        List *l = list_new(c, v->list->n, at);
        if (!l) return false;
        l->name = v->list->name;
        for (uint32_t i = 0; i < l->n; i++) {
            l->at[i] = v->list->at[i];
            if (!flatten(c, &l->at[i], at, out, depth + 1)) return false;
        }
        v->list = l;
        return true;
    }
    if (!is_tensor(*v) && !is_number(*v) && v->kind != V_BOOL && v->kind != V_REL) return true;
    Node *n = operand(c, *v, at);
    if (!n) return false;
    *v = tensor_value(c, n);
    vec_push(c->a, out, n);
    return true;
}

/* v with other tensors. */
static Value with_tensors(Check *c, Value v, Node *const **next, Span at)
{
    if (v.kind == V_TENSOR) return tensor_value(c, *(*next)++);
    if (!is_list(v)) return v;
    List *l = list_new(c, v.list->n, at);
    if (!l) return v_error();
    l->name = v.list->name;
    for (uint32_t i = 0; i < l->n; i++) l->at[i] = with_tensors(c, v.list->at[i], next, at);
    v.list = l;
    return v;
}

typedef struct Carry { const char *name; Span span; Value before; uint32_t first, n; } Carry;

static bool changed_type(Check *c, const Carry *k, Value before, Value now, Span at)
{
    Diag *d = problem(c, DL_loop, at, "a carry keeps its type: `%s` is %s before an iteration and %s after it", k->name, kind_text(c, before), kind_text(c, now));
    note(c, d, k->span, "it is carried here");
    return false;
}

/* The tensors of a carry at the end of the body, of the types they had. */
static bool carried(Check *c, const Carry *k, Value before, Value now, Span at, Nodes *out)
{
    bool undecided = false;
    if (is_poison(now)) return false;
    if (is_list(before)) {
        if (!is_list(now) || now.list->n != before.list->n) return changed_type(c, k, before, now, at);
        for (uint32_t i = 0; i < before.list->n; i++)
            if (!carried(c, k, before.list->at[i], now.list->at[i], at, out)) return false;
        return true;
    }
    if (before.kind != V_TENSOR) return (values_equal(c, before, now, &undecided) && !undecided) || changed_type(c, k, before, now, at);
    Type *t = before.node->type;
    if (!is_tensor(now) && !(t->rank == 0 && (is_number(now) || now.kind == V_BOOL || now.kind == V_REL))) return changed_type(c, k, before, now, at);
    Node *n = is_tensor(now) ? as_node(c, now) : number_as(c, now, t->dtype, at);
    if (!n) return false;
    bool same = n->type->dtype == t->dtype && n->type->rank == t->rank;
    for (uint32_t i = 0; same && i < t->rank; i++) same = same_dim(c, n->type->dim[i], t->dim[i], at) != SAME_no;
    if (!same) return changed_type(c, k, before, tensor_value(c, n), at);
    n = retype(c, n, t, at);
    if (n) vec_push(c->a, out, n);
    return n;
}

/* ---- what the loop goes over --------------------------------------------------------------------------------- */

typedef struct Sequence { Node *x, *row; Dim *from; int64_t by; } Sequence;     /* x: a tensor; NULL: a range */

static bool is_range(Check *c, const Expr *e)
{
    if (e->kind != EX_call || e->call.fn->kind != EX_name) return false;
    Entry *f = scope_lookup(c->scope, e->call.fn->name);
    return f && f->value.kind == V_FN && f->value.fn->builtin == builtin_find("range");
}

static bool range_length(Check *c, Dim *from, Dim *to, int64_t by, Span at, Dim **length)
{
    Dim *n = by < 0 ? dim_sub(c->m, from, to) : dim_sub(c->m, to, from);
    int64_t known;
    if (n) n = dim_ceildiv(c->m, n, dim_const(c->m, by < 0 ? -by : by));
    if (!n) return fail(c, DL_overflow, at, "this range is too long"), false;
    if (dim_is_const(n, &known) && known < 0) n = dim_const(c->m, 0);
    *length = n;
    return require(c, REL_LE, dim_const(c->m, 0), n, at) || (fail(c, DL_bad_dim, at, "this range would have the length %s", dim_text(c->a, n)), false);
}

static bool range_of(Check *c, const Expr *e, Sequence *s, Dim **length)
{
    uint32_t n = e->call.nargs;
    Dim *bound[2] = {NULL, NULL};
    s->by = 1;
    if (n < 1 || n > 3) return fail(c, DL_bad_argument, e->span, "`range` takes one to three numbers, not %u", n), false;
    for (uint32_t i = 0; i < n; i++) {
        Span at = e->call.arg[i].value->span;
        Value v = eval(c, e->call.arg[i].value);
        if (is_poison(v)) return false;
        if (e->call.arg[i].name) return fail(c, DL_unknown_keyword, e->call.arg[i].name_span, "`range` has no argument `%s`", e->call.arg[i].name), false;
        if (i == 2 && v.kind != V_INT) return fail(c, DL_not_compile_time, at, "the step of a range is an int, not %s", kind_text(c, v)), false;
        if (!is_whole(v)) {
            Diag *d = problem(c, DL_loop, at, "how often a `scan` runs is an int or a dim, known at the call; this is %s", kind_text(c, v));
            if (is_tensor(v)) note(c, d, (Span){0}, "`while` runs as long as a condition holds");
            return false;
        }
        if (i == 2) s->by = v.i;
        else bound[i] = value_dim(c, v);
    }
    if (!s->by || s->by == INT64_MIN || !number_fits(s->by, DT_i32)) return fail(c, DL_bad_argument, e->call.arg[2].value->span, "a range cannot have this step"), false;
    s->from = n == 1 ? dim_const(c->m, 0) : bound[0];
    return range_length(c, s->from, n == 1 ? bound[0] : bound[1], s->by, e->span, length);
}

/* The sequences and their common length. */
static bool sequences(Check *c, const Expr *e, Sequence *s, Dim **length)
{
    *length = NULL;
    for (uint32_t i = 0; i < e->loop.nin; i++) {
        const Bind *b = &e->loop.in[i];
        Span at = b->value->span;
        Dim *n = NULL;
        for (uint32_t k = 0; k < i; k++)
            if (e->loop.in[k].name == b->name && b->name != c->n_underscore)
                return fail(c, DL_defined_twice, b->span, "`%s` goes over two sequences", b->name), false;
        if (is_range(c, b->value)) {
            if (!range_of(c, b->value, &s[i], &n)) return false;
        } else {
            Value v = eval(c, b->value);
            if (is_poison(v)) return false;
            s[i].x = is_tensor(v) ? as_node(c, v) : NULL;
            if (!s[i].x || !s[i].x->type->rank) {
                if (is_tensor(v) && !s[i].x) return false;
                Diag *d = problem(c, DL_loop, at, "`scan` goes along the first axis of a tensor, or over a range, not over %s", kind_text(c, v));
                if (is_list(v)) note(c, d, (Span){0}, "`for` goes over lists; `stack` makes a tensor of one");
                else if (is_whole(v)) note(c, d, (Span){0}, "`range(%s)` counts", value_text(c, v));
                return false;
            }
            n = s[i].x->type->dim[0];
        }
        if (!*length) *length = n;
        if (same_dim(c, n, *length, at) == SAME_no) {
            Diag *d = problem(c, DL_loop, at, "sequences of one `scan` are equally long: this has %s iterations, the first %s", dim_text(c->a, n), dim_text(c->a, *length));
            note(c, d, e->loop.in[0].value->span, "the first is this");
            return false;
        }
        if (!s[i].x || n == *length) continue;
        Type *t = s[i].x->type;
        Dim *dim[MAX_RANK];
        memcpy(dim, t->dim, t->rank * sizeof *dim);
        dim[0] = *length;
        s[i].x = retype(c, s[i].x, type_tensor(c->m, t->dtype, t->rank, dim), at);
        if (!s[i].x) return false;
    }
    return true;
}

/* What an iteration sees of a range: from + number * by, an i32. */
static Node *range_now(Check *c, const Sequence *s, Span at)
{
    Node *i = iteration_number(c);
    if (s->by != 1) i = node2(c, OP_mul, i, int_const(c, DT_i64, s->by, at), at);
    if (!dim_equals(s->from, 0)) i = node2(c, OP_add, i, dim_node(c, s->from, DT_i64, at), at);
    return cast_to(c, i, DT_i32, at);
}

/* ---- the condition ------------------------------------------------------------------------------------------- */

/* Over the carries, and what the loop sees from outside. */
static Node *condition_of(Check *c, const Expr *cond, const Carry *carry, uint32_t n, const Value *now, Scope *up)
{
    Scope *scope = c->scope, *define = c->define, *own = scope_new(c, up);
    for (uint32_t i = 0; i < n; i++) scope_set(c, own, carry[i].name, now[i], carry[i].span);
    c->scope = c->define = own;
    Value v = eval(c, cond);
    c->scope = scope;
    c->define = define;
    if (is_poison(v)) return NULL;
    bool test = v.kind == V_BOOL || v.kind == V_REL || (is_tensor(v) && as_node(c, v) && as_node(c, v)->type == type_scalar(c->m, DT_bool));
    if (test) return operand(c, v, cond->span);
    fail(c, DL_condition, cond->span, "the condition of a loop is a bool, not %s", kind_text(c, v));
    return NULL;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

typedef struct Parts {
    const Expr *e;
    Sequence *seq;  Dim *length;
    Carry    *carry;
    Nodes     start, now, after;        /* of the carries: before the loop, at the start of an iteration, at its end */
    Node     *go, *go_now, *go_after;   /* the condition likewise */
    Value     yielded;                  /* a tuple; its tensors: */
    Nodes     yields;
} Parts;

static bool carries_before(Check *c, Parts *p)
{
    const Expr *e = p->e;
    p->carry = arena_array(c->a, Carry, e->loop.nwith + 1);
    for (uint32_t i = 0; i < e->loop.nwith; i++) {
        const Bind *b = &e->loop.with[i];
        for (uint32_t k = 0; k < i + e->loop.nin; k++) {
            const Bind *other = k < i ? &e->loop.with[k] : &e->loop.in[k - i];
            if (other->name == b->name) return fail(c, DL_defined_twice, b->span, k < i ? "`%s` is carried twice" : "`%s` is both carried and gone over", b->name), false;
        }
        Carry *k = &p->carry[i];
        *k = (Carry){.name = b->name, .span = b->span, .first = p->start.n, .before = read_now(c, eval(c, b->value), b->value->span, 0)};
        if (!flatten(c, &k->before, b->value->span, &p->start, 0)) return false;
        k->n = p->start.n - k->first;
    }
    return true;
}

/* Arguments of the body in their final order, and what its scope begins with. */
static void open_body(Check *c, Parts *p, Scope *own)
{
    const Expr *e = p->e;
    for (uint32_t i = 0; i < e->loop.nin; i++) {
        Sequence *s = &p->seq[i];
        if (!s->x) continue;
        Type *t = s->x->type;
        s->row = func_arg(c->func, ARG_INPUT, e->loop.in[i].name, type_tensor(c->m, t->dtype, t->rank - 1, t->dim + 1), NULL, e->loop.in[i].span);
    }
    if (p->go) p->go_now = func_arg(c->func, ARG_INPUT, "while", type_scalar(c->m, DT_bool), NULL, e->loop.cond->span);
    for (uint32_t i = 0; i < e->loop.nwith; i++) {
        Carry *k = &p->carry[i];
        for (uint32_t j = 0; j < k->n; j++) {
            const char *name = k->before.kind == V_TENSOR ? k->name : arena_printf(c->a, "%s.%u", k->name, j);
            Node *n = func_arg(c->func, ARG_INPUT, name, p->start.at[k->first + j]->type, NULL, k->span);
            vec_push(c->a, &p->now, n);
        }
    }
    for (uint32_t i = 0; i < e->loop.nin; i++)
        if (e->loop.in[i].name != c->n_underscore)
            scope_set(c, own, e->loop.in[i].name, tensor_value(c, p->seq[i].x ? p->seq[i].row : range_now(c, &p->seq[i], e->loop.in[i].span)), e->loop.in[i].span);
    Node *const *next = p->now.at;
    for (uint32_t i = 0; i < e->loop.nwith; i++) scope_set(c, own, p->carry[i].name, with_tensors(c, p->carry[i].before, &next, p->carry[i].span), p->carry[i].span);
}

static bool close_body(Check *c, Parts *p, Scope *own, Scope *up)
{
    const Expr *e = p->e;
    Value *last = arena_array(c->a, Value, e->loop.nwith + 1);
    Node *const *next = p->now.at;
    bool ok = true;
    for (uint32_t i = 0; i < e->loop.nwith; i++) {
        Carry *k = &p->carry[i];
        const Entry *bound = scope_find(own, k->name);
        Value inside = with_tensors(c, k->before, &next, k->span);
        uint32_t first = p->after.n;
        if (is_poison(bound->value)) return false;
        ok &= carried(c, k, inside, read_now(c, bound->value, bound->span, 0), bound->span, &p->after);
        if (!ok) continue;
        Node *const *now = p->after.at + first;
        last[i] = with_tensors(c, inside, &now, k->span);
    }
    if (!ok) return false;
    if (p->go && !(p->go_after = condition_of(c, e->loop.cond, p->carry, e->loop.nwith, last, up))) return false;
    p->yielded = v_tuple(list_new(c, 0, e->span));
    if (!c->loop->yields) return true;
    Value v = read_now(c, c->loop->yielded, e->span, 0);
    if (v.kind != V_TUPLE) {
        List *one = list_new(c, 1, e->span);
        if (one) one->at[0] = v;
        v = one ? v_tuple(one) : v_error();
    }
    if (!flatten(c, &v, e->span, &p->yields, 0)) return false;
    p->yielded = v;
    return true;
}

/* Run the body. false: reported, or the function ends with an error. */
static bool run_body(Check *c, Parts *p)
{
    Scope *scope = c->scope, *define = c->define, *own = scope_new(c, scope);
    own->block = BLOCK_loop;
    open_body(c, p, own);
    c->scope = c->define = own;
    run_block(c, &p->e->loop.body, false);
    c->scope = scope;
    c->define = define;
    if (c->exhausted) return false;
    if (c->frame && c->frame->done) {
        if (is_poison(c->frame->result)) return false;
        Diag *d = problem(c, DL_loop, c->frame->result_at, "`return` inside of a run-time loop");
        note(c, d, (Span){0}, "give a carry its value, and return it after the loop");
        c->frame->result = v_error();
        return false;
    }
    return close_body(c, p, own, scope);
}

/* Which nodes of the body its results and guards need. */
static bool *live_nodes(Check *c, const Func *f)
{
    bool *live = arena_array(c->a, bool, (size_t)f->nodes_made + 1);
    for (uint32_t i = 0; i < f->results.n; i++) live[f->results.at[i].node->id] = true;
    for (uint32_t i = 0; i < f->guards.n; i++) live[f->guards.at[i].ok->id] = true;
    for (uint32_t i = f->body.nodes.n; i-- > 0;) {
        Node *x = f->body.nodes.at[i];
        for (uint32_t k = 0; live[x->id] && k < x->nargs; k++) live[x->arg[k]->id] = true;
    }
    return live;
}

/* The body's results, and its arguments in order: number, slices, carries, what is the same; without what it does not need. */
static void finish_body(Check *c, Parts *p, const Touched *place, uint32_t nplaces, Nodes *operands)
{
    Func *f = c->func;
    const Loop *l = c->loop;
    VEC(Arg) args = {0};
    for (uint32_t i = 0; i < p->yields.n; i++) func_result(f, arena_printf(c->a, p->yields.n > 1 ? "yield.%u" : "yield", i), p->yields.at[i], NULL);
    if (p->go) func_result(f, "while", p->go_after, NULL);
    for (uint32_t i = 0; i < p->after.n; i++) func_result(f, f->args.at[p->now.at[i]->attr.arg].name, p->after.at[i], NULL);
    for (uint32_t i = 0; i < nplaces; i++)
        if (place[i].place->node != place[i].arg) func_result(f, arena_printf(c->a, ":= %s", f->args.at[place[i].arg->attr.arg].name), place[i].place->node, NULL);
    const bool *live = live_nodes(c, f);
#define TAKE(node, from) do { vec_push(c->a, &args, f->args.at[(node)->attr.arg]); if (from) vec_push(c->a, operands, (from)); } while (0)
    TAKE(f->args.at[0].node, (Node *)NULL);
    for (uint32_t i = 0; i < p->e->loop.nin; i++)
        if (p->seq[i].x) TAKE(p->seq[i].row, p->seq[i].x);
    if (p->go) TAKE(p->go_now, p->go);
    for (uint32_t i = 0; i < p->now.n; i++) TAKE(p->now.at[i], p->start.at[i]);
    for (uint32_t pass = 0; pass < 2; pass++)           /* those that change, then the others */
        for (uint32_t i = 0; i < nplaces; i++) {
            bool changed = place[i].place->node != place[i].arg;
            if (changed != !pass || (pass && !live[place[i].arg->id])) continue;
            TAKE(place[i].arg, place[i].node);
        }
    for (uint32_t i = 0; i < l->same.n; i++)
        if (live[l->same.at[i]->id]) TAKE(l->same.at[i], l->outer.at[i]);
#undef TAKE
    memcpy(&f->args, &args, sizeof args);
    Nodes nodes = {0};
    for (uint32_t i = 0; i < f->args.n; i++) {
        f->args.at[i].node->attr.arg = i;
        vec_push(c->a, &nodes, f->args.at[i].node);
    }
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (live[f->body.nodes.at[i]->id] && f->body.nodes.at[i]->op != OP_arg) vec_push(c->a, &nodes, f->body.nodes.at[i]);
    for (uint32_t i = 0; i < nodes.n; i++) nodes.at[i]->id = i;
    memcpy(&f->body.nodes, &nodes, sizeof nodes);
    f->nodes_made = nodes.n;
}

/* The loop's node, its value, and what the places have after it. */
static Value finish(Check *c, Parts *p)
{
    Loop *l = c->loop;
    Span at = p->e->span;
    Nodes operands = {0}, out = {0};
    uint32_t nplaces = l->touched.n, changed = 0, rows = 0;
    Touched *place = l->touched.at;
    Func *body = c->func;
    finish_body(c, p, place, nplaces, &operands);
    step_out(c);
    Place **set = arena_array(c->a, Place *, nplaces + 1);
    for (uint32_t i = 0; i < nplaces; i++) {
        if (place[i].place->node != place[i].arg) set[changed++] = place[i].place;
        put_back(&place[i]);
    }
    for (uint32_t i = 0; i < p->e->loop.nin; i++) rows += p->seq[i].x != NULL;
    Attr attr = {.loop = {.body = body, .length = p->length, .sequences = rows, .carries = (p->go != NULL) + p->now.n + changed, .condition = p->go != NULL}};
    if (!body->results.n) return v_none();
    Node *loop = node(c, OP_loop, operands.n, operands.at, &attr, NULL, at);
    if (!loop) return v_error();
    for (uint32_t i = 0; i < body->results.n; i++) {
        Node *n = ir_get(c->func, loop, i, user_place(c, at));
        if (!n) return v_error();
        n->remat = c->remat;
        vec_push(c->a, &out, n);
    }
    for (uint32_t i = 0; i < changed; i++)
        if (!place_set(c, set[i], out.at[out.n - changed + i], at)) return v_error();
    List *all = list_new(c, p->yielded.list->n + p->e->loop.nwith, at);
    if (!all) return v_error();
    uint32_t n = 0;
    Node *const *next = out.at;
    for (uint32_t i = 0; i < p->yielded.list->n; i++) all->at[n++] = with_tensors(c, p->yielded.list->at[i], &next, at);
    if (p->go) next++;
    for (uint32_t i = 0; i < p->e->loop.nwith; i++) all->at[n++] = with_tensors(c, p->carry[i].before, &next, at);
    return n == 0 ? v_none() : n == 1 ? all->at[0] : v_tuple(all);
}

void set_yield(Check *c, Value v)
{
    c->loop->yields = true;
    c->loop->yielded = v;
}

Value eval_loop_expr(Check *c, const Expr *e)
{
    Parts p = {.e = e, .seq = arena_array(c->a, Sequence, e->loop.nin + 1)};
    Loop l = {.up = c->loop, .depth = c->loop ? c->loop->depth + 1 : 1, .captured = map_new(c->a)};
    if (l.depth > MAX_LOOPS) return fail(c, DL_too_deep, e->span, "over %d run-time loops in loops", MAX_LOOPS);
    if (!sequences(c, e, p.seq, &p.length) || !carries_before(c, &p)) return v_error();
    if (e->loop.cond) {
        Value *start = arena_array(c->a, Value, e->loop.nwith + 1);
        for (uint32_t i = 0; i < e->loop.nwith; i++) start[i] = p.carry[i].before;
        if (!(p.go = condition_of(c, e->loop.cond, p.carry, e->loop.nwith, start, c->scope))) return v_error();
    }
    l.inside.func = func_body(c->func, user_place(c, e->span));
    uint32_t errors = c->d->errors;
    step_in(c, &l);
    if (run_body(c, &p) && c->d->errors == errors) return finish(c, &p);
    step_out(c);
    for (uint32_t i = 0; i < l.touched.n; i++) put_back(&l.touched.at[i]);
    return v_error();
}
