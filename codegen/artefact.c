/* artefact.c - a program to a file that applications link, and its header. Both are written beside their destination and
 * renamed when all is there, so that a failure leaves what was there before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/artefact.h"

/* ---- files --------------------------------------------------------------------------------------------------------------- */

typedef struct Output {
    const char *shown;                  /* its name, as the user gave it */
    const char *path;                   /* never like an option of a program */
    const char *fresh;                  /* the new file, beside it */
} Output;

static bool fail(Arena *a, const Output *o, const char **error)
{
    *error = arena_printf(a, "cannot write %s: %s", o->shown, strerror(errno));
    return false;
}

static bool output_begin(Arena *a, Output *o, const char *path, const char **error)
{
    struct stat st;
    *o = (Output){.shown = path, .path = *path == '/' ? path : arena_printf(a, "./%s", path)};
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        *error = arena_printf(a, "cannot write %s: it exists and is not a regular file", path);
        return false;
    }
    const char *name = strrchr(o->path, '/') + 1;
    char *fresh = arena_printf(a, "%.*s.%s.XXXXXX", (int)(name - o->path), o->path, name);
    int fd = mkstemp(fresh);
    if (fd < 0) return fail(a, o, error);
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
    close(fd);
    o->fresh = fresh;
    return true;
}

static void output_drop(const Output *o)
{
    if (o->fresh) unlink(o->fresh);
}

static bool write_text(Arena *a, const Output *o, const Str *s, const char **error)
{
    int fd = open(o->fresh, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) return fail(a, o, error);
    for (size_t done = 0; done < s->n;) {
        ssize_t n = write(fd, s->at + done, s->n - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            fail(a, o, error);
            close(fd);
            return false;
        }
        done += (size_t)n;
    }
    return close(fd) == 0 || fail(a, o, error);
}

/* Both files into place; when the second cannot be, what stood in the first one's place returns. */
static bool publish(Arena *a, Output *code, Output *header, const char **error)
{
    const char *old = arena_printf(a, "%s.old", code->fresh);
    bool had = link(code->path, old) == 0, ok = true;
    if (rename(code->fresh, code->path)) {
        ok = fail(a, code, error);
    } else {
        code->fresh = NULL;
        if (header->fresh && rename(header->fresh, header->path)) {
            ok = fail(a, header, error);
            if (!had || rename(old, code->path)) unlink(code->path);
        } else {
            header->fresh = NULL;
        }
    }
    if (had) unlink(old);
    return ok;
}

/* ---- code ------------------------------------------------------------------------------------------------------------------ */

/* The object files of kernels, tables and entries. */
static bool make_objects(Emit *e, const Program *p, const CodegenOptions *o, LlvmObject object[2], uint32_t *n, const char **error)
{
    KernelCode *code = arena_array(e->arena, KernelCode, p->kernels.n + 1);
    e->has_library = true;
    if (!llvm_emit_kernels(e, p, code, error)) return false;
    LLVMValueRef model = artefact_tables(e, p, o, code, error);
    if (!model) return false;
    artefact_entries(e, p, model);
    return llvm_objects(e, object, n, error);
}

static bool compile(Arena *a, const Program *p, const CodegenOptions *o, ArtefactKind kind, const char *out, ArtefactInfo *info,
                    const char **error)
{
    LlvmObject object[2];
    uint32_t n;
    Emit *e = llvm_begin(a, o, p->module->name, error);
    if (!e) return false;
    bool ok = make_objects(e, p, o, object, &n, error);
    bool host = !o->cpu || !strcmp(o->cpu, "host");
    info->target = arena_printf(a, "%s%s", e->target->name, host ? " (this machine)" : "");
    if (ok) {
        LinkJob job = {.arena = a, .kind = kind, .target = e->target, .object = object, .nobjects = n, .prefix = artefact_prefix(a, p->module),
                       .blas = o->blas, .out = out};
        ok = artefact_link(&job, error);
    }
    llvm_end(e);
    struct stat st;
    if (ok && stat(out, &st) == 0) info->size = st.st_size;
    return ok;
}

bool artefact_write(Arena *a, const Program *p, const CodegenOptions *o, ArtefactKind kind, const char *path, const char *header,
                    ArtefactInfo *info, const char **error)
{
    Output code = {0}, text = {0};
    bool ok = output_begin(a, &code, path, error) && (!header || output_begin(a, &text, header, error));
    if (ok && header) {
        Str s = {.arena = a};
        artefact_header_note(&s, p->module, o->blas ? "Needs OpenBLAS: libopenblas.so.0 (link .o and .a with -lopenblas)." : NULL);
        ok = write_text(a, &text, &s, error);
    }
    ok = ok && compile(a, p, o, kind, code.fresh, info, error) && publish(a, &code, &text, error);
    output_drop(&code);
    output_drop(&text);
    return ok;
}
