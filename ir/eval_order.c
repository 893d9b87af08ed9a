/* eval_order.c - sort, top_k and scatter. */
#include "ir/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A line of elements to put in order by their indices. */
typedef struct Line {
    const double  *floats;              /* one of these two */
    const int64_t *ints;
    int64_t stride;
    bool    descending;
} Line;

/* Stable: equal elements by index. NaN last either way. */
static int line_order(const void *pa, const void *pb, void *user)
{
    const Line *l = user;
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb, i = a * l->stride, j = b * l->stride;
    int c = 0;
    if (l->ints) {
        c = (l->ints[i] > l->ints[j]) - (l->ints[i] < l->ints[j]);
    } else {
        double x = l->floats[i], y = l->floats[j];
        if (isnan(x) != isnan(y)) return isnan(x) ? 1 : -1;
        c = (x > y) - (x < y);
    }
    if (l->descending) c = -c;
    return c ? c : (a > b) - (a < b);
}

/* The first `keep` of each line along the axis in order, with their indices. */
static bool order_lines(Eval *e, const Node *n, const Value *x, Value *out)
{
    Value *values = &out->member[0], *indices = &out->member[1];
    uint32_t axis = n->attr.order.axis;
    int64_t length = x->dim[axis], keep = values->dim[axis], stride[MAX_RANK];
    size_t size = dtype_size(x->dtype);
    Line line = {.descending = n->attr.order.descending};
    if (keep > length) return eval_fail(e, "%lld of %lld", (long long)keep, (long long)length);
    const void *from = is_float_value(x) ? (const void *)(line.floats = floats_of(e, x)) : (line.ints = ints_of(e, x));
    char *v = value_alloc(e, values);
    int32_t *ids = v ? value_alloc(e, indices) : NULL;
    int64_t *order = temp_alloc(e, length, sizeof *order);
    if (!from || !ids || !order) return false;
    strides_of(x, stride);
    int64_t s = line.stride = stride[axis], lines = length ? x->count / length : 0;
    for (int64_t o = 0; o < lines; o++) {
        int64_t base = o / s * s * length + o % s, to = o / s * s * keep + o % s;
        Line here = line;
        if (here.floats) here.floats += base;
        else here.ints += base;
        for (int64_t i = 0; i < length; i++) order[i] = i;
        qsort_r(order, (size_t)length, sizeof *order, line_order, &here);
        for (int64_t i = 0; i < keep; i++) {
            memcpy(v + (size_t)(to + i * s) * size, (char *)value_data(x) + (size_t)(base + order[i] * s) * size, size);
            ids[to + i * s] = (int32_t)order[i];
        }
    }
    return true;
}

RULE(sort) { return order_lines(e, n, arg[0], out); }
RULE(top_k) { return order_lines(e, n, arg[0], out); }

RULE(scatter)
{
    const int64_t *ids = ints_of(e, arg[1]);
    RedKind k = n->attr.reduce.kind;
    bool floats = is_float_value(out);
    int64_t row = out->dim[0] ? out->count / out->dim[0] : 0, count = arg[1]->count;
    for (int64_t i = 0; ids && i < count; i++)
        if (!index_fits(e, ids[i], out->dim[0])) return false;
    if (k == RED_none) {
        size_t size = dtype_size(out->dtype);
        char *res = value_alloc(e, out), *v = value_data(arg[2]);
        if (!ids || !res) return false;
        memcpy(res, value_data(arg[0]), (size_t)out->count * size);
        for (int64_t i = 0; i < count; i++)
            memcpy(res + (size_t)(ids[i] * row) * size, v + (size_t)(i * row) * size, (size_t)row * size);
        return true;
    }
    const void *x = floats ? (const void *)floats_of(e, arg[0]) : ints_of(e, arg[0]);
    const void *v = floats ? (const void *)floats_of(e, arg[2]) : ints_of(e, arg[2]);
    void *to = wide_result(e, out);
    if (!ids || !x || !v || !to) return false;
    memcpy(to, x, (size_t)out->count * 8);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < row; j++) {
            int64_t at = ids[i] * row + j, from = i * row + j;
            if (floats) ((double *)to)[at] = red_float(k, ((double *)to)[at], ((const double *)v)[from]);
            else ((int64_t *)to)[at] = red_int(k, ((int64_t *)to)[at], ((const int64_t *)v)[from]);
        }
    wide_done(out, to);
    return true;
}
