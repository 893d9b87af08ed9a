/* unicode.c - characters: kinds, lower case, decomposition, from tables that unicode_tables.py writes. */
#include "host/unicode.h"

#include "base/base.h"
#include "base/json.h"

typedef struct Range { uint32_t first, last; UnicodeKind kind; } Range;
typedef struct LowerRun { uint32_t first, last, step; int32_t difference; } LowerRun;
typedef struct Base { uint32_t from, first, second; } Base;      /* second 0: one character */
#include "host/unicode_tables.inc"

/* The entry with first <= c <= last; entries are `size` bytes, each begins with the two. NULL: none. */
static const void *find(const void *table, size_t n, size_t size, uint32_t c)
{
    const char *t = table;
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const uint32_t *at = (const void *)(t + mid * size);
        if (c < at[0]) hi = mid;
        else if (c > at[1]) lo = mid + 1;
        else return at;
    }
    return NULL;
}

UnicodeKind unicode_kind(uint32_t c)
{
    const Range *r = find(ranges, COUNT(ranges), sizeof *ranges, c);
    return r ? r->kind : UNICODE_OTHER;
}

bool unicode_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

uint32_t unicode_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    const LowerRun *r = find(lower_runs, COUNT(lower_runs), sizeof *lower_runs, c);
    return r && (c - r->first) % r->step == 0 ? (uint32_t)((int32_t)c + r->difference) : c;
}

/* Hangul syllables are decomposed by arithmetic (The Unicode Standard, 3.12). */
static uint32_t hangul(uint32_t c, uint32_t *out)
{
    uint32_t s = c - 0xAC00, tail = s % 28;
    out[0] = 0x1100 + s / (21 * 28);
    out[1] = 0x1161 + s % (21 * 28) / 28;
    out[2] = 0x11A7 + tail;
    return tail ? 3 : 2;
}

uint32_t unicode_base(uint32_t c, uint32_t out[3])
{
    out[0] = c;
    if (c < 0x80) return 1;
    if (unicode_kind(c) == UNICODE_ACCENT) return 0;
    if (c >= 0xAC00 && c <= 0xD7A3) return hangul(c, out);
    size_t lo = 0, hi = COUNT(bases);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c > bases[mid].from) lo = mid + 1;
        else hi = mid;
    }
    if (lo == COUNT(bases) || bases[lo].from != c) return 1;
    out[0] = bases[lo].first, out[1] = bases[lo].second;
    return out[1] ? 2 : 1;
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

uint32_t utf8_next(const char *p, size_t n, uint32_t *len)
{
    static const unsigned char lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    *len = json_utf8(p, n);
    if (!*len) {
        *len = 1;
        return UNICODE_NONE;
    }
    uint32_t c = (unsigned char)p[0] & lead[*len];
    for (uint32_t i = 1; i < *len; i++) c = c << 6 | ((unsigned char)p[i] & 0x3F);
    return c;
}

uint32_t utf8_write(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00u >> n & 0xFF) | c);
    return n;
}
