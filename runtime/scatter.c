/* scatter.c - rows of values combined with the rows of x that ids name. An item is a column of all rows: whatever the
 * division over threads, every element meets its values in the order of the ids. */
#include "runtime/internal.h"

#include <math.h>
#include <string.h>

static int64_t id_at(int64_t dtype, const void *p, int64_t i)
{
    switch (dtype) {
    case RT_i64: return ((const int64_t *)p)[i];
    case RT_i32: return ((const int32_t *)p)[i];
    default:     return ((const uint8_t *)p)[i];
    }
}

/* to[i] = the sum or the maximum of it and from[i]; of floats NaN wins, integers wrap. */
#define COMBINE(T, U, ADD, IS_NAN)                                                                                      \
    static void combine_##U(bool sum, T *to, const T *from, int64_t n)                                                  \
    {                                                                                                                   \
        for (int64_t i = 0; i < n; i++)                                                                                 \
            if (sum) to[i] = ADD;                                                                                       \
            else if (!IS_NAN(to[i]) && (IS_NAN(from[i]) || from[i] > to[i])) to[i] = from[i];                           \
    }
#define NEVER(x) false
COMBINE(double, f64, to[i] + from[i], isnan)
COMBINE(float, f32, to[i] + from[i], isnan)
COMBINE(int64_t, i64, (int64_t)((uint64_t)to[i] + (uint64_t)from[i]), NEVER)
COMBINE(int32_t, i32, (int32_t)((uint32_t)to[i] + (uint32_t)from[i]), NEVER)
COMBINE(uint8_t, u8, (uint8_t)(to[i] + from[i]), NEVER)

static void combine(int64_t dtype, bool sum, void *to, const void *from, int64_t n)
{
    switch (dtype) {
    case RT_f64: combine_f64(sum, to, from, n); break;
    case RT_f32: combine_f32(sum, to, from, n); break;
    case RT_i64: combine_i64(sum, to, from, n); break;
    case RT_i32: combine_i32(sum, to, from, n); break;
    default:     combine_u8(sum, to, from, n); break;
    }
}

/* Operands: x, ids, values, result. Rows without elements have one item all the same: it checks the ids. */
void dlc_rt_scatter(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    (void)scratch;
    const int64_t *dim = e->dim;
    int64_t dtype = dim[RT_SCATTER_DTYPE], kind = dim[RT_SCATTER_KIND], size = rt_dtype_size[dtype];
    int64_t rows = dim[RT_SCATTER_ROWS], row = dim[RT_SCATTER_ROW], n = (hi < row ? hi : row) - lo;
    for (int64_t r = 0; r < rows && n > 0; r++)
        memcpy(e->buf[3] + (r * row + lo) * size, e->buf[0] + (r * row + lo) * size, (size_t)(n * size));
    for (int64_t i = 0; i < dim[RT_SCATTER_IDS]; i++) {
        int64_t id = id_at(dim[RT_SCATTER_ID_DTYPE], e->buf[1], i);
        if (id < 0 || id >= rows) {
            *e->fault = dim[RT_SCATTER_SITE] + 1;
            continue;
        }
        if (n <= 0) continue;
        char *to = e->buf[3] + (id * row + lo) * size, *from = e->buf[2] + (i * row + lo) * size;
        if (kind == RT_none) memcpy(to, from, (size_t)(n * size));
        else combine(dtype, kind == RT_sum, to, from, n);
    }
}
