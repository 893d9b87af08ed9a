/* data.c - elements in memory: reading and writing one of any dtype, with the conversions of `cast`. */
#include "ir/internal.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

static float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Round |v| to a float format with `bits` explicit significand bits and least exponent `emin`: once, ties to even. */
static double round_to(double v, int bits, int emin)
{
    int e;
    if (v == 0 || !isfinite(v)) return v;
    (void)frexp(v, &e);                         /* |v| in [2^(e-1), 2^e) */
    int ulp = (e - 1 < emin ? emin : e - 1) - bits;
    return ldexp(nearbyint(ldexp(v, -ulp)), ulp);
}

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, f = h & 1023;
    if (e == 31) return float_of_bits(sign | 0x7f800000 | f << 13);
    if (e) return float_of_bits(sign | (e + 112) << 23 | f << 13);
    float v = ldexpf((float)f, -24);
    return sign ? -v : v;
}

uint16_t half_of_double(double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return sign | 0x7e00;
    double r = fabs(round_to(v, 10, -14));
    if (r >= 65536) return sign | 0x7c00;
    if (r < 0x1p-14) return (uint16_t)(sign | (uint16_t)(r * 0x1p24));
    int e;
    double f = frexp(r, &e);                    /* f in [0.5, 1) */
    return (uint16_t)(sign | (e + 14) << 10 | (int)(f * 2048 - 1024));
}

float bf16_to_float(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

uint16_t bf16_of_double(double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return sign | 0x7fc0;
    double r = fabs(round_to(v, 7, -126));
    if (r >= 0x1p128) return sign | 0x7f80;
    float f = (float)r;                         /* exact */
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (uint16_t)(sign | u >> 16);
}

double data_get(DType t, const void *data, int64_t i)
{
    switch (t) {
    case DT_f64:  return ((const double *)data)[i];
    case DT_f32:  return ((const float *)data)[i];
    case DT_f16:  return half_to_float(((const uint16_t *)data)[i]);
    case DT_bf16: return bf16_to_float(((const uint16_t *)data)[i]);
    default:      return (double)data_get_int(t, data, i);
    }
}

int64_t data_get_int(DType t, const void *data, int64_t i)
{
    switch (t) {
    case DT_i64:  return ((const int64_t *)data)[i];
    case DT_i32:  return ((const int32_t *)data)[i];
    case DT_i16:  return ((const int16_t *)data)[i];
    case DT_i8:   return ((const int8_t *)data)[i];
    case DT_u8:   return ((const uint8_t *)data)[i];
    case DT_bool: return ((const uint8_t *)data)[i] != 0;
    default:      return 0;
    }
}

int64_t int_lowest(DType t)
{
    switch (t) {
    case DT_i64: return INT64_MIN;
    case DT_i32: return INT32_MIN;
    case DT_i16: return INT16_MIN;
    case DT_i8:  return INT8_MIN;
    default:     return 0;
    }
}

int64_t int_highest(DType t)
{
    switch (t) {
    case DT_i64: return INT64_MAX;
    case DT_i32: return INT32_MAX;
    case DT_i16: return INT16_MAX;
    case DT_i8:  return INT8_MAX;
    case DT_u8:  return UINT8_MAX;
    default:     return 1;
    }
}

void data_set(DType t, void *data, int64_t i, double v)
{
    switch (t) {
    case DT_f64:  ((double *)data)[i] = v; break;
    case DT_f32:  ((float *)data)[i] = (float)v; break;
    case DT_f16:  ((uint16_t *)data)[i] = half_of_double(v); break;
    case DT_bf16: ((uint16_t *)data)[i] = bf16_of_double(v); break;
    case DT_bool: ((uint8_t *)data)[i] = v != 0; break;         /* NaN is true */
    default: {                                  /* truncates and saturates; NaN gives 0 */
        int64_t lo = int_lowest(t), hi = int_highest(t);
        int64_t r = isnan(v) ? 0 : v <= (double)lo ? lo : v >= (double)hi ? hi : (int64_t)v;
        data_set_int(t, data, i, r);
    }
    }
}

void data_set_int(DType t, void *data, int64_t i, int64_t v)
{
    switch (t) {
    case DT_f32:  ((float *)data)[i] = (float)v; break;
    case DT_i64:  ((int64_t *)data)[i] = v; break;
    case DT_i32:  ((int32_t *)data)[i] = (int32_t)v; break;
    case DT_i16:  ((int16_t *)data)[i] = (int16_t)v; break;
    case DT_i8:   ((int8_t *)data)[i] = (int8_t)v; break;
    case DT_u8:   ((uint8_t *)data)[i] = (uint8_t)v; break;
    case DT_bool: ((uint8_t *)data)[i] = v != 0; break;
    default:      data_set(t, data, i, (double)v); break;
    }
}

int64_t tensor_count(const Tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dim[i] < 0 || !size_mul(n, t->dim[i], &n)) return -1;
    return n;
}

double tensor_get(const Tensor *t, int64_t i) { return data_get(t->dtype, t->data, i); }
void tensor_set(Tensor *t, int64_t i, double v) { data_set(t->dtype, t->data, i, v); }
