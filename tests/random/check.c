/* check.c - one program in many configurations: text, passes, code, and calls through the generic side of the artefact. */
#include "tests/random/random.h"

#include "codegen/kernel.h"
#include "host/dlc.h"
#include "passes/passes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- configurations ------------------------------------------------------------------------------------- */

static const char *const targets[] = {"x86-64-v4", "x86-64-v3", "generic"};
static const Config options[] = {{.level = 2}, {.level = 0}, {.level = 1}, {.level = 2, .no_fuse = true}, {.level = 3, .no_plan = true}};

Config config_number(int i)
{
    Config c = options[i / (int)COUNT(targets)];
    c.target = targets[i % (int)COUNT(targets)];
    return c;
}

bool config_runs_here(int i)
{
    const char *target = config_number(i).target;
    if (!strcmp(target, "x86-64-v4")) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(target, "x86-64-v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

const char *config_text(Arena *a, int i)
{
    Config c = config_number(i);
    return arena_printf(a, "--target=%s -O%d%s%s", c.target, c.level, c.no_fuse ? " --no-fuse" : "", c.no_plan ? " --no-plan" : "");
}

/* ---- one program ------------------------------------------------------------------------------------------ */

typedef struct Check {
    Arena               *arena;
    const RandomProgram *p;
    const Func          *f;
    Failure             *failure;
    int                  config;
    Tensor               inputs[BINDINGS][RANDOM_ARGS];
    Judge               *judge[BINDINGS];
} Check;

static bool failed(Check *c, const char *kind, const char *text)
{
    snprintf(c->failure->kind, sizeof c->failure->kind, "%.*s", (int)strcspn(kind, "\n"), kind);
    snprintf(c->failure->text, sizeof c->failure->text, "%s: %s", c->config < 0 ? "evaluator" : config_text(c->arena, c->config), text ? text : "");
    c->failure->config = c->config;
    return false;
}

/* What is printed reads back, and prints the same. */
static bool check_text(Check *c)
{
    Str first = {.arena = c->arena}, second = {.arena = c->arena};
    ir_print(&first, c->p->m);
    Diags *d = arena_new(c->arena, Diags);
    d->arena = c->arena;
    Module *m = ir_read(c->arena, d, diag_source(d, "printed", first.at, first.n));
    if (!m) {
        diag_print(d, &second, false);
        return failed(c, "text: not read back", second.at);
    }
    ir_print(&second, m);
    return (first.n == second.n && !memcmp(first.at, second.at, first.n)) || failed(c, "text: prints otherwise", second.at);
}

static bool set_params(Check *c, dlc_instance *m, uint32_t b)
{
    for (uint32_t i = 0; i < c->f->args.n; i++) {
        const Arg *arg = &c->f->args.at[i];
        if (arg->role != ARG_PARAM) continue;
        const Tensor *t = &c->inputs[b][i];
        int status = dlc_set(m, arg->param->path, t->data, (size_t)tensor_count(t) * dtype_size(t->dtype));
        if (status && status != DLC_NOT_FOUND) return failed(c, "set", dlc_error(m));      /* params that nothing uses are gone */
    }
    return true;
}

/* Where `changed`, params that are results have the new values; all others are as they were set. */
static bool check_params(Check *c, dlc_instance *m, uint32_t b, bool changed, const char *when)
{
    for (uint32_t i = 0; i < c->f->args.n; i++) {
        const Arg *arg = &c->f->args.at[i];
        if (arg->role != ARG_PARAM) continue;
        Tensor got = c->inputs[b][i];
        size_t bytes = (size_t)tensor_count(&got) * dtype_size(got.dtype);
        got.data = arena_alloc(c->arena, bytes + 1);
        int status = dlc_get(m, arg->param->path, got.data, bytes);
        if (status == DLC_NOT_FOUND) continue;
        if (status) return failed(c, "get", dlc_error(m));
        char text[512];
        bool assigned = false;
        for (uint32_t r = 0; changed && r < c->f->results.n; r++) {
            if (c->f->results.at[r].param != arg->param) continue;
            assigned = true;
            if (judge_result(c->judge[b], r, &got, text, sizeof text)) continue;
            return failed(c, "new value of a param", arena_printf(c->arena, "%s, %s: %s", when, arg->param->path, text));
        }
        if (!assigned && memcmp(got.data, c->inputs[b][i].data, bytes))
            return failed(c, "a param changed", arena_printf(c->arena, "%s, %s", when, arg->param->path));
    }
    return true;
}

/* One call with this many threads: results to out. */
static bool call(Check *c, dlc_artefact *artefact, uint32_t b, int threads, Tensor *out)
{
    dlc_options options = {.size = sizeof options, .threads = threads};
    char text[512];
    dlc_instance *m = dlc_create(artefact, &options, text, sizeof text);
    if (!m) return failed(c, "create", text);
    bool ok = set_params(c, m, b);
    int fn = dlc_find(artefact, "f"), inputs = 0;
    const void *in[RANDOM_ARGS];
    void *data[RANDOM_RESULTS];
    for (uint32_t i = 0; i < c->f->args.n; i++)
        if (c->f->args.at[i].role == ARG_INPUT) in[inputs++] = c->inputs[b][i].data;
    for (uint32_t i = 0; ok && i < c->f->results.n; i++) {
        const Tensor *want = judge_truth(c->judge[b], i);
        dlc_argument_info info;
        int64_t shape[DLC_MAX_RANK];
        dlc_argument(artefact, fn, DLC_OUTPUT, (int)i, &info);
        if (dlc_shape(artefact, fn, DLC_OUTPUT, (int)i, c->p->dims[b], shape)) ok = failed(c, "shape", "refused");
        for (uint32_t k = 0; ok && k < want->rank; k++)
            if (shape[k] != want->dim[k]) ok = failed(c, "shape", arena_printf(c->arena, "result %u, axis %u: %lld", i, k, (long long)shape[k]));
        out[i] = *want;
        out[i].dtype = c->f->results.at[i].node->type->dtype;
        size_t bytes = (size_t)tensor_count(want) * dtype_size(out[i].dtype);
        data[i] = out[i].data = arena_alloc(c->arena, bytes + 64);
        memset(out[i].data, 0xA5, bytes + 64);
    }
    bool refuses = judge_refuses(c->judge[b]);
    int status = ok ? dlc_call(m, fn, c->p->dims[b], in, data) : 0;
    if (refuses && ok && status != DLC_NOT_FINITE) ok = failed(c, "a guard lets a call pass", "");
    else if (!refuses && status) ok = failed(c, "the call fails", dlc_error(m));
    for (uint32_t i = 0; ok && i < c->f->results.n; i++) {
        size_t bytes = (size_t)tensor_count(&out[i]) * dtype_size(out[i].dtype);
        for (size_t k = 0; k < 64; k++)
            if (((unsigned char *)out[i].data)[bytes + k] != 0xA5) ok = failed(c, "written past the end", arena_printf(c->arena, "result %u", i));
    }
    ok = ok && check_params(c, m, b, !refuses, refuses ? "after a refused call" : "after the call");
    dlc_destroy(m);
    return ok;
}

/* An index input out of range: the call fails and changes no param. */
static bool call_spoiled(Check *c, dlc_artefact *artefact, uint32_t b, const Tensor *like)
{
    int fn = dlc_find(artefact, "f"), inputs = 0;
    const void *in[RANDOM_ARGS];
    void *data[RANDOM_RESULTS];
    bool spoiled = false;
    for (uint32_t i = 0; i < c->f->args.n; i++) {
        const Arg *arg = &c->f->args.at[i];
        if (arg->role != ARG_INPUT) continue;
        Tensor t = c->inputs[b][i];
        int64_t n = tensor_count(&t);
        if (!spoiled && arg->is_index && n > 0) {
            t.data = arena_copy(c->arena, t.data, (size_t)n * dtype_size(t.dtype));
            tensor_set(&t, n - 1, -1);
            spoiled = true;
        }
        in[inputs++] = t.data;
    }
    if (!spoiled) return true;
    for (uint32_t i = 0; i < c->f->results.n; i++) data[i] = arena_alloc(c->arena, (size_t)tensor_count(&like[i]) * dtype_size(like[i].dtype) + 64);
    dlc_options options = {.size = sizeof options, .threads = 1};
    char text[512];
    dlc_instance *m = dlc_create(artefact, &options, text, sizeof text);
    if (!m) return failed(c, "create", text);
    bool ok = set_params(c, m, b);
    if (ok && dlc_call(m, fn, c->p->dims[b], in, data) != DLC_BAD_INDEX) ok = failed(c, "an index out of range passes", "");
    ok = ok && check_params(c, m, b, false, "after a failed call");
    dlc_destroy(m);
    return ok;
}

static bool run_artefact(Check *c, dlc_artefact *artefact)
{
    for (uint32_t b = 0; b < c->p->nbindings; b++) {
        if (!c->judge[b]) continue;
        Tensor one[RANDOM_RESULTS], two[RANDOM_RESULTS];
        char text[512];
        c->failure->binding = (int)b;
        if (!call(c, artefact, b, 1, one) || !call(c, artefact, b, 2, two)) return false;
        for (uint32_t r = 0; r < c->f->results.n; r++) {
            if (c->f->results.at[r].param || judge_refuses(c->judge[b])) continue;
            if (!judge_result(c->judge[b], r, &one[r], text, sizeof text)) return failed(c, "values", text);
            if (memcmp(one[r].data, two[r].data, (size_t)tensor_count(&one[r]) * dtype_size(one[r].dtype)))
                return failed(c, "other bits with two threads", arena_printf(c->arena, "result %u", r));
        }
        if (!judge_refuses(c->judge[b]) && !call_spoiled(c, artefact, b, one)) return false;
    }
    return true;
}

static bool run_config(Check *c)
{
    Config config = config_number(c->config);
    const char *error = NULL;
    Module *m = module_clone(c->arena, c->p->m);
    PassOptions passes = {.level = config.level, .verify = true};
    if (!passes_run(m, &passes, NULL, &error)) return failed(c, arena_printf(c->arena, "passes: %s", error), "");
    CodegenOptions o = {.cpu = config.target, .level = config.level, .no_fuse = config.no_fuse || config.level == 0, .no_plan = config.no_plan};
    Program *program = program_build(c->arena, m, &o, &error);
    if (!program) {
        Str said = {.arena = c->arena};
        if (m->diags) diag_print(m->diags, &said, false);
        return failed(c, arena_printf(c->arena, "codegen: %s", error), said.at);
    }
    char folder[] = "/tmp/dlc-random-XXXXXX";
    if (!mkdtemp(folder)) return failed(c, "no temporary folder", "");
    const char *so = arena_printf(c->arena, "%s/f.so", folder);
    ArtefactInfo info;
    bool ok = artefact_write(c->arena, program, &o, ARTEFACT_SO, so, NULL, &info, &error) || failed(c, arena_printf(c->arena, "artefact: %s", error), "");
    char text[512];
    dlc_artefact *artefact = ok ? dlc_open(so, text, sizeof text) : NULL;
    if (ok && !artefact) ok = failed(c, "open", text);
    unlink(so);
    rmdir(folder);
    ok = ok && run_artefact(c, artefact);
    if (artefact) dlc_close(artefact);
    return ok;
}

bool check_program(Arena *a, const RandomProgram *p, uint32_t configs, Failure *failure)
{
    Check c = {.arena = a, .p = p, .f = p->m->funcs.at[0], .failure = failure, .config = -1};
    *failure = (Failure){.config = -1};
    const char *error = NULL;
    if (!ir_verify(a, p->m, "random", &error)) return failed(&c, "verify", error);
    if (!check_text(&c)) return false;
    bool any = false;
    for (uint32_t b = 0; b < p->nbindings; b++) {
        draw_inputs(a, p, p->dims[b], c.inputs[b]);
        /* Dims that break a requirement, or indices out of range: not this binding. */
        c.judge[b] = judge_new(a, p, p->dims[b], c.inputs[b], &error);
        any |= c.judge[b] != NULL;
    }
    if (!any) return failed(&c, "no binding can be evaluated", error);
    for (c.config = 0; c.config < CONFIGS; c.config++) {
        failure->config = c.config;     /* for when this process dies */
        if (configs >> c.config & 1 && config_runs_here(c.config) && !run_config(&c)) return false;
    }
    return true;
}
