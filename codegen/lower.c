/* lower.c - from a group of nodes to its kernel.
 *
 * The iteration space comes from the group's core (dot, conv), else from its reduction, else from its sink. The body is
 * made on demand: value(n, at) is the inst for element `at` of node n, where `at` is one Dim an axis. A stored value is a
 * load; a view asks its operand at another index; an elementwise node asks its operands at the same one. So views, pads,
 * gathers and broadcasts cost nothing but index arithmetic, and what no store needs is never made.
 */
#include <string.h>

#include "codegen/fuse.h"
#include "codegen/index.h"

enum { MAX_DEPTH = 300 };

typedef struct Lower {
    Arena       *arena;                 /* of the kernel */
    Fusion      *fu;
    const Group *g;
    Kernel      *k;
    Module      *m;
    Map         *memo;                  /* (node, index, predicate) -> inst + 1 */
    VEC(Node *)  operands;
    Dim         *core_at[MAX_RANK];     /* core or reduction: its result's index in variables of the space */
    Dim         *full_at[MAX_RANK];     /* reduce: the index of its operand */
    Dim        **sink_at;               /* of several sinks: where they are stored */
    Dim         *depth_at[MAX_RANK];    /* contracted variables: dot: by contract pair; conv: channel, then kernel axes */
    Dim         *group_at;              /* conv: the group variable */
    Dim         *window_at[MAX_RANK];   /* window: position in it, by axis */
    Dim         *index_dim[MAX_INSTS];  /* insts that are used as an index: the symbol */
    uint32_t     depth;
    const char  *why;                   /* set once something failed */
} Lower;

static uint32_t value(Lower *l, Node *n, Dim *const *at, uint32_t pred);

static uint32_t fail(Lower *l, const char *why)
{
    if (!l->why) l->why = why;
    return 0;
}

/* ---- insts --------------------------------------------------------------------------------------------------------- */

static bool same_inst(const Inst *a, const Inst *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->op == b->op && a->red == b->red && a->nargs == b->nargs && a->arg[0] == b->arg[0] &&
           a->arg[1] == b->arg[1] && a->arg[2] == b->arg[2] && a->operand == b->operand && a->pred == b->pred && a->at == b->at &&
           !memcmp(&a->value, &b->value, sizeof a->value) && a->ivalue == b->ivalue && a->site == b->site;
}

/* Equal insts are made once. */
static uint32_t add_inst(Lower *l, Inst in)
{
    for (uint32_t i = 0; i < l->k->body.n; i++)
        if (same_inst(&l->k->body.at[i], &in)) return i;
    if (l->k->body.n >= MAX_INSTS) return fail(l, "the kernel would be too large");
    vec_push(l->arena, &l->k->body, in);
    return l->k->body.n - 1;
}

static uint32_t add_int(Lower *l, DType t, int64_t v)
{
    return add_inst(l, (Inst){.kind = K_const, .dtype = t, .ivalue = v, .pred = NO_INST});
}

static uint32_t add_index(Lower *l, Dim *at)
{
    if (!at) return fail(l, "an index overflows");
    return add_inst(l, (Inst){.kind = K_index, .dtype = DT_i64, .at = at, .pred = NO_INST});
}

static uint32_t add_op(Lower *l, Op op, DType t, uint32_t nargs, const uint32_t *arg, Span span)
{
    Inst in = {.kind = K_op, .op = op, .dtype = t, .nargs = nargs, .pred = NO_INST, .span = span};
    for (uint32_t i = 0; i < nargs; i++) in.arg[i] = arg[i];
    return add_inst(l, in);
}

static uint32_t add_op2(Lower *l, Op op, DType t, uint32_t a, uint32_t b) { return add_op(l, op, t, 2, (uint32_t[]){a, b}, (Span){0}); }
static uint32_t add_select(Lower *l, uint32_t c, uint32_t a, uint32_t b, DType t) { return add_op(l, OP_select, t, 3, (uint32_t[]){c, a, b}, (Span){0}); }

static uint32_t add_and(Lower *l, uint32_t a, uint32_t b)
{
    if (a == NO_INST) return b;
    if (b == NO_INST) return a;
    return add_op2(l, OP_and, DT_bool, a, b);
}

/* lo <= at < hi as a predicate; NO_INST where it always holds. */
static uint32_t add_inside(Lower *l, Dim *at, Dim *lo, Dim *hi)
{
    uint32_t result = NO_INST;
    if (!at || !lo || !hi) return fail(l, "an index overflows");
    if (!dim_is_le(l->m, lo, at)) {
        uint32_t d = add_index(l, dim_sub(l->m, at, lo));
        result = add_op2(l, OP_ge, DT_bool, d, add_int(l, DT_i64, 0));
    }
    if (!dim_is_lt(l->m, at, hi)) {
        uint32_t d = add_index(l, dim_sub(l->m, at, hi));
        result = add_and(l, result, add_op2(l, OP_lt, DT_bool, d, add_int(l, DT_i64, 0)));
    }
    return result;
}

/* The lowest or highest value of a dtype: what a maximum or minimum starts from. */
static uint32_t add_identity(Lower *l, RedKind kind, DType t)
{
    Inst in = {.kind = K_const, .dtype = t, .pred = NO_INST};
    bool low = kind == RED_max;
    static const int64_t lowest[DT_COUNT] = {[DT_i64] = INT64_MIN, [DT_i32] = INT32_MIN, [DT_i16] = INT16_MIN, [DT_i8] = INT8_MIN};
    static const int64_t highest[DT_COUNT] = {[DT_i64] = INT64_MAX, [DT_i32] = INT32_MAX, [DT_i16] = INT16_MAX, [DT_i8] = INT8_MAX,
                                              [DT_u8] = UINT8_MAX, [DT_bool] = 1};
    if (kind == RED_max || kind == RED_min) {
        in.value = low ? -__builtin_inf() : __builtin_inf();
        in.ivalue = low ? lowest[t] : highest[t];
    } else if (kind == RED_prod || kind == RED_and) {
        in.value = 1, in.ivalue = 1;
    }
    return add_inst(l, in);
}

static uint32_t operand_number(Lower *l, Node *n)
{
    for (uint32_t i = 0; i < l->operands.n; i++)
        if (l->operands.at[i] == n) return i;
    bool constant = n->op == OP_const;
    if (n->op == OP_arg) {
        const Arg *arg = &l->fu->func->args.at[n->attr.arg];
        constant = arg->role == ARG_PARAM;
        for (uint32_t i = 0; i < l->fu->func->results.n; i++) constant &= l->fu->func->results.at[i].param != arg->param || result_unchanged(l->fu->func, &l->fu->func->results.at[i]);
    }
    KOperand o = {n->type->dtype, false, constant};
    vec_push(l->arena, &l->operands, n);
    vec_push(l->arena, &l->k->operands, o);
    return l->operands.n - 1;
}

static uint32_t add_load(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Dim *offset = index_linear(l->m, n->type, at);
    if (!offset) return fail(l, "an address overflows");
    return add_inst(l, (Inst){.kind = K_load, .dtype = n->type->dtype, .operand = operand_number(l, n), .at = offset, .pred = pred, .span = n->span});
}

/* ---- values that index --------------------------------------------------------------------------------------------------- */

/* Is it an argument, seen through views, that the entry of the call has checked against `limit`? */
static bool checked_at_entry(const Func *f, const Node *ids, const Dim *limit)
{
    while (ids->op == OP_reshape || ids->op == OP_broadcast || ids->op == OP_transpose || ids->op == OP_slice) ids = ids->arg[0];
    if (ids->op != OP_arg) return false;
    const Arg *arg = &f->args.at[ids->attr.arg];
    return arg->is_index && arg->limit == limit;
}

bool start_is_proven(const Func *f, const Node *start, const Dim *limit)
{
    return (is_checked_start(start) && start->arg[0]->type->dim[0] == limit) || checked_at_entry(f, start, limit);
}

uint32_t fault_site(Fusion *fu, const Node *user, const char *what)
{
    Diags *d = fu->func->module->diags;
    Op op = is_checked_start(user) ? OP_dupdate : user->op;
    FaultSite site = {arena_printf(fu->arena, "%s: %s", op_name(op), what), user->span};
    if (d && user->span.file) {
        uint32_t line, column;
        diag_position(d, user->span, &line, &column);
        site.text = arena_printf(fu->arena, "%s:%u: %s", d->sources.at[user->span.file - 1].path, line, site.text);
    }
    for (uint32_t i = 0; i < fu->sites.n; i++)
        if (!strcmp(fu->sites.at[i].text, site.text)) return i;
    vec_push(fu->arena, &fu->sites, site);
    return fu->sites.n - 1;
}

/* An integer value as a Dim with 0 <= it < limit. *ok: the predicate under which it is (NO_INST: always). */
static Dim *index_value(Lower *l, Node *ids, Dim *const *at, Dim *limit, uint32_t pred, const Node *user, uint32_t *ok)
{
    uint32_t v = value(l, ids, at, pred);
    *ok = pred;
    if (l->why) return NULL;
    if (!start_is_proven(l->fu->func, ids, limit)) {
        uint32_t number = fault_site(l->fu, user, "index out of range");
        uint32_t check = add_inst(l, (Inst){.kind = K_check, .dtype = DT_bool, .nargs = 1, .arg = {v}, .at = limit, .site = number, .pred = NO_INST, .span = user->span});
        *ok = add_and(l, pred, check);
    }
    Inst *in = &l->k->body.at[v];
    /* A second limit on the same value needs a second symbol: copy the value. */
    while (in->as_index && in->as_index->extent != limit) {
        v = add_op(l, OP_cast, in->dtype, 1, &v, user->span);
        if (l->why) return NULL;
        in = &l->k->body.at[v];
    }
    if (!in->as_index) {
        l->index_dim[v] = dim_var(l->m, l->k, "v", limit);
        in->as_index = dim_as_sym(l->index_dim[v]);
    }
    return l->index_dim[v];
}

/* x where ok holds, else 0: a load takes the predicate, anything else a select. */
static uint32_t guarded(Lower *l, Node *x, Dim *const *at, uint32_t ok, uint32_t pred)
{
    uint32_t v = value(l, x, at, ok);
    if (l->why || ok == pred || ok == NO_INST) return v;
    const Inst *in = &l->k->body.at[v];
    if (in->kind == K_load && in->pred == ok) return v;
    DType t = x->type->dtype;
    uint32_t zero = dtype_is_float(t) ? add_inst(l, (Inst){.kind = K_const, .dtype = t, .pred = NO_INST}) : add_int(l, t, 0);
    return add_select(l, ok, v, zero, t);
}

static uint32_t value_gather(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Node *x = n->arg[0], *ids = n->arg[1];
    Dim *id_at[MAX_RANK] = {0}, *x_at[MAX_RANK] = {0};
    uint32_t axis = n->attr.axis, ok;
    if (n->op == OP_take_along) {
        for (uint32_t i = 0; i < x->type->rank; i++) id_at[i] = x_at[i] = at[i];
    } else {
        for (uint32_t i = 0; i < ids->type->rank; i++) id_at[i] = at[axis + i];
        for (uint32_t i = 0; i < x->type->rank; i++) x_at[i] = i < axis ? at[i] : i > axis ? at[i + ids->type->rank - 1] : NULL;
    }
    x_at[axis] = index_value(l, ids, id_at, x->type->dim[axis], pred, n, &ok);
    if (l->why) return 0;
    return guarded(l, x, x_at, ok, pred);
}

/* The start of a dynamic slice or update: 0 <= start <= extent - length. */
static Dim *start_value(Lower *l, Node *n, Node *start, Dim *extent, Dim *length, uint32_t pred, uint32_t *ok)
{
    Dim *limit = dim_add(l->m, dim_sub(l->m, extent, length), dim_const(l->m, 1));
    return index_value(l, start, NULL, limit, pred, n, ok);
}

static uint32_t value_dslice(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Node *x = n->arg[0];
    Dim *x_at[MAX_RANK];
    uint32_t axis = n->attr.axis, ok;
    Dim *start = start_value(l, n, n->arg[1], x->type->dim[axis], n->type->dim[axis], pred, &ok);
    if (l->why) return 0;
    for (uint32_t i = 0; i < x->type->rank; i++) x_at[i] = i == axis ? dim_add(l->m, start, at[i]) : at[i];
    return guarded(l, x, x_at, ok, pred);
}

static uint32_t value_dupdate(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Node *x = n->arg[0], *v = n->arg[1];
    Dim *v_at[MAX_RANK];
    uint32_t axis = n->attr.axis, ok;
    Dim *start = start_value(l, n, n->arg[2], x->type->dim[axis], v->type->dim[axis], pred, &ok);
    if (l->why) return 0;
    for (uint32_t i = 0; i < x->type->rank; i++) v_at[i] = i == axis ? dim_sub(l->m, at[i], start) : at[i];
    uint32_t inside = add_and(l, ok, add_inside(l, v_at[axis], dim_const(l->m, 0), v->type->dim[axis]));
    uint32_t new = value(l, v, v_at, inside);
    if (inside == NO_INST) return new;
    uint32_t old = value(l, x, at, pred);
    return add_select(l, inside, new, old, n->type->dtype);
}

/* ---- views with holes ---------------------------------------------------------------------------------------------------------- */

static uint32_t value_pad(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Node *x = n->arg[0];
    Dim *x_at[MAX_RANK];
    uint32_t inside = NO_INST;
    for (uint32_t i = 0; i < n->type->rank; i++) {
        x_at[i] = dim_sub(l->m, at[i], n->attr.pad.lo[i]);
        inside = add_and(l, inside, add_inside(l, x_at[i], dim_const(l->m, 0), x->type->dim[i]));
    }
    uint32_t both = add_and(l, pred, inside), v = value(l, x, x_at, both);
    if (l->why || inside == NO_INST) return v;
    double zero;
    if (node_is_scalar_const(n->arg[1], &zero) && zero == 0 && l->k->body.at[v].kind == K_load && l->k->body.at[v].pred == both) return v;
    return add_select(l, inside, v, value(l, n->arg[1], NULL, NO_INST), n->type->dtype);
}

static uint32_t value_concat(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    uint32_t axis = n->attr.axis, result = 0;
    Dim *offset = n->type->dim[axis], *x_at[MAX_RANK];
    bool any = false;
    memcpy(x_at, at, n->type->rank * sizeof *at);
    /* From the last part to the first: part i where at < its end, else what came after it. Empty parts give nothing, but all
     * of them together still have a value. */
    for (uint32_t i = n->nargs; i-- > 0;) {
        Node *x = n->arg[i];
        Dim *end = offset;
        offset = dim_sub(l->m, offset, x->type->dim[axis]);
        if (dim_equals(x->type->dim[axis], 0) && (any || i > 0)) continue;
        x_at[axis] = dim_sub(l->m, at[axis], offset);
        uint32_t before_end = any ? add_inside(l, at[axis], dim_const(l->m, 0), end) : NO_INST;
        uint32_t here = add_and(l, before_end, add_inside(l, at[axis], offset, n->type->dim[axis]));
        uint32_t v = value(l, x, x_at, add_and(l, pred, here));
        if (l->why) return 0;
        result = before_end == NO_INST ? v : add_select(l, before_end, v, result, n->type->dtype);
        any = true;
    }
    return result;
}

/* ---- reductions and contractions: the insts that define the space --------------------------------------------------------------------- */

static bool same_index(Dim *const *a, Dim *const *b, uint32_t n) { return !n || !memcmp(a, b, n * sizeof *a); }

static uint32_t value_window(Lower *l, Node *n)
{
    Node *x = n->arg[0];
    Dim *x_at[MAX_RANK] = {0};
    uint32_t inside = NO_INST;
    for (uint32_t i = 0; i < x->type->rank; i++) {
        Dim *first = dim_mul(l->m, l->core_at[i], dim_const(l->m, n->attr.window.stride[i]));
        x_at[i] = dim_sub(l->m, dim_add(l->m, first, l->window_at[i]), n->attr.window.lo[i]);
        inside = add_and(l, inside, add_inside(l, x_at[i], dim_const(l->m, 0), x->type->dim[i]));
    }
    uint32_t v = value(l, x, x_at, inside);
    if (l->why) return 0;
    bool zero_is_neutral = n->attr.window.kind == RED_sum || n->attr.window.kind == RED_or;
    if (inside != NO_INST && !(zero_is_neutral && l->k->body.at[v].kind == K_load))
        v = add_select(l, inside, v, add_identity(l, n->attr.window.kind, n->type->dtype), n->type->dtype);
    return add_inst(l, (Inst){.kind = K_reduce, .dtype = n->type->dtype, .red = n->attr.window.kind, .nargs = 1, .arg = {v}, .pred = NO_INST, .span = n->span});
}

static uint32_t value_reduce(Lower *l, Node *n, Dim *const *at)
{
    const Node *r = l->g->reduction;
    if (!r) return fail(l, "a reduction inside a kernel that has no row");
    if (!same_index(at, l->core_at, n->type->rank)) return fail(l, "the reduction is read at another index than its row");
    if (n->op == OP_window) return n == r ? value_window(l, n) : fail(l, "two sliding windows");
    if (r->op == OP_window || n->attr.reduce.axes != r->attr.reduce.axes || n->arg[0]->type->rank != r->arg[0]->type->rank ||
        !same_index(n->arg[0]->type->dim, r->arg[0]->type->dim, r->arg[0]->type->rank))
        return fail(l, "the reductions go over different axes");
    uint32_t v = value(l, n->arg[0], l->full_at, NO_INST);
    if (l->why) return 0;
    InstKind kind = n->op == OP_argreduce ? K_argreduce : K_reduce;
    return add_inst(l, (Inst){.kind = kind, .dtype = n->type->dtype, .red = n->attr.reduce.kind, .nargs = 1, .arg = {v}, .pred = NO_INST, .span = n->span});
}

/* The index of operand `side` (0 left, 1 right) of a dot at the space's variables. */
static void dot_operand_at(const Lower *l, const Node *n, int side, Dim **out)
{
    const uint8_t *batch = side ? n->attr.dot.rbatch : n->attr.dot.lbatch, *contract = side ? n->attr.dot.rcontract : n->attr.dot.lcontract;
    uint32_t rank = n->arg[side]->type->rank, nbatch = n->attr.dot.nbatch, nlfree = n->arg[0]->type->rank - nbatch - n->attr.dot.ncontract;
    for (uint32_t i = 0; i < rank; i++) out[i] = NULL;
    for (uint32_t i = 0; i < nbatch; i++) out[batch[i]] = l->core_at[i];
    for (uint32_t i = 0; i < n->attr.dot.ncontract; i++) out[contract[i]] = l->depth_at[i];
    uint32_t next = nbatch + (side ? nlfree : 0);
    for (uint32_t i = 0; i < rank; i++)
        if (!out[i]) out[i] = l->core_at[next++];
}

/* The input element under output position and kernel position; *inside: whether it is one (NO_INST: always). */
static uint32_t conv_input_at(Lower *l, const Node *n, Dim *channel, Dim **out)
{
    Type *x = n->arg[0]->type;
    uint32_t inside = NO_INST;
    Dim *zero = dim_const(l->m, 0);
    out[0] = l->core_at[0], out[1] = channel;
    for (uint32_t s = 0; s + 2 < x->rank; s++) {
        Dim *o = dim_mul(l->m, l->core_at[s + 2], dim_const(l->m, n->attr.conv.stride[s]));
        Dim *k = dim_mul(l->m, l->depth_at[s + 1], dim_const(l->m, n->attr.conv.dilation[s]));
        Dim *at = dim_sub(l->m, dim_add(l->m, o, k), n->attr.conv.lo[s]), *extent = x->dim[s + 2];
        if (n->attr.conv.spread[s] > 1) {
            Dim *spread = dim_const(l->m, n->attr.conv.spread[s]);
            uint32_t phase = add_index(l, dim_mod(l->m, at, spread));
            inside = add_and(l, inside, add_op2(l, OP_eq, DT_bool, phase, add_int(l, DT_i64, 0)));
            at = dim_floordiv(l->m, at, spread);
        }
        inside = add_and(l, inside, add_inside(l, at, zero, extent));
        out[s + 2] = at;
    }
    return inside;
}

static uint32_t value_core(Lower *l, Node *n)
{
    Dim *a_at[MAX_RANK], *b_at[MAX_RANK];
    uint32_t a, b;
    if (n->op == OP_dot) {
        dot_operand_at(l, n, 0, a_at), dot_operand_at(l, n, 1, b_at);
        a = value(l, n->arg[0], a_at, NO_INST);
        b = value(l, n->arg[1], b_at, NO_INST);
    } else {
        Type *w = n->arg[1]->type;
        /* Rows are output channels, so a is the weights and b the image. */
        a_at[0] = l->core_at[1], a_at[1] = l->depth_at[0];
        for (uint32_t s = 2; s < w->rank; s++) a_at[s] = l->depth_at[s - 1];
        Dim *channel = dim_add(l->m, dim_mul(l->m, l->group_at, w->dim[1]), l->depth_at[0]);
        uint32_t inside = conv_input_at(l, n, channel, b_at);
        a = value(l, n->arg[1], a_at, NO_INST);
        b = guarded(l, n->arg[0], b_at, inside, NO_INST);
    }
    if (l->why) return 0;
    if (l->k->class == KERNEL_REDUCE) {
        uint32_t product = add_op2(l, OP_mul, n->type->dtype, a, b);
        return add_inst(l, (Inst){.kind = K_reduce, .dtype = n->type->dtype, .red = RED_sum, .nargs = 1, .arg = {product}, .pred = NO_INST, .span = n->span});
    }
    return add_inst(l, (Inst){.kind = K_contract, .dtype = n->type->dtype, .nargs = 2, .arg = {a, b}, .pred = NO_INST, .span = n->span});
}

/* ---- the body on demand ------------------------------------------------------------------------------------------------------------------- */

static uint32_t value_const(Lower *l, const Node *n)
{
    Tensor t = {.dtype = n->type->dtype, .data = (void *)n->attr.lit.data};
    Inst in = {.kind = K_const, .dtype = t.dtype, .pred = NO_INST, .span = n->span};
    if (t.dtype == DT_i64) in.ivalue = *(const int64_t *)n->attr.lit.data;
    else if (dtype_is_float(t.dtype)) in.value = tensor_get(&t, 0);
    else in.ivalue = (int64_t)tensor_get(&t, 0);
    return add_inst(l, in);
}

static uint32_t compute(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    Dim *x_at[MAX_RANK];
    uint32_t arg[3];
    switch (n->op) {
    case OP_arg: return add_load(l, n, at, pred);
    case OP_const: return n->type->rank ? add_load(l, n, at, pred) : value_const(l, n);
    case OP_dim: return add_index(l, n->attr.dim);
    case OP_iota: {
        uint32_t i = add_index(l, at[n->attr.axis]);
        return n->type->dtype == DT_i64 ? i : add_op(l, OP_cast, n->type->dtype, 1, &i, n->span);
    }
    case OP_rng: {
        arg[0] = value(l, n->arg[0], NULL, NO_INST), arg[1] = value(l, n->arg[1], NULL, NO_INST);
        arg[2] = add_index(l, index_linear(l->m, n->type, at));
        return add_inst(l, (Inst){.kind = K_rng, .dtype = n->type->dtype, .nargs = 3, .arg = {arg[0], arg[1], arg[2]}, .at = kernel_literal(l->m, n->attr.rng.stream), .pred = NO_INST, .span = n->span});
    }
    case OP_pad: return value_pad(l, n, at, pred);
    case OP_concat: return value_concat(l, n, at, pred);
    case OP_gather: case OP_take_along: return value_gather(l, n, at, pred);
    case OP_dslice: return value_dslice(l, n, at, pred);
    case OP_dupdate: return value_dupdate(l, n, at, pred);
    case OP_reduce: case OP_argreduce: case OP_window: return value_reduce(l, n, at);
    case OP_dot: case OP_conv:
        if (n != l->g->core) return fail(l, "two contractions");
        if (!same_index(at, l->core_at, n->type->rank)) return fail(l, "the contraction is read at another index than its own");
        return value_core(l, n);
    default: break;
    }
    if (op_class(n->op) == CLASS_VIEW) {
        if (!index_of_operand(l->m, n, at, x_at)) return fail(l, "an index overflows");
        return value(l, n->arg[0], x_at, pred);
    }
    if (op_class(n->op) != CLASS_MAP) return fail(l, arena_printf(l->fu->arena, "%s has no kernel in compiled code yet", op_name(n->op)));
    for (uint32_t i = 0; i < n->nargs; i++) arg[i] = value(l, n->arg[i], at, pred);
    return l->why ? 0 : add_op(l, n->op, n->type->dtype, n->nargs, arg, n->span);
}

static bool is_sink(const Group *g, const Node *n)
{
    bool is = n == g->sink;
    for (uint32_t i = 0; i < g->more.n && !is; i++) is = n == g->more.at[i];
    return is;
}

static uint32_t value(Lower *l, Node *n, Dim *const *at, uint32_t pred)
{
    if (l->why) return 0;
    struct { Node *n; uint32_t pred, pad; Dim *at[MAX_RANK]; } key = {.n = n, .pred = pred};
    uint32_t rank = n->type->rank;
    for (uint32_t i = 0; i < rank; i++) {
        if (!at[i]) return fail(l, "an index overflows");
        key.at[i] = at[i];
    }
    void *known = map_get(l->memo, &key, sizeof key);
    if (known) return (uint32_t)(uintptr_t)known - 1;
    if (++l->depth > MAX_DEPTH) return fail(l, "the kernel would be nested too deeply");
    bool own = is_sink(l->g, n);
    if (own && l->sink_at && !same_index(at, l->sink_at, rank)) return fail(l, "it is stored at another index");
    uint32_t v = !own && l->fu->stored[n->id] ? add_load(l, n, at, pred) : compute(l, n, at, pred);
    l->depth--;
    if (!l->why) map_set(l->memo, &key, sizeof key, (void *)(uintptr_t)(v + 1));
    return v;
}

/* ---- the iteration space -------------------------------------------------------------------------------------------------------------------- */

/* A new axis, and its variable; an axis of length 1 needs none. */
static Dim *axis(Lower *l, AxisRole role, Dim *extent)
{
    if (dim_equals(extent, 1)) return dim_const(l->m, 0);
    KAxis x = {role, dim_var(l->m, l->k, arena_printf(l->arena, "x%u", l->k->axes.n), extent), extent};
    vec_push(l->arena, &l->k->axes, x);
    return x.var;
}

static void space_of_dot(Lower *l, const Node *n, bool engine)
{
    uint32_t nbatch = n->attr.dot.nbatch, nl = n->arg[0]->type->rank - nbatch - n->attr.dot.ncontract;
    for (uint32_t i = 0; i < n->type->rank; i++) {
        AxisRole role = i < nbatch ? AXIS_BATCH : i < nbatch + nl ? AXIS_ROW : AXIS_COLUMN;
        l->core_at[i] = axis(l, engine ? role : AXIS_PARALLEL, n->type->dim[i]);
    }
    for (uint32_t i = 0; i < n->attr.dot.ncontract; i++)
        l->depth_at[i] = axis(l, engine ? AXIS_DEPTH : AXIS_REDUCED, n->arg[0]->type->dim[n->attr.dot.lcontract[i]]);
}

static bool space_of_conv(Lower *l, const Node *n, bool engine)
{
    Type *w = n->arg[1]->type;
    Dim *groups = dim_const(l->m, n->attr.conv.groups);
    Dim *outs = dim_floordiv(l->m, w->dim[0], groups);
    if (!outs) return false;
    Dim *b = NULL;
    if (!engine) b = axis(l, AXIS_PARALLEL, n->type->dim[0]);
    l->group_at = axis(l, engine ? AXIS_BATCH : AXIS_PARALLEL, groups);
    Dim *o = axis(l, engine ? AXIS_ROW : AXIS_PARALLEL, outs);
    l->core_at[0] = engine ? axis(l, AXIS_COLUMN, n->type->dim[0]) : b;
    l->core_at[1] = dim_add(l->m, dim_mul(l->m, l->group_at, outs), o);
    for (uint32_t i = 2; i < n->type->rank; i++) l->core_at[i] = axis(l, engine ? AXIS_COLUMN : AXIS_PARALLEL, n->type->dim[i]);
    for (uint32_t i = 1; i < w->rank; i++) l->depth_at[i - 1] = axis(l, engine ? AXIS_DEPTH : AXIS_REDUCED, w->dim[i]);
    return true;
}

static void space_of_reduction(Lower *l, const Node *n)
{
    Type *x = n->arg[0]->type;
    if (n->op == OP_window) {
        for (uint32_t i = 0; i < x->rank; i++) l->core_at[i] = axis(l, AXIS_PARALLEL, n->type->dim[i]);
        for (uint32_t i = 0; i < x->rank; i++) l->window_at[i] = axis(l, AXIS_REDUCED, dim_const(l->m, n->attr.window.size[i]));
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < x->rank; i++)
        if (!(n->attr.reduce.axes >> i & 1)) l->core_at[kept++] = l->full_at[i] = axis(l, AXIS_PARALLEL, x->dim[i]);
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!(n->attr.reduce.axes >> i & 1)) continue;
        KAxis r = {AXIS_REDUCED, dim_var(l->m, l->k, "r", x->dim[i]), x->dim[i]};    /* also of length 1: it is the position of an argreduce */
        vec_push(l->arena, &l->k->axes, r);
        l->full_at[i] = r.var;
    }
}

/* Follow the group's values from `from`, at index `at`, up to the sink: its index in the same variables. */
static bool sink_index(Lower *l, Node *from, Dim *const *at, Dim **out)
{
    const Func *f = l->fu->func;
    const Node *sink = l->g->sink;
    if (from == sink) {
        memcpy(out, at, from->type->rank * sizeof *out);
        return true;
    }
    Map *where = map_new(l->arena);                     /* node -> its index */
    map_set(where, &from, sizeof from, arena_copy(l->arena, at, (from->type->rank + 1) * sizeof *at));
    uint32_t first = from->id;
    /* Nodes are in order of evaluation and numbered by it: look only between the two. */
    for (uint32_t i = first + 1; i <= sink->id; i++) {
        Node *n = f->body.nodes.at[i];
        if (n != sink && l->fu->stored[n->id]) continue;
        for (uint32_t a = 0; a < n->nargs; a++) {
            Dim **x = map_get(where, &n->arg[a], sizeof n->arg[a]);
            if (!x) continue;
            if (op_class(n->op) == CLASS_VIEW && a > 0) return false;
            Dim **y = arena_array(l->arena, Dim *, MAX_RANK);
            if (n->type->kind != TYPE_TENSOR || !index_of_result(l->m, n, x, y)) {
                if (n == sink) return false;
                continue;                               /* a side path: its value is asked for at another index, and refused there */
            }
            map_set(where, &n, sizeof n, y);
            break;
        }
    }
    Dim **y = map_get(where, &sink, sizeof sink);
    if (!y) return false;
    memcpy(out, y, sink->type->rank * sizeof *out);
    return true;
}

/* Rows and columns change places where only that makes the stores run along columns, or where there are no columns. */
static void orient(Lower *l)
{
    Kernel *k = l->k;
    const KAxis *row = NULL, *column = NULL;
    for (uint32_t i = 0; i < k->axes.n; i++) {
        if (k->axes.at[i].role == AXIS_ROW) row = &k->axes.at[i];
        if (k->axes.at[i].role == AXIS_COLUMN) column = &k->axes.at[i];
    }
    if (!row) return;
    if (column) {
        Dim *c, *rest;
        if (dim_linear(l->m, k->stores.at[0].at, dim_as_sym(column->var), &c, &rest) && dim_equals(c, 1)) return;
        if (!dim_linear(l->m, k->stores.at[0].at, dim_as_sym(row->var), &c, &rest) || !dim_equals(c, 1)) return;
    }
    VEC(KAxis) order = {0};
    static const AxisRole from[] = {AXIS_BATCH, AXIS_COLUMN, AXIS_ROW, AXIS_DEPTH};
    static const AxisRole to[] = {AXIS_BATCH, AXIS_ROW, AXIS_COLUMN, AXIS_DEPTH};
    for (uint32_t r = 0; r < COUNT(from); r++)
        for (uint32_t i = 0; i < k->axes.n; i++)
            if (k->axes.at[i].role == from[r]) {
                KAxis x = k->axes.at[i];
                x.role = to[r];
                vec_push(l->arena, &order, x);
            }
    memcpy(k->axes.at, order.at, order.n * sizeof *order.at);
    for (uint32_t i = 0; i < k->body.n; i++) {
        Inst *in = &k->body.at[i];
        if (in->kind != K_contract) continue;
        uint32_t a = in->arg[0];
        in->arg[0] = in->arg[1], in->arg[1] = a;
    }
}

/* A contraction goes to the engine of micro-kernels, unless it is of integers or has one output channel a group
 * (depthwise), where a tile would hold a single row. */
static bool uses_engine(Module *m, const Node *core)
{
    if (core->type->dtype != DT_f32 && core->type->dtype != DT_f64) return false;
    if (core->op == OP_dot) return true;
    Type *w = core->arg[1]->type;
    return !(core->attr.conv.groups > 1 && dim_equals(w->dim[1], 1) && w->dim[0] == dim_const(m, core->attr.conv.groups));
}

static bool make_space(Lower *l, Dim **sink_at)
{
    const Group *g = l->g;
    Node *sink = g->sink;
    if (g->core) {
        bool engine = uses_engine(l->m, g->core);
        l->k->class = engine ? KERNEL_CONTRACT : KERNEL_REDUCE;
        if (g->core->op == OP_dot) space_of_dot(l, g->core, engine);
        else if (!space_of_conv(l, g->core, engine)) return false;
        return sink_index(l, g->core, l->core_at, sink_at);
    }
    if (g->reduction) {
        l->k->class = KERNEL_REDUCE;
        space_of_reduction(l, g->reduction);
        Type *x = g->reduction->arg[0]->type;
        if (g->reduction->op != OP_window && sink->type->rank == x->rank && same_index(sink->type->dim, x->dim, x->rank)) {
            memcpy(sink_at, l->full_at, sizeof l->full_at);
            return true;
        }
        return sink_index(l, g->reduction, l->core_at, sink_at);
    }
    l->k->class = KERNEL_MAP;
    for (uint32_t i = 0; i < sink->type->rank; i++) sink_at[i] = axis(l, AXIS_PARALLEL, sink->type->dim[i]);
    return true;
}

static bool is_proven_append(const Func *f, const Node *n)
{
    if (!is_append(f, n)) return false;
    const Dim *limit = start_limit(f->module, n);
    return limit && start_is_proven(f, n->arg[2], limit);
}

/* An update of a param in place runs over the values alone, and stores them behind the start. */
static bool make_append_space(Lower *l, Node *n, Dim **value_at, Dim **sink_at)
{
    Dim *limit = start_limit(l->m, n);
    uint32_t axis_put = n->attr.axis, ok = NO_INST;
    for (uint32_t i = 0; i < n->type->rank; i++) value_at[i] = sink_at[i] = axis(l, AXIS_PARALLEL, n->arg[1]->type->dim[i]);
    Dim *start = index_value(l, n->arg[2], NULL, limit, NO_INST, n, &ok);
    sink_at[axis_put] = start ? dim_add(l->m, start, value_at[axis_put]) : NULL;
    return sink_at[axis_put] != NULL;
}

/* Is one of the values that the group stores only written in part? */
static bool appends(const Func *f, const Group *g)
{
    bool some = !g->core && !g->reduction && is_proven_append(f, g->sink);
    for (uint32_t i = 0; i < g->more.n; i++) some |= is_proven_append(f, g->more.at[i]);
    return some;
}

static void add_store(Lower *l, Node *sink, uint32_t v, Dim *at)
{
    vec_push(l->arena, &l->operands, sink);
    vec_push(l->arena, &l->k->operands, ((KOperand){sink->type->dtype, true, false}));
    vec_push(l->arena, &l->k->stores, ((KStore){.operand = l->k->operands.n - 1, .inst = v, .at = at}));
}

Kernel *lower_group(Arena *a, Fusion *fu, const Group *g, Node ***operands, const char **why)
{
    if (is_routine(g->sink)) return lower_routine(a, fu, g->sink, operands, why);
    Lower l = {.arena = a, .fu = fu, .g = g, .m = fu->func->module, .memo = map_new(a)};
    Dim *sink_at[MAX_RANK], *value_at[MAX_RANK];
    l.k = arena_new(a, Kernel);
    l.k->module = l.m;
    l.k->span = g->core ? g->core->span : g->sink->span;
    bool append = appends(fu->func, g);
    if (append && g->more.n) {
        *why = "one of its stores is of a part";
        return NULL;
    }
    if (append ? !make_append_space(&l, g->sink, value_at, sink_at) : !make_space(&l, sink_at)) {
        *why = "its elements are not those of the kernel one to one";
        return NULL;
    }
    l.sink_at = g->more.n ? sink_at : NULL;
    uint32_t v = append ? value(&l, g->sink->arg[1], value_at, NO_INST) : value(&l, g->sink, sink_at, NO_INST), *more = arena_array(a, uint32_t, g->more.n + 1);
    for (uint32_t i = 0; i < g->more.n; i++) more[i] = value(&l, g->more.at[i], sink_at, NO_INST);
    Dim *at = index_linear(l.m, g->sink->type, sink_at);
    if (!l.why && !at) l.why = "an address overflows";
    /* Every reduction must have been reached, or the space would have axes that nothing runs over. */
    bool reduces = l.k->class == KERNEL_MAP;
    for (uint32_t i = 0; i < l.k->body.n; i++) {
        InstKind kind = l.k->body.at[i].kind;
        reduces |= kind == K_reduce || kind == K_argreduce || kind == K_contract;
    }
    if (!l.why && !reduces) l.why = "the reduction is not on the way to the result";
    if (l.why) {
        *why = l.why;
        return NULL;
    }
    add_store(&l, g->sink, v, at);
    for (uint32_t i = 0; i < g->more.n; i++) add_store(&l, g->more.at[i], more[i], at);
    if (l.k->class == KERNEL_CONTRACT) orient(&l);
    if (l.k->class == KERNEL_CONTRACT && g->core->op == OP_conv) kernel_split_depth(a, l.k);
    kernel_finish(a, l.k);
    *operands = l.operands.at;
    return l.k;
}
