/* inspect.c - `dlc inspect`: what the compiler makes of a model, stage by stage. */
#include "driver/driver.h"

#include <string.h>

typedef struct Views {
    bool ast, ir, kernels, plan, header, llvm, assembly;
} Views;

static void print_kernels(Str *out, const Program *p)
{
    for (uint32_t i = 0; i < p->kernels.n; i++) {
        const Kernel *k = p->kernels.at[i];
        str_fmt(out, "%s# %s\n%s", i ? "\n" : "", k->name, k->text);
    }
}

static const char *buffer_name(Arena *a, const ProgramFunc *f, uint32_t b)
{
    static const char *const kind[] = {"input", "output", "param", "const", "work"};
    const Buffer *x = &f->buffers.at[b];
    if (x->kind == BUFFER_PARAM) return arena_printf(a, "param %s", f->func->module->params.at[x->index]->path);
    if (x->kind == BUFFER_OUTPUT) {
        const Result *r = &f->func->results.at[x->index];
        return arena_printf(a, "%s %s", r->param ? "param" : "output", r->name);
    }
    return arena_printf(a, "%s b%u", kind[x->kind], b);
}

/* "commit if b5 (the loss), b6 (the gradient of `l1.weight`)": where a call can fail no more. */
static void print_commit(Arena *a, Str *out, const ProgramFunc *f)
{
    str_add(out, "      commit");
    for (uint32_t i = 0; i < f->guards.n; i++)
        str_fmt(out, "%s %s (%s)", i ? "," : " if", buffer_name(a, f, f->guards.at[i]), f->func->guards.at[i].what);
    str_char(out, '\n');
}

static bool changes_params(const Func *f)
{
    for (uint32_t i = 0; i < f->results.n && f->exported; i++)
        if (f->results.at[i].param) return true;
    return false;
}

static void print_plan(Arena *a, Str *out, const Program *p)
{
    for (uint32_t i = 0; i < p->funcs.n; i++) {
        const ProgramFunc *f = p->funcs.at[i];
        str_fmt(out, "%sfunc %s: %u steps, workspace ", i ? "\n" : "", f->func->name, f->steps.n);
        if (f->work >= 0) str_fmt(out, "%lld bytes", (long long)f->work);
        else str_add(out, "packed at capacity");
        bool commits = changes_params(f->func);
        if (commits) str_fmt(out, ", %lld bytes of params copied", (long long)f->copied);
        str_char(out, '\n');
        commits |= f->guards.n > 0;
        for (uint32_t s = 0; s <= f->steps.n; s++) {
            if (commits && s == f->commit) print_commit(a, out, f);
            if (s == f->steps.n) break;
            const Step *step = &f->steps.at[s];
            str_fmt(out, "  %3u %s:", s, step->kernel->name);
            for (uint32_t o = 0; o < step->kernel->operands.n; o++)
                str_fmt(out, "%s%s", step->kernel->operands.at[o].written ? " -> " : o ? ", " : " ", buffer_name(a, f, step->buffer[o]));
            str_char(out, '\n');
        }
        for (uint32_t b = 0; b < f->buffers.n; b++) {
            const Buffer *x = &f->buffers.at[b];
            if (x->kind != BUFFER_WORK) continue;
            str_fmt(out, "  b%u: %s %s, steps %u to %u", b, dtype_name(x->dtype), dim_text(a, x->count), x->first, x->last);
            if (x->shares != NO_BUFFER) str_fmt(out, ", in place of b%u", x->shares);
            else if (x->offset >= 0) str_fmt(out, ", at %lld", (long long)x->offset);
            str_char(out, '\n');
        }
    }
}

static bool inspect_ast(Session *s, const char *path, Str *out)
{
    char *text;
    size_t n;
    const char *error;
    if (!file_read(&s->arena, path, 0, &text, &n, &error)) {
        session_error(s, "%s", error);
        return false;
    }
    Strings names = {.arena = &s->arena};
    ast_print(out, parse_file(&s->arena, &names, &s->diags, diag_source(&s->diags, path, text, n)));
    return s->diags.errors == 0;
}

static bool inspect(Session *s, const char *path, const char *after, const Views *v, Str *out)
{
    if (v->ast) return inspect_ast(s, path, out);
    if (v->ir) {
        Module *m = session_passes(s, path, after);
        if (m) ir_print(out, m);
        return m != NULL;
    }
    if (v->header) {
        Module *m = session_passes(s, path, NULL);
        if (m) artefact_header(out, m);
        return m != NULL;
    }
    CodegenOptions o;
    Program *p = session_program(s, path, &o);
    if (!p) return false;
    const char *error = NULL;
    if (v->kernels) print_kernels(out, p);
    if (v->plan) print_plan(&s->arena, out, p);
    if ((v->llvm || v->assembly) && !llvm_text(&s->arena, p, &o, v->assembly, out, &error)) {
        session_error(s, "%s", error);
        return false;
    }
    return true;
}

int command_inspect(int argc, char **argv)
{
    static const Command self = {"inspect", "dlc inspect FILE.dl [--ast | --ir [--after=PASS] | --kernels | --plan | --header | --llvm | --asm]",
                                 "Show what the compiler makes of a model (or of IR text, FILE.ir), at any stage.", NULL};
    Session s;
    session_begin(&s);
    Views v = {0};
    const char *after = NULL;
    TextList dims = {0};
    s.dims = &dims;
    Option options[28] = {
        {0, "ast", NULL, OPTION_FLAG, &v.ast, "the syntax tree"},
        {0, "ir", NULL, OPTION_FLAG, &v.ir, "the IR after all passes (the default)"},
        {0, "after", "PASS", OPTION_TEXT, &after, "... or after this pass; `frontend` is before the first"},
        {0, "kernels", NULL, OPTION_FLAG, &v.kernels, "the distinct kernels"},
        {0, "plan", NULL, OPTION_FLAG, &v.plan, "steps, buffers and their places in memory"},
        {0, "header", NULL, OPTION_FLAG, &v.header, "the C header"},
        {0, "llvm", NULL, OPTION_FLAG, &v.llvm, "LLVM IR"},
        {0, "asm", NULL, OPTION_FLAG, &v.assembly, "assembly"},
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "this export alone"},
        {0, "time-passes", NULL, OPTION_FLAG, &s.time_passes, "how long each pass took"},
        {0, "dim", "NAME=N", OPTION_LIST, &dims, "size of a symbolic dim, for --memory-budget"},
    };
    uint32_t n = 11 + session_options(&s, options + 11);
    TextList rest = {0};
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    const char *all;
    if (after && strcmp(after, "frontend") && !pass_find(after, &all)) {
        pass_find("", &all);
        usage_error(&self, "no pass '%s'; there are: frontend %s", after, all);
        return arena_free(&s.arena), EXIT_USAGE;
    }
    if (rest.n != 1) {
        usage_error(&self, rest.n ? "one model at a time" : "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    if (!v.ast && !v.kernels && !v.plan && !v.header && !v.llvm && !v.assembly) v.ir = true;
    Str out = {.arena = &s.arena};
    bool ok = inspect(&s, rest.at[0], after, &v, &out);
    if (ok && out.n) fwrite(out.at, 1, out.n, stdout);
    s.json = s.json && !ok;                             /* what was asked for is no JSON */
    return session_end(&s, ok);
}
