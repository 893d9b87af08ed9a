/* eval_view.c - operators that only move data: strided copies, and reads at run-time indices. */
#include "ir/eval.h"

#include <string.h>

/* One row: `count` elements, strides in elements. */
static void copy_row(int64_t count, size_t size, char *to, int64_t to_stride, const char *from, int64_t from_stride)
{
#define ROW(T) for (int64_t i = 0; i < count; i++) ((T *)to)[i * to_stride] = ((const T *)from)[i * from_stride]; break
    switch (size) {
    case 1:  ROW(uint8_t);
    case 2:  ROW(uint16_t);
    case 4:  ROW(uint32_t);
    default: ROW(uint64_t);
    }
#undef ROW
}

void copy_strided(uint32_t rank, const int64_t *dim, size_t size, char *to, const int64_t *to_stride, const char *from,
                  const int64_t *from_stride)
{
    int64_t at[MAX_RANK] = {0}, bytes = (int64_t)size;
    for (uint32_t i = 0; i < rank; i++)
        if (dim[i] <= 0) return;
    if (!rank) {
        memcpy(to, from, size);
        return;
    }
    do {
        int64_t t = 0, f = 0;
        for (uint32_t i = 0; i + 1 < rank; i++) t += at[i] * to_stride[i], f += at[i] * from_stride[i];
        copy_row(dim[rank - 1], size, to + t * bytes, to_stride[rank - 1], from + f * bytes, from_stride[rank - 1]);
    } while (odometer(rank - 1, dim, at));
}

RULE(reshape)
{
    (void)n;
    if (out->count != arg[0]->count)
        return eval_fail(e, "%lld elements become %lld", (long long)arg[0]->count, (long long)out->count);
    value_share(out, arg[0]);
    return true;
}

/* Fill the result from x, whose element for result index 0 is `base`. */
static bool read_strided(Eval *e, Value *out, const Value *x, int64_t base, const int64_t *from)
{
    int64_t to[MAX_RANK];
    size_t size = dtype_size(out->dtype);
    char *res = value_alloc(e, out);
    if (!res) return false;
    strides_of(out, to);
    copy_strided(out->rank, out->dim, size, res, to, (const char *)value_data(x) + base * (int64_t)size, from);
    return true;
}

RULE(transpose)
{
    int64_t stride[MAX_RANK], from[MAX_RANK];
    strides_of(arg[0], stride);
    for (uint32_t i = 0; i < out->rank; i++) from[i] = stride[n->attr.perm[i]];
    return read_strided(e, out, arg[0], 0, from);
}

RULE(broadcast)
{
    int64_t stride[MAX_RANK], from[MAX_RANK] = {0};
    strides_of(arg[0], stride);
    for (uint32_t i = 0; i < arg[0]->rank; i++)
        from[n->attr.perm[i]] = arg[0]->dim[i] == 1 ? 0 : stride[i];
    return read_strided(e, out, arg[0], 0, from);
}

RULE(slice)
{
    int64_t stride[MAX_RANK], from[MAX_RANK], base = 0, start;
    const Value *x = arg[0];
    strides_of(x, stride);
    for (uint32_t i = 0; i < out->rank; i++) {
        int64_t step = n->attr.slice.step[i];
        if (!dim_now(e, n->attr.slice.start[i], &start)) return false;
        bool fits =
            start >= 0 && (!out->dim[i] || (start < x->dim[i] && (out->dim[i] - 1) <= (x->dim[i] - 1 - start) / step));
        if (!fits)
            return eval_fail(e, "axis %u: %lld from %lld by %lld, of %lld", i, (long long)out->dim[i], (long long)start,
                             (long long)step, (long long)x->dim[i]);
        if (out->count) base += start * stride[i];
        from[i] = out->dim[i] > 1 ? stride[i] * step : 0;
    }
    return read_strided(e, out, x, base, from);
}

RULE(reverse)
{
    int64_t from[MAX_RANK], base = 0;
    strides_of(arg[0], from);
    for (uint32_t i = 0; i < out->rank; i++) {
        if (!(n->attr.axes >> i & 1)) continue;
        if (out->count) base += (out->dim[i] - 1) * from[i];
        from[i] = -from[i];
    }
    return read_strided(e, out, arg[0], base, from);
}

RULE(pad)
{
    int64_t to[MAX_RANK], from[MAX_RANK], base = 0, lo, hi;
    const Value *x = arg[0];
    size_t size = dtype_size(out->dtype);
    char *res = value_alloc(e, out), *value = value_data(arg[1]);
    if (!res) return false;
    strides_of(out, to);
    strides_of(x, from);
    for (uint32_t i = 0; i < out->rank; i++) {
        if (!dim_now(e, n->attr.pad.lo[i], &lo) || !dim_now(e, n->attr.pad.hi[i], &hi)) return false;
        if (lo < 0 || hi < 0) return eval_fail(e, "axis %u: padding below 0", i);
        if (x->count) base += lo * to[i];
    }
    for (int64_t i = 0; i < out->count; i++) memcpy(res + (size_t)i * size, value, size);
    if (x->count) copy_strided(x->rank, x->dim, size, res + base * (int64_t)size, to, value_data(x), from);
    return true;
}

RULE(concat)
{
    int64_t to[MAX_RANK], from[MAX_RANK], at = 0;
    size_t size = dtype_size(out->dtype);
    char *res = value_alloc(e, out);
    if (!res) return false;
    strides_of(out, to);
    for (uint32_t k = 0; k < n->nargs; k++) {
        strides_of(arg[k], from);
        if (arg[k]->count)
            copy_strided(out->rank, arg[k]->dim, size, res + at * to[n->attr.axis] * (int64_t)size, to,
                         value_data(arg[k]), from);
        at += arg[k]->dim[n->attr.axis];
    }
    return true;
}

/* Elements before and after an axis. */
static void around(const Value *v, uint32_t axis, int64_t *before, int64_t *after)
{
    *before = *after = 1;
    for (uint32_t i = 0; i < v->rank; i++) {
        if (i < axis) *before *= v->dim[i];
        if (i > axis) *after *= v->dim[i];
    }
}

RULE(gather)
{
    const Value *x = arg[0];
    const int64_t *ids = ints_of(e, arg[1]);
    int64_t before, after, length = x->dim[n->attr.axis], count = arg[1]->count;
    char *res = value_alloc(e, out), *data = value_data(x);
    if (!ids || !res) return false;
    for (int64_t k = 0; k < count; k++)
        if (!index_fits(e, ids[k], length)) return false;
    if (!out->count) return true;
    around(x, n->attr.axis, &before, &after);
    size_t row = (size_t)after * dtype_size(out->dtype);
    for (int64_t o = 0; o < before; o++)
        for (int64_t k = 0; k < count; k++)
            memcpy(res + (size_t)(o * count + k) * row, data + (size_t)(o * length + ids[k]) * row, row);
    return true;
}

RULE(take_along)
{
    const Value *x = arg[0];
    const int64_t *ids = ints_of(e, arg[1]);
    int64_t before, after, length = x->dim[n->attr.axis], count = out->dim[n->attr.axis];
    size_t size = dtype_size(out->dtype);
    char *res = value_alloc(e, out), *data = value_data(x);
    if (!ids || !res) return false;
    if (!out->count) return true;
    around(out, n->attr.axis, &before, &after);
    for (int64_t i = 0; i < out->count; i++) {
        int64_t o = i / after / count, r = i % after;
        if (!index_fits(e, ids[i], length)) return false;
        memcpy(res + (size_t)i * size, data + (size_t)((o * length + ids[i]) * after + r) * size, size);
    }
    return true;
}

/* Where a part of `length` begins along the axis: an index, or an error. */
static bool part_start(Eval *e, const Value *start, int64_t length, int64_t of, int64_t *at)
{
    *at = data_get_int(start->dtype, value_data(start), 0);
    if (*at >= 0 && length <= of && *at <= of - length) return true;
    return eval_fail(e, "index out of range: %lld elements from %lld, of %lld", (long long)length, (long long)*at,
                     (long long)of);
}

RULE(dslice)
{
    uint32_t axis = n->attr.axis;
    int64_t from[MAX_RANK], at;
    if (!part_start(e, arg[1], out->dim[axis], arg[0]->dim[axis], &at)) return false;
    strides_of(arg[0], from);
    return read_strided(e, out, arg[0], out->count ? at * from[axis] : 0, from);
}

RULE(dupdate)
{
    uint32_t axis = n->attr.axis;
    int64_t to[MAX_RANK], from[MAX_RANK], at;
    size_t size = dtype_size(out->dtype);
    if (!part_start(e, arg[2], arg[1]->dim[axis], out->dim[axis], &at)) return false;
    char *res = value_alloc(e, out);
    if (!res) return false;
    memcpy(res, value_data(arg[0]), (size_t)out->count * size);
    strides_of(out, to);
    strides_of(arg[1], from);
    if (arg[1]->count)
        copy_strided(out->rank, arg[1]->dim, size, res + at * to[axis] * (int64_t)size, to, value_data(arg[1]), from);
    return true;
}
