/* summary.c - `dlc summary`: what is in a model and what a call costs. */
#include "driver/driver.h"

#include <string.h>

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

const char *amount_text(Arena *a, Dim *d, const TextList *dims)
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

static int64_t workspace(Arena *a, const ProgramFunc *f, const TextList *dims)
{
    return f->work >= 0 ? f->work : workspace_at(a, f, look_up, (void *)dims, NULL);
}

static void summarise_func(Arena *a, const ProgramFunc *f, const TextList *dims)
{
    printf("%s(", f->func->name);
    for (uint32_t i = 0, shown = 0; i < f->func->args.n; i++) {
        const Arg *arg = &f->func->args.at[i];
        if (arg->role == ARG_INPUT) printf("%s%s: %s", shown++ ? ", " : "", arg->name, type_text(a, arg->node->type));
    }
    printf(") -> (");
    uint32_t shown = 0, params = 0, states = 0;
    for (uint32_t i = 0; i < f->func->results.n; i++) {
        const Result *r = &f->func->results.at[i];
        if (!r->param) printf("%s%s: %s", shown++ ? ", " : "", r->name, type_text(a, r->node->type));
        else ++*(r->param->state ? &states : &params);
    }
    printf(")%s\n", f->func->train ? "  training" : "");
    if (params + states) {
        printf("  changes     ");
        if (params) printf("%u param%s%s", params, params == 1 ? "" : "s", states ? ", " : "");
        if (states) printf("%u state%s", states, states == 1 ? "" : "s");
        printf("\n");
    }
    Dim *flops, *bytes;
    func_costs(a, f, &flops, &bytes);
    printf("  kernels     %u\n", f->steps.n);
    printf("  FLOPs       %s\n", amount_text(a, flops, dims));
    printf("  bytes moved %s\n", amount_text(a, bytes, dims));
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

/* How much of a state's path names what it belongs to: "opt.m" of "opt.m.l1.weight". */
static size_t owner_length(const char *path)
{
    const char *dot = strchr(path, '.');
    dot = dot ? strchr(dot + 1, '.') : NULL;
    return dot ? (size_t)(dot - path) : strlen(path);
}

/* The states from i on: one line each, or one for all of a tree. Returns the number of the next. */
static uint32_t summarise_states(Arena *a, const Program *p, uint32_t i)
{
    const Param *first = p->module->params.at[i];
    size_t length = owner_length(first->path);
    uint32_t end = i;
    int64_t n = 0;
    for (; end < p->module->params.n; end++) {
        const Param *x = p->module->params.at[end];
        if (!x->state || owner_length(x->path) != length || strncmp(x->path, first->path, length)) break;
        n += param_count(p, x);
    }
    if (end - i > 3)
        printf("%-48s %-24s %12lld  state\n", arena_printf(a, "%.*s.*", (int)length, first->path), arena_printf(a, "%u tensors", end - i), (long long)n);
    for (uint32_t k = i; k < end && end - i <= 3; k++) {
        const Param *x = p->module->params.at[k];
        printf("%-48s %-24s %12lld  state\n", x->path, type_text(a, x->type), (long long)param_count(p, x));
    }
    return end;
}

static void summarise(Session *s, const Program *p, const TextList *dims)
{
    Arena *a = &s->arena;
    int64_t params = 0, states = 0, bytes = 0;
    uint32_t next = 0;                  /* the first state that has no line yet */
    for (uint32_t i = 0; i < p->module->params.n; i++) {
        const Param *x = p->module->params.at[i];
        int64_t n = param_count(p, x);
        *(x->state ? &states : &params) += n;
        bytes += n * (int64_t)dtype_size(x->type->dtype);
        if (!x->state) printf("%-48s %-24s %12lld\n", x->path, type_text(a, x->type), (long long)n);
        else if (i >= next) next = summarise_states(a, p, i);
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
        if (inputs ? f->args.at[i].role != ARG_INPUT : f->results.at[i].param != NULL) continue;
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
    Option options[24] = {
        {0, "dim", "NAME=N", OPTION_LIST, &dims, "size of a symbolic dim, for FLOPs and bytes as numbers"},
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "this export alone"},
        {0, "explain", NULL, OPTION_FLAG, &s.explain, "what every kernel does, and what the memory goes to"},
    };
    s.dims = &dims;
    uint32_t n = 3 + session_options(&s, options + 3);
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
