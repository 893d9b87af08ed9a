/* eval_map.c - operators that compute one value a point. Elements go through blocks of one of three types of
 * arithmetic: double, float (f32, f16, bf16: rounded after the operator) or int64_t (the integers and bool). */
#include "ir/eval.h"

#include <string.h>
#include <tgmath.h>

enum { BLOCK = 512 };
typedef enum Arith { IN_f64, IN_f32, IN_int } Arith;

static Arith arith_of(DType t)
{
    return t == DT_f64 ? IN_f64 : dtype_is_float(t) ? IN_f32 : IN_int;
}

/* Elements [at, at + n) of v as the type of its arithmetic: in place where they are stored so, else in `block`. */
static const void *load(const Value *v, int64_t at, int n, void *block)
{
    const char *data = value_data(v);
    if (v->dtype == DT_f64 || v->dtype == DT_f32 || v->dtype == DT_i64)
        return data + at * (int64_t)dtype_size(v->dtype);
    for (int i = 0; i < n; i++) {
        if (is_float_value(v)) ((float *)block)[i] = (float)data_get(v->dtype, data, at + i);
        else ((int64_t *)block)[i] = data_get_int(v->dtype, data, at + i);
    }
    return block;
}

static void store(Value *v, int64_t at, int n, const void *block)
{
    char *data = value_data(v);
    if (v->dtype == DT_f64 || v->dtype == DT_f32 || v->dtype == DT_i64) {
        size_t size = dtype_size(v->dtype);
        memcpy(data + (size_t)at * size, block, (size_t)n * size);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (is_float_value(v)) data_set(v->dtype, data, at + i, (double)((const float *)block)[i]);
        else data_set_int(v->dtype, data, at + i, ((const int64_t *)block)[i]);
    }
}

/* ---- the operators on floats, in double and in float (tgmath.h picks the function) ---- */

#define EACH(expression) for (int i = 0; i < n; i++) { x = a[i]; r[i] = (expression); } break
#define FLOAT_UNARY(T, name) \
static void name(Op op, const T *a, T *r, int n) \
{ \
    T x; \
    switch (op) { \
    case OP_neg:     EACH(-x); \
    case OP_abs:     EACH(fabs(x)); \
    case OP_sign:    EACH(x > 0 ? 1 : x < 0 ? -1 : x); \
    case OP_exp:     EACH(exp(x)); \
    case OP_expm1:   EACH(expm1(x)); \
    case OP_log:     EACH(log(x)); \
    case OP_log1p:   EACH(log1p(x)); \
    case OP_sqrt:    EACH(sqrt(x)); \
    case OP_rsqrt:   EACH(1 / sqrt(x)); \
    case OP_sin:     EACH(sin(x)); \
    case OP_cos:     EACH(cos(x)); \
    case OP_tanh:    EACH(tanh(x)); \
    case OP_erf:     EACH(erf(x)); \
    case OP_sigmoid: EACH(1 / (1 + exp(-x))); \
    case OP_floor:   EACH(floor(x)); \
    case OP_ceil:    EACH(ceil(x)); \
    case OP_round:   EACH(rint(x)); \
    default: break; \
    } \
}
FLOAT_UNARY(double, unary_f64)
FLOAT_UNARY(float, unary_f32)

#define EACH2(expression) for (int i = 0; i < n; i++) { x = a[i]; y = b[i]; r[i] = (expression); } break
#define FLOAT_BINARY(T, name) \
/* fmod is exact; the remainder takes the divisor's sign. */ \
static T name##_mod(T x, T y) \
{ \
    T m = fmod(x, y); \
    return m != 0 && (m < 0) != (y < 0) ? m + y : m; \
} \
static void name(Op op, const T *a, const T *b, T *r, int n) \
{ \
    T x, y; \
    switch (op) { \
    case OP_add:      EACH2(x + y); \
    case OP_sub:      EACH2(x - y); \
    case OP_mul:      EACH2(x * y); \
    case OP_div:      EACH2(x / y); \
    case OP_floordiv: EACH2(floor(x / y)); \
    case OP_mod:      EACH2(name##_mod(x, y)); \
    case OP_pow:      EACH2(pow(x, y)); \
    case OP_max:      EACH2(x != x ? x : y != y ? y : x > y ? x : y); \
    case OP_min:      EACH2(x != x ? x : y != y ? y : x < y ? x : y); \
    default: break; \
    } \
}
FLOAT_BINARY(double, binary_f64)
FLOAT_BINARY(float, binary_f32)

/* ---- the operators on integers; results wrap when they are stored ---- */

static int64_t wrapped(uint64_t v) { return (int64_t)v; }

static void unary_int(Op op, const int64_t *a, int64_t *r, int n)
{
    int64_t x;
    switch (op) {
    case OP_neg:  EACH(wrapped(-(uint64_t)x));
    case OP_abs:  EACH(x < 0 ? wrapped(-(uint64_t)x) : x);
    case OP_sign: EACH((x > 0) - (x < 0));
    case OP_not:  EACH(!x);
    default: break;
    }
}

/* By 0: 0. */
static int64_t floordiv_int(int64_t x, int64_t y)
{
    if (y == 0) return 0;
    if (y == -1) return wrapped(-(uint64_t)x);
    return x / y - (x % y != 0 && (x % y < 0) != (y < 0));
}

static int64_t mod_int(int64_t x, int64_t y)
{
    if (y == 0 || y == -1) return 0;
    int64_t m = x % y;
    return m && (m < 0) != (y < 0) ? m + y : m;
}

static void binary_int(Op op, const int64_t *a, const int64_t *b, int64_t *r, int n)
{
    int64_t x, y;
    switch (op) {
    case OP_add:      EACH2(wrapped((uint64_t)x + (uint64_t)y));
    case OP_sub:      EACH2(wrapped((uint64_t)x - (uint64_t)y));
    case OP_mul:      EACH2(wrapped((uint64_t)x * (uint64_t)y));
    case OP_floordiv: EACH2(floordiv_int(x, y));
    case OP_mod:      EACH2(mod_int(x, y));
    case OP_max:      EACH2(x > y ? x : y);
    case OP_min:      EACH2(x < y ? x : y);
    case OP_and:      EACH2(x && y);
    case OP_or:       EACH2(x || y);
    default: break;
    }
}

RULE(unary)
{
    _Alignas(16) char in[BLOCK * 8], res[BLOCK * 8];
    if (!value_alloc(e, out)) return false;
    for (int64_t at = 0; at < out->count; at += BLOCK) {
        int m = out->count - at < BLOCK ? (int)(out->count - at) : BLOCK;
        const void *x = load(arg[0], at, m, in);
        Arith k = arith_of(arg[0]->dtype);
        if (n->op == OP_isfinite) {
            for (int i = 0; i < m; i++)
                ((int64_t *)res)[i] = k == IN_f64 ? isfinite(((const double *)x)[i]) : isfinite(((const float *)x)[i]);
        } else if (k == IN_f64) unary_f64(n->op, x, (double *)res, m);
        else if (k == IN_f32) unary_f32(n->op, x, (float *)res, m);
        else unary_int(n->op, x, (int64_t *)res, m);
        store(out, at, m, res);
    }
    return true;
}

RULE(binary)
{
    _Alignas(16) char left[BLOCK * 8], right[BLOCK * 8], res[BLOCK * 8];
    if (!value_alloc(e, out)) return false;
    for (int64_t at = 0; at < out->count; at += BLOCK) {
        int m = out->count - at < BLOCK ? (int)(out->count - at) : BLOCK;
        const void *x = load(arg[0], at, m, left), *y = load(arg[1], at, m, right);
        switch (arith_of(out->dtype)) {
        case IN_f64: binary_f64(n->op, x, y, (double *)res, m); break;
        case IN_f32: binary_f32(n->op, x, y, (float *)res, m); break;
        case IN_int: binary_int(n->op, x, y, (int64_t *)res, m); break;
        }
        store(out, at, m, res);
    }
    return true;
}

/* ---- comparisons, select, cast ---- */

#define COMPARE(T, name) \
static void name(Op op, const T *a, const T *b, uint8_t *r, int n) \
{ \
    T x, y; \
    switch (op) { \
    case OP_eq: EACH2(x == y); \
    case OP_ne: EACH2(x != y); \
    case OP_lt: EACH2(x < y); \
    case OP_le: EACH2(x <= y); \
    case OP_gt: EACH2(x > y); \
    case OP_ge: EACH2(x >= y); \
    default: break; \
    } \
}
COMPARE(double, compare_f64)
COMPARE(float, compare_f32)
COMPARE(int64_t, compare_int)

RULE(compare)
{
    _Alignas(16) char left[BLOCK * 8], right[BLOCK * 8];
    uint8_t *res = value_alloc(e, out);
    if (!res) return false;
    for (int64_t at = 0; at < out->count; at += BLOCK) {
        int m = out->count - at < BLOCK ? (int)(out->count - at) : BLOCK;
        const void *x = load(arg[0], at, m, left), *y = load(arg[1], at, m, right);
        switch (arith_of(arg[0]->dtype)) {
        case IN_f64: compare_f64(n->op, x, y, res + at, m); break;
        case IN_f32: compare_f32(n->op, x, y, res + at, m); break;
        case IN_int: compare_int(n->op, x, y, res + at, m); break;
        }
    }
    return true;
}

RULE(select)
{
    (void)n;
    size_t size = dtype_size(out->dtype);
    const uint8_t *condition = value_data(arg[0]);
    const char *yes = value_data(arg[1]), *no = value_data(arg[2]);
    char *res = value_alloc(e, out);
    for (size_t i = 0; res && i < (size_t)out->count; i++)
        memcpy(res + i * size, (condition[i] ? yes : no) + i * size, size);
    return res != NULL;
}

RULE(cast)
{
    (void)n;
    const Value *x = arg[0];
    if (x->dtype == out->dtype) {
        value_share(out, x);
        return true;
    }
    void *res = value_alloc(e, out), *data = value_data(x);
    bool from_float = is_float_value(x);
    for (int64_t i = 0; res && i < out->count; i++) {
        if (from_float) data_set(out->dtype, res, i, data_get(x->dtype, data, i));
        else data_set_int(out->dtype, res, i, data_get_int(x->dtype, data, i));
    }
    return res != NULL;
}
