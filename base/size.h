/* size.h - arithmetic on sizes that cannot wrap. Freestanding: the compiler, the host library and
 * the artefact's runtime all use this one. Every function returns false on overflow and then
 * leaves *r alone. Sizes and offsets are int64_t and never negative where the name says size.
 */
#ifndef DLC_SIZE_H
#define DLC_SIZE_H
#include <stdbool.h>
#include <stdint.h>

static inline bool size_add(int64_t a, int64_t b, int64_t *r)
{
    int64_t t;
    if (__builtin_add_overflow(a, b, &t)) return false;
    *r = t;
    return true;
}
static inline bool size_sub(int64_t a, int64_t b, int64_t *r)
{
    int64_t t;
    if (__builtin_sub_overflow(a, b, &t)) return false;
    *r = t;
    return true;
}
static inline bool size_mul(int64_t a, int64_t b, int64_t *r)
{
    int64_t t;
    if (__builtin_mul_overflow(a, b, &t)) return false;
    *r = t;
    return true;
}
/* Quotient and remainder that round down (Python's // and %). false: b is 0, or the quotient overflows. */
static inline bool size_floordiv(int64_t a, int64_t b, int64_t *r)
{
    if (b == 0 || (a == INT64_MIN && b == -1)) return false;
    *r = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
    return true;
}
static inline bool size_mod(int64_t a, int64_t b, int64_t *r)
{
    if (b == 0) return false;
    if (b == -1) { *r = 0; return true; }
    int64_t m = a % b;
    *r = m && (m < 0) != (b < 0) ? m + b : m;
    return true;
}
/* a rounded up to a multiple of `to`, a power of two. */
static inline bool size_align(int64_t a, int64_t to, int64_t *r)
{
    int64_t t;
    if (a < 0 || !size_add(a, to - 1, &t)) return false;
    *r = t & ~(to - 1);
    return true;
}
#endif
