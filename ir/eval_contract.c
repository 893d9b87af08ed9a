/* eval_contract.c - dot and conv, both through one plain matrix product in double or int64_t. Every output is one sum
 * in ascending order of the contracted index, rounded once at the end. */
#include "ir/eval.h"

#include <string.h>

/* c[m][n] = sum over k of a[m][k] * b[k][n]. Four rows at a time, so that each row of b is read once for them. */
#define PRODUCT(T, name) \
static void name(int64_t m, int64_t n, int64_t k, const T *a, const T *b, T *c) \
{ \
    memset(c, 0, (size_t)(m * n) * sizeof *c); \
    for (int64_t i = 0; i < m; i += 4) { \
        int64_t rows = m - i < 4 ? m - i : 4; \
        T *c0 = c + i * n, *c1 = c0 + n, *c2 = c1 + n, *c3 = c2 + n; \
        for (int64_t p = 0; p < k; p++) { \
            const T *row = b + p * n, *left = a + i * k + p; \
            if (rows == 4) { \
                T a0 = left[0], a1 = left[k], a2 = left[2 * k], a3 = left[3 * k]; \
                for (int64_t j = 0; j < n; j++) { \
                    T x = row[j]; \
                    c0[j] += a0 * x, c1[j] += a1 * x, c2[j] += a2 * x, c3[j] += a3 * x; \
                } \
            } else { \
                for (int64_t r = 0; r < rows; r++) \
                    for (int64_t j = 0; j < n; j++) c0[r * n + j] += left[r * k] * row[j]; \
            } \
        } \
    } \
}
PRODUCT(double, product_float)
PRODUCT(uint64_t, product_int)          /* wraps */

static void product(bool floats, int64_t m, int64_t n, int64_t k, const void *a, const void *b, void *c)
{
    if (!m || !n) return;
    if (floats) product_float(m, n, k, a, b, c);
    else product_int(m, n, k, a, b, c);
}

static const void *wide_of(Eval *e, const Value *v)
{
    return is_float_value(v) ? (const void *)floats_of(e, v) : ints_of(e, v);
}

/* Axes of an operand of dot in another order, as 8-byte elements. */
static const void *reordered(Eval *e, const Value *v, const uint32_t *order)
{
    const void *from = wide_of(e, v);
    int64_t stride[MAX_RANK], dim[MAX_RANK], to_stride[MAX_RANK], from_stride[MAX_RANK], s = 1;
    bool same = true;
    strides_of(v, stride);
    for (uint32_t i = v->rank; i-- > 0;) {
        same &= order[i] == i;
        dim[i] = v->dim[order[i]];
        from_stride[i] = stride[order[i]];
        to_stride[i] = s;
        s *= dim[i];
    }
    if (same || !from) return from;
    char *to = temp_alloc(e, v->count, 8);
    if (to && v->count) copy_strided(v->rank, dim, 8, to, to_stride, from, from_stride);
    return to;
}

RULE(dot)
{
    const Attr *a = &n->attr;
    const Value *l = arg[0], *r = arg[1];
    uint32_t lorder[MAX_RANK], rorder[MAX_RANK], lused = 0, rused = 0, nl = 0, nr = 0;
    int64_t batch = 1, rows = 1, columns = 1, depth = 1;
    for (uint32_t i = 0; i < a->dot.nbatch; i++) {
        lorder[nl++] = a->dot.lbatch[i], rorder[nr++] = a->dot.rbatch[i];
        lused |= 1u << a->dot.lbatch[i], rused |= 1u << a->dot.rbatch[i];
        batch *= out->count ? l->dim[a->dot.lbatch[i]] : 0;
    }
    for (uint32_t i = 0; i < a->dot.ncontract; i++) {
        lused |= 1u << a->dot.lcontract[i], rused |= 1u << a->dot.rcontract[i];
        rorder[nr++] = a->dot.rcontract[i];
        depth *= l->count ? l->dim[a->dot.lcontract[i]] : 0;
    }
    for (uint32_t i = 0; i < l->rank; i++)
        if (!(lused >> i & 1)) lorder[nl++] = i, rows *= out->count ? l->dim[i] : 0;
    for (uint32_t i = 0; i < a->dot.ncontract; i++) lorder[nl++] = a->dot.lcontract[i];
    for (uint32_t i = 0; i < r->rank; i++)
        if (!(rused >> i & 1)) rorder[nr++] = i, columns *= out->count ? r->dim[i] : 0;
    const char *x = reordered(e, l, lorder), *y = reordered(e, r, rorder);
    char *to = wide_result(e, out);
    if (!x || !y || !to) return false;
    for (int64_t b = 0; b < batch && out->count; b++)
        product(is_float_value(out), rows, columns, depth, x + 8 * b * rows * depth, y + 8 * b * depth * columns,
                to + 8 * b * rows * columns);
    wide_done(out, to);
    return true;
}

/* For one space axis, at [k * outputs + o]: the input index of the window's k-th element at output o; -1: padding. */
static int64_t *taps(Eval *e, const Node *n, uint32_t axis, int64_t in, int64_t size, int64_t outputs)
{
    int64_t lo, spread = n->attr.conv.spread[axis], *t = temp_alloc(e, size * outputs, sizeof *t);
    if (!t || !dim_now(e, n->attr.conv.lo[axis], &lo)) return NULL;
    for (int64_t k = 0; k < size; k++)
        for (int64_t o = 0; o < outputs; o++) {
            int64_t p = o * n->attr.conv.stride[axis] + k * n->attr.conv.dilation[axis] - lo;
            bool inside = p >= 0 && p % spread == 0 && p / spread < in;
            t[k * outputs + o] = inside ? p / spread : -1;
        }
    return t;
}

typedef struct Columns {                /* shapes of the space axes, for unfold */
    uint32_t nspace;
    const int64_t *in, *size, *out;
    int64_t *const *tap;
    int64_t positions, windows, inputs; /* products of out, of size, of in */
} Columns;

/* One channel's windows as a matrix [window element][output position]. */
static void unfold(const Columns *c, const uint64_t *x, uint64_t *to)
{
    int64_t k[MAX_RANK] = {0};
    uint32_t last = c->nspace - 1;
    do {
        int64_t o[MAX_RANK] = {0};
        const int64_t *row = c->tap[last] + k[last] * c->out[last];
        do {
            int64_t base = 0;
            for (uint32_t i = 0; i < last && base >= 0; i++) {
                int64_t p = c->tap[i][k[i] * c->out[i] + o[i]];
                base = p < 0 ? -1 : (base + p) * c->in[i + 1];
            }
            for (int64_t i = 0; i < c->out[last]; i++) *to++ = base < 0 || row[i] < 0 ? 0 : x[base + row[i]];
        } while (odometer(last, c->out, o));
    } while (odometer(c->nspace, c->size, k));
}

RULE(conv)
{
    const Value *x = arg[0], *w = arg[1];
    int64_t groups = n->attr.conv.groups, channels = w->dim[1], outputs = out->dim[1] / groups;
    int64_t *tap[MAX_RANK];
    Columns c = { .nspace = x->rank - 2, .in = x->dim + 2, .size = w->dim + 2, .out = out->dim + 2, .tap = tap,
                  .inputs = x->count ? x->count / x->dim[0] / x->dim[1] : 0,
                  .windows = w->count ? w->count / w->dim[0] / w->dim[1] : 0,
                  .positions = out->count ? out->count / out->dim[0] / out->dim[1] : 0 };
    const uint64_t *from = wide_of(e, x);
    const char *weights = wide_of(e, w);
    char *to = wide_result(e, out);
    if (!from || !weights || !to) return false;
    if (!out->count) return true;
    for (uint32_t i = 0; i < c.nspace && c.windows; i++)
        if (!(tap[i] = taps(e, n, i, c.in[i], c.size[i], c.out[i]))) return false;
    uint64_t *columns = temp_alloc(e, channels * c.windows, c.positions * 8);
    if (!columns) return false;
    int64_t depth = channels * c.windows;
    for (int64_t b = 0; b < out->dim[0]; b++)
        for (int64_t g = 0; g < groups; g++) {
            for (int64_t k = 0; k < channels && depth; k++)
                unfold(&c, from + ((b * groups + g) * channels + k) * c.inputs, columns + k * c.windows * c.positions);
            product(is_float_value(out), outputs, c.positions, depth, weights + 8 * g * outputs * depth, columns,
                    to + 8 * (b * groups + g) * outputs * c.positions);
        }
    wide_done(out, to);
    return true;
}
