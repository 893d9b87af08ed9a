/* test_emit.c - map and reduce kernels, compiled for every target row, against the evaluator; whole and in small ranges
 * of items, which must agree bit for bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jit.h"
#include "passes/passes.h"
#include "random_ir.h"
#include "support.h"

static bool is_close(double x, double y, double tolerance)
{
    return fabs(x - y) <= tolerance * (1 + fabs(x)) || (isnan(x) && isnan(y)) || x == y;
}

typedef struct Case {
    const char *name, *signature, *body;
} Case;

/* Symbols B and T: none, one, around a vector, odd, and long enough for blocks. */
static const int64_t sizes[][2] = {{3, 5}, {1, 1}, {2, 16}, {5, 33}, {17, 7}, {0, 4}, {4, 0}, {2, 150}, {67, 64}, {1, 20000}};

/* One compiled function against the evaluator. */
static void check_run(Arena *a, const Jit *j, const char *cpu, const ProgramFunc *pf, const Func *f, const int64_t *dims, const char *text)
{
    const char *error = NULL;
    Tensor in[64], passed[64], want[4], whole[4], part[4];
    uint64_t seed = 7;
    for (uint32_t i = 0; i < f->args.n; i++) in[i] = random_tensor(a, f, f->args.at[i].node->type, dims, &seed);
    if (!ir_eval(a, f, in, dims, true, want, &error)) fail_msg("evaluator: %s\n%s", error, text);
    const Func *g = pf->func;           /* passes may have dropped params */
    for (uint32_t i = 0; i < g->args.n; i++) {
        for (uint32_t k = 0; k < f->args.n; k++) {
            if (!strcmp(g->args.at[i].name, f->args.at[k].name)) passed[i] = in[k];
        }
    }
    assert_int_equal(jit_run(a, j, pf, passed, dims, 0, whole), 0);
    assert_int_equal(jit_run(a, j, pf, passed, dims, 1, part), 0);
    for (uint32_t r = 0; r < f->results.n; r++) {
        int64_t n = tensor_count(&want[r]);
        assert_int_equal(n, tensor_count(&whole[r]));
        assert_memory_equal(whole[r].data, part[r].data, (size_t)n * dtype_size(whole[r].dtype));
        for (int64_t i = 0; i < n; i++) {
            double x = tensor_get(&want[r], i), y = tensor_get(&whole[r], i);
            if (!is_close(x, y, 2e-5)) {
                fail_msg("%s, dims %lld %lld, result %u element %lld of %lld: evaluator %.9g, compiled %.9g\n%s", cpu,
                         (long long)dims[0], (long long)dims[1], r, (long long)i, (long long)n, x, y, text);
            }
        }
    }
}

/* Fused or not, every row of targets.def, every size (random modules: one). */
static void check_module(Module *(*make)(Arena *a, const void *what), const void *what, const char *text, uint32_t nsizes, const int64_t (*dims)[2])
{
    for (int fused = 0; fused < 2; fused++) {
        Arena a = {0};
        const char *error = NULL;
        Module *m = make(&a, what), *reference = make(&a, what);
        PassOptions passes = {.level = 2, .verify = true};
        if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s: %s", text, error);
        Program *p = program_build(&a, m, &(CodegenOptions){.no_fuse = !fused}, &error);
        if (!p) fail_msg("%s: %s", text, error);
        bool contract = false;          /* those have tests of their own */
        for (uint32_t i = 0; i < p->kernels.n; i++) contract = contract || p->kernels.at[i]->class == KERNEL_CONTRACT;
        for (uint32_t row = 0; target_row(row) && !contract; row++) {
            const char *cpu = target_row(row)->name;
            Jit j;
            if (!jit_can_run(cpu)) continue;
            if (!jit_open(&a, p, cpu, &j, &error)) fail_msg("%s: %s\n%s", cpu, error, text);
            for (uint32_t i = 0; i < nsizes; i++) check_run(&a, &j, cpu, p->funcs.at[0], reference->funcs.at[0], dims[i], text);
            jit_close(&j);
        }
        arena_free(&a);
    }
}

static Module *module_of_text(Arena *a, const void *text)
{
    return must_read_ir(a, text);
}

static void check_case(void **state)
{
    const Case *c = *state;
    Arena a = {0};
    const char *text = arena_printf(&a, "ir 1\nmodule \"t\"\n\nfunc export @f(%s) {\n%s}\n", c->signature, c->body);
    check_module(module_of_text, text, text, COUNT(sizes), sizes);
    arena_free(&a);
}

static Module *module_of_seed(Arena *a, const void *seed)
{
    return random_module(a, *(const uint64_t *)seed);
}

static void random_programs(void **state)
{
    (void)state;
    static const int64_t dims[][2] = {{3, 5}, {1, 1}, {2, 40}};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        char what[40];
        snprintf(what, sizeof what, "random program %llu", (unsigned long long)seed);
        check_module(module_of_seed, &seed, what, 1, &dims[seed % COUNT(dims)]);
    }
}

/* ---- special values: exactly as the evaluator, pair by pair ------------------------------------------------- */

/* Every pair of n values of a dtype, through `body`, which uses %0 and %1 of [N]. */
static void check_pairs(DType t, const double *value, uint32_t n, const char *body)
{
    Arena a = {0};
    const char *error = NULL;
    const char *text = arena_printf(&a, "ir 1\nmodule \"t\"\n\nfunc export @f(N) {\n  %%0 = input \"x\" : %s[N]\n  %%1 = input \"y\" : %s[N]\n%s}\n",
                                    dtype_name(t), dtype_name(t), body);
    Tensor in[2], want[8], got[8];
    int64_t count = (int64_t)n * n;
    for (int i = 0; i < 2; i++) {
        in[i] = (Tensor){.dtype = t, .rank = 1, .dim = {count}, .data = arena_array(&a, double, (size_t)count)};
        for (int64_t j = 0; j < count; j++) tensor_set(&in[i], j, value[i ? j % n : j / n]);
    }
    Module *m = must_read_ir(&a, text);
    if (!ir_eval(&a, m->funcs.at[0], in, &count, false, want, &error)) fail_msg("%s", error);
    Program *p = program_build(&a, m, &(CodegenOptions){0}, &error);
    if (!p) fail_msg("%s\n%s", error, text);
    for (uint32_t row = 0; target_row(row); row++) {
        const char *cpu = target_row(row)->name;
        Jit j;
        if (!jit_can_run(cpu)) continue;
        if (!jit_open(&a, p, cpu, &j, &error)) fail_msg("%s: %s", cpu, error);
        jit_run(&a, &j, p->funcs.at[0], in, &count, 0, got);
        for (uint32_t r = 0; r < m->funcs.at[0]->results.n; r++) {
            for (int64_t i = 0; i < count; i++) {
                double x = tensor_get(&want[r], i), y = tensor_get(&got[r], i);
                if (x == y || (isnan(x) && isnan(y))) continue;
                fail_msg("%s on %s, of %g and %g: evaluator %.17g, compiled %.17g", m->funcs.at[0]->results.at[r].name, cpu,
                         value[i / n], value[i % n], x, y);
            }
        }
        jit_close(&j);
    }
    arena_free(&a);
}

static const double special_floats[] = {0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -7, 1e10, -1e10, 3e38, 1e-40, 255, 256, 300, -300,
                                        2147483648.0, -2147483648.0, INFINITY, -INFINITY, NAN};
static const double special_integers[] = {0, 1, -1, 2, -2, 3, -3, 7, -7, 100, 127, 128, 255, -128, 2147483647, -2147483648.0};

static void special_values(void **state)
{
    (void)state;
    check_pairs(DT_f32, special_floats, COUNT(special_floats),
                "  %2 = max %0, %1 : f32[N]\n  %3 = min %0, %1 : f32[N]\n  %4 = add %0, %1 : f32[N]\n  %5 = sub %0, %1 : f32[N]\n"
                "  %6 = mul %0, %1 : f32[N]\n  %7 = div %0, %1 : f32[N]\n"
                "  return \"max\" %2, \"min\" %3, \"add\" %4, \"sub\" %5, \"mul\" %6, \"div\" %7\n");
    check_pairs(DT_f32, special_floats, COUNT(special_floats),
                "  %2 = floordiv %0, %1 : f32[N]\n  %3 = mod %0, %1 : f32[N]\n  %4 = pow %0, %1 : f32[N]\n"
                "  return \"floordiv\" %2, \"mod\" %3, \"pow\" %4\n");
    check_pairs(DT_f32, special_floats, COUNT(special_floats),
                "  %2 = eq %0, %1 : bool[N]\n  %3 = ne %0, %1 : bool[N]\n  %4 = lt %0, %1 : bool[N]\n  %5 = le %0, %1 : bool[N]\n"
                "  %6 = gt %0, %1 : bool[N]\n  %7 = ge %0, %1 : bool[N]\n  %8 = isfinite %0 : bool[N]\n  %9 = select %4, %0, %1 : f32[N]\n"
                "  return \"eq\" %2, \"ne\" %3, \"lt\" %4, \"le\" %5, \"gt\" %6, \"ge\" %7, \"isfinite\" %8, \"select\" %9\n");
    check_pairs(DT_f32, special_floats, COUNT(special_floats),
                "  %2 = cast %0 : i32[N]\n  %3 = cast %0 : i64[N]\n  %4 = cast %0 : u8[N]\n  %5 = cast %0 : bool[N]\n"
                "  %6 = cast %0 : f64[N]\n  %7 = cast %6 : f32[N]\n  %8 = sign %0 : f32[N]\n  %9 = neg %0 : f32[N]\n"
                "  return \"i32\" %2, \"i64\" %3, \"u8\" %4, \"bool\" %5, \"f64\" %6, \"f32\" %7, \"sign\" %8, \"neg\" %9\n");
    check_pairs(DT_i32, special_integers, COUNT(special_integers),
                "  %2 = floordiv %0, %1 : i32[N]\n  %3 = mod %0, %1 : i32[N]\n  %4 = max %0, %1 : i32[N]\n  %5 = abs %0 : i32[N]\n"
                "  %6 = sign %0 : i32[N]\n  %7 = mul %0, %1 : i32[N]\n  %8 = cast %0 : u8[N]\n  %9 = cast %0 : f32[N]\n"
                "  return \"floordiv\" %2, \"mod\" %3, \"max\" %4, \"abs\" %5, \"sign\" %6, \"mul\" %7, \"u8\" %8, \"f32\" %9\n");
    check_pairs(DT_i64, special_integers, COUNT(special_integers),
                "  %2 = floordiv %0, %1 : i64[N]\n  %3 = mod %0, %1 : i64[N]\n  %4 = min %0, %1 : i64[N]\n  %5 = cast %0 : i32[N]\n"
                "  %6 = cast %0 : f32[N]\n  %7 = lt %0, %1 : bool[N]\n  return \"floordiv\" %2, \"mod\" %3, \"min\" %4, \"i32\" %5, \"f32\" %6, \"lt\" %7\n");
    check_pairs(DT_u8, special_integers, COUNT(special_integers),
                "  %2 = floordiv %0, %1 : u8[N]\n  %3 = mod %0, %1 : u8[N]\n  %4 = max %0, %1 : u8[N]\n  %5 = sub %0, %1 : u8[N]\n"
                "  %6 = cast %0 : f32[N]\n  %7 = gt %0, %1 : bool[N]\n  %8 = cast %0 : i64[N]\n"
                "  return \"floordiv\" %2, \"mod\" %3, \"max\" %4, \"sub\" %5, \"f32\" %6, \"gt\" %7, \"i64\" %8\n");
}

/* Extremes of rows that hold NaN, infinities and ties, along both axes. */
static void special_extremes(void **state)
{
    (void)state;
    enum { ROWS = 33, COLUMNS = 21 };
    Arena a = {0};
    const char *error = NULL;
    static const char text[] =
        "ir 1\nmodule \"t\"\n\nfunc export @f(N) {\n  %0 = input \"x\" : f32[N,21]\n"
        "  %1 = reduce %0 {kind = max, axes = [1]} : f32[N]\n  %2 = reduce %0 {kind = min, axes = [0]} : f32[21]\n"
        "  %3 = argreduce %0 {kind = max, axes = [1]} : i32[N]\n  %4 = argreduce %0 {kind = min, axes = [1]} : i32[N]\n"
        "  %5 = argreduce %0 {kind = max, axes = [0]} : i32[21]\n  %6 = argreduce %0 {kind = min, axes = [0]} : i32[21]\n"
        "  return \"max\" %1, \"min\" %2, \"a\" %3, \"b\" %4, \"c\" %5, \"d\" %6\n}\n";
    Module *m = must_read_ir(&a, text);
    Program *p = program_build(&a, m, &(CodegenOptions){0}, &error);
    if (!p) fail_msg("%s", error);
    float x[ROWS][COLUMNS];
    uint64_t seed = 3;
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < COLUMNS; k++) {
            uint32_t pick = random_below(&seed, 40);
            x[i][k] = i == 5 ? -INFINITY : i == 6 ? INFINITY : i == 7 ? NAN : pick == 0 ? NAN : pick == 1 ? INFINITY : (float)random_below(&seed, 4);
        }
    }
    int64_t n = ROWS;
    Tensor in = {.dtype = DT_f32, .rank = 2, .dim = {ROWS, COLUMNS}, .data = x}, want[6], got[6];
    if (!ir_eval(&a, m->funcs.at[0], &in, &n, false, want, &error)) fail_msg("%s", error);
    for (uint32_t row = 0; target_row(row); row++) {
        Jit j;
        if (!jit_can_run(target_row(row)->name)) continue;
        if (!jit_open(&a, p, target_row(row)->name, &j, &error)) fail_msg("%s", error);
        jit_run(&a, &j, p->funcs.at[0], &in, &n, 0, got);
        for (uint32_t r = 0; r < 6; r++) {
            for (int64_t i = 0; i < tensor_count(&want[r]); i++) {
                double u = tensor_get(&want[r], i), v = tensor_get(&got[r], i);
                if (u != v && !(isnan(u) && isnan(v))) fail_msg("%s, result %u, element %d: %g and %g", target_row(row)->name, r, (int)i, u, v);
            }
        }
        jit_close(&j);
    }
    arena_free(&a);
}

/* A computed index out of range: the element is 0, nothing is touched, the site of the check is reported. */
static void failed_checks(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL;
    static const char text[] =
        "ir 1\nmodule \"t\"\n\nfunc export @f(N) {\n  %0 = input \"x\" : f32[4]\n  %1 = input \"i\" : i32[N]\n"
        "  %2 = add %1, %1 : i32[N]\n  %3 = gather %0, %2 {axis = 0} : f32[N]\n  return \"out\" %3\n}\n";
    Module *m = must_read_ir(&a, text);
    Program *p = program_build(&a, m, &(CodegenOptions){0}, &error);
    if (!p) fail_msg("%s", error);
    for (uint32_t row = 0; target_row(row); row++) {
        Jit j;
        if (!jit_can_run(target_row(row)->name)) continue;
        if (!jit_open(&a, p, target_row(row)->name, &j, &error)) fail_msg("%s", error);
        for (int32_t bad = -1; bad < 40; bad++) {
            int32_t at[37];
            int64_t n = COUNT(at);
            float x[4] = {10, 11, 12, 13};
            for (int i = 0; i < 37; i++) at[i] = i == bad ? i % 2 ? 1000000 : -1 : i % 2;
            Tensor in[2] = {{.dtype = DT_f32, .rank = 1, .dim = {4}, .data = x}, {.dtype = DT_i32, .rank = 1, .dim = {n}, .data = at}}, out;
            int64_t fault = jit_run(&a, &j, p->funcs.at[0], in, &n, 0, &out);
            assert_int_equal(fault != 0, bad >= 0 && bad < 37);
            for (int i = 0; i < 37; i++) assert_true(((float *)out.data)[i] == (i == bad ? 0 : x[2 * (i % 2)]));
        }
        jit_close(&j);
    }
    arena_free(&a);
}

static const Case cases[] = {
    {"softmax of rows", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = reduce %0 {kind = max, axes = [1]} : f32[B]\n"
     "  %2 = broadcast %1 {axes = [0]} : f32[B,T]\n"
     "  %3 = sub %0, %2 : f32[B,T]\n"
     "  %4 = exp %3 : f32[B,T]\n"
     "  %5 = reduce %4 {kind = sum, axes = [1]} : f32[B]\n"
     "  %6 = broadcast %5 {axes = [0]} : f32[B,T]\n"
     "  %7 = div %4, %6 : f32[B,T]\n"
     "  return \"out\" %7\n"},
    {"softmax of columns", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = reduce %0 {kind = max, axes = [0]} : f32[T]\n"
     "  %2 = broadcast %1 {axes = [1]} : f32[B,T]\n"
     "  %3 = sub %0, %2 : f32[B,T]\n"
     "  %4 = exp %3 : f32[B,T]\n"
     "  %5 = reduce %4 {kind = sum, axes = [0]} : f32[T]\n"
     "  %6 = broadcast %5 {axes = [1]} : f32[B,T]\n"
     "  %7 = div %4, %6 : f32[B,T]\n"
     "  return \"out\" %7\n"},
    {"softmax of three", "B",
     "  %0 = input \"x\" : f32[B,3]\n"
     "  %1 = reduce %0 {kind = max, axes = [1]} : f32[B]\n"
     "  %2 = broadcast %1 {axes = [0]} : f32[B,3]\n"
     "  %3 = sub %0, %2 : f32[B,3]\n"
     "  %4 = exp %3 : f32[B,3]\n"
     "  %5 = reduce %4 {kind = sum, axes = [1]} : f32[B]\n"
     "  %6 = broadcast %5 {axes = [0]} : f32[B,3]\n"
     "  %7 = div %4, %6 : f32[B,3]\n"
     "  return \"out\" %7\n"},
    {"layer norm with scale and shift", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = input \"g\" : f32[T]\n"
     "  %2 = input \"b\" : f32[T]\n"
     "  %3 = reduce %0 {kind = sum, axes = [1]} : f32[B]\n"
     "  %4 = dim T : i64[]\n"
     "  %5 = cast %4 : f32[]\n"
     "  %6 = broadcast %5 {axes = []} : f32[B]\n"
     "  %7 = div %3, %6 : f32[B]\n"
     "  %8 = broadcast %7 {axes = [0]} : f32[B,T]\n"
     "  %9 = sub %0, %8 : f32[B,T]\n"
     "  %10 = mul %9, %9 : f32[B,T]\n"
     "  %11 = reduce %10 {kind = sum, axes = [1]} : f32[B]\n"
     "  %12 = div %11, %6 : f32[B]\n"
     "  %13 = const 0.1 : f32[]\n"
     "  %14 = broadcast %13 {axes = []} : f32[B]\n"
     "  %15 = add %12, %14 : f32[B]\n"
     "  %16 = rsqrt %15 : f32[B]\n"
     "  %17 = broadcast %16 {axes = [0]} : f32[B,T]\n"
     "  %18 = mul %9, %17 : f32[B,T]\n"
     "  %19 = broadcast %1 {axes = [1]} : f32[B,T]\n"
     "  %20 = mul %18, %19 : f32[B,T]\n"
     "  %21 = broadcast %2 {axes = [1]} : f32[B,T]\n"
     "  %22 = add %20, %21 : f32[B,T]\n"
     "  return \"out\" %22\n"},
    {"every kind of reduction", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = reduce %0 {kind = prod, axes = [1]} : f32[B]\n"
     "  %2 = reduce %0 {kind = min, axes = [0]} : f32[T]\n"
     "  %3 = reduce %0 {kind = max, axes = [0, 1]} : f32[]\n"
     "  %4 = reduce %0 {kind = sum, axes = [0, 1]} : f32[]\n"
     "  return \"a\" %1, \"b\" %2, \"c\" %3, \"d\" %4\n"},
    {"reductions of bools and integers", "B, T",
     "  %0 = input \"x\" : i32[B,T]\n"
     "  %1 = cast %0 : bool[B,T]\n"
     "  %2 = reduce %1 {kind = or, axes = [1]} : bool[B]\n"
     "  %3 = reduce %1 {kind = and, axes = [0]} : bool[T]\n"
     "  %4 = reduce %0 {kind = sum, axes = [1]} : i32[B]\n"
     "  %5 = cast %0 : i64[B,T]\n"
     "  %6 = reduce %5 {kind = max, axes = [1]} : i64[B]\n"
     "  return \"a\" %2, \"b\" %3, \"c\" %4, \"d\" %6\n"},
    {"largest and smallest along both axes", "B, T",
     "  %0 = input \"x\" : f32[B + 1,T + 1]\n"
     "  %1 = argreduce %0 {kind = max, axes = [1]} : i32[B + 1]\n"
     "  %2 = argreduce %0 {kind = min, axes = [0]} : i32[T + 1]\n"
     "  %3 = input \"n\" : i32[B + 1,T + 1]\n"
     "  %4 = argreduce %3 {kind = max, axes = [1]} : i32[B + 1]\n"
     "  %5 = argreduce %3 {kind = min, axes = [0]} : i32[T + 1]\n"
     "  return \"a\" %1, \"b\" %2, \"c\" %4, \"d\" %5\n"},
    {"doubles", "B, T",
     "  %0 = input \"x\" : f64[B,T]\n"
     "  %1 = exp %0 : f64[B,T]\n"
     "  %2 = tanh %1 : f64[B,T]\n"
     "  %3 = reduce %2 {kind = sum, axes = [1]} : f64[B]\n"
     "  %4 = broadcast %3 {axes = [0]} : f64[B,T]\n"
     "  %5 = div %2, %4 : f64[B,T]\n"
     "  %6 = cast %5 : f32[B,T]\n"
     "  return \"a\" %5, \"b\" %6\n"},
    {"integers of every width", "B, T",
     "  %0 = input \"x\" : u8[B,T]\n"
     "  %1 = input \"y\" : i32[B,T]\n"
     "  %2 = cast %0 : i32[B,T]\n"
     "  %3 = sub %2, %1 : i32[B,T]\n"
     "  %4 = floordiv %3, %1 : i32[B,T]\n"
     "  %5 = mod %3, %1 : i32[B,T]\n"
     "  %6 = mul %4, %5 : i32[B,T]\n"
     "  %7 = cast %6 : u8[B,T]\n"
     "  %8 = max %7, %0 : u8[B,T]\n"
     "  %9 = cast %3 : i64[B,T]\n"
     "  %10 = abs %9 : i64[B,T]\n"
     "  %11 = cast %10 : f32[B,T]\n"
     "  return \"a\" %6, \"b\" %8, \"c\" %10, \"d\" %11\n"},
    {"strides of two, three and back", "B, T",
     "  %0 = input \"x\" : f32[B,3*T + 2]\n"
     "  %1 = slice %0 {start = [0, 1], step = [1, 2]} : f32[B,T]\n"
     "  %2 = slice %0 {start = [0, 0], step = [1, 3]} : f32[B,T]\n"
     "  %3 = slice %0 {start = [0, 2], step = [1, 1]} : f32[B,T]\n"
     "  %4 = reverse %3 {axes = [1]} : f32[B,T]\n"
     "  %5 = add %1, %2 : f32[B,T]\n"
     "  %6 = mul %5, %4 : f32[B,T]\n"
     "  return \"out\" %6\n"},
    {"transposes", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = transpose %0 {perm = [1, 0]} : f32[T,B]\n"
     "  %2 = input \"y\" : f32[T,B]\n"
     "  %3 = add %1, %2 : f32[T,B]\n"
     "  %4 = reduce %1 {kind = sum, axes = [1]} : f32[T]\n"
     "  return \"a\" %3, \"b\" %4\n"},
    {"batch norm moments", "B, T",
     "  %0 = input \"x\" : f32[B,3,T,4]\n"
     "  %1 = reduce %0 {kind = sum, axes = [0, 2, 3]} : f32[3]\n"
     "  %2 = mul %0, %0 : f32[B,3,T,4]\n"
     "  %3 = reduce %2 {kind = sum, axes = [0, 2, 3]} : f32[3]\n"
     "  %4 = reduce %0 {kind = sum, axes = [0, 1, 2]} : f32[4]\n"
     "  return \"a\" %1, \"b\" %3, \"c\" %4\n"},
    {"cross entropy of labels", "B, T",
     "  %0 = input \"x\" : f32[B,T + 3]\n"
     "  %1 = input \"labels\" : i32[B,1]\n"
     "  %2 = reduce %0 {kind = max, axes = [1]} : f32[B]\n"
     "  %3 = broadcast %2 {axes = [0]} : f32[B,T + 3]\n"
     "  %4 = sub %0, %3 : f32[B,T + 3]\n"
     "  %5 = exp %4 : f32[B,T + 3]\n"
     "  %6 = reduce %5 {kind = sum, axes = [1]} : f32[B]\n"
     "  %7 = log %6 : f32[B]\n"
     "  %8 = broadcast %7 {axes = [0]} : f32[B,T + 3]\n"
     "  %9 = sub %4, %8 : f32[B,T + 3]\n"
     "  %10 = take_along %9, %1 {axis = 1} : f32[B,1]\n"
     "  %11 = neg %10 : f32[B,1]\n"
     "  %12 = reduce %11 {kind = sum, axes = [0, 1]} : f32[]\n"
     "  return \"out\" %12\n"},
    {"pixels shuffled", "B, T",
     "  %0 = input \"x\" : f32[B,4,T,3]\n"
     "  %1 = reshape %0 : f32[B,2,2,T,3]\n"
     "  %2 = transpose %1 {perm = [0, 3, 1, 4, 2]} : f32[B,T,2,3,2]\n"
     "  %3 = reshape %2 : f32[B,2*T,6]\n"
     "  %4 = tanh %3 : f32[B,2*T,6]\n"
     "  return \"out\" %4\n"},
    {"activations", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = erf %0 : f32[B,T]\n"
     "  %2 = sigmoid %1 : f32[B,T]\n"
     "  %3 = sin %2 : f32[B,T]\n"
     "  %4 = log1p %3 : f32[B,T]\n"
     "  %5 = expm1 %4 : f32[B,T]\n"
     "  %6 = cos %5 : f32[B,T]\n"
     "  %7 = sqrt %6 : f32[B,T]\n"
     "  %8 = pow %7, %2 : f32[B,T]\n"
     "  return \"out\" %8\n"},
    {"reshapes split and merge", "B, T",
     "  %0 = input \"x\" : f32[B,T,12]\n"
     "  %1 = reshape %0 : f32[B,T,3,4]\n"
     "  %2 = transpose %1 {perm = [2, 0, 1, 3]} : f32[3,B,T,4]\n"
     "  %3 = reshape %2 : f32[3,B*T,4]\n"
     "  %4 = exp %3 : f32[3,B*T,4]\n"
     "  %5 = reshape %4 : f32[12*B*T]\n"
     "  return \"out\" %5\n"},
    {"slices and reverses", "B",
     "  %0 = input \"x\" : f32[B,9]\n"
     "  %1 = slice %0 {start = [0, 1], step = [1, 2]} : f32[B,4]\n"
     "  %2 = reverse %1 {axes = [0, 1]} : f32[B,4]\n"
     "  %3 = neg %2 : f32[B,4]\n"
     "  return \"out\" %3\n"},
    {"elements repeated along the lanes", "B",
     "  %0 = input \"x\" : f32[B,14]\n"
     "  %1 = broadcast %0 {axes = [0, 1]} : f32[B,14,2]\n"
     "  %2 = reshape %1 : f32[B,28]\n"
     "  %3 = exp %2 : f32[B,28]\n"
     "  %4 = broadcast %0 {axes = [0, 1]} : f32[B,14,4]\n"
     "  %5 = reshape %4 : f32[B,56]\n"
     "  %6 = neg %5 : f32[B,56]\n"
     "  %7 = broadcast %0 {axes = [0, 1]} : f32[B,14,3]\n"
     "  %8 = reshape %7 : f32[B,42]\n"
     "  %9 = neg %8 : f32[B,42]\n"
     "  %10 = const 0.5 : f32[]\n"
     "  %11 = pad %0, %10 {lo = [0, 1], hi = [0, 2]} : f32[B,17]\n"
     "  %12 = broadcast %11 {axes = [0, 1]} : f32[B,17,2]\n"
     "  %13 = reshape %12 : f32[B,34]\n"
     "  %14 = exp %13 : f32[B,34]\n"
     "  return \"two\" %3, \"four\" %6, \"three\" %9, \"padded\" %14\n"},
    {"pads of values and of loads", "B",
     "  %0 = input \"x\" : f32[B,4]\n"
     "  %1 = exp %0 : f32[B,4]\n"
     "  %2 = const 2.5 : f32[]\n"
     "  %3 = pad %1, %2 {lo = [1, 0], hi = [0, 2]} : f32[B + 1,6]\n"
     "  %4 = const 0.0 : f32[]\n"
     "  %5 = pad %3, %4 {lo = [0, 1], hi = [1, 0]} : f32[B + 2,7]\n"
     "  %6 = abs %5 : f32[B + 2,7]\n"
     "  return \"out\" %6\n"},
    {"concats of three", "B, T",
     "  %0 = input \"x\" : f32[B,4]\n"
     "  %1 = input \"y\" : f32[T,4]\n"
     "  %2 = tanh %1 : f32[T,4]\n"
     "  %3 = concat %0, %2, %0 {axis = 0} : f32[2*B + T,4]\n"
     "  %4 = neg %3 : f32[2*B + T,4]\n"
     "  return \"out\" %4\n"},
    {"gathers along and of rows", "B, T",
     "  %0 = input \"x\" : f32[7,4]\n"
     "  %1 = input \"ids\" : i32[B,T]\n"
     "  %2 = gather %0, %1 {axis = 0} : f32[B,T,4]\n"
     "  %3 = exp %2 : f32[B,T,4]\n"
     "  %4 = input \"pick\" : i32[B,T,1]\n"
     "  %5 = take_along %3, %4 {axis = 2} : f32[B,T,1]\n"
     "  return \"a\" %3, \"b\" %5\n"},
    {"dynamic slices and updates", "B",
     "  %0 = input \"x\" : f32[8,B]\n"
     "  %1 = input \"start\" : i32[]\n"
     "  %2 = dslice %0, %1 {axis = 0} : f32[4,B]\n"
     "  %3 = exp %2 : f32[4,B]\n"
     "  %4 = dupdate %0, %3, %1 {axis = 0} : f32[8,B]\n"
     "  return \"a\" %2, \"b\" %4\n"},
    {"norm over the last axis", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = reduce %0 {kind = sum, axes = [1]} : f32[B]\n"
     "  %2 = reshape %1 : f32[B,1]\n"
     "  %3 = tanh %2 : f32[B,1]\n"
     "  %4 = reshape %3 : f32[B]\n"
     "  %5 = broadcast %4 {axes = [0]} : f32[B,T]\n"
     "  %6 = sub %0, %5 : f32[B,T]\n"
     "  %7 = mul %6, %6 : f32[B,T]\n"
     "  %8 = reduce %7 {kind = sum, axes = [1]} : f32[B]\n"
     "  %9 = sqrt %8 : f32[B]\n"
     "  %10 = broadcast %9 {axes = [0]} : f32[B,T]\n"
     "  %11 = div %6, %10 : f32[B,T]\n"
     "  return \"out\" %11\n"},
    {"reductions over outer axes", "B, T",
     "  %0 = input \"x\" : f32[B,4,T]\n"
     "  %1 = reduce %0 {kind = sum, axes = [0, 2]} : f32[4]\n"
     "  %2 = reduce %0 {kind = max, axes = [0]} : f32[4,T]\n"
     "  %3 = argreduce %0 {kind = max, axes = [1]} : i32[B,T]\n"
     "  return \"a\" %1, \"b\" %2, \"c\" %3\n"},
    {"pooling", "B",
     "  %0 = input \"x\" : f32[B,2,7,7]\n"
     "  %1 = tanh %0 : f32[B,2,7,7]\n"
     "  %2 = window %1 {kind = max, size = [1, 1, 3, 3], stride = [1, 1, 2, 2], lo = [0, 0, 1, 1], hi = [0, 0, 1, 1]} : f32[B,2,4,4]\n"
     "  %3 = window %1 {kind = sum, size = [1, 1, 2, 2], stride = [1, 1, 2, 2], lo = [0, 0, 0, 0], hi = [0, 0, 0, 0]} : f32[B,2,3,3]\n"
     "  return \"a\" %2, \"b\" %3\n"},
    {"results that nothing computes", "B",
     "  %0 = input \"x\" : f32[B]\n"
     "  %1 = neg %0 : f32[B]\n"
     "  return \"a\" %0, \"b\" %1, \"c\" %1\n"},
    {"masks of positions", "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = iota {axis = 0} : i32[B,T]\n"
     "  %2 = iota {axis = 1} : i32[B,T]\n"
     "  %3 = ge %1, %2 : bool[B,T]\n"
     "  %4 = const -inf : f32[]\n"
     "  %5 = broadcast %4 {axes = []} : f32[B,T]\n"
     "  %6 = select %3, %0, %5 : f32[B,T]\n"
     "  return \"out\" %6\n"},
};

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 4];
    for (size_t i = 0; i < COUNT(cases); i++) {
        tests[i] = (struct CMUnitTest){.name = cases[i].name, .test_func = check_case, .initial_state = (void *)&cases[i]};
    }
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(random_programs);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(special_values);
    tests[COUNT(cases) + 2] = (struct CMUnitTest)cmocka_unit_test(special_extremes);
    tests[COUNT(cases) + 3] = (struct CMUnitTest)cmocka_unit_test(failed_checks);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
