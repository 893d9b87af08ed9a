/* test_compiled.c - compiled code against the evaluator: random programs, fused and unfused, for every target row that this
 * machine runs, at one and two threads with equal bits. The truth is the evaluator in f64.
 *
 * DLC_RANDOM_FIRST and DLC_RANDOM_COUNT choose the seeds (default 1 and 25; the full tier asks for more).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "codegen/kernel.h"
#include "host/dlc.h"
#include "passes/passes.h"
#include "random_ir.h"

static const char *const targets[] = {"x86-64-v4", "x86-64-v3", "generic"};

static bool runs_here(const char *target)
{
    if (!strcmp(target, "x86-64-v4")) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(target, "x86-64-v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

/* Relative to the largest magnitude of the result: sums cancel. */
static void check_results(const char *what, const Tensor *want, const dlc_tensor *got)
{
    int64_t n = tensor_count(want);
    double scale = 1;
    for (int64_t i = 0; i < n; i++)
        if (fabs(tensor_get(want, i)) > scale && isfinite(tensor_get(want, i))) scale = fabs(tensor_get(want, i));
    Tensor t = {.dtype = (DType)got->dtype, .rank = 1, .dim = {n}, .data = got->data};
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get(want, i), y = tensor_get(&t, i);
        if (!(fabs(x - y) <= 2e-4 * scale) && !(isnan(x) && isnan(y)) && x != y) fail_msg("%s: element %lld is %.9g, the evaluator says %.9g", what, (long long)i, y, x);
    }
}

typedef struct Case {
    Arena        *arena;
    const Func   *f;                    /* as generated */
    const int64_t *dims;
    Tensor        in[64], want[4];
} Case;

static void set_params(const Case *c, dlc_instance *m)
{
    for (uint32_t i = 0; i < c->f->args.n; i++) {
        const Arg *arg = &c->f->args.at[i];
        if (arg->role != ARG_PARAM) continue;
        size_t bytes = (size_t)tensor_count(&c->in[i]) * dtype_size(c->in[i].dtype);
        int status = dlc_set(m, arg->param->path, c->in[i].data, bytes);
        if (status && status != DLC_NOT_FOUND) fail_msg("%s: %s", arg->param->path, dlc_error(m));    /* unused params are gone */
    }
}

/* Results of one call with this many threads. */
static void call(const Case *c, dlc_artefact *artefact, int threads, dlc_tensor *out, const char *what)
{
    dlc_options options = {.size = sizeof options, .threads = threads};
    char text[256];
    dlc_instance *m = dlc_create(artefact, &options, text, sizeof text);
    if (!m) fail_msg("%s: %s", what, text);
    set_params(c, m);
    int fn = dlc_find(artefact, "f"), inputs = 0;
    const void *in[64];
    void *data[4];
    for (uint32_t i = 0; i < c->f->args.n; i++)
        if (c->f->args.at[i].role == ARG_INPUT) in[inputs++] = c->in[i].data;
    for (uint32_t i = 0; i < c->f->results.n; i++) {
        dlc_argument_info arg;
        dlc_argument(artefact, fn, DLC_OUTPUT, (int)i, &arg);
        out[i] = (dlc_tensor){.dtype = arg.dtype, .rank = arg.rank};
        assert_int_equal(dlc_shape(artefact, fn, DLC_OUTPUT, (int)i, c->dims, out[i].dim), DLC_OK);
        size_t bytes = dlc_dtype_size(arg.dtype);
        for (int k = 0; k < arg.rank; k++) bytes *= (size_t)out[i].dim[k];
        data[i] = out[i].data = arena_alloc(c->arena, bytes + 64);
    }
    if (dlc_call(m, fn, c->dims, in, data)) fail_msg("%s: %s", what, dlc_error(m));
    dlc_destroy(m);
}

/* What is tested: how a seed becomes a module. */
typedef Module *Make(Arena *a, uint64_t seed);

static void compile_and_compare(const Case *c, Make *make, uint64_t seed, const char *target, bool fused)
{
    Arena *a = c->arena;
    const char *what = arena_printf(a, "seed %llu, %s, %s", (unsigned long long)seed, target, fused ? "fused" : "unfused"), *error = NULL;
    Module *m = make(a, seed);
    PassOptions passes = {.level = 2, .verify = true};
    if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s: %s", what, error);
    CodegenOptions o = {.cpu = target, .level = 2, .no_fuse = !fused};
    Program *p = program_build(a, m, &o, &error);
    if (!p) fail_msg("%s: %s", what, error);
    char folder[] = "/tmp/dlc-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *so = arena_printf(a, "%s/f.so", folder);
    ArtefactInfo info;
    if (!artefact_write(a, p, &o, ARTEFACT_SO, so, NULL, &info, &error)) fail_msg("%s: %s", what, error);
    char text[512];
    dlc_artefact *artefact = dlc_open(so, text, sizeof text);
    unlink(so);
    rmdir(folder);
    if (!artefact) fail_msg("%s: %s", what, text);
    dlc_tensor one[4], two[4];
    call(c, artefact, 1, one, what);
    call(c, artefact, 2, two, what);
    for (uint32_t r = 0; r < c->f->results.n; r++) {
        check_results(what, &c->want[r], &one[r]);
        size_t bytes = (size_t)tensor_count(&c->want[r]) * dlc_dtype_size(one[r].dtype);
        if (memcmp(one[r].data, two[r].data, bytes)) fail_msg("%s: other bits with two threads", what);
    }
    dlc_close(artefact);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_seeds(Make *make, uint64_t count)
{
    static const int64_t dims[][2] = {{3, 5}, {1, 1}, {20, 33}, {2, 70}};
    uint64_t first = from_environment("DLC_RANDOM_FIRST", 1);
    for (uint64_t seed = first; seed < first + count; seed++) {
        Arena a = {0};
        const char *error = NULL;
        Module *m = make(&a, seed);
        if (!m) continue;
        Case c = {.arena = &a, .f = m->funcs.at[0], .dims = dims[seed % COUNT(dims)]};
        uint64_t data = seed;
        for (uint32_t i = 0; i < c.f->args.n; i++) c.in[i] = random_tensor(&a, c.f, c.f->args.at[i].node->type, c.dims, &data);
        if (!ir_eval(&a, c.f, c.in, c.dims, true, c.want, &error)) fail_msg("seed %llu: %s", (unsigned long long)seed, error);
        for (size_t t = 0; t < COUNT(targets); t++)
            if (runs_here(targets[t]))
                for (int fused = 0; fused < 2; fused++) compile_and_compare(&c, make, seed, targets[t], fused);
        arena_free(&a);
    }
}

static void random_programs(void **state)
{
    (void)state;
    run_seeds(random_module, from_environment("DLC_RANDOM_COUNT", 25));
}

static void gradients_of_random_programs(void **state)
{
    (void)state;
    run_seeds(random_gradients, from_environment("DLC_RANDOM_COUNT", 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs), cmocka_unit_test(gradients_of_random_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
