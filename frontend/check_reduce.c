/* check_reduce.c - reductions, of tensors along axes and of lists; running sums and order.
 */
#include "frontend/check.h"

/* ---- reductions ------------------------------------------------------------------------------------- */

Node *reduce_axes(Check *c, RedKind kind, Node *x, uint32_t axes, bool keep, Span at)
{
    if (!x || !axes) return x;
    Type *t = x->type;
    Attr attr = {.reduce = {.kind = kind, .axes = axes}};
    Node *r = node(c, OP_reduce, 1, &x, &attr, NULL, at);
    if (!r || !keep) return r;
    Dim *dim[MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) dim[i] = axes >> i & 1 ? dim_const(c->m, 1) : t->dim[i];
    return reshape_to(c, r, t->rank, dim, at);
}

static Value fold_list(Check *c, Call *k, RedKind kind)
{
    List *l = k->arg[0].list;
    if (given(k, 1) || given(k, 2)) return fail(c, DL_bad_argument, k->at[given(k, 1) ? 1 : 2], "`%s` of a list folds its items; it has no axis", k->builtin->name);
    if (!l->n && kind != RED_sum && kind != RED_prod && kind != RED_or && kind != RED_and)
        return fail(c, DL_bad_argument, k->at[0], "`%s` of a list without items", k->builtin->name);
    if (!l->n) return kind == RED_sum ? v_int(0) : kind == RED_prod ? v_int(1) : v_bool(kind == RED_and);
    Value v = l->at[0];
    for (uint32_t i = 1; i < l->n && !is_poison(v); i++) {
        if (!step(c, 1, k->span)) return v_error();
        Value x = l->at[i];
        switch (kind) {
        case RED_sum:  v = binary(c, BIN_add, v, x, k->span, k->at[0], k->at[0]); break;
        case RED_prod: v = binary(c, BIN_mul, v, x, k->span, k->at[0], k->at[0]); break;
        case RED_or:   v = binary(c, BIN_or, v, x, k->span, k->at[0], k->at[0]); break;
        case RED_and:  v = binary(c, BIN_and, v, x, k->span, k->at[0], k->at[0]); break;
        default:       v = min_max_values(c, kind == RED_max, v, x, k->span, k->at[0], k->at[0]);
        }
    }
    return v;
}

Value bi_reduce(Check *c, Call *k)
{
    RedKind kind = (RedKind)k->builtin->code;
    if (is_list(k->arg[0])) return fold_list(c, k, kind);
    Node *x = arg_tensor(c, k, 0);
    uint32_t axes;
    bool keep = false, logic = kind == RED_or || kind == RED_and;
    if (!x || !arg_axes(c, k, 1, x->type->rank, &axes) || !arg_bool(c, k, 2, &keep)) return v_error();
    if (logic != (x->type->dtype == DT_bool)) {
        Diag *d = problem(c, DL_operand_kind, k->at[0], "`%s` works on %s, not on %s", k->builtin->name, logic ? "bools" : "numbers", type_text(c->a, x->type));
        if (!logic) note(c, d, (Span){0}, "to count, cast: `sum(i32(...))`");
        return v_error();
    }
    return tensor_value(c, reduce_axes(c, kind, x, axes, keep, k->span));
}

/* The product of the dims of some axes. */
static bool count_of(Check *c, Type *t, uint32_t axes, Span at, Dim **out)
{
    Dim *dim[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (axes >> i & 1) dim[n++] = t->dim[i];
    return product(c, dim, n, at, out);
}

Value bi_mean(Check *c, Call *k)
{
    uint32_t axes;
    bool keep = false;
    Dim *count;
    if (is_list(k->arg[0])) {
        Value total = fold_list(c, k, RED_sum);
        if (!k->arg[0].list->n) return fail(c, DL_bad_argument, k->at[0], "`mean` of a list without items");
        return binary(c, BIN_div, total, v_int(k->arg[0].list->n), k->span, k->at[0], k->at[0]);
    }
    Node *x = arg_tensor(c, k, 0);
    if (!x || !arg_axes(c, k, 1, x->type->rank, &axes) || !arg_bool(c, k, 2, &keep)) return v_error();
    if (!dtype_is_float(x->type->dtype)) {
        Diag *d = problem(c, DL_operand_kind, k->at[0], "`mean` works on floats, not on %s", type_text(c->a, x->type));
        note(c, d, (Span){0}, "cast it first: `mean(f32(...))`");
        return v_error();
    }
    if (!axes) return tensor_value(c, x);
    if (!count_of(c, x->type, axes, k->span, &count)) return v_error();
    Node *sum = reduce_axes(c, RED_sum, x, axes, keep, k->span);
    Node *n = dim_node(c, count, x->type->dtype, k->span);
    return tensor_value(c, sum && n ? node2(c, OP_div, sum, splat(c, n, sum->type, k->span), k->span) : NULL);
}

/* ---- order ---------------------------------------------------------------------------------------------- */

Value bi_argreduce(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    uint32_t axis = 0;
    bool keep = false, all = !given(k, 1) || k->arg[1].kind == V_NONE;
    if (!x || !arg_bool(c, k, 2, &keep)) return v_error();
    Type *t = x->type;
    if (t->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers");
    if (all) {
        Dim *count;
        if (!product(c, t->dim, t->rank, k->span, &count)) return v_error();
        x = reshape_to(c, x, 1, &count, k->span);
    } else if (!arg_axis(c, k, 1, t->rank, &axis)) {
        return v_error();
    }
    if (!x) return v_error();
    if (dim_equals(x->type->dim[axis], 0)) return fail(c, DL_bad_argument, k->at[0], "`%s` of no elements", k->builtin->name);
    Attr attr = {.reduce = {.kind = (RedKind)k->builtin->code, .axes = 1u << axis}};
    Node *r = node(c, OP_argreduce, 1, &x, &attr, NULL, k->span);
    if (!r || !keep) return tensor_value(c, r);
    Dim *dim[MAX_RANK];
    for (uint32_t i = 0; i < t->rank; i++) dim[i] = all || i == axis ? dim_const(c->m, 1) : t->dim[i];
    return tensor_value(c, reshape_to(c, r, t->rank, dim, k->span));
}

Value bi_cumsum(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    uint32_t axis;
    if (!x || !arg_axis(c, k, 1, x->type->rank, &axis)) return v_error();
    if (x->type->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers");
    Attr attr = {.reduce = {.kind = RED_sum, .axes = 1u << axis}};
    return tensor_value(c, node(c, OP_cumulate, 1, &x, &attr, NULL, k->span));
}

static Value members(Check *c, Node *pair, Span at)
{
    List *l = pair ? list_new(c, 2, at) : NULL;
    for (uint32_t i = 0; l && i < 2; i++) {
        Attr attr = {.axis = i};
        l->at[i] = tensor_value(c, node(c, OP_get, 1, &pair, &attr, NULL, at));
    }
    return l ? v_tuple(l) : v_error();
}

Value bi_sort(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    Attr attr = {0};
    if (!x) return v_error();
    if (!x->type->rank || x->type->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers with an axis");
    attr.order.axis = x->type->rank - 1;
    if (given(k, 1) && !arg_axis(c, k, 1, x->type->rank, &attr.order.axis)) return v_error();
    if (!arg_bool(c, k, 2, &attr.order.descending)) return v_error();
    return members(c, node(c, OP_sort, 1, &x, &attr, NULL, k->span), k->span);
}

Value bi_top_k(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    Attr attr = {.order = {.descending = true}};
    Dim *n, *dim[MAX_RANK];
    if (!x || !arg_dim(c, k, 1, &n)) return v_error();
    Type *t = x->type, *values;
    if (!t->rank || t->dtype == DT_bool) return bad_arg(c, k, 0, "a tensor of numbers with an axis");
    attr.order.axis = t->rank - 1;
    if (given(k, 2) && !arg_axis(c, k, 2, t->rank, &attr.order.axis)) return v_error();
    if (!require(c, REL_LE, n, t->dim[attr.order.axis], k->at[1]))
        return fail(c, DL_bad_argument, k->at[1], "`top_k` of %s along an axis of %s", dim_text(c->a, n), dim_text(c->a, t->dim[attr.order.axis]));
    for (uint32_t i = 0; i < t->rank; i++) dim[i] = i == attr.order.axis ? n : t->dim[i];
    if (!make_type(c, t->dtype, t->rank, dim, k->at[1], &values)) return v_error();
    Type *both = type_tuple(c->m, 2, (Type *[]){values, type_with_dtype(c->m, values, DT_i32)});
    return members(c, node(c, OP_top_k, 1, &x, &attr, both, k->span), k->span);
}

/* The least (or greatest) value of a dtype, as a scalar. */
Node *lowest(Check *c, DType t, bool highest, Span at)
{
    switch (t) {
    case DT_i64: return int_const(c, t, highest ? INT64_MAX : INT64_MIN, at);
    case DT_i32: return int_const(c, t, highest ? INT32_MAX : INT32_MIN, at);
    case DT_i16: return int_const(c, t, highest ? INT16_MAX : INT16_MIN, at);
    case DT_i8:  return int_const(c, t, highest ? INT8_MAX : INT8_MIN, at);
    case DT_u8:  return int_const(c, t, highest ? UINT8_MAX : 0, at);
    case DT_bool: return int_const(c, t, highest, at);
    default:     return scalar_const(c, t, highest ? __builtin_inf() : -__builtin_inf(), at);
    }
}
