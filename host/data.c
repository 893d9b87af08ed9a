/* data.c - reading a tensor from a file: idx and .gz here, .npy in npy.c, .npz in zip.c, safetensors with the runtime's
 * reader. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "base/size.h"
#include "host/internal.h"
#include "runtime/internal.h"

#define MAX_FILE ((size_t)16 << 30)

bool shape_bytes(int dtype, int rank, const int64_t *dim, int64_t *bytes)
{
    int64_t n = (int64_t)dlc_dtype_size(dtype);
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || !size_mul(n, dim[i], &n)) return false;
    *bytes = n;
    return true;
}

void swap_bytes(void *p, int64_t n, size_t size)
{
    unsigned char *b = p;
    for (int64_t i = 0; i < n && size > 1; i++, b += size)
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char t = b[k];
            b[k] = b[size - 1 - k];
            b[size - 1 - k] = t;
        }
}

static bool bad(Arena *a, const char *path, const char *why, const char **error)
{
    *error = arena_printf(a, "%s: %s", path, why);
    return false;
}

/* ---- idx: 0, 0, type, rank; big-endian dims; big-endian elements -------------------------------------------------------- */

static bool idx_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error)
{
    static const uint8_t types[16] = {[8] = DLC_U8, [9] = DLC_I8, [11] = DLC_I16, [12] = DLC_I32, [13] = DLC_F32, [14] = DLC_F64};
    const unsigned char *u = (const unsigned char *)text;
    int rank = u[3];
    if (u[2] > 15 || !types[u[2]] || rank > DLC_MAX_RANK || n < 4 + 4 * (size_t)rank)
        return bad(a, path, "its idx header is broken", error);
    *t = (dlc_tensor){.dtype = types[u[2]], .rank = rank};
    for (int i = 0; i < rank; i++) {
        const unsigned char *d = u + 4 + 4 * i;
        t->dim[i] = (int64_t)d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3];
    }
    int64_t bytes;
    size_t head = 4 + 4 * (size_t)rank;
    if (!shape_bytes(t->dtype, rank, t->dim, &bytes) || (uint64_t)bytes != n - head)
        return bad(a, path, "its size does not fit its shape", error);
    t->data = arena_copy(a, text + head, (size_t)bytes);
    size_t size = dlc_dtype_size(t->dtype);
    swap_bytes(t->data, bytes / (int64_t)size, size);
    return true;
}

/* ---- gzip ------------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_ZLIB
static bool gunzip(Arena *a, const char *path, char **text, size_t *n, const char **error)
{
    gzFile f = gzopen(path, "rb");
    if (!f) return bad(a, path, "cannot open it", error);
    Str s = {.arena = a};
    char *block = arena_alloc(a, 1 << 18);
    int got;
    while ((got = gzread(f, block, 1 << 18)) > 0 && s.n < MAX_FILE) str_addn(&s, block, (size_t)got);
    bool ok = gzclose(f) == Z_OK && got == 0;
    *text = s.at ? s.at : "";
    *n = s.n;
    return ok || bad(a, path, "its gzip data is broken or too large", error);
}
#else
static bool gunzip(Arena *a, const char *path, char **text, size_t *n, const char **error)
{
    (void)text, (void)n;
    return bad(a, path, "this dlc was built without zlib: unpack the file with gunzip", error);
}
#endif

/* ---- safetensors --------------------------------------------------------------------------------------------------------------- */

static const RtTensorEntry *choose(Arena *a, const RtSafetensors *s, const char *key, const char **error)
{
    const RtTensorEntry *t = key ? rt_safetensors_find(s, key) : s->n == 1 ? s->tensor : NULL;
    if (t) return t;
    Str names = {.arena = a};
    for (uint32_t i = 0; i < s->n && i < 10; i++) str_fmt(&names, "%s%s", i ? ", " : "", s->tensor[i].name);
    str_add(&names, s->n > 10 ? ", ..." : s->n ? "" : "none");
    *error = key ? arena_printf(a, "%s: no tensor \"%s\"; it has %s", s->path, key, names.at)
                 : arena_printf(a, "%s: it holds %u tensors; name one: %s:KEY, of %s", s->path, s->n, s->path, names.at);
    return NULL;
}

static bool safetensors_tensor(Arena *a, const RtSafetensors *s, const RtTensorEntry *t, dlc_tensor *to, const char **error)
{
    RtError e;
    if (!t->dtype || t->rank > DLC_MAX_RANK)
        return bad(a, s->path, arena_printf(a, "models do not have what %s is (%s, %u dims)", t->name, t->dtype_name, t->rank), error);
    *to = (dlc_tensor){.data = arena_alloc(a, (size_t)t->bytes), .dtype = (int)t->dtype, .rank = (int)t->rank};
    for (uint32_t i = 0; i < t->rank; i++) to->dim[i] = t->dim[i];
    if (!rt_safetensors_read(s, t, to->data, &e)) return true;
    *error = arena_strndup(a, e.text, strlen(e.text));
    return false;
}

static bool safetensors_read(Arena *a, const char *path, const char *key, dlc_tensor *t, const char **error)
{
    RtSafetensors s;
    RtError e;
    int status = rt_safetensors_open(&s, &rt_malloc, path, &e);
    if (status) {
        *error = arena_printf(a, "%s%s", e.text, status == DLC_BAD_FILE ? " (nor a .npy or idx file)" : "");
        return false;
    }
    const RtTensorEntry *entry = choose(a, &s, key, error);
    bool ok = entry && safetensors_tensor(a, &s, entry, t, error);
    rt_safetensors_close(&s);
    return ok;
}

/* ---- any of them ----------------------------------------------------------------------------------------------------------------- */

static bool first_bytes(Arena *a, const char *path, unsigned char *head, const char **error)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    memset(head, 0xff, 8);
    if (!f) {
        char *text;
        size_t n;
        return file_read(a, path, 1, &text, &n, error); /* for its message */
    }
    bool regular = !fstat(fileno(f), &st) && S_ISREG(st.st_mode);
    size_t n = regular ? fread(head, 1, 8, f) : 0;
    fclose(f);
    if (!regular) return bad(a, path, "not a regular file", error);
    return n >= 4 || bad(a, path, "neither a .npy, idx nor safetensors file: it is too short", error);
}

bool data_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error)
{
    if (n >= 6 && !memcmp(text, "\x93NUMPY", 6)) return npy_parse(a, path, text, n, t, error);
    if (n >= 4 && !text[0] && !text[1]) return idx_parse(a, path, text, n, t, error);
    return bad(a, path, "neither .npy nor idx data", error);
}

bool data_bytes(Arena *a, const char *path, char **text, size_t *n, const char **error)
{
    unsigned char magic[2];
    FILE *f = fopen(path, "rb");
    bool gzip = f && fread(magic, 1, 2, f) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (f) fclose(f);
    return gzip ? gunzip(a, path, text, n, error) : file_read(a, path, MAX_FILE, text, n, error);
}

bool data_read(Arena *a, const char *path, const char *key, dlc_tensor *t, const char **error)
{
    unsigned char head[8];
    char *text = NULL;
    size_t n = 0;
    if (!first_bytes(a, path, head, error)) return false;
    bool gzip = head[0] == 0x1f && head[1] == 0x8b, zip = !memcmp(head, "PK", 2) && head[2] < 8 && head[3] < 9;
    bool npy = !memcmp(head, "\x93NUMPY", 6), idx = !head[0] && !head[1] && head[2] < 16;
    if (zip) return file_read(a, path, MAX_FILE, &text, &n, error) && npz_parse(a, path, text, n, key, t, error);
    if (!gzip && !npy && !idx) return safetensors_read(a, path, key, t, error);
    if (key) return bad(a, path, "only tensors of safetensors and .npz files have names", error);
    return data_bytes(a, path, &text, &n, error) && data_parse(a, path, text, n, t, error);
}
