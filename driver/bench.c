/* bench.c - `dlc bench`: how long a call takes, beside what the machine can do, fused against unfused. The two artefacts
 * take turns, so that a slow moment of the machine hits both. */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "driver/machine.h"
#include "host/dlc.h"

enum { MIN_RUNS = 10, MAX_RUNS = 20000, MAX_SIDES = 2 };

typedef struct BenchOptions {
    const char *weights;
    int         threads;
    const char *seconds;                /* at least, over all runs of a side */
    bool        no_compare;
    TextList    dims;
} BenchOptions;

/* One artefact under test. */
typedef struct Side {
    const char   *name;
    dlc_artefact *artefact;
    dlc_instance *m;
    const void  **in;
    void        **out;
    int           fn;
    int64_t      *dims;
    double       *time;                 /* seconds, a run each */
    uint32_t      n;
    uint32_t      kernels;
    double        flops, bytes, seconds;    /* seconds: compile time */
} Side;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const Side *s, double q) { return s->time[(uint32_t)(q * (s->n - 1) + 0.5)]; }

/* Floats in [-1, 1); integers 0 and 1, which are valid as indices of nearly everything. */
static void fill(dlc_tensor *t, size_t n)
{
    Tensor x = {.dtype = (DType)t->dtype, .rank = 1, .dim = {(int64_t)n}, .data = t->data};
    uint64_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        tensor_set(&x, (int64_t)i, dtype_is_float(x.dtype) ? (double)(seed >> 40) / (1 << 23) - 1 : (double)(seed >> 63));
    }
}

/* Dims that --dim does not give: 1 for one called B, else 128; said in the output. */
static bool choose_dims(Session *s, const BenchOptions *o, const dlc_function_info *info, int64_t *dims, Str *text)
{
    if (!check_dims(s, &o->dims, info->dim, (size_t)info->ndims)) return false;
    for (int i = 0; i < info->ndims; i++) {
        if (!given_dim(&o->dims, info->dim[i], &dims[i])) dims[i] = strcmp(info->dim[i], "B") ? 128 : 1;
        str_fmt(text, "%s%s=%lld", i ? ", " : "", info->dim[i], (long long)dims[i]);
    }
    return true;
}

static bool prepare(Session *s, const BenchOptions *o, Side *side, Str *dims_text)
{
    side->fn = find_function(s, side->artefact, s->fn);
    if (side->fn < 0) return false;
    dlc_function_info info;
    dlc_function(side->artefact, side->fn, &info);
    side->dims = arena_array(&s->arena, int64_t, (size_t)info.ndims + 1);
    if (!choose_dims(s, o, &info, side->dims, dims_text)) return false;
    if (o->weights && dlc_load(side->m, o->weights)) return session_error(s, "%s", dlc_error(side->m)), false;
    side->in = arena_array(&s->arena, const void *, (size_t)info.ninputs + 1);
    side->out = arena_array(&s->arena, void *, (size_t)info.noutputs + 1);
    for (int k = 0; k < info.ninputs + info.noutputs; k++) {
        bool input = k < info.ninputs;
        int i = input ? k : k - info.ninputs;
        dlc_argument_info arg;
        dlc_argument(side->artefact, side->fn, input ? DLC_INPUT : DLC_OUTPUT, i, &arg);
        dlc_tensor t = {.dtype = arg.dtype, .rank = arg.rank};
        if (dlc_shape(side->artefact, side->fn, input ? DLC_INPUT : DLC_OUTPUT, i, side->dims, t.dim))
            return session_error(s, "%s: its size overflows", arg.name), false;
        int64_t bytes;
        if (!tensor_bytes(&t, &bytes)) return session_error(s, "%s: its size overflows", arg.name), false;
        /* Cache lines begin with the data, as an application that cares has them. */
        t.data = (void *)(((uintptr_t)arena_alloc(&s->arena, (size_t)bytes + 128) + 63) & ~(uintptr_t)63);
        if (input) fill(&t, (size_t)bytes / dlc_dtype_size(t.dtype)), side->in[i] = t.data;
        else side->out[i] = t.data;
    }
    side->time = arena_array(&s->arena, double, MAX_RUNS);
    return true;
}

static bool open_side(Session *s, const BenchOptions *o, const char *path, bool fused, Side *side)
{
    side->name = fused ? "fused" : "unfused";
    bool no_fuse = s->no_fuse;
    s->no_fuse = !fused;
    double start = time_now();
    TempArtefact temp = {0};
    char error[512];
    bool ok = compile_temporary(s, path, NULL, &temp);
    s->no_fuse = no_fuse;
    if (!ok) return false;
    side->seconds = time_now() - start;
    side->artefact = dlc_open(temp.so, error, sizeof error);
    remove_temporary(&temp);
    if (!side->artefact) return session_error(s, "%s", error), false;
    dlc_options options = {.size = sizeof options, .threads = o->threads};
    char create_error[512];
    side->m = dlc_create(side->artefact, &options, create_error, sizeof create_error);
    if (!side->m) return session_error(s, "%s", create_error), false;
    return true;
}

static bool run_once(Session *s, Side *side, bool keep)
{
    double start = time_now();
    if (dlc_call(side->m, side->fn, side->dims, side->in, side->out)) return session_error(s, "%s", dlc_error(side->m)), false;
    if (keep && side->n < MAX_RUNS) side->time[side->n++] = time_now() - start;
    return true;
}

static bool measure(Session *s, Side *side, uint32_t n, double seconds)
{
    for (uint32_t i = 0; i < n; i++)
        for (int warm = 0; warm < 3; warm++)
            if (!run_once(s, &side[i], false)) return false;
    double start = time_now();
    for (uint32_t runs = 0; runs < MAX_RUNS && (runs < MIN_RUNS || time_now() - start < seconds * n); runs++)
        for (uint32_t i = 0; i < n; i++)
            if (!run_once(s, &side[i], true)) return false;
    for (uint32_t i = 0; i < n; i++) qsort(side[i].time, side[i].n, sizeof *side[i].time, by_value);
    return true;
}

/* Costs of the function from the kernels that were fused or not. */
static void costs(Session *s, const char *path, const char *fn, const TextList *sizes, Side *side)
{
    bool no_fuse = s->no_fuse;
    CodegenOptions o;
    s->no_fuse = strcmp(side->name, "fused") != 0;
    Program *p = session_program(s, path, &o);
    s->no_fuse = no_fuse;
    for (uint32_t i = 0; p && i < p->funcs.n; i++) {
        if (strcmp(p->funcs.at[i]->func->name, fn)) continue;
        Dim *flops, *bytes;
        int64_t v;
        func_costs(&s->arena, p->funcs.at[i], &flops, &bytes);
        if (flops && dim_with(flops, sizes, &v)) side->flops = (double)v;
        if (bytes && dim_with(bytes, sizes, &v)) side->bytes = (double)v;
        side->kernels = p->funcs.at[i]->steps.n;
    }
}

static void report(const Side *side, uint32_t n, const char *fn, const char *dims, int threads, const MachineLimits *limit)
{
    printf("%s(%s), %d thread%s, %s\n", fn, dims, threads, threads == 1 ? "" : "s", limit->cpu);
    printf("machine: %.1f GFLOP/s f32 fma, %.1f GB/s read\n\n", limit->f32_flops * 1e-9, limit->read_bytes * 1e-9);
    printf("%-8s %10s %10s %8s %10s %8s %9s %8s %8s\n", "", "median ms", "p90 ms", "runs", "GFLOP/s", "of peak", "GB/s", "kernels", "compile");
    for (uint32_t i = 0; i < n; i++) {
        const Side *s = &side[i];
        double t = quantile(s, 0.5);
        printf("%-8s %10.4f %10.4f %8u %10.2f %7.1f%% %9.2f %8u %5.0f ms\n", s->name, 1e3 * t, 1e3 * quantile(s, 0.9), s->n, s->flops / t * 1e-9,
               100 * s->flops / t / limit->f32_flops, s->bytes / t * 1e-9, s->kernels, 1e3 * s->seconds);
    }
    if (n == 2) printf("\nfused is %.2f times as fast\n", quantile(&side[1], 0.5) / quantile(&side[0], 0.5));
}

static void report_json(Session *s, const Side *side, uint32_t n, const char *fn, const char *dims, int threads, const MachineLimits *limit)
{
    Str out = {.arena = &s->arena};
    str_add(&out, "{\"function\":");
    str_json(&out, fn, strlen(fn));
    str_add(&out, ",\"dims\":");
    str_json(&out, dims, strlen(dims));
    str_fmt(&out, ",\"threads\":%d,\"cpu\":", threads);
    str_json(&out, limit->cpu, strlen(limit->cpu));
    str_fmt(&out, ",\"peak_flops\":%.6g,\"read_bytes\":%.6g", limit->f32_flops, limit->read_bytes);
    for (uint32_t i = 0; i < n; i++) {
        double t = quantile(&side[i], 0.5);
        str_fmt(&out, ",\"%s\":{\"median\":%.6g,\"p90\":%.6g,\"runs\":%u,\"flops\":%.6g,\"bytes\":%.6g,\"kernels\":%u,\"compile\":%.6g}", side[i].name, t,
                quantile(&side[i], 0.9), side[i].n, side[i].flops, side[i].bytes, side[i].kernels, side[i].seconds);
    }
    printf("%s}\n", out.at);
}

static bool bench(Session *s, BenchOptions *o, const char *path)
{
    Side side[MAX_SIDES] = {0};
    uint32_t n = o->no_compare ? 1 : 2;
    Str dims = {.arena = &s->arena}, again = {.arena = &s->arena};
    bool ok = true;
    char *end;
    double seconds = o->seconds ? strtod(o->seconds, &end) : 3;
    if (o->seconds && (end == o->seconds || *end || !(seconds >= 0 && seconds < 1e6))) return session_error(s, "--seconds wants a number, not '%s'", o->seconds), false;
    uint32_t said = 0;                                  /* by the first compilation: the others only repeat it */
    for (uint32_t i = 0; i < n && ok; i++) {
        ok = open_side(s, o, path, i == 0 && !s->no_fuse, &side[i]) && prepare(s, o, &side[i], i ? &again : &dims);
        if (i == 0) said = s->diags.list.n;
    }
    if (ok) {
        int threads = o->threads ? o->threads : get_nprocs();
        dlc_function_info info;
        dlc_function(side[0].artefact, side[0].fn, &info);
        TextList sizes = {0};
        for (int i = 0; i < info.ndims; i++) vec_push(&s->arena, &sizes, arena_printf(&s->arena, "%s=%lld", info.dim[i], (long long)side[0].dims[i]));
        MachineLimits limit;
        machine_measure(threads, &limit);
        ok = measure(s, side, n, seconds);
        if (ok) {
            for (uint32_t i = 0; i < n; i++) costs(s, path, info.name, &sizes, &side[i]);
            s->diags.list.n = said;
            if (!dims.at) str_add(&dims, "");
            if (s->json) report_json(s, side, n, info.name, dims.at, threads, &limit);
            else report(side, n, info.name, dims.at, threads, &limit);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (side[i].m) dlc_destroy(side[i].m);
        if (side[i].artefact) dlc_close(side[i].artefact);
    }
    return ok;
}

int command_bench(int argc, char **argv)
{
    static const Command self = {"bench", "dlc bench FILE.dl [--fn NAME] [--dim NAME=N...]",
                                 "Time a function beside the machine's limits, fused against unfused.", NULL};
    Session s;
    session_begin(&s);
    BenchOptions o = {0};
    TextList rest = {0};
    Option options[28] = {
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "the function to time, where there are several"},
        {0, "dim", "NAME=N", OPTION_LIST, &o.dims, "size of a symbolic dim (default: 1 for B, 128 for others)"},
        {0, "weights", "FILE", OPTION_TEXT, &o.weights, "params and states (.safetensors); default: initial values"},
        {0, "threads", "N", OPTION_INT, &o.threads, "default: one a CPU"},
        {0, "seconds", "S", OPTION_TEXT, &o.seconds, "at least this long a side, and at least 10 runs (default 3)"},
        {0, "no-compare", NULL, OPTION_FLAG, &o.no_compare, "do not time the unfused form"},
    };
    s.dims = &o.dims;
    uint32_t n = 6 + session_options(&s, options + 6);
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (rest.n != 1) {
        usage_error(&self, rest.n ? "one model at a time" : "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = bench(&s, &o, rest.at[0]);
    s.json = s.json && !ok;                             /* the result was the JSON */
    return session_end(&s, ok);
}
