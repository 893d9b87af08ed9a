/* artefact_link.c - from the object file that LLVM made to an artefact: linked with the runtime by the system's `ld`, made
 * private by `objcopy`, packed by `ar`. They get their arguments without a shell; their files lie in a temporary folder of
 * our own, which is gone afterwards whatever happened.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/artefact.h"

typedef struct Work {
    const LinkJob *j;
    Arena         *a;
    const char    *folder;
    VEC(const char *) files;            /* to be removed from it */
    VEC(const char *) inputs;           /* object files to link */
    const char   **error;
} Work;

static bool fail(Work *w, const char *error)
{
    *w->error = error;
    return false;
}

/* ---- files ------------------------------------------------------------------------------------------------------------- */

static bool make_folder(Work *w)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = "/tmp";
    char *folder = arena_printf(w->a, "%s%s/dlc-link-XXXXXX", *base == '/' ? "" : "./", base);
    if (!mkdtemp(folder)) return fail(w, arena_printf(w->a, "cannot make a temporary folder in %s: %s", base, strerror(errno)));
    w->folder = folder;
    return true;
}

static void remove_folder(const Work *w)
{
    if (!w->folder) return;
    for (uint32_t i = 0; i < w->files.n; i++) unlink(w->files.at[i]);
    rmdir(w->folder);
}

static const char *file_in(Work *w, const char *name)
{
    const char *path = arena_printf(w->a, "%s/%s", w->folder, name);
    vec_push(w->a, &w->files, path);
    return path;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        p += done, n -= (size_t)done;
    }
    return true;
}

static bool write_file(Work *w, const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_all(fd, data, n);
    int why = errno;
    if (fd >= 0 && close(fd) && ok) ok = false, why = errno;
    return ok || fail(w, arena_printf(w->a, "cannot write %s: %s", path, strerror(why)));
}

/* ---- programs ------------------------------------------------------------------------------------------------------------ */

typedef struct Command { VEC(const char *) arg; } Command;

static void add(Work *w, Command *c, const char *arg)
{
    vec_push(w->a, &c->arg, arg);
}

/* What it said, without our temporary names; its first lines are enough. */
static const char *complaint(Work *w, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    const char *error;
    if (!file_read(w->a, path, 1 << 20, &text, &n, &error) || n == 0) return "it said nothing";
    uint32_t lines = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n' && ++lines == 3) text[i] = 0, n = i;
    while (n > 0 && text[n - 1] == '\n') text[--n] = 0;
    return text;
}

/* Run arg[0], found through PATH; what it prints goes to a file. */
static bool run(Work *w, Command *c)
{
    extern char **environ;
    const char *name = c->arg.at[0], *output = file_in(w, "output");
    add(w, c, NULL);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid;
    int status = 0, why = posix_spawnp(&pid, name, &actions, NULL, (char *const *)(uintptr_t)c->arg.at, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (why == ENOENT) return fail(w, arena_printf(w->a, "cannot find `%s`, which makes the artefact: install binutils", name));
    if (why) return fail(w, arena_printf(w->a, "cannot run `%s`: %s", name, strerror(why)));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return fail(w, arena_printf(w->a, "cannot wait for `%s`: %s", name, strerror(errno)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    /* 127: what posix_spawn leaves of a program that could not be started. */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail(w, arena_printf(w->a, "cannot run `%s`: is binutils installed?", name));
    if (WIFSIGNALED(status)) return fail(w, arena_printf(w->a, "`%s` was killed by signal %d", name, WTERMSIG(status)));
    return fail(w, arena_printf(w->a, "`%s` failed: %s", name, complaint(w, output)));
}

/* ---- what to link with ------------------------------------------------------------------------------------------------------ */

/* Where the loader finds a library: no development packages are needed. NULL: it does not. */
static const char *library(Work *w, const char *soname)
{
    void *handle = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    struct link_map *map = NULL;
    const char *path = NULL;
    if (!handle) return NULL;
    if (!dlinfo(handle, RTLD_DI_LINKMAP, &map) && map && map->l_name && *map->l_name)
        path = arena_strndup(w->a, map->l_name, strlen(map->l_name));
    dlclose(handle);
    return path;
}

static bool add_library(Work *w, Command *c, const char *soname)
{
    const char *path = library(w, soname);
    if (!path) return fail(w, arena_printf(w->a, "cannot find %s, which the artefact is linked with", soname));
    add(w, c, path);
    return true;
}

static void add_objects(Work *w, Command *c)
{
    for (uint32_t i = 0; i < w->inputs.n; i++) add(w, c, w->inputs.at[i]);
}

static bool link_so(Work *w)
{
    const char *script = file_in(w, "exports");
    const char *text = arena_printf(w->a, "{ global: %s_*; local: *; };\n", w->j->prefix);
    if (!write_file(w, script, text, strlen(text))) return false;
    Command c = {0};
    static const char *const options[] = {
        "ld", "-shared", "--gc-sections", "-Bsymbolic", "-z", "relro", "-z", "now", "-z", "noexecstack", "-z", "noseparate-code",
        "--hash-style=sysv", "--no-undefined", "--as-needed", "--build-id=none", "--no-ld-generated-unwind-info",
        "--version-script",
    };
    for (size_t i = 0; i < COUNT(options); i++) add(w, &c, options[i]);
    add(w, &c, script);
    add(w, &c, "-o");
    add(w, &c, w->j->out);
    add_objects(w, &c);
    if (w->j->blas && !add_library(w, &c, "libopenblas.so.0")) return false;
    if (!add_library(w, &c, "libm.so.6") || !add_library(w, &c, "libc.so.6")) return false;
#if defined(__x86_64__)
    if (!add_library(w, &c, "ld-linux-x86-64.so.2")) return false;      /* __tls_get_addr */
#endif
    return run(w, &c);
}

/* One object whose only global names are the exported ones: two of them link into one program. */
static bool link_o(Work *w, const char *out)
{
    Command ld = {0}, objcopy = {0};
    const char *const link[] = {"ld", "-r", "-z", "noexecstack", "-o", out};
    for (size_t i = 0; i < COUNT(link); i++) add(w, &ld, link[i]);
    add_objects(w, &ld);
    const char *const hide[] = {"objcopy", "--localize-hidden", out};
    for (size_t i = 0; i < COUNT(hide); i++) add(w, &objcopy, hide[i]);
    return run(w, &ld) && run(w, &objcopy);
}

static bool link_a(Work *w)
{
    const char *member = file_in(w, arena_printf(w->a, "%s.o", w->j->prefix));
    if (!link_o(w, member)) return false;
    unlink(w->j->out);                                  /* ar would add to what is there */
    Command c = {0};
    const char *const arg[] = {"ar", "rcsD", w->j->out, member};
    for (size_t i = 0; i < COUNT(arg); i++) add(w, &c, arg[i]);
    return run(w, &c);
}

static bool add_input(Work *w, const char *name, const void *data, size_t n)
{
    const char *path = file_in(w, name);
    vec_push(w->a, &w->inputs, path);
    return write_file(w, path, data, n);
}

static bool add_micro_kernels(Work *w)
{
    const struct { const unsigned char *bytes; size_t size; } row[] = {
        {embedded_micro0, embedded_micro0_size}, {embedded_micro1, embedded_micro1_size}, {embedded_micro2, embedded_micro2_size}};
    for (uint32_t i = 0; i < COUNT(row); i++)
        if (target_row(i) == w->j->target) return add_input(w, "micro.o", row[i].bytes, row[i].size);
    return fail(w, "no micro-kernels were built for this target");
}

bool artefact_link(const LinkJob *j, const char **error)
{
    Work w = {.j = j, .a = j->arena, .error = error};
    bool ok = make_folder(&w);
    if (ok) {
        for (uint32_t i = 0; i < j->nobjects && ok; i++) ok = add_input(&w, i ? "model2.o" : "model.o", j->object[i].bytes, j->object[i].size);
        ok = ok && add_input(&w, "runtime.o", embedded_runtime, embedded_runtime_size) && add_micro_kernels(&w);
        if (ok && j->kind == ARTEFACT_SO) ok = link_so(&w);
        else if (ok && j->kind == ARTEFACT_O) ok = link_o(&w, j->out);
        else if (ok) ok = link_a(&w);
    }
    remove_folder(&w);
    return ok;
}
