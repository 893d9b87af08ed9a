/* str.c - strings: building them, numbers that read back exactly, JSON literals, near words, globs. */
#include "base/base.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LONGEST_WORD 64                 /* longer words are not compared letter by letter */

/* Room for n more characters and the final zero. */
static void reserve(Str *s, size_t n)
{
    size_t want;
    if (__builtin_add_overflow(s->n, n, &want)) want = SIZE_MAX - 1;
    if (want < s->cap) return;
    size_t cap = s->cap ? s->cap : 64;
    while (cap <= want) cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    char *at = arena_alloc(s->arena, cap);
    if (s->n) memcpy(at, s->at, s->n);
    s->at = at;
    s->cap = cap;
}

void str_addn(Str *s, const char *text, size_t n)
{
    reserve(s, n);
    if (n) memcpy(s->at + s->n, text, n);
    s->n += n;
    s->at[s->n] = 0;
}

void str_add(Str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void str_char(Str *s, char c)
{
    str_addn(s, &c, 1);
}

static void str_vfmt(Str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) return;
    reserve(s, (size_t)n);
    vsnprintf(s->at + s->n, (size_t)n + 1, fmt, ap);
    s->n += (size_t)n;
}

void str_fmt(Str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vfmt(s, fmt, ap);
    va_end(ap);
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
    Str s = {.arena = a};
    str_addn(&s, "", 0);
    str_vfmt(&s, fmt, ap);
    return s.at;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return text;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n) memcpy(copy, s, n);
    return copy;
}

/* ---- numbers ---------------------------------------------------------------------------------- */

/* Fewest digits that read back as the same number: 17 always do for a double, 9 for a float. */
static void str_number(Str *s, double v, bool single)
{
    if (isnan(v)) {
        str_add(s, "nan");
        return;
    }
    if (isinf(v)) {
        str_add(s, v < 0 ? "-inf" : "inf");
        return;
    }
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) break;
    }
    str_add(s, text);
    if (!strpbrk(text, ".e")) str_add(s, ".0");
}

void str_double(Str *s, double v)
{
    str_number(s, v, false);
}

void str_float(Str *s, float v)
{
    str_number(s, v, true);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

void str_json(Str *s, const char *text, size_t n)
{
    str_char(s, '"');
    for (size_t i = 0, len; i < n; i += len) {
        unsigned char c = (unsigned char)text[i];
        len = json_utf8(text + i, n - i);
        if (len == 0) {                 /* not UTF-8: JSON cannot hold it */
            str_add(s, "\\ufffd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            str_char(s, '\\');
            str_char(s, (char)c);
        } else if (c == '\n') {
            str_add(s, "\\n");
        } else if (c == '\t') {
            str_add(s, "\\t");
        } else if (c == '\r') {
            str_add(s, "\\r");
        } else if (c < 0x20 || c == 0x7f) {
            str_fmt(s, "\\u%04x", c);
        } else {
            str_addn(s, text + i, len);
        }
    }
    str_char(s, '"');
}

/* ---- words ------------------------------------------------------------------------------------ */

/* Damerau-Levenshtein distance, restricted form (no piece is edited twice): Wagner-Fischer with three rows. */
uint32_t edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST_WORD || nb > LONGEST_WORD) return strcmp(a, b) ? (uint32_t)(na > nb ? na : nb) : 0;

    uint32_t row[3][LONGEST_WORD + 1];
    for (uint32_t j = 0; j <= nb; j++) row[0][j] = j;
    for (uint32_t i = 1; i <= na; i++) {
        uint32_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (uint32_t j = 1; j <= nb; j++) {
            uint32_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

/* Near: a third of the letters differ, at least one and at most three; or the case alone. */
const char *nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t len = strlen(word);
    uint32_t allowed = len < 3 ? 1 : len > 9 ? 3 : (uint32_t)(len / 3);
    const char *best = NULL;
    uint32_t best_distance = allowed + 1;

    for (size_t i = 0; i < n; i++) {
        if (!candidates[i]) continue;
        size_t other = strlen(candidates[i]);
        bool same_letters = !strcasecmp(word, candidates[i]);
        uint32_t distance = same_letters ? strcmp(word, candidates[i]) != 0 : edit_distance(word, candidates[i]);
        if (distance < best_distance && (same_letters || distance < (len > other ? len : other))) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

/* On a mismatch the last '*' takes one more character; earlier stars never need to. */
bool glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}
