/* check_resize.c - resize(x, size, mode, corners): an axis at a time, each a weighted sum of gathers. Output i lies
 * at (i + 0.5) * in / out - 0.5 of the input, or with aligned corners at i * (in - 1) / (out - 1).
 */
#include "frontend/check.h"

enum { MODE_nearest, MODE_bilinear, MODE_bicubic };
enum { MAX_REPEAT = 64 };               /* nearest, by a whole factor up to this: a broadcast */

static Value op(Check *c, BinOp o, Value a, Value b, Span at) { return binary(c, o, a, b, at, at, at); }

/* x[..., n, ...] -> x[..., n * times, ...], each element repeated. */
static Node *repeat_axis(Check *c, Node *x, uint32_t axis, int64_t times, Span at)
{
    Dim *dim[MAX_RANK + 1];
    Attr attr = {0};
    uint32_t rank = x->type->rank;
    if (rank == MAX_RANK) {
        fail(c, DL_rank, at, "a tensor of rank %u; the limit is %d", rank + 1, MAX_RANK);
        return NULL;
    }
    for (uint32_t i = 0; i < rank; i++) {
        attr.perm[i] = (uint8_t)(i > axis ? i + 1 : i);
        dim[attr.perm[i]] = x->type->dim[i];
    }
    dim[axis + 1] = dim_const(c->m, times);
    Node *wide = node(c, OP_broadcast, 1, &x, &attr, type_tensor(c->m, x->type->dtype, rank + 1, dim), at);
    for (uint32_t i = 0; i < rank; i++) dim[i] = x->type->dim[i];
    dim[axis] = dim_mul(c->m, dim[axis], dim_const(c->m, times));
    return wide && dim[axis] ? reshape_to(c, wide, rank, dim, at) : NULL;
}

static Value iota1(Check *c, DType t, Dim *n, Span at)
{
    return tensor_value(c, iota_node(c, type_tensor(c->m, t, 1, &n), 0, at));
}

static Value call_op(Check *c, Op o, Value x) { return tensor_value(c, is_poison(x) ? NULL : node1(c, o, as_node(c, x), as_node(c, x)->span)); }

static Value clamp_index(Check *c, Value i, Dim *n, Span at)
{
    i = min_max_values(c, true, i, v_int(0), at, at, at);
    return is_poison(i) ? i : min_max_values(c, false, i, op(c, BIN_sub, dim_value_of(n), v_int(1), at), at, at, at);
}

/* x taken at i32 positions ids[out], times weight[out] along the axis. */
static Value weighted(Check *c, Node *x, uint32_t axis, Value ids, Value weight, Span at)
{
    Dim *dim[MAX_RANK];
    if (is_poison(ids) || is_poison(weight)) return v_error();
    Node *part = gather_axis(c, x, as_node(c, ids), axis, at), *w = as_node(c, weight);
    if (!part || !w) return v_error();
    uint32_t rank = part->type->rank;
    for (uint32_t i = 0; i < rank; i++) dim[i] = i == axis ? part->type->dim[axis] : dim_const(c->m, 1);
    w = reshape_to(c, w, rank, dim, at);
    return op(c, BIN_mul, tensor_value(c, part), tensor_value(c, w), at);
}

static Node *nearest_axis(Check *c, Node *x, uint32_t axis, Dim *out, Span at)
{
    Dim *in = x->type->dim[axis];
    for (int64_t times = 2; times <= MAX_REPEAT; times++)
        if (dim_mul(c->m, in, dim_const(c->m, times)) == out) return repeat_axis(c, x, axis, times, at);
    /* floor((i + 0.5) * in / out), in whole numbers */
    Value i = op(c, BIN_add, op(c, BIN_mul, iota1(c, DT_i64, out, at), v_int(2), at), v_int(1), at);
    i = op(c, BIN_mul, i, dim_value_of(in), at);
    i = op(c, BIN_floordiv, i, op(c, BIN_mul, dim_value_of(out), v_int(2), at), at);
    return is_poison(i) ? NULL : gather_axis(c, x, cast_to(c, as_node(c, i), DT_i32, at), axis, at);
}

static Value position(Check *c, DType t, Dim *in, Dim *out, bool corners, Span at)
{
    Value i = iota1(c, t, out, at), n = dim_value_of(in), m = dim_value_of(out);
    if (corners) {
        if (dim_equals(out, 1)) return op(c, BIN_mul, i, v_int(0), at);
        n = op(c, BIN_sub, n, v_int(1), at);
        m = op(c, BIN_sub, m, v_int(1), at);
        return op(c, BIN_mul, i, op(c, BIN_div, n, m, at), at);
    }
    i = op(c, BIN_add, i, v_float(0.5), at);
    i = op(c, BIN_mul, i, op(c, BIN_div, n, m, at), at);
    return op(c, BIN_sub, i, v_float(0.5), at);
}

static Value as_index(Check *c, Value x, Dim *n, Span at)
{
    return is_poison(x) ? x : clamp_index(c, cast_value(c, x, DT_i32, at), n, at);
}

static Node *bilinear_axis(Check *c, Node *x, uint32_t axis, Dim *out, bool corners, Span at)
{
    DType t = x->type->dtype;
    Dim *in = x->type->dim[axis];
    Value p = min_max_values(c, true, position(c, t, in, out, corners, at), v_int(0), at, at, at);
    Value low = call_op(c, OP_floor, p), w = op(c, BIN_sub, p, low, at);
    Value here = as_index(c, low, in, at), next = as_index(c, op(c, BIN_add, low, v_int(1), at), in, at);
    Value a = weighted(c, x, axis, here, op(c, BIN_sub, v_int(1), w, at), at), b = weighted(c, x, axis, next, w, at);
    Value r = op(c, BIN_add, a, b, at);
    return is_poison(r) ? NULL : as_node(c, r);
}

/* Keys 1981, with a = -0.75: the weight of an element at distance d. */
static Value cubic(Check *c, Value d, bool near, Span at)
{
    double a = -0.75;
    Value r;
    if (near) {                         /* (a + 2) d^3 - (a + 3) d^2 + 1 */
        r = op(c, BIN_sub, op(c, BIN_mul, d, v_float(a + 2), at), v_float(a + 3), at);
        return op(c, BIN_add, op(c, BIN_mul, op(c, BIN_mul, r, d, at), d, at), v_int(1), at);
    }                                   /* a d^3 - 5a d^2 + 8a d - 4a */
    r = op(c, BIN_sub, op(c, BIN_mul, d, v_float(a), at), v_float(5 * a), at);
    r = op(c, BIN_add, op(c, BIN_mul, r, d, at), v_float(8 * a), at);
    return op(c, BIN_sub, op(c, BIN_mul, r, d, at), v_float(4 * a), at);
}

static Node *bicubic_axis(Check *c, Node *x, uint32_t axis, Dim *out, bool corners, Span at)
{
    Dim *in = x->type->dim[axis];
    Value p = position(c, x->type->dtype, in, out, corners, at), low = call_op(c, OP_floor, p), w = op(c, BIN_sub, p, low, at), sum = v_none();
    for (int tap = -1; tap <= 2; tap++) {
        Value d = tap <= 0 ? op(c, BIN_sub, w, v_int(tap), at) : op(c, BIN_sub, v_int(tap), w, at);
        Value ids = as_index(c, op(c, BIN_add, low, v_int(tap), at), in, at);
        Value part = weighted(c, x, axis, ids, cubic(c, d, tap == 0 || tap == 1, at), at);
        sum = tap == -1 ? part : op(c, BIN_add, sum, part, at);
    }
    return is_poison(sum) ? NULL : as_node(c, sum);
}

Value bi_resize(Check *c, Call *k)
{
    static const char *const modes[] = {"nearest", "bilinear", "bicubic"};
    uint32_t mode = MODE_nearest;
    bool corners = false;
    List *l;
    Node *x = arg_tensor(c, k, 0);
    if (!x || !arg_list(c, k, 1, &l) || !arg_option(c, k, 2, modes, 3, &mode) || !arg_bool(c, k, 3, &corners)) return v_error();
    if (l->n > x->type->rank) return fail(c, DL_rank, k->at[1], "`resize`: %u sizes for %s", l->n, type_text(c->a, x->type));
    if (mode == MODE_nearest && corners) return fail(c, DL_bad_argument, k->at[3], "`resize`: corners are aligned by \"bilinear\" and \"bicubic\" only");
    if (mode != MODE_nearest && !dtype_is_float(x->type->dtype)) return bad_arg(c, k, 0, "a tensor of floats");
    for (uint32_t i = 0; i < l->n && x; i++) {
        uint32_t axis = x->type->rank - l->n + i;
        if (!is_whole(l->at[i])) return bad_arg(c, k, 1, "a list of ints");
        Dim *out = value_dim(c, l->at[i]), *zero = dim_const(c->m, 0);
        if (out == x->type->dim[axis]) continue;
        if (!require(c, REL_LT, zero, out, k->at[1]) || !require(c, REL_LT, zero, x->type->dim[axis], k->at[1]))
            return fail(c, DL_bad_argument, k->at[1], "`resize` from %s to %s", dim_text(c->a, x->type->dim[axis]), dim_text(c->a, out));
        x = mode == MODE_nearest ? nearest_axis(c, x, axis, out, k->span)
            : mode == MODE_bilinear ? bilinear_axis(c, x, axis, out, corners, k->span) : bicubic_axis(c, x, axis, out, corners, k->span);
    }
    return tensor_value(c, x);
}
