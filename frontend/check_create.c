/* check_create.c - tensors from nowhere: zeros .. iota. */
#include <string.h>

#include "frontend/check.h"

Node *splat(Check *c, Node *scalar, Type *t, Span at)
{
    Attr attr = {0};
    if (!scalar || !t->rank) return scalar;
    return node(c, OP_broadcast, 1, &scalar, &attr, t, at);
}

static Value filled(Check *c, Type *t, double v, Span at)
{
    Node *n = t->dtype == DT_bool || dtype_is_int(t->dtype) ? int_const(c, t->dtype, (int64_t)v, at) : scalar_const(c, t->dtype, v, at);
    return tensor_value(c, splat(c, n, t, at));
}

Value bi_zeros(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? filled(c, t, 0, k->span) : v_error();
}

Value bi_ones(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? filled(c, t, 1, k->span) : v_error();
}

Value bi_like(Check *c, Call *k)
{
    Node *x = arg_tensor(c, k, 0);
    return x ? filled(c, x->type, k->builtin->code, k->span) : v_error();
}

Node *as_type(Check *c, Value v, Type *t, Span at)
{
    Node *n = is_tensor(v) ? as_node(c, v) : number_as(c, v, t->dtype, at);
    if (!n) return NULL;
    if (n->type->dtype != t->dtype) {
        fail(c, DL_dtype_mismatch, at, "dtypes differ, %s and %s", type_text(c->a, n->type), type_text(c->a, t));
        return NULL;
    }
    if (n->type == t) return n;
    uint32_t rank;
    Dim *dim[MAX_RANK];
    if (!broadcast_shapes(c, t, n->type, at, "this value", NULL, n, &rank, dim)) return NULL;
    for (uint32_t i = 0; i < rank; i++) {
        if (rank == t->rank && dim[i] == t->dim[i]) continue;
        fail(c, DL_broadcast, at, "%s does not broadcast to %s", type_text(c->a, n->type), type_text(c->a, t));
        return NULL;
    }
    return broadcast_to(c, n, t->rank, t->dim, at);
}

Value bi_full(Check *c, Call *k)
{
    Type *t;
    return arg_type(c, k, 0, &t) ? tensor_value(c, as_type(c, k->arg[1], t, k->at[1])) : v_error();
}

Node *iota_node(Check *c, Type *t, uint32_t axis, Span at)
{
    Attr attr = {.axis = axis};
    return node(c, OP_iota, 0, NULL, &attr, t, at);
}

Value bi_iota(Check *c, Call *k)
{
    Type *t;
    uint32_t axis;
    if (!arg_type(c, k, 0, &t)) return v_error();
    if (!t->rank) return fail(c, DL_rank, k->at[0], "`iota` counts along an axis; %s has none", type_text(c->a, t));
    if (t->dtype == DT_bool) return bad_arg(c, k, 0, "a type of numbers");
    axis = t->rank - 1;
    if (given(k, 1) && !arg_axis(c, k, 1, t->rank, &axis)) return v_error();
    return tensor_value(c, iota_node(c, t, axis, k->span));
}
