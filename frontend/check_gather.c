/* check_gather.c - builtins that read or write at run-time indices.
 */
#include "frontend/check.h"

static Node *arg_ids(Check *c, Call *k, uint32_t i)
{
    Value v = k->arg[i];
    Node *n = is_list(v) ? NULL : operand(c, v, k->at[i]);
    if (is_list(v)) {
        Value t = cast_value(c, v, DT_i32, k->at[i]);
        if (!is_poison(t)) n = as_node(c, t);
    }
    if (n && !dtype_is_int(n->type->dtype)) {
        Diag *d = problem(c, DL_bad_index, k->at[i], "`%s`: indices are integers, not %s", k->builtin->name, type_text(c->a, n->type));
        if (n->type->dtype == DT_bool) note(c, d, (Span){0}, "no shape depends on data: use `where` with the mask");
        return NULL;
    }
    return n;
}

Node *gather_axis(Check *c, Node *x, Node *ids, uint32_t axis, Span at)
{
    if (x->type->rank - 1 + ids->type->rank > MAX_RANK) {
        fail(c, DL_rank, at, "the result would have rank %u; the limit is %d", x->type->rank - 1 + ids->type->rank, MAX_RANK);
        return NULL;
    }
    Attr attr = {.axis = axis};
    return node(c, OP_gather, 2, (Node *[]){x, ids}, &attr, NULL, at);
}

Value bi_take(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0), *ids = x ? arg_ids(c, k, 1) : NULL;
    uint32_t axis = 0;
    if (!ids) return v_error();
    if (!x->type->rank) return bad_arg(c, k, 0, "a tensor with an axis");
    if (given(k, 2) && !arg_axis(c, k, 2, x->type->rank, &axis)) return v_error();
    return tensor_value(c, gather_axis(c, x, ids, axis, k->span));
}

Value bi_take_along(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0), *ids = x ? arg_ids(c, k, 1) : NULL;
    if (!ids) return v_error();
    Type *t = x->type, *u = ids->type;
    if (!t->rank || t->rank != u->rank)
        return fail(c, DL_rank, k->span, "`take_along`: %s and the indices %s have different ranks", type_text(c->a, t), type_text(c->a, u));
    uint32_t axis = t->rank - 1;
    Dim *dim[MAX_RANK];
    if (given(k, 2) && !arg_axis(c, k, 2, t->rank, &axis)) return v_error();
    for (uint32_t i = 0; i < t->rank; i++) {
        dim[i] = i == axis ? u->dim[i] : t->dim[i];
        if (i == axis || same_dim(c, t->dim[i], u->dim[i], k->span) != SAME_no) continue;
        Diag *d = problem(c, DL_shape_mismatch, k->span, "`take_along`: %s and the indices %s differ in axis %u", type_text(c->a, t), type_text(c->a, u), i);
        note(c, d, (Span){0}, "they may differ along axis %u only", axis);
        return v_error();
    }
    ids = retype(c, ids, type_tensor(c->m, u->dtype, u->rank, dim), k->span);
    Attr attr = {.axis = axis};
    return tensor_value(c, ids ? node(c, OP_take_along, 2, (Node *[]){x, ids}, &attr, NULL, k->span) : NULL);
}

Value bi_one_hot(Check *c, Call *k)
{
    Node *ids = arg_ids(c, k, 0);
    Dim *n, *dim[MAX_RANK];
    Type *t;
    DType dtype = DT_f32;
    if (!ids || !arg_dim(c, k, 1, &n)) return v_error();
    if (given(k, 2)) {
        if (k->arg[2].kind != V_TYPE || k->arg[2].type->rank) return bad_arg(c, k, 2, "a dtype");
        dtype = k->arg[2].type->dtype;
    }
    uint32_t r = ids->type->rank;
    if (r == MAX_RANK) return fail(c, DL_rank, k->span, "a tensor of rank %u; the limit is %d", r + 1, MAX_RANK);
    for (uint32_t i = 0; i < r; i++) dim[i] = ids->type->dim[i];
    dim[r] = dim_const(c->m, 1);
    ids = reshape_to(c, ids, r + 1, dim, k->span);
    dim[r] = n;
    if (!ids || !make_type(c, ids->type->dtype, r + 1, dim, k->at[1], &t)) return v_error();
    ids = broadcast_to(c, ids, r + 1, dim, k->span);
    Node *same = node2(c, OP_eq, ids, iota_node(c, t, r, k->span), k->span);
    return tensor_value(c, cast_to(c, same, dtype, k->span));
}

/* A start on an axis: known now (*dim), or a run-time scalar. */
static bool arg_start(Check *c, Call *k, uint32_t i, Dim *length, Dim **dim, Node **start)
{
    Value v = given(k, i) ? k->arg[i] : v_int(0);
    *dim = NULL;
    if (is_whole(v)) {
        *dim = v.kind == V_INT && v.i < 0 ? dim_add(c->m, length, value_dim(c, v)) : value_dim(c, v);
        if (*dim) return true;
        fail(c, DL_overflow, k->at[i], "this dim becomes too complicated");
        return false;
    }
    *start = v.kind == V_WEAK ? number_as(c, v, DT_i32, k->at[i]) : is_tensor(v) ? as_node(c, v) : NULL;
    if (*start && !(*start)->type->rank && dtype_is_int((*start)->type->dtype)) return true;
    if (!*start && v.kind == V_WEAK) return false;
    bad_arg(c, k, i, "an int or a scalar of integers");
    return false;
}

Value bi_slice(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0), *start = NULL;
    uint32_t axis;
    Dim *length, *from, *dim[MAX_RANK];
    Type *t;
    if (!x || !arg_axis(c, k, 1, x->type->rank, &axis) || !arg_dim(c, k, 3, &length)) return v_error();
    if (!arg_start(c, k, 2, x->type->dim[axis], &from, &start)) return v_error();
    Dim *n = x->type->dim[axis], *end = from ? dim_add(c->m, from, length) : length;
    if (!end || !require(c, REL_LE, end, n, k->span) || (from && !require(c, REL_LE, dim_const(c->m, 0), from, k->span)))
        return fail(c, DL_bad_slice, k->span, "`slice`: %s elements from %s on do not lie in an axis of %s", dim_text(c->a, length),
                    value_text(c, k->arg[2]), dim_text(c->a, n));
    if (from) return tensor_value(c, slice_axis(c, x, axis, from, length, 1, k->span));
    for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i == axis ? length : x->type->dim[i];
    if (!make_type(c, x->type->dtype, x->type->rank, dim, k->at[3], &t)) return v_error();
    Attr attr = {.axis = axis};
    return tensor_value(c, node(c, OP_dslice, 2, (Node *[]){x, start}, &attr, t, k->span));
}

/* x with values written over it from a start along an axis. A value without that axis is one element of it. */
Value bi_put(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0), *start = NULL, *v;
    uint32_t axis = 0;
    Dim *from, *dim[MAX_RANK];
    if (!x) return v_error();
    Type *t = x->type;
    if (!t->rank) return bad_arg(c, k, 0, "a tensor with an axis");
    if (given(k, 2) && !arg_axis(c, k, 2, t->rank, &axis)) return v_error();
    v = is_tensor(k->arg[1]) ? as_node(c, k->arg[1]) : number_as(c, k->arg[1], t->dtype, k->at[1]);
    if (!v || !arg_start(c, k, 3, t->dim[axis], &from, &start)) return v_error();
    if (v->type->dtype != t->dtype)
        return fail(c, DL_dtype_mismatch, k->at[1], "`put`: dtypes differ, %s into %s", type_text(c->a, v->type), type_text(c->a, t));
    for (uint32_t i = 0; i < t->rank; i++) dim[i] = i == axis ? dim_const(c->m, 1) : t->dim[i];
    if (v->type->rank + 1 == t->rank) {
        Dim *own[MAX_RANK];
        for (uint32_t i = 0; i < t->rank; i++) own[i] = i == axis ? dim[i] : v->type->dim[i > axis ? i - 1 : i];
        v = reshape_to(c, v, t->rank, own, k->at[1]);
    } else if (v->type->rank == 0) {
        v = splat(c, v, type_tensor(c->m, t->dtype, t->rank, dim), k->at[1]);
    }
    if (!v) return v_error();
    bool fits = v->type->rank == t->rank;
    for (uint32_t i = 0; fits && i < t->rank; i++) fits = i == axis || same_dim(c, t->dim[i], v->type->dim[i], k->span) != SAME_no;
    if (!fits || !require(c, REL_LE, v->type->dim[axis], t->dim[axis], k->span))
        return fail(c, DL_shape_mismatch, k->span, "`put`: %s does not fit into %s along axis %u", type_text(c->a, v->type), type_text(c->a, t), axis);
    dim[axis] = v->type->dim[axis];
    v = retype(c, v, type_tensor(c->m, t->dtype, t->rank, dim), k->span);
    if (from) {
        Dim *end = v ? dim_add(c->m, from, v->type->dim[axis]) : NULL;
        if (!end || !require(c, REL_LE, end, t->dim[axis], k->span) || !require(c, REL_LE, dim_const(c->m, 0), from, k->span))
            return fail(c, DL_bad_slice, k->span, "`put`: %s from %s on does not lie in %s", v ? type_text(c->a, v->type) : "it", dim_text(c->a, from), type_text(c->a, t));
        start = dim_node(c, from, DT_i64, k->span);
    }
    Attr attr = {.axis = axis};
    return tensor_value(c, v && start ? node(c, OP_dupdate, 3, (Node *[]){x, v, start}, &attr, NULL, k->span) : NULL);
}

/* ---- scattering along axis 0 ----------------------------------------------------------------------------- */

/* values[ids.shape..., x.shape[1:]...] added to (or kept as maximum in) the rows ids of x. */
static Value scatter(Check *c, Call *k, RedKind kind, Node *x, Node *ids, Node *v)
{
    Type *t = x->type, *u = v->type;
    if (t->dtype != u->dtype) return fail(c, DL_dtype_mismatch, k->span, "`%s`: dtypes differ, %s and %s", k->builtin->name, type_text(c->a, t), type_text(c->a, u));
    if (t->dtype == DT_bool) return fail(c, DL_operand_kind, k->span, "`%s` does not work on bools", k->builtin->name);
    uint32_t ri = ids->type->rank;
    Dim *dim[MAX_RANK];
    bool fits = t->rank && u->rank == ri + t->rank - 1;
    for (uint32_t i = 0; fits && i < u->rank; i++) {
        dim[i] = i < ri ? ids->type->dim[i] : t->dim[i - ri + 1];
        fits = same_dim(c, dim[i], u->dim[i], k->span) != SAME_no;
    }
    if (!fits)
        return fail(c, DL_shape_mismatch, k->span, "`%s`: the values %s do not fit the indices %s and the rows of %s", k->builtin->name,
                    type_text(c->a, u), type_text(c->a, ids->type), type_text(c->a, t));
    v = retype(c, v, type_tensor(c->m, u->dtype, u->rank, dim), k->span);
    Attr attr = {.reduce = {.kind = kind}};
    return tensor_value(c, v ? node(c, OP_scatter, 3, (Node *[]){x, ids, v}, &attr, NULL, k->span) : NULL);
}

Value bi_scatter_add(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0), *ids = x ? arg_ids(c, k, 1) : NULL, *v = ids ? arg_tensor(c, k, 2) : NULL;
    return v ? scatter(c, k, RED_sum, x, ids, v) : v_error();
}

Value bi_segment(Check *c, Call *k)
{
    RedKind kind = (RedKind)k->builtin->code;
    Node *x = arg_tensor(c, k, 0), *ids = x ? arg_ids(c, k, 1) : NULL;
    Dim *n, *dim[MAX_RANK];
    Type *t;
    if (!ids || !arg_dim(c, k, 2, &n)) return v_error();
    if (ids->type->rank != 1 || !x->type->rank)
        return fail(c, DL_rank, k->span, "`%s`: one index a row of x; %s and %s", k->builtin->name, type_text(c->a, x->type), type_text(c->a, ids->type));
    for (uint32_t i = 0; i < x->type->rank; i++) dim[i] = i ? x->type->dim[i] : n;
    if (!make_type(c, x->type->dtype, x->type->rank, dim, k->at[2], &t)) return v_error();
    Node *empty = kind == RED_sum ? int_const(c, t->dtype, 0, k->span) : lowest(c, t->dtype, false, k->span);
    Node *into = splat(c, empty, t, k->span);
    return into ? scatter(c, k, kind, into, ids, x) : v_error();
}
