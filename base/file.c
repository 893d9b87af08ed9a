/* file.c - reading whole files, writing them atomically, and taking paths apart. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool fail(Arena *a, const char **error, const char *doing, const char *path, const char *why)
{
    if (error) *error = arena_printf(a, "cannot %s %s: %s", doing, path, why);
    return false;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static bool read_all(Arena *a, int fd, const char *path, size_t limit, char **text, size_t *n, const char **error)
{
    struct stat st;
    if (fstat(fd, &st)) return fail(a, error, "read", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return fail(a, error, "read", path, strerror(EISDIR));

    /* The size is a first guess: pipes have none, and a file may grow meanwhile. */
    size_t cap = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 64 << 10, used = 0;
    if (cap > limit) cap = limit + 1;
    char *at = arena_alloc(a, cap);
    for (;;) {
        ssize_t got = read(fd, at + used, cap - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(a, error, "read", path, strerror(errno));
        if (got == 0) break;
        used += (size_t)got;
        if (used > limit) {
            char why[64];
            snprintf(why, sizeof why, "larger than the limit of %zu bytes", limit);
            return fail(a, error, "read", path, why);
        }
        if (used == cap) {
            char *larger = arena_alloc(a, cap * 2);
            memcpy(larger, at, used);
            at = larger;
            cap *= 2;
        }
    }
    at[used] = 0;
    *text = at;
    *n = used;
    return true;
}

bool file_read(Arena *a, const char *path, size_t limit, char **text, size_t *n, const char **error)
{
    if (limit == 0) limit = (size_t)1 << 30;
    if (!strcmp(path, "-")) return read_all(a, STDIN_FILENO, "standard input", limit, text, n, error);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(a, error, "open", path, strerror(errno));
    bool ok = read_all(a, fd, path, limit, text, n, error);
    close(fd);
    return ok;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t put = write(fd, data, n > 1u << 30 ? 1u << 30 : n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        data += put;
        n -= (size_t)put;
    }
    return true;
}

/* Create a file with a name of its own in `dir`. -1: errno says why. */
static int open_temporary(Arena *a, const char *dir, mode_t mode, const char **name)
{
    for (int i = 0; i < 1000; i++) {
        *name = path_join(a, dir, arena_printf(a, ".dlc-%ld-%d.tmp", (long)getpid(), i));
        int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

bool file_write(Arena *a, const char *path, const void *data, size_t n, const char **error)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;

    if (exists && S_ISDIR(st.st_mode)) return fail(a, error, "write", path, strerror(EISDIR));
    if (exists && !S_ISREG(st.st_mode)) {               /* /dev/null, a pipe: nothing to put in its place */
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write_all(fd, data, n);
        int why = errno;
        if (fd >= 0) close(fd);
        return ok || fail(a, error, "write", path, strerror(why));
    }
    if (exists && access(path, W_OK)) return fail(a, error, "write", path, strerror(errno));

    char real[PATH_MAX];
    const char *target = exists && realpath(path, real) ? real : path;   /* a symbolic link stays one */
    const char *name = NULL;
    int fd = open_temporary(a, path_dir(a, target), exists ? 0600 : 0666, &name);
    if (fd < 0) return fail(a, error, "write", path, strerror(errno));

    bool ok = write_all(fd, data, n) && (!exists || !fchmod(fd, st.st_mode & 07777)) && !fsync(fd);
    int why = errno;
    if (close(fd) && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(name, target)) {
        ok = false;
        why = errno;
    }
    if (!ok) unlink(name);
    return ok || fail(a, error, "write", path, strerror(why));
}

/* ---- paths ------------------------------------------------------------------------------------ */

const char *path_stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return arena_strndup(a, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

const char *path_dir(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return ".";
    return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

const char *path_join(Arena *a, const char *dir, const char *name)
{
    if (*name == '/' || !*dir || !strcmp(dir, ".")) return arena_strndup(a, name, strlen(name));
    return arena_printf(a, dir[strlen(dir) - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

/* A prefix must name a type in C and C++, so their keywords get '_' after them. */
static const char *const keywords[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char",
    "class", "compl", "concept", "const", "constexpr", "continue", "decltype", "default", "delete", "do", "double",
    "else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int",
    "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "register", "requires", "restrict", "return", "short", "signed", "sizeof", "static",
    "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union",
    "unsigned", "using", "virtual", "void", "volatile", "while", "xor", "xor_eq",
};

const char *path_identifier(Arena *a, const char *stem)
{
    Str s = {.arena = a};
    if (!*stem || (*stem >= '0' && *stem <= '9')) str_char(&s, '_');
    for (; *stem; stem++) {
        char c = *stem;
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        str_char(&s, fits ? c : '_');
    }
    for (size_t i = 0; i < COUNT(keywords); i++)
        if (!strcmp(s.at, keywords[i])) {
            str_char(&s, '_');
            break;
        }
    return s.at;
}

double time_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
