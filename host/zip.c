/* zip.c - NumPy's .npz files: zip archives of .npy files, stored or deflated. Their directory at the end says where each
 * lies; nothing in it is believed that the file does not bear out. Format: PKWARE's APPNOTE.TXT, sections 4.3 and 4.4.
 */
#include <string.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "host/internal.h"

static bool bad(Arena *a, const char *path, const char *why, const char **error)
{
    *error = arena_printf(a, "%s: not a .npz file that can be read: %s", path, why);
    return false;
}

#ifdef HAVE_ZLIB
enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, MAX_NAMES = 10 };
enum { MAX_DEFLATE = 1032 };            /* bytes that a byte of deflated data can stand for */

typedef struct Member {
    const char *name;
    size_t      name_bytes;
    uint32_t    flags, method, crc;
    uint64_t    packed, bytes, local;   /* local: where its own header begins */
} Member;

static uint32_t get16(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return u[0] | (uint32_t)u[1] << 8;
}

static uint32_t get32(const char *p)
{
    return get16(p) | get16(p + 2) << 16;
}

/* The record at the end of the archive, in front of a comment of any length. */
static const char *find_end(const char *text, size_t n)
{
    if (n < END_BYTES) return NULL;
    size_t lowest = n - END_BYTES > 65535 ? n - END_BYTES - 65535 : 0;
    for (size_t i = n - END_BYTES + 1; i-- > lowest;)
        if (!memcmp(text + i, "PK\5\6", 4) && get16(text + i + 20) == n - END_BYTES - i) return text + i;
    return NULL;
}

/* "x" is the member "x.npy", or "x". */
static bool is_named(const Member *m, const char *key)
{
    size_t n = strlen(key);
    bool begins = m->name_bytes >= n && !memcmp(m->name, key, n);
    return begins && (m->name_bytes == n || (m->name_bytes == n + 4 && !memcmp(m->name + n, ".npy", 4)));
}

static bool inflate_member(const char *packed, const Member *m, char *to)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return false;
    uint64_t in = m->packed, out = m->bytes;
    z.next_in = (Bytef *)(uintptr_t)packed, z.next_out = (Bytef *)to;
    int status = Z_OK;
    while (status == Z_OK) {
        if (!z.avail_in) z.avail_in = in > 1u << 30 ? 1u << 30 : (uInt)in, in -= z.avail_in;
        if (!z.avail_out) z.avail_out = out > 1u << 30 ? 1u << 30 : (uInt)out, out -= z.avail_out;
        status = inflate(&z, Z_NO_FLUSH);
    }
    inflateEnd(&z);
    return status == Z_STREAM_END && !out && !z.avail_out;
}

static bool unpack(Arena *a, const char *path, const char *text, size_t n, const Member *m, char **data, const char **error)
{
    if (m->flags & 1) return bad(a, path, "it is encrypted", error);
    if (m->packed == UINT32_MAX || m->bytes == UINT32_MAX || m->local == UINT32_MAX)
        return bad(a, path, "arrays beyond 4 GiB (zip64) are not supported: save each as a .npy file", error);
    if (m->method != 0 && m->method != 8) return bad(a, path, arena_printf(a, "an unknown compression, %u", m->method), error);
    if (m->local > n || n - m->local < LOCAL_BYTES || memcmp(text + m->local, "PK\3\4", 4)) return bad(a, path, "its directory is broken", error);
    const char *local = text + m->local;
    uint64_t head = (uint64_t)LOCAL_BYTES + get16(local + 26) + get16(local + 28), left = n - m->local;
    if (head > left || m->packed > left - head) return bad(a, path, "it is truncated", error);
    if (m->method == 0 ? m->bytes != m->packed : m->bytes / MAX_DEFLATE > m->packed) return bad(a, path, "its directory is broken", error);
    *data = arena_alloc(a, (size_t)m->bytes + 1);
    if (m->method == 0) memcpy(*data, local + head, (size_t)m->bytes);
    else if (!inflate_member(local + head, m, *data)) return bad(a, path, "its compressed data is broken", error);
    if (crc32_z(0, (const Bytef *)*data, (size_t)m->bytes) != m->crc) return bad(a, path, "a checksum differs: its data is broken", error);
    return true;
}

bool npz_parse(Arena *a, const char *path, const char *text, size_t n, const char *key, dlc_tensor *t, const char **error)
{
    const char *end = find_end(text, n);
    if (!end) return bad(a, path, "it has no directory: it is truncated", error);
    uint32_t count = get16(end + 10);
    uint64_t size = get32(end + 12), at = get32(end + 16), limit = (uint64_t)(end - text);
    if (count == UINT16_MAX || at == UINT32_MAX) return bad(a, path, "large archives (zip64) are not supported: save each array as a .npy file", error);
    if (at > limit || size > limit - at) return bad(a, path, "its directory is broken", error);
    Str names = {.arena = a};
    str_addn(&names, "", 0);
    Member found = {0};
    uint32_t matches = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *e = text + at;
        if (limit - at < ENTRY_BYTES || memcmp(e, "PK\1\2", 4)) return bad(a, path, "its directory is broken", error);
        uint64_t whole = (uint64_t)ENTRY_BYTES + get16(e + 28) + get16(e + 30) + get16(e + 32);
        if (whole > limit - at) return bad(a, path, "its directory is broken", error);
        Member m = {.name = e + ENTRY_BYTES, .name_bytes = get16(e + 28), .flags = get16(e + 8), .method = get16(e + 10),
                    .crc = get32(e + 16), .packed = get32(e + 20), .bytes = get32(e + 24), .local = get32(e + 42)};
        at += whole;
        size_t shown = m.name_bytes > 4 && !memcmp(m.name + m.name_bytes - 4, ".npy", 4) ? m.name_bytes - 4 : m.name_bytes;
        if (i < MAX_NAMES) str_fmt(&names, "%s%.*s", i ? ", " : "", (int)shown, m.name);
        if (key && !is_named(&m, key)) continue;
        found = m;
        matches++;
    }
    if (count > MAX_NAMES) str_add(&names, ", ...");
    if (matches != 1) {
        *error = !count ? arena_printf(a, "%s: it holds no arrays", path)
                 : key  ? arena_printf(a, "%s: %s array \"%s\"; it has %s", path, matches ? "more than one" : "no", key, names.at)
                        : arena_printf(a, "%s: it holds %u arrays; name one: %s:KEY, of %s", path, count, path, names.at);
        return false;
    }
    char *data;
    if (!unpack(a, path, text, n, &found, &data, error)) return false;
    const char *inner = arena_printf(a, "%s:%.*s", path, (int)found.name_bytes, found.name);
    if (found.bytes < 6 || memcmp(data, "\x93NUMPY", 6)) return bad(a, inner, "it is not a .npy file", error);
    return npy_parse(a, inner, data, (size_t)found.bytes, t, error);
}
#else
bool npz_parse(Arena *a, const char *path, const char *text, size_t n, const char *key, dlc_tensor *t, const char **error)
{
    (void)text, (void)n, (void)key, (void)t;
    return bad(a, path, "this dlc was built without zlib: save each array as a .npy file", error);
}
#endif
