/* safetensors.c - reading safetensors files, which may be hostile. The rules are the reference reader's: a header of at
 * most 100 MB that is a JSON object; of each tensor a known dtype, a shape and offsets that agree with each other; the
 * tensors one behind the other without holes or overlaps, and nothing behind them. Names must differ.
 */
#include "base/json.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER 100000000
enum { MAX_SHAPE = 1024 };              /* dims of a tensor */

static const struct FileType {
    char    name[9];
    uint8_t bits, dtype;                /* dtype: ours, or 0 */
} file_type[] = {
    {"F64", 64, RT_f64}, {"F32", 32, RT_f32}, {"F16", 16, RT_f16}, {"BF16", 16, RT_bf16}, {"I64", 64, RT_i64},
    {"I32", 32, RT_i32}, {"I16", 16, RT_i16}, {"I8", 8, RT_i8},    {"U8", 8, RT_u8},      {"BOOL", 8, RT_bool},
    {"U16", 16, 0},      {"U32", 32, 0},      {"U64", 64, 0},      {"F8_E5M2", 8, 0},     {"F8_E4M3", 8, 0},
    {"F8_E8M0", 8, 0},   {"C64", 64, 0},      {"F4", 4, 0},        {"F6_E2M3", 6, 0},     {"F6_E3M2", 6, 0},
};

/* Two readings of the header: the first counts, the second fills. */
typedef struct Reading {
    RtSafetensors *s;
    RtError       *e;
    Json           json;
    bool           fill;
    uint32_t       n;                   /* tensors so far */
    int64_t        ndims;               /* of all tensors */
    int64_t       *dims;
    char          *names;
} Reading;

static int bad(Reading *r, const char *why)
{
    return rt_fail(r->e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: %s (byte %lld of the header)", r->s->path, why,
                   (long long)r->json.pos);
}

static int bad_json(Reading *r)
{
    return bad(r, r->json.error ? r->json.error : "this does not belong here");
}

/* "shape" or "data_offsets": an array of numbers, none negative. */
static int read_numbers(Reading *r, int64_t *to, uint32_t max, uint32_t *n)
{
    *n = 0;
    if (json_next(&r->json) != JSON_ARRAY) return bad(r, r->json.error ? r->json.error : "a list of numbers belongs here");
    for (JsonToken t; (t = json_next(&r->json)) != JSON_ARRAY_END; ++*n) {
        int64_t v;
        if (t == JSON_BAD) return bad_json(r);
        if (t != JSON_NUMBER || !json_int(&r->json, &v) || v < 0) return bad(r, "a size that is not a whole number");
        if (*n == max) return bad(r, "too many numbers in a list");
        if (to) to[*n] = v;
    }
    return DLC_OK;
}

/* The object of one tensor, whose '{' was read. */
static int read_tensor(Reading *r, RtTensorEntry *t)
{
    int64_t offset[2] = {0, 0};
    uint32_t noffset, seen = 0;
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    const struct FileType *type = NULL;
    t->dim = r->fill ? r->dims + r->ndims : NULL;
    for (JsonToken token; (token = json_next(&r->json)) != JSON_OBJECT_END;) {
        if (token != JSON_KEY) return bad_json(r);
        uint32_t field = json_is(&r->json, "dtype")          ? DTYPE
                         : json_is(&r->json, "shape")        ? SHAPE
                         : json_is(&r->json, "data_offsets") ? OFFSETS
                                                             : 0;
        int status = DLC_OK;
        if (seen & field) return bad(r, "a field is there twice");
        seen |= field;
        if (field == DTYPE) {
            if (json_next(&r->json) != JSON_STRING) return bad(r, r->json.error ? r->json.error : "a dtype is a string");
            for (size_t i = 0; i < sizeof file_type / sizeof *file_type && !type; i++)
                if (json_is(&r->json, file_type[i].name)) type = &file_type[i];
            if (!type) return bad(r, "unknown dtype");
        } else if (field == SHAPE) {
            status = read_numbers(r, r->fill ? r->dims + r->ndims : NULL, MAX_SHAPE, &t->rank);
        } else if (field == OFFSETS) {
            status = read_numbers(r, offset, 2, &noffset);
            if (!status && noffset != 2) return bad(r, "data_offsets are two numbers");
        } else if (!json_skip(&r->json, json_next(&r->json))) {
            return bad_json(r);
        }
        if (status) return status;
    }
    if (seen != (DTYPE | SHAPE | OFFSETS)) return bad(r, "a tensor needs dtype, shape and data_offsets");
    r->ndims += t->rank;
    t->dtype = type->dtype;
    t->dtype_name = type->name;
    t->begin = offset[0];
    if (!size_sub(offset[1], offset[0], &t->bytes) || t->bytes < 0 || offset[1] > r->s->data_bytes)
        return bad(r, "data_offsets lie outside of the file");
    int64_t bits = type->bits;
    for (uint32_t i = 0; i < t->rank && r->fill; i++)
        if (!size_mul(bits, t->dim[i], &bits)) return bad(r, "a shape overflows");
    if (r->fill && (bits % 8 || bits / 8 != t->bytes)) return bad(r, "a shape and its data_offsets do not agree");
    return DLC_OK;
}

/* The string just read as the decimal number of a counter, at most `most`. */
static int read_counter(Reading *r, const char *key, uint64_t most, RtCounter *c)
{
    uint64_t v = 0;
    bool ok = r->json.len > 0;
    for (size_t i = 0; i < r->json.len && ok; i++) {
        uint64_t digit = (unsigned char)r->json.at[i] - (uint64_t)'0';
        ok = digit <= 9 && v <= (most - digit) / 10;
        v = v * 10 + digit;
    }
    if (c->has && !r->fill) return rt_fail(r->e, DLC_BAD_FILE, RT_PATH ": %s is there twice", r->s->path, key);
    if (!ok) return rt_fail(r->e, DLC_BAD_FILE, RT_PATH ": %s is not a number that it can be", r->s->path, key);
    *c = (RtCounter){true, v};
    return DLC_OK;
}

/* "__metadata__": an object of strings. */
static int read_metadata(Reading *r)
{
    if (json_next(&r->json) != JSON_OBJECT) return bad(r, r->json.error ? r->json.error : "__metadata__ is not an object");
    for (JsonToken t; (t = json_next(&r->json)) != JSON_OBJECT_END;) {
        if (t != JSON_KEY) return bad_json(r);
        bool calls = json_is(&r->json, RT_KEY_CALLS), seed = json_is(&r->json, RT_KEY_SEED);
        if (json_next(&r->json) != JSON_STRING) return bad(r, r->json.error ? r->json.error : "__metadata__ holds strings only");
        int status = calls  ? read_counter(r, RT_KEY_CALLS, INT64_MAX, &r->s->calls)
                     : seed ? read_counter(r, RT_KEY_SEED, UINT64_MAX, &r->s->seed)
                            : DLC_OK;
        if (status) return status;
    }
    return DLC_OK;
}

static int read_header(Reading *r, const char *header, size_t n)
{
    bool metadata = false;
    json_start(&r->json, header, n);
    r->n = 0;
    r->ndims = 0;
    if (n == 0 || header[0] != '{' || json_next(&r->json) != JSON_OBJECT) return bad(r, "the header is not a JSON object");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_OBJECT_END;) {
        int status;
        RtTensorEntry none = {0}, *t = r->fill ? &r->s->tensor[r->n] : &none;
        if (token != JSON_KEY) return bad_json(r);
        if (json_is(&r->json, "__metadata__")) {
            if (metadata) return bad(r, "__metadata__ is there twice");
            metadata = true;
            status = read_metadata(r);
        } else {
            if (r->fill) {
                int64_t len = json_unescape(r->json.at, r->json.len, r->names, r->json.len + 1);
                if (len < 0) return bad(r, "a name is broken");
                t->name = r->names;
                t->name_len = (uint32_t)len;
                r->names += len + 1;
            }
            if (json_next(&r->json) != JSON_OBJECT) return bad(r, r->json.error ? r->json.error : "a tensor is an object");
            status = read_tensor(r, t);
            r->n++;
        }
        if (status) return status;
    }
    return json_next(&r->json) == JSON_END ? DLC_OK : bad_json(r);
}

/* ---- order --------------------------------------------------------------------------------------------------------- */

static int by_begin(const RtTensorEntry *a, const RtTensorEntry *b)
{
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int by_name(const RtTensorEntry *a, const RtTensorEntry *b)
{
    int c = memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);
    return c ? c : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* Heap sort: no memory, and never quadratic. */
static void sort(RtTensorEntry *t, uint32_t n, int (*compare)(const RtTensorEntry *, const RtTensorEntry *))
{
    for (uint32_t start = n / 2, end = n; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            RtTensorEntry last = t[--end];
            t[end] = t[0];
            t[0] = last;
        }
        RtTensorEntry moved = t[start];
        uint32_t root = start;
        for (uint32_t child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && compare(&t[child], &t[child + 1]) < 0) child++;
            if (compare(&moved, &t[child]) >= 0) break;
            t[root] = t[child];
        }
        t[root] = moved;
    }
}

static int check_layout(Reading *r)
{
    RtSafetensors *s = r->s;
    int64_t end = 0;
    sort(s->tensor, s->n, by_begin);
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->tensor[i].begin != end)
            return rt_fail(r->e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: %s data of %.200s", s->path,
                           s->tensor[i].begin > end ? "there is a hole before the" : "something overlaps the", s->tensor[i].name);
        end += s->tensor[i].bytes;                      /* at most data_bytes, by read_tensor */
    }
    if (end != s->data_bytes)
        return rt_fail(r->e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: it has %lld bytes of data, its header describes %lld",
                       s->path, (long long)s->data_bytes, (long long)end);
    sort(s->tensor, s->n, by_name);
    for (uint32_t i = 1; i < s->n; i++)
        if (!by_name(&s->tensor[i - 1], &s->tensor[i]))
            return rt_fail(r->e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: %.200s is there twice", s->path, s->tensor[i].name);
    return DLC_OK;
}

int rt_safetensors_parse(RtSafetensors *s, const RtMemory *memory, const char *path, const char *header, int64_t n,
                         int64_t data_bytes, RtError *e)
{
    *s = (RtSafetensors){.memory = *memory, .path = path, .fd = -1, .data = 8 + n, .data_bytes = data_bytes};
    Reading r = {.s = s, .e = e};
    int status = read_header(&r, header, (size_t)n);
    if (status) return status;
    /* A tensor takes some 40 bytes of header, a dim 2, a name as many as it has: nothing here can overflow. */
    int64_t dims = (int64_t)r.n * (int64_t)sizeof(RtTensorEntry), names = dims + r.ndims * 8, bytes = names + n + 1;
    char *block = rt_alloc(memory, bytes);
    if (!block) return rt_fail(e, DLC_NO_MEMORY, RT_PATH ": no memory for its header", path);
    s->n = r.n;
    s->block = block;
    s->block_bytes = bytes;
    s->tensor = (RtTensorEntry *)(void *)block;
    memset(block, 0, (size_t)dims);
    r.fill = true;
    r.dims = (int64_t *)(void *)(block + dims);
    r.names = block + names;
    status = read_header(&r, header, (size_t)n);
    if (!status) status = check_layout(&r);
    if (status) rt_safetensors_close(s);
    return status;
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

static int read_at(int fd, void *to, int64_t n, int64_t at, const char *path, RtError *e)
{
    for (int64_t done = 0; done < n;) {
        int64_t want = n - done > 1 << 30 ? 1 << 30 : n - done;
        ssize_t got = pread(fd, (char *)to + done, (size_t)want, at + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rt_fail_errno(e, DLC_IO, errno, "cannot read " RT_PATH, path);
        if (got == 0) return rt_fail(e, DLC_BAD_FILE, RT_PATH " is shorter than it was a moment ago", path);
        done += got;
    }
    return DLC_OK;
}

static int open_file(const char *path, int *fd, int64_t *size, RtError *e)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);        /* a FIFO must not block */
    if (*fd < 0) return rt_fail_errno(e, errno == ENOENT ? DLC_NOT_FOUND : DLC_IO, errno, "cannot open " RT_PATH, path);
    int status = DLC_OK;
    if (fstat(*fd, &st)) status = rt_fail_errno(e, DLC_IO, errno, "cannot read " RT_PATH, path);
    else if (!S_ISREG(st.st_mode)) status = rt_fail(e, DLC_BAD_FILE, RT_PATH " is not a regular file", path);
    *size = st.st_size;
    if (status) close(*fd);
    return status;
}

/* The header's text, of *n bytes. */
static int read_text(int fd, int64_t size, const RtMemory *memory, const char *path, char **text, int64_t *n, RtError *e)
{
    unsigned char head[8];
    uint64_t len = 0;
    if (size < 8) return rt_fail(e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: it has only %lld bytes", path, (long long)size);
    int status = read_at(fd, head, 8, 0, path, e);
    if (status) return status;
    for (int i = 0; i < 8; i++) len |= (uint64_t)head[i] << 8 * i;
    if (len > MAX_HEADER) return rt_fail(e, DLC_BAD_FILE, RT_PATH " is not a safetensors file: its header is larger than 100 MB", path);
    if ((int64_t)len > size - 8)
        return rt_fail(e, DLC_BAD_FILE, RT_PATH " is truncated: its header has %lld bytes, the file %lld", path, (long long)len,
                       (long long)size);
    *n = (int64_t)len;
    *text = rt_alloc(memory, *n);
    if (!*text) return rt_fail(e, DLC_NO_MEMORY, RT_PATH ": no memory for its header", path);
    status = read_at(fd, *text, *n, 8, path, e);
    if (status) rt_free(memory, *text, *n);
    return status;
}

int rt_safetensors_open(RtSafetensors *s, const RtMemory *memory, const char *path, RtError *e)
{
    int fd;
    int64_t size = 0, n = 0;
    char *text = NULL;
    int status = open_file(path, &fd, &size, e);
    if (status) return status;
    status = read_text(fd, size, memory, path, &text, &n, e);
    if (!status) {
        status = rt_safetensors_parse(s, memory, path, text, n, size - 8 - n, e);
        rt_free(memory, text, n);
    }
    if (status) close(fd);
    else s->fd = fd;
    return status;
}

const RtTensorEntry *rt_safetensors_find(const RtSafetensors *s, const char *name)
{
    RtTensorEntry key = {.name = name, .name_len = (uint32_t)strlen(name)};
    for (uint32_t low = 0, high = s->n; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        int c = by_name(&key, &s->tensor[middle]);
        if (c == 0) return &s->tensor[middle];
        if (c < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

int rt_safetensors_read(const RtSafetensors *s, const RtTensorEntry *t, void *to, RtError *e)
{
    return read_at(s->fd, to, t->bytes, s->data + t->begin, s->path, e);
}

void rt_safetensors_close(RtSafetensors *s)
{
    rt_free(&s->memory, s->block, s->block_bytes);
    s->block = NULL;
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}
