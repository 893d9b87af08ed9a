/* compile.c - `dlc FILE`: text to shared object and header. */
#include "driver/driver.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Refusing other names keeps `-o model.dl` from overwriting the model. */
static bool is_artefact(const char *out) { return ends_with(out, ".so") || ends_with(out, ".o") || ends_with(out, ".a"); }

static ArtefactKind kind_of(const char *out)
{
    return ends_with(out, ".o") ? ARTEFACT_O : ends_with(out, ".a") ? ARTEFACT_A : ARTEFACT_SO;
}

/* "dir/mlp.so" -> "dir/mlp.h" */
static const char *header_path(Arena *a, const char *out)
{
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    size_t n = dot && (!slash || dot > slash) ? (size_t)(dot - out) : strlen(out);
    return arena_printf(a, "%.*s.h", (int)n, out);
}

/* What was made, as one JSON object. */
static void result_json(Session *s, const Program *p, const char *out, const char *header, const ArtefactInfo *info, double seconds)
{
    Str text = {.arena = &s->arena};
    str_add(&text, "{\"file\": ");
    str_json(&text, out, strlen(out));
    str_add(&text, ", \"header\": ");
    str_json(&text, header, strlen(header));
    str_fmt(&text, ", \"bytes\": %lld, \"target\": ", (long long)info->size);
    str_json(&text, info->target, strlen(info->target));
    str_fmt(&text, ", \"seconds\": %.6f, \"functions\": [", seconds);
    for (uint32_t i = 0, n = 0; i < p->funcs.n; i++) {
        const Func *f = p->funcs.at[i]->func;
        if (!f->exported) continue;
        if (n++) str_add(&text, ", ");
        str_json(&text, f->name, strlen(f->name));
    }
    str_add(&text, "], \"diagnostics\": ");
    diag_json(&s->diags, &text);
    while (text.n && text.at[text.n - 1] == '\n') text.at[--text.n] = 0;
    printf("%s}\n", text.at);
}

/* An interrupt waits until both files are in place or gone: it takes less than a second. */
static bool write_uninterrupted(Session *s, const Program *p, const CodegenOptions *o, ArtefactKind kind, const char *out,
                                const char *header, ArtefactInfo *info, const char **error)
{
    sigset_t stop, before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT), sigaddset(&stop, SIGTERM), sigaddset(&stop, SIGHUP);
    sigprocmask(SIG_BLOCK, &stop, &before);
    bool ok = artefact_write(&s->arena, p, o, kind, out, header, info, error);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static bool compile(Session *s, const char *path, const char *out, bool quiet)
{
    double start = time_now();
    if (out && !is_artefact(out)) {
        session_error(s, "-o %s: an artefact's name ends with .so, .o or .a", out);
        return false;
    }
    if (!strcmp(path, "-") && !(s->name && out)) {
        if (!out) {
            session_error(s, "a model from stdin needs -o OUT.so");
            return false;
        }
        if (!s->name) s->name = path_identifier(&s->arena, path_stem(&s->arena, out));
    }
    CodegenOptions o;
    Program *p = session_program(s, path, &o);
    if (!p) return false;
    if (!out) out = arena_printf(&s->arena, "%s.so", path_stem(&s->arena, path));
    const char *header = header_path(&s->arena, out), *error = NULL;
    ArtefactInfo info = {0};
    if (!write_uninterrupted(s, p, &o, kind_of(out), out, header, &info, &error)) {
        session_error(s, "%s", error);
        return false;
    }
    uint32_t functions = 0;
    for (uint32_t i = 0; i < p->funcs.n; i++) functions += p->funcs.at[i]->func->exported;
    if (s->json)
        result_json(s, p, out, header, &info, time_now() - start);
    else if (!quiet)
        printf("%s %s, %s, %u function%s, %s, %.0f ms\n", out, size_text(&s->arena, (double)info.size), header, functions,
               functions == 1 ? "" : "s", info.target, 1e3 * (time_now() - start));
    return true;
}

int command_compile(int argc, char **argv)
{
    static const Command self = {"compile", "dlc FILE.dl [-o OUT.so|OUT.o|OUT.a]", "Compile a model into a shared object (or .o, .a) and its C header.", NULL};
    Session s;
    session_begin(&s);
    const char *out = NULL;
    bool quiet = false;
    TextList dims = {0};
    s.dims = &dims;
    Option options[24] = {
        {'o', "output", "OUT", OPTION_TEXT, &out, "where to write; .so, .o or .a, and a .h beside it (default: the stem, here)"},
        {'q', "quiet", NULL, OPTION_FLAG, &quiet, "print nothing on success"},
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "compile this export alone"},
        {0, "time-passes", NULL, OPTION_FLAG, &s.time_passes, "how long each pass took"},
        {0, "dim", "NAME=N", OPTION_LIST, &dims, "size of a symbolic dim, for --memory-budget and --explain"},
        {0, "explain", NULL, OPTION_FLAG, &s.explain, "print what every kernel does, and what the memory goes to"},
    };
    uint32_t n = 6 + session_options(&s, options + 6);
    TextList rest = {0};
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (rest.n != 1) {
        usage_error(&self, rest.n ? "one model at a time" : "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = compile(&s, rest.at[0], out, quiet);
    if (ok && s.json) {                                 /* the result was the JSON, with the warnings in it */
        s.json = false;
        s.diags.list.n = 0;
    }
    return session_end(&s, ok);
}

bool compile_temporary(Session *s, const char *path, const CodegenOptions *o, TempArtefact *t)
{
    const char *base = getenv("TMPDIR"), *error = NULL;
    char *folder = arena_printf(&s->arena, "%s/dlc-XXXXXX", base && *base ? base : "/tmp");
    CodegenOptions own;
    Program *p = session_program(s, path, &own);
    if (!p) return false;
    if (o) own = *o;
    if (!mkdtemp(folder)) {
        session_error(s, "cannot make a temporary folder %s: %s", folder, strerror(errno));
        return false;
    }
    *t = (TempArtefact){folder, arena_printf(&s->arena, "%s/model.so", folder)};
    ArtefactInfo info;
    if (write_uninterrupted(s, p, &own, ARTEFACT_SO, t->so, NULL, &info, &error)) return true;
    session_error(s, "%s", error);
    remove_temporary(t);
    return false;
}

void remove_temporary(const TempArtefact *t)
{
    if (!t->folder) return;
    unlink(t->so);
    rmdir(t->folder);
}
