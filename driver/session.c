/* session.c - one run of a subcommand: memory, diagnostics, common options, and the way from text to kernels. */
#include "driver/driver.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool colour_on(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    return (!no || !*no) && isatty(fileno(f));
}

void session_begin(Session *s)
{
    *s = (Session){.level = 2, .budget = -1};
    s->diags.arena = &s->arena;
}

int session_end(Session *s, bool ok)
{
    Str out = {.arena = &s->arena};
    if (s->json) {
        diag_json(&s->diags, &out);
        fputs(out.at, stdout);
    } else {
        diag_print(&s->diags, &out, colour_on(stderr));
        if (out.n) fputs(out.at, stderr);
        uint32_t errors = diag_count(&s->diags, DIAG_ERROR);
        if (errors > 1) fprintf(stderr, "%u errors\n", errors);
    }
    bool failed = !ok || s->diags.errors || (s->werror && s->diags.warnings);
    arena_free(&s->arena);
    return failed ? EXIT_INPUT : EXIT_OK;
}

uint32_t session_options(Session *s, Option *out)
{
    const Option common[] = {
        {0, "set", "NAME=VALUE", OPTION_LIST, &s->set, "value of an `arg` of the program; f.NAME for an imported file"},
        {0, "name", "NAME", OPTION_TEXT, &s->name, "prefix of the artefact's C names (default: the file's stem)"},
        {0, "cpu", "CPU", OPTION_TEXT, &s->cpu, "host (default), x86-64-v4, x86-64-v3 or generic"},
        {'O', NULL, "LEVEL", OPTION_LEVEL, &s->level, "0 to 3: how much to optimise (default 2)"},
        {0, "no-fuse", NULL, OPTION_FLAG, &s->no_fuse, "every operator its own kernel (to measure what fusion gives)"},
        {0, "no-plan", NULL, OPTION_FLAG, &s->no_plan, "every value its own memory"},
        {0, "blas", "openblas", OPTION_TEXT, &s->blas_name, "large products by OpenBLAS, which the artefact then needs"},
        {0, "f32-as", "f64", OPTION_CHOICE, &s->f32_as, "compile the whole program in double"},
        {0, "memory-budget", "BYTES", OPTION_BYTES, &s->budget, "at most that much workspace (64M, 1GiB): computes values again instead of keeping them"},
        {0, "werror", NULL, OPTION_FLAG, &s->werror, "warnings are errors"},
        {0, "json", NULL, OPTION_FLAG, &s->json, "print what a program can read"},
    };
    memcpy(out, common, sizeof common);
    return COUNT(common);
}

void session_error(Session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = arena_vprintf(&s->arena, fmt, ap);
    va_end(ap);
    diag_error(&s->diags, DL_general, (Span){0}, "%s", text);
}

bool is_ir_path(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && !strcmp(path + n - 3, ".ir");
}

static Module *read_ir(Session *s, const char *path)
{
    char *text;
    size_t n;
    const char *error;
    if (!file_read(&s->arena, path, 0, &text, &n, &error)) {
        session_error(s, "%s", error);
        return NULL;
    }
    Module *m = ir_read(&s->arena, &s->diags, diag_source(&s->diags, path, text, n));
    if (m && !ir_verify(&s->arena, m, "reading", &error)) {
        session_error(s, "%s: %s", path, error);
        return NULL;
    }
    if (m && s->name) m->name = s->name;
    return m;
}

static Module *compile_model(Session *s, const char *path)
{
    FrontendOptions o = {.name = s->name, .only = s->fn};
    o.set = arena_alloc_array(&s->arena, s->set.n + 1, sizeof *o.set);
    for (uint32_t i = 0; i < s->set.n; i++) {
        const char *text = s->set.at[i], *eq = strchr(text, '=');
        if (!eq) {
            session_error(s, "--set wants NAME=VALUE, not '%s'", text);
            return NULL;
        }
        o.set[o.nset].name = arena_strndup(&s->arena, text, (size_t)(eq - text));
        o.set[o.nset++].value = eq + 1;
    }
    return frontend_compile(&s->arena, &s->diags, path, &o);
}

Module *session_frontend(Session *s, const char *path)
{
    Module *m = is_ir_path(path) ? read_ir(s, path) : compile_model(s, path);
    if (m && s->f32_as) retype_f32_as_f64(m);
    return m;
}

Module *session_passes(Session *s, const char *path, const char *after)
{
    Module *m = session_frontend(s, path);
    if (!m) return NULL;
    if (after && !strcmp(after, "frontend")) return m;
    PassOptions o = {.level = s->level, .stop_after = after, .verify = is_ir_path(path)};
    PassTimes times = {0};
    const char *error = NULL;
    if (!passes_run(m, &o, &times, &error)) {
        fprintf(stderr, "dlc: internal error: %s\n", error);
        exit(EXIT_OURS);
    }
    for (uint32_t i = 0; i < times.n && s->time_passes; i++) fprintf(stderr, "%-12s %7.2f ms\n", times.name[i], 1e3 * times.seconds[i]);
    return s->diags.errors ? NULL : m;
}

static bool is_identifier(const char *name)
{
    bool ok = isalpha((unsigned char)*name) || *name == '_';
    for (; *name && ok; name++) ok = isalnum((unsigned char)*name) || *name == '_';
    return ok;
}

/* Names that become C: a model's are identifiers, but --name and IR text may say anything. */
static bool check_names(Session *s, const Module *m)
{
    VEC(const char *) names = {0};
    vec_push(&s->arena, &names, m->name);
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.at[i];
        vec_push(&s->arena, &names, f->name);
        for (uint32_t k = 0; k < f->args.n; k++)
            if (f->args.at[k].role == ARG_INPUT) vec_push(&s->arena, &names, f->args.at[k].name);
        for (uint32_t k = 0; k < f->results.n; k++)
            if (!f->results.at[k].param) vec_push(&s->arena, &names, f->results.at[k].name);
    }
    for (uint32_t i = 0; i < names.n; i++) {
        if (is_identifier(names.at[i])) continue;
        session_error(s, "the name '%s' is no identifier of C", names.at[i]);
        return false;
    }
    return true;
}

/* A dim's size: as --dim says it, or its upper bound, or the batch. */
static bool largest(void *user, const Atom *sym, int64_t *value)
{
    const Session *s = user;
    if (s->dims && given_dim(s->dims, sym->name, value)) return true;
    *value = sym->hi < INT64_MAX ? sym->hi : s->batch;
    return *value > 0;
}

static Module *within_budget(Session *s, Module *m, const CodegenOptions *o)
{
    const char *error = NULL;
    VEC(const char *) names = {0};
    for (uint32_t i = 0; i < m->funcs.n; i++)
        for (uint32_t k = 0; k < m->funcs.at[i]->dims.n; k++) vec_push(&s->arena, &names, dim_as_sym(m->funcs.at[i]->dims.at[k])->name);
    if (s->dims && !check_dims(s, s->dims, names.at, names.n)) return NULL;
    m = budget_fit(&s->arena, m, o, s->budget, largest, s, &error);
    if (!m) session_error(s, "%s", error);
    return m;
}

Program *session_program(Session *s, const char *path, CodegenOptions *o)
{
    if (s->blas_name && strcmp(s->blas_name, "openblas")) {
        session_error(s, "--blas knows openblas, not '%s'", s->blas_name);
        return NULL;
    }
    *o = (CodegenOptions){.cpu = s->cpu, .blas = s->blas_name != NULL, .level = s->level, .no_fuse = s->no_fuse || s->level == 0, .no_plan = s->no_plan};
    Module *m = session_passes(s, path, NULL);
    if (!m || !check_names(s, m)) return NULL;
    const char *error = NULL;
    if (s->budget >= 0 && !(m = within_budget(s, m, o))) return NULL;
    Program *p = program_build(&s->arena, m, o, &error);
    if (!p) session_error(s, "%s: %s", path, error);
    if (p && s->explain && !s->json) {                  /* with --json stdout is for programs */
        Str out = {.arena = &s->arena};
        explain_program(s, p, &out);
        fputs(out.at, stdout);
    }
    return p;
}

bool given_dim(const TextList *given, const char *name, int64_t *value)
{
    for (uint32_t i = 0; i < given->n; i++) {
        const char *text = given->at[i], *eq = strchr(text, '=');
        if (!eq || (size_t)(eq - text) != strlen(name) || memcmp(text, name, (size_t)(eq - text))) continue;
        char *end;
        errno = 0;
        *value = strtoll(eq + 1, &end, 10);
        return !errno && end != eq + 1 && !*end && *value >= 0;
    }
    return false;
}

bool check_dims(Session *s, const TextList *given, const char *const *names, size_t n)
{
    for (uint32_t i = 0; i < given->n; i++) {
        const char *text = given->at[i], *eq = strchr(text, '=');
        if (!eq) return session_error(s, "--dim wants NAME=N, not '%s'", text), false;
        const char *name = arena_strndup(&s->arena, text, (size_t)(eq - text));
        int64_t value;
        bool known = false;
        for (size_t k = 0; k < n; k++) known |= !strcmp(names[k], name);
        if (known && given_dim(given, name, &value)) continue;
        const char *near = nearest(name, names, n);
        if (known) session_error(s, "--dim %s: not a size", text);
        else if (near) session_error(s, "no dim '%s'; did you mean '%s'?", name, near);
        else session_error(s, "no dim '%s'", name);
        return false;
    }
    return true;
}

const char *size_text(Arena *a, double bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    uint32_t u = 0;
    for (; bytes >= 1024 && u + 1 < COUNT(unit); u++) bytes /= 1024;
    return arena_printf(a, u == 0 || bytes >= 10 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
}
