/* summary.c - `dlc summary`: what is in a model and what a call costs. */
#include "driver/driver.h"

#include <string.h>

#include "base/pack.h"
#include "base/size.h"

/* The value of a dim by name, from texts NAME=N. */
static bool look_up(void *user, const Atom *sym, int64_t *value)
{
    return given_dim(user, sym->name, value);
}

bool dim_with(Dim *d, const TextList *sizes, int64_t *value) { return dim_value(d, look_up, (void *)sizes, value); }

void func_costs(Arena *a, const ProgramFunc *f, Dim **flops, Dim **bytes)
{
    Module *m = f->func->module;
    *flops = *bytes = dim_const(m, 0);
    for (uint32_t i = 0; i < f->steps.n; i++) {
        const Step *s = &f->steps.at[i];
        Dim *work = kernel_flops(s->kernel), *moved = kernel_bytes(s->kernel);
        uint32_t n = s->kernel->syms.n;
        *flops = *flops && work ? dim_add(m, *flops, dim_subst(m, work, n, s->kernel->syms.at, s->dim)) : NULL;
        *bytes = *bytes && moved ? dim_add(m, *bytes, dim_subst(m, moved, n, s->kernel->syms.at, s->dim)) : NULL;
    }
}

/* "2.5 M", or the polynomial where a dim is open. */
static const char *amount(Arena *a, Dim *d, const TextList *dims)
{
    static const char *const unit[] = {"", " k", " M", " G", " T", " P"};
    int64_t v;
    if (!d) return "overflow";
    if (!dim_with(d, dims, &v)) return dim_text(a, d);
    double x = (double)v;
    uint32_t u = 0;
    for (; x >= 1000 && u + 1 < COUNT(unit); u++) x /= 1000;
    return arena_printf(a, u ? "%.3g%s" : "%.0f%s", x, unit[u]);
}

/* Bytes for the values between kernels, as the runtime will place them at these sizes; -1: a dim is open, or too much. */
static int64_t workspace(Arena *a, const ProgramFunc *f, const TextList *dims)
{
    if (f->work >= 0) return f->work;
    PackItem *item = arena_array(a, PackItem, f->buffers.n + 1);
    int64_t *offset = arena_array(a, int64_t, f->buffers.n + 1), total, scratch;
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        const Buffer *b = &f->buffers.at[i];
        if (b->kind != BUFFER_WORK || b->shares != NO_BUFFER) continue;
        item[i] = (PackItem){0, b->first, b->last};
        if (!dim_with(b->count, dims, &item[i].size) || !size_mul(item[i].size, (int64_t)dtype_size(b->dtype), &item[i].size)) return -1;
    }
    if (!pack_scratch(f->buffers.n, &scratch) || !pack(item, f->buffers.n, offset, &total, arena_alloc(a, (size_t)scratch + 8))) return -1;
    return total;
}

static void summarise_func(Arena *a, const ProgramFunc *f, const TextList *dims)
{
    printf("%s(", f->func->name);
    for (uint32_t i = 0, shown = 0; i < f->func->args.n; i++) {
        const Arg *arg = &f->func->args.at[i];
        if (arg->role == ARG_INPUT) printf("%s%s: %s", shown++ ? ", " : "", arg->name, type_text(a, arg->node->type));
    }
    printf(") -> (");
    for (uint32_t i = 0; i < f->func->results.n; i++)
        printf("%s%s: %s", i ? ", " : "", f->func->results.at[i].name, type_text(a, f->func->results.at[i].node->type));
    printf(")\n");
    Dim *flops, *bytes;
    func_costs(a, f, &flops, &bytes);
    printf("  kernels     %u\n", f->steps.n);
    printf("  FLOPs       %s\n", amount(a, flops, dims));
    printf("  bytes moved %s\n", amount(a, bytes, dims));
    int64_t work = workspace(a, f, dims);
    if (work >= 0) printf("  workspace   %s\n", size_text(a, (double)work));
    else printf("  workspace   grows with its dims: give --dim\n");
}

/* Values of a param or state: its dims are numbers. */
static int64_t param_count(const Program *p, const Param *x)
{
    int64_t n = 0;
    Dim *count = type_count(p->module, x->type);
    return count && dim_is_const(count, &n) ? n : 0;
}

static void summarise(Session *s, const Program *p, const TextList *dims)
{
    Arena *a = &s->arena;
    int64_t params = 0, states = 0, bytes = 0;
    for (uint32_t i = 0; i < p->module->params.n; i++) {
        const Param *x = p->module->params.at[i];
        int64_t n = param_count(p, x);
        *(x->state ? &states : &params) += n;
        bytes += n * (int64_t)dtype_size(x->type->dtype);
        printf("%-48s %-24s %12lld%s\n", x->path, type_text(a, x->type), (long long)n, x->state ? "  state" : "");
    }
    printf("%lld parameters", (long long)params);
    if (states) printf(", %lld values of state", (long long)states);
    printf(", %s\n", size_text(a, (double)bytes));
    for (uint32_t i = 0; i < p->funcs.n; i++) {
        if (!p->funcs.at[i]->func->exported) continue;
        printf("\n");
        summarise_func(a, p->funcs.at[i], dims);
    }
}

static void json_text(Str *out, const char *key, const char *text)
{
    str_fmt(out, "\"%s\": ", key);
    str_json(out, text, strlen(text));
}

/* A number where it is one, else the polynomial as a string. */
static void json_amount(Str *out, Arena *a, const char *key, Dim *d, const TextList *dims)
{
    int64_t v;
    if (d && dim_with(d, dims, &v)) str_fmt(out, ", \"%s\": %lld", key, (long long)v);
    else if (d) str_add(out, ", "), json_text(out, key, dim_text(a, d));
    else str_fmt(out, ", \"%s\": null", key);
}

/* "inputs": [{"name": "x", "type": "f32[B,784]"}, ...] */
static void json_values(Str *out, Arena *a, const Func *f, bool inputs)
{
    str_fmt(out, ", \"%s\": [", inputs ? "inputs" : "outputs");
    for (uint32_t i = 0, shown = 0; i < (inputs ? f->args.n : f->results.n); i++) {
        if (inputs && f->args.at[i].role != ARG_INPUT) continue;
        str_add(out, shown++ ? ", {" : "{");
        json_text(out, "name", inputs ? f->args.at[i].name : f->results.at[i].name);
        str_add(out, ", ");
        json_text(out, "type", type_text(a, (inputs ? f->args.at[i].node : f->results.at[i].node)->type));
        str_char(out, '}');
    }
    str_char(out, ']');
}

static void summarise_json(Session *s, const Program *p, const TextList *dims)
{
    Arena *a = &s->arena;
    Str out = {.arena = a};
    str_char(&out, '{');
    json_text(&out, "name", p->module->name);
    str_add(&out, ", \"params\": [");
    for (uint32_t i = 0; i < p->module->params.n; i++) {
        const Param *x = p->module->params.at[i];
        str_add(&out, i ? ",\n {" : "{");
        json_text(&out, "path", x->path);
        str_add(&out, ", ");
        json_text(&out, "type", type_text(a, x->type));
        str_fmt(&out, ", \"count\": %lld, \"state\": %s}", (long long)param_count(p, x), x->state ? "true" : "false");
    }
    str_add(&out, "],\n\"functions\": [");
    for (uint32_t i = 0, shown = 0; i < p->funcs.n; i++) {
        const ProgramFunc *f = p->funcs.at[i];
        if (!f->func->exported) continue;
        Dim *flops, *bytes;
        func_costs(a, f, &flops, &bytes);
        str_add(&out, shown++ ? ",\n {" : "{");
        json_text(&out, "name", f->func->name);
        json_values(&out, a, f->func, true);
        json_values(&out, a, f->func, false);
        str_fmt(&out, ", \"kernels\": %u", f->steps.n);
        json_amount(&out, a, "flops", flops, dims);
        json_amount(&out, a, "bytes", bytes, dims);
        int64_t work = workspace(a, f, dims);
        if (work >= 0) str_fmt(&out, ", \"workspace\": %lld", (long long)work);
        else str_add(&out, ", \"workspace\": null");
        str_char(&out, '}');
    }
    printf("%s]}\n", out.at);
}

static bool check_given(Session *s, const Program *p, const TextList *dims)
{
    VEC(const char *) names = {0};
    for (uint32_t i = 0; i < p->funcs.n; i++)
        for (uint32_t k = 0; k < p->funcs.at[i]->func->dims.n; k++)
            vec_push(&s->arena, &names, dim_as_sym(p->funcs.at[i]->func->dims.at[k])->name);
    return check_dims(s, dims, names.at, names.n);
}

int command_summary(int argc, char **argv)
{
    static const Command self = {"summary", "dlc summary FILE.dl [--dim NAME=N...]", "Show functions, shapes, params, floating-point operations and memory.", NULL};
    Session s;
    session_begin(&s);
    TextList dims = {0}, rest = {0};
    Option options[20] = {
        {0, "dim", "NAME=N", OPTION_LIST, &dims, "size of a symbolic dim, for FLOPs and bytes as numbers"},
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "this export alone"},
    };
    uint32_t n = 2 + session_options(&s, options + 2);
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (rest.n != 1) {
        usage_error(&self, rest.n ? "one model at a time" : "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    CodegenOptions o;
    Program *p = session_program(&s, rest.at[0], &o);
    bool ok = p && check_given(&s, p, &dims);
    if (ok && s.json) summarise_json(&s, p, &dims);
    else if (ok) summarise(&s, p, &dims);
    s.json = s.json && !ok;                             /* the summary was the JSON */
    return session_end(&s, ok);
}
