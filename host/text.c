/* text.c - text and token files as streams of ids: characters by their place in a sorted vocabulary, bytes, raw tokens. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "host/dataset_internal.h"

enum { CODES = 0x110000 };              /* code points */

int64_t stream_at(const Stream *s, int64_t i)
{
    switch (s->dtype) {
    case DLC_U8: return ((const uint8_t *)s->data)[i];
    case DLC_I16: return ((const uint16_t *)s->data)[i];
    case DLC_I32: return ((const int32_t *)s->data)[i];
    default: return ((const int64_t *)s->data)[i];
    }
}

static void find_highest(Stream *s)
{
    s->highest = -1;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t v = stream_at(s, i);
        if (v > s->highest) s->highest = v, s->highest_at = i;
    }
}

/* ---- characters ------------------------------------------------------------------------------------------------------------ */

uint32_t utf8_put(uint32_t code, char to[5])
{
    uint32_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    memset(to, 0, 5);
    for (uint32_t i = n - 1; i > 0; i--, code >>= 6) to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[n] | code);
    return n;
}

uint32_t utf8_get(const char *p, uint32_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    uint32_t code = n == 1 ? u[0] : u[0] & (0x7fu >> n);
    for (uint32_t i = 1; i < n; i++) code = code << 6 | (u[i] & 0x3f);
    return code;
}

/* "FILE:3:7", columns in characters. */
static const char *place(Arena *a, const char *path, const char *text, size_t at)
{
    long long line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') line++, column = 1;
        else column += (text[i] & 0xc0) != 0x80;
    }
    return arena_printf(a, "%s:%lld:%lld", path, line, column);
}

bool stream_chars(Arena *a, const char *path, const char *text, size_t n, const uint32_t *known, uint32_t nknown, Stream *s, const char **error)
{
    int32_t *number = malloc(CODES * sizeof *number);   /* of a code point; -1: not in the vocabulary */
    if (!number) return data_fail(a, error, "%s: no memory", path);
    memset(number, 0xff, CODES * sizeof *number);
    for (uint32_t i = 0; i < nknown; i++) number[known[i]] = (int32_t)i;
    bool ok = true;
    *s = (Stream){.vocabulary = known, .nvocabulary = nknown};
    for (size_t i = 0, len; i < n && ok; i += len, s->count++) {
        len = json_utf8(text + i, n - i);
        uint32_t code = len ? utf8_get(text + i, (uint32_t)len) : 0;
        if (!len) ok = data_fail(a, error, "%s: not UTF-8 text; ',bytes' reads it byte by byte", place(a, path, text, i));
        else if (known && number[code] < 0)
            ok = data_fail(a, error, "%s: the character '%.*s' is not in the vocabulary of the training data", place(a, path, text, i), (int)len, text + i);
        else if (!known) number[code] = 0;
    }
    if (ok && !known) {
        VEC(uint32_t) found = {0};
        for (uint32_t code = 0; code < CODES; code++)
            if (number[code] == 0) number[code] = (int32_t)found.n, vec_push(a, &found, code);
        s->vocabulary = found.at, s->nvocabulary = found.n;
    }
    bool small = s->nvocabulary <= 256;
    uint8_t *bytes = ok && small ? arena_array(a, uint8_t, (size_t)s->count) : NULL;
    int32_t *ids = ok && !small ? arena_array(a, int32_t, (size_t)s->count) : NULL;
    size_t at = 0;
    for (size_t i = 0, len; i < n && ok; i += len) {
        len = json_utf8(text + i, n - i);
        int32_t id = number[utf8_get(text + i, (uint32_t)len)];
        if (small) bytes[at++] = (uint8_t)id;
        else ids[at++] = id;
    }
    s->dtype = small ? DLC_U8 : DLC_I32;
    s->data = small ? (void *)bytes : (void *)ids;
    free(number);
    if (ok) find_highest(s);
    return ok;
}

bool stream_bytes(Arena *a, const char *path, const char *text, size_t n, Stream *s, const char **error)
{
    (void)a, (void)path, (void)error;
    *s = (Stream){.count = (int64_t)n, .dtype = DLC_U8, .data = text};
    find_highest(s);
    return true;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------------------ */

bool stream_tokens(Arena *a, const char *path, int dtype, Stream *s, const char **error)
{
    char *text;
    size_t n, size = dtype ? dlc_dtype_size(dtype) : 0;
    if (dtype) {
        if (!data_bytes(a, path, &text, &n, error)) return false;
        if (n % size) return data_fail(a, error, "%s: %zu bytes are not whole tokens of %zu bytes", path, n, size);
        *s = (Stream){.count = (int64_t)(n / size), .dtype = dtype, .data = text};
    } else {
        dlc_tensor t;
        if (!data_read(a, path, NULL, &t, error)) return false;
        if (t.rank != 1 || (t.dtype != DLC_U8 && t.dtype != DLC_I32 && t.dtype != DLC_I64))
            return data_fail(a, error, "%s: tokens are a list of u8, u16, i32 or i64, not %s; for raw ones say tokens=u16", path, data_type(a, &t));
        *s = (Stream){.count = t.dim[0], .dtype = t.dtype, .data = t.data};
    }
    for (int64_t i = 0; i < s->count; i++)
        if (stream_at(s, i) < 0) return data_fail(a, error, "%s: token %lld is %lld", path, (long long)i, (long long)stream_at(s, i));
    find_highest(s);
    return true;
}
