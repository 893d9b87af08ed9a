/* eval_reduce.c - reductions over axes and windows, arg-reductions, running reductions: in double or int64_t, in
 * ascending order. */
#include "ir/eval.h"

#include <math.h>

/* NaN wins. */
double red_float(RedKind k, double a, double b)
{
    switch (k) {
    case RED_sum:  return a + b;
    case RED_prod: return a * b;
    case RED_max:  return isnan(a) ? a : isnan(b) || b > a ? b : a;
    default:       return isnan(a) ? a : isnan(b) || b < a ? b : a;
    }
}

int64_t red_int(RedKind k, int64_t a, int64_t b)
{
    switch (k) {
    case RED_sum:  return (int64_t)((uint64_t)a + (uint64_t)b);
    case RED_prod: return (int64_t)((uint64_t)a * (uint64_t)b);
    case RED_max:
    case RED_or:   return a > b ? a : b;
    default:       return a < b ? a : b;
    }
}

/* What nothing reduces to. */
static double first_float(RedKind k)
{
    return k == RED_sum ? 0 : k == RED_prod ? 1 : k == RED_max ? -INFINITY : INFINITY;
}

static int64_t first_int(RedKind k, DType t)
{
    return k == RED_sum ? 0 : k == RED_prod ? 1 : k == RED_max || k == RED_or ? int_lowest(t) : int_highest(t);
}

/* acc combined with n elements at a stride. */
static double row_float(RedKind k, double acc, const double *p, int64_t n, int64_t stride)
{
    if (k == RED_sum)
        for (int64_t i = 0; i < n; i++) acc += p[i * stride];
    else
        for (int64_t i = 0; i < n; i++) acc = red_float(k, acc, p[i * stride]);
    return acc;
}

static int64_t row_int(RedKind k, int64_t acc, const int64_t *p, int64_t n, int64_t stride)
{
    for (int64_t i = 0; i < n; i++) acc = red_int(k, acc, p[i * stride]);
    return acc;
}

RULE(reduce)
{
    const Value *x = arg[0];
    RedKind k = n->attr.reduce.kind;
    int64_t stride[MAX_RANK], kept[MAX_RANK], kept_stride[MAX_RANK], gone[MAX_RANK], gone_stride[MAX_RANK];
    uint32_t nkept = 0, ngone = 0;
    bool floats = is_float_value(x), none = false;
    const void *from = floats ? (const void *)floats_of(e, x) : ints_of(e, x);
    void *to = wide_result(e, out);
    if (!from || !to) return false;
    strides_of(x, stride);
    for (uint32_t i = 0; i < x->rank; i++) {
        bool goes = n->attr.reduce.axes >> i & 1;
        if (goes) gone[ngone] = x->dim[i], gone_stride[ngone++] = stride[i];
        else kept[nkept] = x->dim[i], kept_stride[nkept++] = stride[i];
        none |= goes && !x->dim[i];
    }
    if (!ngone) gone[0] = 1, gone_stride[ngone++] = 0;
    int64_t at[MAX_RANK] = {0};
    for (int64_t o = 0; o < out->count; o++, (void)odometer(nkept, kept, at)) {
        int64_t base = 0, in[MAX_RANK] = {0};
        for (uint32_t i = 0; i < nkept; i++) base += at[i] * kept_stride[i];
        double f = first_float(k);
        int64_t g = first_int(k, x->dtype);
        if (!none) do {
            int64_t place = base;
            for (uint32_t i = 0; i + 1 < ngone; i++) place += in[i] * gone_stride[i];
            if (floats) f = row_float(k, f, (const double *)from + place, gone[ngone - 1], gone_stride[ngone - 1]);
            else g = row_int(k, g, (const int64_t *)from + place, gone[ngone - 1], gone_stride[ngone - 1]);
        } while (odometer(ngone - 1, gone, in));
        if (floats) ((double *)to)[o] = f;
        else ((int64_t *)to)[o] = g;
    }
    wide_done(out, to);
    return true;
}

/* The one axis of a set. */
static uint32_t axis_of(const Node *n)
{
    return (uint32_t)__builtin_ctz(n->attr.reduce.axes);
}

/* Is b a better extreme than a, which stands before it? */
static bool beats(RedKind k, bool floats, const void *p, int64_t b, int64_t a)
{
    if (!floats) {
        const int64_t *v = p;
        return k == RED_max ? v[b] > v[a] : v[b] < v[a];
    }
    const double *v = p;
    if (isnan(v[a]) || isnan(v[b])) return !isnan(v[a]);
    return k == RED_max ? v[b] > v[a] : v[b] < v[a];
}

RULE(argreduce)
{
    const Value *x = arg[0];
    uint32_t axis = axis_of(n);
    bool floats = is_float_value(x);
    const void *from = floats ? (const void *)floats_of(e, x) : ints_of(e, x);
    int32_t *res = value_alloc(e, out);
    int64_t stride[MAX_RANK], length = x->dim[axis];
    if (!from || !res) return false;
    strides_of(x, stride);
    for (int64_t o = 0; o < out->count; o++) {
        res[o] = 0;                             /* also of nothing */
        if (!length) continue;
        int64_t base = o / stride[axis] * stride[axis] * length + o % stride[axis], best = base;
        for (int64_t i = 1; i < length; i++)
            if (beats(n->attr.reduce.kind, floats, from, base + i * stride[axis], best)) best = base + i * stride[axis];
        res[o] = (int32_t)((best - base) / stride[axis]);
    }
    return true;
}

RULE(window)
{
    const Value *x = arg[0];
    RedKind k = n->attr.window.kind;
    bool floats = is_float_value(x);
    const void *from = floats ? (const void *)floats_of(e, x) : ints_of(e, x);
    void *to = wide_result(e, out);
    int64_t stride[MAX_RANK], lo[MAX_RANK], at[MAX_RANK] = {0};
    if (!from || !to) return false;
    strides_of(x, stride);
    for (uint32_t i = 0; i < x->rank; i++)
        if (!dim_now(e, n->attr.window.lo[i], &lo[i])) return false;
    for (int64_t o = 0; o < out->count; o++, (void)odometer(out->rank, out->dim, at)) {
        /* The part of the window that lies inside. */
        int64_t size[MAX_RANK], in[MAX_RANK] = {0}, base = 0;
        bool none = false;
        for (uint32_t i = 0; i < x->rank; i++) {
            int64_t first = at[i] * n->attr.window.stride[i] - lo[i], last = first + n->attr.window.size[i];
            if (first < 0) first = 0;
            if (last > x->dim[i]) last = x->dim[i];
            size[i] = last - first;
            base += first * stride[i];
            none |= size[i] <= 0;
        }
        double f = first_float(k);
        int64_t g = first_int(k, x->dtype);
        if (!none) do {
            int64_t place = base;
            for (uint32_t i = 0; i < x->rank; i++) place += in[i] * stride[i];
            if (floats) f = red_float(k, f, ((const double *)from)[place]);
            else g = red_int(k, g, ((const int64_t *)from)[place]);
        } while (odometer(x->rank, size, in));
        if (floats) ((double *)to)[o] = f;
        else ((int64_t *)to)[o] = g;
    }
    wide_done(out, to);
    return true;
}

RULE(cumulate)
{
    const Value *x = arg[0];
    RedKind k = n->attr.reduce.kind;
    uint32_t axis = axis_of(n);
    bool floats = is_float_value(x);
    const void *from = floats ? (const void *)floats_of(e, x) : ints_of(e, x);
    void *to = wide_result(e, out);
    int64_t stride[MAX_RANK], length = x->dim[axis];
    if (!from || !to) return false;
    strides_of(x, stride);
    int64_t s = stride[axis], lines = length ? x->count / length : 0;
    for (int64_t o = 0; o < lines; o++) {
        int64_t base = o / s * s * length + o % s;
        double f = first_float(k);
        int64_t g = first_int(k, x->dtype);
        for (int64_t i = 0; i < length; i++) {
            int64_t place = base + (n->attr.reduce.reverse ? length - 1 - i : i) * s;
            if (floats) ((double *)to)[place] = f = red_float(k, f, ((const double *)from)[place]);
            else ((int64_t *)to)[place] = g = red_int(k, g, ((const int64_t *)from)[place]);
        }
    }
    wide_done(out, to);
    return true;
}
