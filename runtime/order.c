/* order.c - routines along one axis: running reductions, sort, top_k. An item is a line of elements; a value of it is
 * an int64_t or a double on the way, as the evaluator computes. Dtypes are those of compiled code: RT_f64, f32, i64, i32,
 * u8, bool. */
#include "runtime/internal.h"

#include <math.h>
#include <string.h>

typedef union Number { double f; int64_t i; } Number;

static bool is_float(int64_t dtype)
{
    return dtype == RT_f32 || dtype == RT_f64;
}

static Number get(int64_t dtype, const void *p, int64_t i)
{
    switch (dtype) {
    case RT_f64: return (Number){.f = ((const double *)p)[i]};
    case RT_f32: return (Number){.f = ((const float *)p)[i]};
    case RT_i64: return (Number){.i = ((const int64_t *)p)[i]};
    case RT_i32: return (Number){.i = ((const int32_t *)p)[i]};
    default:     return (Number){.i = ((const uint8_t *)p)[i]};
    }
}

/* Integers wrap. */
static void set(int64_t dtype, void *p, int64_t i, Number v)
{
    switch (dtype) {
    case RT_f64: ((double *)p)[i] = v.f; break;
    case RT_f32: ((float *)p)[i] = (float)v.f; break;
    case RT_i64: ((int64_t *)p)[i] = v.i; break;
    case RT_i32: ((int32_t *)p)[i] = (int32_t)v.i; break;
    default:     ((uint8_t *)p)[i] = (uint8_t)v.i; break;
    }
}

/* ---- running reductions ----------------------------------------------------------------------------------------- */

/* NaN wins. */
static double combine_floats(int64_t kind, double a, double b)
{
    switch (kind) {
    case RT_sum:  return a + b;
    case RT_prod: return a * b;
    case RT_max:  return isnan(a) || !(isnan(b) || b > a) ? a : b;
    default:      return isnan(a) || !(isnan(b) || b < a) ? a : b;
    }
}

static int64_t combine_ints(int64_t kind, int64_t a, int64_t b)
{
    switch (kind) {
    case RT_sum:  return (int64_t)((uint64_t)a + (uint64_t)b);
    case RT_prod: return (int64_t)((uint64_t)a * (uint64_t)b);
    case RT_max:
    case RT_or:   return a > b ? a : b;
    default:      return a < b ? a : b;
    }
}

/* Operands: x, result. */
void dlc_rt_cumulate(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    (void)scratch;
    const int64_t *dim = e->dim;
    int64_t dtype = dim[RT_LINE_DTYPE], kind = dim[RT_LINE_KIND], length = dim[RT_LINE_LENGTH], inner = dim[RT_LINE_INNER];
    bool reverse = dim[RT_LINE_REVERSE] != 0, floats = is_float(dtype);
    for (int64_t line = lo; line < hi; line++) {
        int64_t base = line / inner * inner * length + line % inner;
        Number sum = {0};
        for (int64_t i = 0; i < length; i++) {
            int64_t at = base + (reverse ? length - 1 - i : i) * inner;
            Number x = get(dtype, e->buf[0], at);
            if (i == 0) sum = x;
            else if (floats) sum.f = combine_floats(kind, sum.f, x.f);
            else sum.i = combine_ints(kind, sum.i, x.i);
            if (i == 0 && floats && kind == RT_sum) sum.f += 0.0;      /* as a sum that starts from 0 */
            set(dtype, e->buf[1], at, sum);
        }
    }
}

/* ---- sort ------------------------------------------------------------------------------------------------------- */

typedef struct Order {
    const Number *key;
    bool floats, descending;
} Order;

/* Does b, which stands after a, have to go before it? Equal elements stay, NaN goes last. */
static bool goes_before(const Order *o, int64_t b, int64_t a)
{
    if (!o->floats) return o->descending ? o->key[b].i > o->key[a].i : o->key[b].i < o->key[a].i;
    double x = o->key[b].f, y = o->key[a].f;
    if (isnan(x) || isnan(y)) return !isnan(x);
    return o->descending ? x > y : x < y;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* 0 ... n - 1 in order: merge sort from short runs to long, between two arrays. The one that holds the result. */
static int64_t *sorted(const Order *o, int64_t *from, int64_t *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) from[i] = i;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t first = 0; first < n; first += 2 * run) {
            int64_t a = first, middle = least(first + run, n), b = middle, end = least(first + 2 * run, n);
            for (int64_t i = first; i < end; i++) {
                bool second = a == middle || (b < end && goes_before(o, from[b], from[a]));
                to[i] = second ? from[b++] : from[a++];
            }
        }
        int64_t *swap = from;
        from = to, to = swap;
    }
    return from;
}

/* The first `keep` of each line in order. Operands: x, values, i32 indices. Scratch: RT_SORT_BYTES an element of a line. */
void dlc_rt_sort(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const int64_t *dim = e->dim;
    int64_t dtype = dim[RT_LINE_DTYPE], length = dim[RT_LINE_LENGTH], inner = dim[RT_LINE_INNER], keep = dim[RT_LINE_KEEP];
    if (keep > length) {
        *e->fault = dim[RT_LINE_SITE] + 1;
        return;
    }
    Number *key = scratch;
    int64_t *order = (int64_t *)(void *)(key + length), size = rt_dtype_size[dtype];
    Order how = {key, is_float(dtype), dim[RT_LINE_REVERSE] != 0};
    for (int64_t line = lo; line < hi; line++) {
        int64_t base = line / inner * inner * length + line % inner, to = line / inner * inner * keep + line % inner;
        for (int64_t i = 0; i < length; i++) key[i] = get(dtype, e->buf[0], base + i * inner);
        const int64_t *place = sorted(&how, order, order + length, length);
        for (int64_t i = 0; i < keep; i++) {
            memcpy(e->buf[1] + (to + i * inner) * size, e->buf[0] + (base + place[i] * inner) * size, (size_t)size);
            ((int32_t *)(void *)e->buf[2])[to + i * inner] = (int32_t)place[i];
        }
    }
}
