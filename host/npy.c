/* npy.c - NumPy's .npy files: reading (versions 1 to 3, both byte orders, both memory orders) and writing. */
#include <inttypes.h>
#include <string.h>

#include "host/internal.h"

static bool bad(Arena *a, const char *path, const char *why, const char **error)
{
    *error = arena_printf(a, "%s: not a .npy file that can be read: %s", path, why);
    return false;
}

/* ---- the header: a Python dict of three literals ------------------------------------------------------------------------ */

typedef struct Header {
    const char *at, *end;
    char        order, kind;            /* '<' '>' '|', 'f' 'i' 'u' 'b' */
    int         size;                   /* bytes an element */
    bool        fortran;
    int         rank;
    int64_t     dim[DLC_MAX_RANK];
    uint32_t    seen;                   /* a bit a key */
} Header;

static void skip_space(Header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t')) h->at++;
}

static bool take(Header *h, char c)
{
    skip_space(h);
    if (h->at == h->end || *h->at != c) return false;
    h->at++;
    return true;
}

static bool quoted(Header *h, const char **text, size_t *n)
{
    skip_space(h);
    char quote = h->at < h->end ? *h->at : 0;
    if (quote != '\'' && quote != '"') return false;
    *text = ++h->at;
    while (h->at < h->end && *h->at != quote) h->at++;
    *n = (size_t)(h->at - *text);
    return take(h, quote);
}

static bool word(Header *h, const char *w)
{
    size_t n = strlen(w);
    skip_space(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, w, n)) return false;
    h->at += n;
    return true;
}

static bool number(Header *h, int64_t *v)
{
    skip_space(h);
    const char *from = h->at;
    *v = 0;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *h->at - '0', v)) return false;
    return h->at > from;
}

static bool shape(Header *h)
{
    if (!take(h, '(')) return false;
    while (!take(h, ')')) {
        if (h->rank == DLC_MAX_RANK || !number(h, &h->dim[h->rank++])) return false;
        if (take(h, ',')) continue;
        return take(h, ')');
    }
    return true;
}

static bool entry(Header *h)
{
    const char *key, *text;
    size_t n, m;
    if (!quoted(h, &key, &n) || !take(h, ':')) return false;
    if (n == 5 && !memcmp(key, "descr", 5)) {
        if (!quoted(h, &text, &m) || m != 3 || text[2] < '1' || text[2] > '8') return false;
        h->order = text[0], h->kind = text[1], h->size = text[2] - '0';
        h->seen |= 1;
        return true;
    }
    if (n == 13 && !memcmp(key, "fortran_order", 13)) {
        h->seen |= 2;
        h->fortran = word(h, "True");
        return h->fortran || word(h, "False");
    }
    h->seen |= 4;
    return n == 5 && !memcmp(key, "shape", 5) && shape(h);
}

static bool header(Header *h)
{
    if (!take(h, '{')) return false;
    while (!take(h, '}')) {
        if (!entry(h)) return false;
        if (take(h, ',')) continue;
        if (!take(h, '}')) return false;
        break;
    }
    skip_space(h);
    return h->at == h->end && h->seen == 7;
}

/* ---- elements ------------------------------------------------------------------------------------------------------------- */

/* Unsigned types that models lack come as the next wider signed one. */
static int dtype_of(const Header *h, bool *widened)
{
    static const struct { char kind; int size, dtype; } types[] = {
        {'f', 8, DLC_F64}, {'f', 4, DLC_F32}, {'f', 2, DLC_F16}, {'i', 8, DLC_I64}, {'i', 4, DLC_I32}, {'i', 2, DLC_I16},
        {'i', 1, DLC_I8},  {'u', 1, DLC_U8},  {'b', 1, DLC_BOOL}, {'u', 2, DLC_I32}, {'u', 4, DLC_I64},
    };
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].kind == h->kind && types[i].size == h->size) {
            *widened = dlc_dtype_size(types[i].dtype) != (size_t)h->size;
            return types[i].dtype;
        }
    return 0;
}

static void widen(const unsigned char *from, int size, int64_t n, void *to)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        uint32_t w;
        if (size == 2) memcpy(&h, from + 2 * i, 2), ((int32_t *)to)[i] = h;
        else memcpy(&w, from + 4 * i, 4), ((int64_t *)to)[i] = w;
    }
}

/* Column-major to row-major. */
static void reorder(const char *from, char *to, const Header *h, int64_t n, size_t size)
{
    int64_t index[DLC_MAX_RANK] = {0}, stride[DLC_MAX_RANK], step = 1, at = 0;
    for (int k = 0; k < h->rank; k++) stride[k] = step, step *= h->dim[k];
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + (size_t)i * size, from + (size_t)at * size, size);
        for (int k = h->rank - 1; k >= 0; k--) {
            at += stride[k];
            if (++index[k] < h->dim[k]) break;
            at -= stride[k] * h->dim[k];
            index[k] = 0;
        }
    }
}

bool npy_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error)
{
    const unsigned char *u = (const unsigned char *)text;
    if (n < 10 || u[6] < 1 || u[6] > 3) return bad(a, path, "an unknown version", error);
    size_t head = u[6] == 1 ? 10 : 12, len = u[8] | (size_t)u[9] << 8;
    if (u[6] > 1) {
        if (n < 12) return bad(a, path, "it is truncated", error);
        len |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
    }
    if (len > n - head) return bad(a, path, "it is truncated", error);
    Header h = {.at = text + head, .end = text + head + len};
    if (!header(&h)) return bad(a, path, "its header is broken, or an array of objects or structs", error);
    bool widened = false;
    int64_t bytes, count, have = (int64_t)(n - head - len);
    int dtype = dtype_of(&h, &widened);
    if (!dtype) {
        char kind = h.kind < 0x20 || h.kind > 0x7e ? '?' : h.kind;
        return bad(a, path, arena_printf(a, "elements '%c%d' are not supported", kind, h.size), error);
    }
    if (!shape_bytes(DLC_U8, h.rank, h.dim, &count) || __builtin_mul_overflow(count, (int64_t)h.size, &bytes) || bytes != have)
        return bad(a, path, "its size does not fit its shape", error);
    char *data = arena_copy(a, text + head + len, (size_t)bytes);
    if (h.order == '>') swap_bytes(data, count, (size_t)h.size);
    if (h.fortran && h.rank > 1) {
        char *rows = arena_alloc(a, (size_t)bytes);
        reorder(data, rows, &h, count, (size_t)h.size);
        data = rows;
    }
    if (widened) {
        void *wide = arena_alloc_array(a, (size_t)count, dlc_dtype_size(dtype));
        widen((const unsigned char *)data, h.size, count, wide);
        data = wide;
    }
    if (dtype == DLC_BOOL)
        for (int64_t i = 0; i < count; i++) data[i] = data[i] != 0;
    *t = (dlc_tensor){.data = data, .dtype = dtype, .rank = h.rank};
    memcpy(t->dim, h.dim, sizeof t->dim);
    return true;
}

bool data_write_npy(Arena *a, const char *path, const dlc_tensor *t, const char **error)
{
    static const char *const descr[] = {[DLC_F64] = "<f8", [DLC_F32] = "<f4", [DLC_F16] = "<f2", [DLC_I64] = "<i8", [DLC_I32] = "<i4",
                                        [DLC_I16] = "<i2", [DLC_I8] = "|i1", [DLC_U8] = "|u1", [DLC_BOOL] = "|b1"};
    int64_t bytes;
    if (t->dtype < DLC_F64 || t->dtype > DLC_BOOL || !descr[t->dtype]) {
        *error = arena_printf(a, "%s: a .npy file cannot hold %s", path, dlc_dtype_name(t->dtype));
        return false;
    }
    if (!shape_bytes(t->dtype, t->rank, t->dim, &bytes)) return bad(a, path, "its shape overflows", error);
    Str s = {.arena = a};
    str_addn(&s, "\x93NUMPY\x01\x00\x00\x00", 10);
    str_fmt(&s, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[t->dtype]);
    for (int i = 0; i < t->rank; i++) str_fmt(&s, "%s%" PRId64, i ? ", " : "", t->dim[i]);
    str_add(&s, t->rank == 1 ? ",), }" : "), }");
    while ((s.n + 1) % 64) str_char(&s, ' ');
    str_char(&s, '\n');
    s.at[8] = (char)((s.n - 10) & 255);
    s.at[9] = (char)((s.n - 10) >> 8);
    str_addn(&s, t->data, (size_t)bytes);
    return file_write(a, path, s.at, s.n, error);
}
