/* json.c - the JSON reader of json.h. Freestanding: no allocation, no library call. */
#include "base/json.h"

uint32_t json_utf8(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    if (n == 0) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;           /* continuation, overlong, or beyond U+10FFFF */
    uint32_t len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n < len) return 0;
    for (uint32_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;          /* overlong */
    if (s[0] == 0xed && s[1] > 0x9f) return 0;          /* a surrogate */
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;          /* overlong */
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;          /* beyond U+10FFFF */
    return len;
}

void json_start(Json *j, const char *text, size_t n)
{
    *j = (Json){.text = text, .n = n};
}

static JsonToken bad(Json *j, const char *error)
{
    if (!j->error) j->error = error;
    return JSON_BAD;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The four hex digits of a \u escape; -1 if they are not. */
static int32_t hex4(const char *p, size_t n)
{
    int32_t v = 0;
    if (n < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* The character an escape stands for; p is at the backslash. Returns its length, or 0 if it is none. */
static size_t escape(const char *p, size_t n, uint32_t *code)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    if (n < 2) return 0;
    for (int i = 0; letters[i]; i++)
        if (p[1] == letters[i]) {
            *code = (unsigned char)meaning[i];
            return 2;
        }
    if (p[1] != 'u') return 0;
    int32_t high = hex4(p + 2, n - 2);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff)) return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff) return 6;
    if (n < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    int32_t low = hex4(p + 8, n - 8);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *code = 0x10000u + (((uint32_t)high & 0x3ff) << 10) + ((uint32_t)low & 0x3ff);
    return 12;
}

/* ---- tokens ----------------------------------------------------------------------------------- */

static bool string(Json *j)
{
    size_t i = j->pos + 1;
    j->at = j->text + i;
    j->escaped = false;
    while (i < j->n && j->text[i] != '"') {
        unsigned char c = (unsigned char)j->text[i];
        uint32_t code;
        size_t len = c == '\\' ? escape(j->text + i, j->n - i, &code) : c < 0x20 ? 0 : json_utf8(j->text + i, j->n - i);
        if (len == 0) {
            j->pos = i;
            bad(j, c == '\\'  ? "this escape is not one of JSON's"
                   : c < 0x20 ? "a control character may not stand in a string"
                              : "these bytes are not UTF-8");
            return false;
        }
        j->escaped |= c == '\\';
        i += len;
    }
    if (i >= j->n) {
        bad(j, "this string does not end");
        return false;
    }
    j->len = (size_t)(j->text + i - j->at);
    j->pos = i + 1;
    return true;
}

static void digits(const Json *j, size_t *i)
{
    while (*i < j->n && is_digit(j->text[*i])) ++*i;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static JsonToken number(Json *j)
{
    size_t i = j->pos, from;
    if (j->text[i] == '-') i++;
    from = i;
    digits(j, &i);
    if (i == from) return bad(j, "a number needs a digit here");
    if (j->text[from] == '0' && i - from > 1) return bad(j, "a number may not begin with 0");
    if (i < j->n && j->text[i] == '.') {
        from = ++i;
        digits(j, &i);
        if (i == from) return bad(j, "a number needs a digit behind its point");
    }
    if (i < j->n && (j->text[i] == 'e' || j->text[i] == 'E')) {
        i++;
        if (i < j->n && (j->text[i] == '+' || j->text[i] == '-')) i++;
        from = i;
        digits(j, &i);
        if (i == from) return bad(j, "a number needs a digit in its exponent");
    }
    j->at = j->text + j->pos;
    j->len = i - j->pos;
    j->pos = i;
    return JSON_NUMBER;
}

static JsonToken word(Json *j, const char *text, JsonToken t)
{
    size_t i = 0;
    while (text[i] && j->pos + i < j->n && j->text[j->pos + i] == text[i]) i++;
    if (text[i]) return bad(j, "a value belongs here");
    j->pos += i;
    return t;
}

static JsonToken open_container(Json *j, bool object)
{
    if (j->depth == JSON_DEPTH) return bad(j, "nested too deeply");
    uint64_t bit = (uint64_t)1 << j->depth++;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
    j->first = true;
    j->pos++;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

static JsonToken close_container(Json *j, bool object)
{
    j->depth--;
    j->first = false;
    j->pos++;
    return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static JsonToken value(Json *j)
{
    char c = j->text[j->pos];
    j->expect_value = j->first = false;
    switch (c) {
    case '{': return open_container(j, true);
    case '[': return open_container(j, false);
    case '"': return string(j) ? JSON_STRING : JSON_BAD;
    case 't': return word(j, "true", JSON_TRUE);
    case 'f': return word(j, "false", JSON_FALSE);
    case 'n': return word(j, "null", JSON_NULL);
    }
    return c == '-' || is_digit(c) ? number(j) : bad(j, "a value belongs here");
}

static void skip_space(Json *j)
{
    while (j->pos < j->n && (j->text[j->pos] == ' ' || j->text[j->pos] == '\t' || j->text[j->pos] == '\n' ||
                             j->text[j->pos] == '\r'))
        j->pos++;
}

/* A key with the colon behind it. */
static JsonToken key(Json *j)
{
    if (j->pos >= j->n || j->text[j->pos] != '"') return bad(j, "a name in quotes belongs here");
    if (!string(j)) return JSON_BAD;
    skip_space(j);
    if (j->pos >= j->n || j->text[j->pos] != ':') return bad(j, "a ':' belongs here");
    j->pos++;
    j->first = false;
    j->expect_value = true;
    return JSON_KEY;
}

JsonToken json_next(Json *j)
{
    if (j->error) return JSON_BAD;
    skip_space(j);
    bool more = j->pos < j->n;
    if (j->depth == 0) {
        if (j->done) return more ? bad(j, "something follows the value") : JSON_END;
        if (!more) return bad(j, "the text is empty");
        j->done = true;
        return value(j);
    }
    if (!more) return bad(j, "the text ends too early");
    if (j->expect_value) return value(j);

    bool object = j->objects >> (j->depth - 1) & 1;
    if (j->text[j->pos] == (object ? '}' : ']')) return close_container(j, object);
    if (!j->first) {
        if (j->text[j->pos] != ',') return bad(j, object ? "a ',' or '}' belongs here" : "a ',' or ']' belongs here");
        j->pos++;
        skip_space(j);
        if (j->pos >= j->n) return bad(j, "the text ends too early");
    }
    return object ? key(j) : value(j);
}

bool json_skip(Json *j, JsonToken t)
{
    if (t != JSON_OBJECT && t != JSON_ARRAY) return t != JSON_BAD;
    for (uint32_t outer = j->depth - 1; j->depth > outer;)
        if (json_next(j) == JSON_BAD) return false;
    return true;
}

/* ---- values ----------------------------------------------------------------------------------- */

static uint32_t utf8_encode(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    uint32_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = len - 1; i > 0; i--, code >>= 6) to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)((0xf00u >> len & 0xf0) | code);
    return len;
}

/* The next character of an escaped text, as bytes: returns how many it read, *len of them are in `to`. */
static size_t resolve(const char *p, size_t n, char to[4], uint32_t *len)
{
    uint32_t code;
    size_t read = *p == '\\' ? escape(p, n, &code) : 0;
    if (read) {
        *len = utf8_encode(code, to);
        return read;
    }
    to[0] = *p;
    *len = 1;
    return 1;
}

int64_t json_unescape(const char *at, size_t len, char *to, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        char c[4];
        uint32_t n;
        i += resolve(at + i, len - i, c, &n);
        if (n >= cap || used >= cap - n) return -1;
        for (uint32_t k = 0; k < n; k++) to[used++] = c[k];
    }
    if (cap == 0) return -1;
    to[used] = 0;
    return (int64_t)used;
}

bool json_is(const Json *j, const char *text)
{
    for (size_t i = 0; i < j->len;) {
        char c[4];
        uint32_t n;
        i += resolve(j->at + i, j->len - i, c, &n);
        for (uint32_t k = 0; k < n; k++) {
            if (!*text || *text != c[k]) return false;  /* a zero in the JSON never matches */
            text++;
        }
    }
    return !*text;
}

bool json_int(const Json *j, int64_t *value)
{
    size_t i = 0;
    bool negative = j->len && j->at[0] == '-';
    int64_t v = 0;
    if (j->len == (size_t)negative) return false;
    for (i = negative; i < j->len; i++) {
        if (!is_digit(j->at[i])) return false;
        int digit = j->at[i] - '0';
        /* Downwards, since the smallest integer has no positive twin. */
        if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_sub_overflow(v, (int64_t)digit, &v)) return false;
    }
    if (!negative && v == INT64_MIN) return false;
    *value = negative ? v : -v;
    return true;
}
