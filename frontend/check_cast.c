/* check_cast.c - a dtype that is called: casts of tensors and numbers, and constant tensors from lists.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "frontend/check.h"

/* The shape of (nested) lists of numbers; false: ragged, or something else in them. */
static bool list_shape(Check *c, Value v, uint32_t depth, int64_t *dim, uint32_t *rank, Span at)
{
    if (!is_list(v)) {
        if (!is_const_number(v) && v.kind != V_BOOL) {
            if (is_poison(v)) return false;
            Diag *d = problem(c, DL_bad_cast, at, "a constant tensor is made of numbers; this list holds %s", kind_text(c, v));
            if (is_tensor(v)) note(c, d, (Span){0}, "put tensors together with `stack` or `concat`");
            return false;
        }
        if (*rank == MAX_RANK + 1) *rank = depth;
        if (*rank == depth) return true;
    } else {
        if (depth == MAX_RANK) {
            fail(c, DL_rank, at, "lists nested deeper than %d", MAX_RANK);
            return false;
        }
        if (!step(c, v.list->n + 1, at)) return false;
        if (dim[depth] < 0) dim[depth] = v.list->n;
        if (dim[depth] == (int64_t)v.list->n && *rank > depth) {
            for (uint32_t i = 0; i < v.list->n; i++)
                if (!list_shape(c, v.list->at[i], depth + 1, dim, rank, at)) return false;
            if (!v.list->n && *rank == MAX_RANK + 1) *rank = depth + 1;
            return true;
        }
    }
    fail(c, DL_bad_cast, at, "the lists inside this list differ in length");
    return false;
}

static bool put_element(Check *c, Tensor *t, int64_t *at_element, Value v, Span at)
{
    if (is_list(v)) {
        for (uint32_t i = 0; i < v.list->n; i++)
            if (!put_element(c, t, at_element, v.list->at[i], at)) return false;
        return true;
    }
    bool ok = v.kind == V_BOOL ? t->dtype == DT_bool : v.kind == V_INT ? number_fits(v.i, t->dtype) : dtype_is_float(t->dtype);
    if (!ok) {
        fail(c, DL_number_dtype, at, "%s does not fit a tensor of %s", kind_text(c, v), dtype_name(t->dtype));
        return false;
    }
    int64_t i = (*at_element)++;
    if (t->dtype == DT_i64) ((int64_t *)t->data)[i] = v.i;          /* exactly */
    else tensor_set(t, i, v.kind == V_BOOL ? v.b : v.kind == V_INT ? (double)v.i : v.f);
    return true;
}

static Value constant(Check *c, Value list, DType dtype, Span at)
{
    int64_t dim[MAX_RANK + 1], count = 1, bytes;
    uint32_t rank = MAX_RANK + 1;       /* unknown yet */
    for (int i = 0; i <= MAX_RANK; i++) dim[i] = -1;
    if (!list_shape(c, list, 0, dim, &rank, at)) return v_error();
    Dim *dims[MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = dim_const(c->m, dim[i]);
        if (!size_mul(count, dim[i], &count)) count = INT64_MAX;
    }
    if (count > MAX_LIST || !size_mul(count, (int64_t)dtype_size(dtype), &bytes))
        return fail(c, DL_too_much_work, at, "a constant tensor of more than %d elements", MAX_LIST);
    Type *type;
    if (!make_type(c, dtype, rank, dims, at, &type)) return v_error();
    Tensor t = {.dtype = dtype, .rank = rank, .data = arena_alloc(c->a, (size_t)bytes + 1)};
    for (uint32_t i = 0; i < rank; i++) t.dim[i] = dim[i];
    int64_t next = 0;
    if (!put_element(c, &t, &next, list, at)) return v_error();
    Attr attr = {.lit = {.data = t.data}};
    return tensor_value(c, node(c, OP_const, 0, NULL, &attr, type, at));
}

static int64_t saturated(double v, DType t)
{
    double lo = t == DT_u8 ? 0 : t == DT_i8 ? INT8_MIN : t == DT_i16 ? INT16_MIN : t == DT_i32 ? INT32_MIN : -9223372036854775808.0;
    double hi = t == DT_u8 ? UINT8_MAX : t == DT_i8 ? INT8_MAX : t == DT_i16 ? INT16_MAX : t == DT_i32 ? INT32_MAX : 9223372036854774784.0;
    if (isnan(v)) return 0;
    if (v >= 9223372036854775808.0 && t == DT_i64) return INT64_MAX;
    return (int64_t)(v < lo ? lo : v > hi ? hi : v);
}

Value cast_value(Check *c, Value v, DType t, Span at)
{
    if (is_poison(v)) return v;
    switch ((ValueKind)v.kind) {
    case V_TENSOR: case V_PLACE: {
        Node *n = as_node(c, v);
        return tensor_value(c, n ? cast_to(c, n, t, at) : NULL);
    }
    case V_LIST: case V_TUPLE: return constant(c, v, t, at);
    case V_BOOL:  return tensor_value(c, int_const(c, t, v.b, at));
    case V_REL:   return tensor_value(c, cast_to(c, number_as(c, v, DT_bool, at), t, at));
    case V_INT:
        if (t == DT_bool) return tensor_value(c, int_const(c, t, v.i != 0, at));
        break;
    case V_FLOAT:
        if (t == DT_bool) return tensor_value(c, int_const(c, t, v.f != 0, at));
        if (dtype_is_int(t)) return tensor_value(c, int_const(c, t, saturated(v.f, t), at));
        break;
    case V_DIM: return tensor_value(c, dim_node(c, v.dim, t, at));
    case V_WEAK: return tensor_value(c, cast_to(c, weak_node(c, v, at), t, at));
    default: return fail(c, DL_bad_cast, at, "%s cannot be cast to %s", kind_text(c, v), dtype_name(t));
    }
    return tensor_value(c, number_as(c, v, t, at));
}
