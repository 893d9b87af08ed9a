/* test_commit.c - functions that give params and states new values: compiled code against the evaluator over several calls,
 * for every target row that this machine runs, fused and unfused, at one and two threads with equal bits. What is copied is
 * pinned; a call that fails changes no byte. */
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
#include "support.h"

enum { CALLS = 3, MAX_ARGS = 16, MAX_PARAMS = 8 };

static const char *const targets[] = {"x86-64-v4", "x86-64-v3", "generic"};

static bool runs_here(const char *target)
{
    if (!strcmp(target, "x86-64-v4")) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(target, "x86-64-v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}

/* ---- programs ------------------------------------------------------------------------------------------------------ */

/* A program whose first function is called with B = 7. N and M in the text stand for sizes. */
typedef struct Program1 {
    const char *name, *text;
    int64_t     copied;                 /* bytes, with N = 33, M = 5, fused */
} Program1;

#define HEAD "ir 1\nmodule \"m\"\n"

static const Program1 programs[] = {
    {"SGD, its guards", HEAD
     "param \"w\" : f32[N] func export train @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"w\" : f32[N] %2 = dot %0, %1 {contract = [1]x[0]} : f32[B]\n"
     "  %3 = mul %2, %2 : f32[B] %4 = reduce %3 {kind = sum, axes = [0]} : f32[] %5 = grad %4, %1 : (f32[N])\n"
     "  %6 = get %5 {member = 0} : f32[N] %7 = const 0.01 : f32[N] %8 = mul %6, %7 : f32[N] %9 = sub %1, %8 : f32[N]\n"
     "  %10 = sub %4, %4 : f32[] %11 = eq %10, %10 : bool[] %12 = mul %6, %6 : f32[N] %13 = reduce %12 {kind = sum, axes = [0]} : f32[]\n"
     "  %14 = sub %13, %13 : f32[] %15 = eq %14, %14 : bool[] guard %11 \"the loss\" guard %15 \"the gradient of `w`\"\n"
     "  return \"loss\" %4, \"w\" %9 -> \"w\" }", 0},
    {"momentum", HEAD
     "param \"w\" : f32[N,M] state \"m\" : f32[N,M] func export train @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"w\" : f32[N,M] %2 = param \"m\" : f32[N,M]\n"
     "  %3 = dot %0, %1 {contract = [1]x[0]} : f32[B,M] %4 = tanh %3 : f32[B,M] %5 = reduce %4 {kind = sum, axes = [0, 1]} : f32[]\n"
     "  %6 = grad %5, %1 : (f32[N,M]) %7 = get %6 {member = 0} : f32[N,M] %8 = const 0.9 : f32[] %9 = broadcast %8 {axes = []} : f32[N,M]\n"
     "  %10 = mul %2, %9 : f32[N,M] %11 = add %10, %7 : f32[N,M] %12 = const 0.1 : f32[] %13 = broadcast %12 {axes = []} : f32[N,M]\n"
     "  %14 = mul %11, %13 : f32[N,M] %15 = sub %1, %14 : f32[N,M]\n"
     "  return \"loss\" %5, \"w\" %15 -> \"w\", \"m\" %11 -> \"m\" }", 0},
    {"AdamW of two params", HEAD
     "param \"w\" : f32[N,M] param \"b\" : f32[M] state \"wm\" : f32[N,M] state \"wv\" : f32[N,M] state \"bm\" : f32[M] state \"bv\" : f32[M]\n"
     "state \"t\" : i64[] func export train @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"w\" : f32[N,M] %2 = param \"b\" : f32[M] %3 = param \"wm\" : f32[N,M]\n"
     "  %4 = param \"wv\" : f32[N,M] %5 = param \"bm\" : f32[M] %6 = param \"bv\" : f32[M] %7 = param \"t\" : i64[]\n"
     "  %8 = dot %0, %1 {contract = [1]x[0]} : f32[B,M] %9 = broadcast %2 {axes = [1]} : f32[B,M] %10 = add %8, %9 : f32[B,M]\n"
     "  %11 = mul %10, %10 : f32[B,M] %12 = reduce %11 {kind = sum, axes = [0, 1]} : f32[] %13 = grad %12, %1, %2 : (f32[N,M], f32[M])\n"
     "  %14 = get %13 {member = 0} : f32[N,M] %15 = get %13 {member = 1} : f32[M]\n"
     "  %16 = const 1 : i64[] %17 = add %7, %16 : i64[] %18 = cast %17 : f32[] %19 = const 0.9 : f32[] %20 = pow %19, %18 : f32[]\n"
     "  %21 = const 1.0 : f32[] %22 = sub %21, %20 : f32[] %23 = const 0.99 : f32[] %24 = const 0.01 : f32[] %25 = const 0.1 : f32[]\n"
     "  %26 = broadcast %19 {axes = []} : f32[N,M] %27 = broadcast %25 {axes = []} : f32[N,M] %28 = broadcast %23 {axes = []} : f32[N,M]\n"
     "  %29 = broadcast %24 {axes = []} : f32[N,M] %30 = broadcast %22 {axes = []} : f32[N,M]\n"
     "  %31 = mul %3, %26 : f32[N,M] %32 = mul %14, %27 : f32[N,M] %33 = add %31, %32 : f32[N,M]\n"
     "  %34 = mul %4, %28 : f32[N,M] %35 = mul %14, %14 : f32[N,M] %36 = mul %35, %29 : f32[N,M] %37 = add %34, %36 : f32[N,M]\n"
     "  %38 = div %33, %30 : f32[N,M] %39 = sqrt %37 : f32[N,M] %40 = add %39, %29 : f32[N,M] %41 = div %38, %40 : f32[N,M]\n"
     "  %42 = mul %1, %29 : f32[N,M] %43 = add %41, %42 : f32[N,M] %44 = mul %43, %29 : f32[N,M] %45 = sub %1, %44 : f32[N,M]\n"
     "  %46 = broadcast %19 {axes = []} : f32[M] %47 = broadcast %25 {axes = []} : f32[M] %48 = broadcast %23 {axes = []} : f32[M]\n"
     "  %49 = broadcast %24 {axes = []} : f32[M] %50 = broadcast %22 {axes = []} : f32[M]\n"
     "  %51 = mul %5, %46 : f32[M] %52 = mul %15, %47 : f32[M] %53 = add %51, %52 : f32[M]\n"
     "  %54 = mul %6, %48 : f32[M] %55 = mul %15, %15 : f32[M] %56 = mul %55, %49 : f32[M] %57 = add %54, %56 : f32[M]\n"
     "  %58 = div %53, %50 : f32[M] %59 = sqrt %57 : f32[M] %60 = add %59, %49 : f32[M] %61 = div %58, %60 : f32[M]\n"
     "  %62 = mul %61, %49 : f32[M] %63 = sub %2, %62 : f32[M] %64 = sub %12, %12 : f32[] %65 = eq %64, %64 : bool[] guard %65 \"the loss\"\n"
     "  return \"loss\" %12, \"w\" %45 -> \"w\", \"b\" %63 -> \"b\", \"wm\" %33 -> \"wm\", \"wv\" %37 -> \"wv\", \"bm\" %53 -> \"bm\", \"bv\" %57 -> \"bv\",\n"
     "         \"t\" %17 -> \"t\" }", 0},
    {"BatchNorm", HEAD
     "param \"g\" : f32[M] state \"mean\" : f32[M] state \"var\" : f32[M] func export train @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = slice %0 {start = [0, 0], step = [1, 1]} : f32[B,M] %2 = param \"g\" : f32[M]\n"
     "  %3 = param \"mean\" : f32[M] %4 = param \"var\" : f32[M] %5 = reduce %1 {kind = sum, axes = [0]} : f32[M]\n"
     "  %6 = dim B : i64[] %7 = cast %6 : f32[] %8 = broadcast %7 {axes = []} : f32[M] %9 = div %5, %8 : f32[M]\n"
     "  %10 = broadcast %9 {axes = [1]} : f32[B,M] %11 = sub %1, %10 : f32[B,M] %12 = mul %11, %11 : f32[B,M]\n"
     "  %13 = reduce %12 {kind = sum, axes = [0]} : f32[M] %14 = div %13, %8 : f32[M] %15 = const 0.9 : f32[M] %16 = const 0.1 : f32[M]\n"
     "  %17 = mul %3, %15 : f32[M] %18 = mul %9, %16 : f32[M] %19 = add %17, %18 : f32[M] %20 = mul %4, %15 : f32[M]\n"
     "  %21 = mul %14, %16 : f32[M] %22 = add %20, %21 : f32[M] %23 = add %14, %16 : f32[M] %24 = rsqrt %23 : f32[M]\n"
     "  %25 = broadcast %24 {axes = [1]} : f32[B,M] %26 = mul %11, %25 : f32[B,M] %27 = broadcast %2 {axes = [1]} : f32[B,M]\n"
     "  %28 = mul %26, %27 : f32[B,M] return \"y\" %28, \"mean\" %19 -> \"mean\", \"var\" %22 -> \"var\" }", 0},
    {"two change places", HEAD
     "state \"a\" : f32[N] state \"b\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"b\" : f32[N] return \"a\" %2 -> \"a\", \"b\" %1 -> \"b\" }", 0},
    {"three in a circle, with work on the way", HEAD
     "state \"a\" : f32[N] state \"b\" : f32[N] state \"c\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"b\" : f32[N] %3 = param \"c\" : f32[N] %4 = exp %1 : f32[N]\n"
     "  %5 = neg %2 : f32[N] %6 = tanh %3 : f32[N] return \"a\" %5 -> \"a\", \"b\" %6 -> \"b\", \"c\" %4 -> \"c\" }", 0},
    {"a chain needs an order and no copy", HEAD
     "state \"a\" : f32[N] state \"b\" : f32[N] state \"c\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"b\" : f32[N] %3 = param \"c\" : f32[N]\n"
     "  %4 = reduce %0 {kind = sum, axes = [0]} : f32[N] return \"a\" %4 -> \"a\", \"b\" %1 -> \"b\", \"c\" %2 -> \"c\", \"old\" %3 }", 0},
    {"new and old values read", HEAD
     "state \"a\" : f32[N] state \"ema\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"ema\" : f32[N] %3 = reduce %0 {kind = max, axes = [0]} : f32[N]\n"
     "  %4 = add %1, %3 : f32[N] %5 = const 0.5 : f32[N] %6 = mul %2, %5 : f32[N] %7 = mul %4, %5 : f32[N] %8 = add %6, %7 : f32[N]\n"
     "  %9 = sub %1, %2 : f32[N] %10 = reduce %4 {kind = sum, axes = [0]} : f32[]\n"
     "  return \"old\" %9, \"new\" %10, \"a\" %4 -> \"a\", \"ema\" %8 -> \"ema\", \"again\" %4, \"before\" %1 }", 0},
    {"other elements than those written", HEAD
     "state \"a\" : f32[N] state \"s\" : f32[N,N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"s\" : f32[N,N] %3 = reverse %1 {axes = [0]} : f32[N]\n"
     "  %4 = add %1, %3 : f32[N] %5 = transpose %2 {perm = [1, 0]} : f32[N,N] %6 = sub %2, %5 : f32[N,N]\n"
     "  return \"a\" %4 -> \"a\", \"s\" %6 -> \"s\" }", 33 * 4 + 33 * 33 * 4},
    {"products of a state with itself", HEAD
     "state \"s\" : f32[N,N] state \"a\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"s\" : f32[N,N] %2 = dot %1, %1 {contract = [1]x[0]} : f32[N,N]\n"
     "  %3 = tanh %2 : f32[N,N] %4 = param \"a\" : f32[N] %5 = dot %1, %4 {contract = [1]x[0]} : f32[N] %6 = add %5, %4 : f32[N]\n"
     "  return \"s\" %3 -> \"s\", \"a\" %6 -> \"a\" }", 33 * 33 * 4 + 33 * 4},
    {"rows of a state, a reset, what stays", HEAD
     "state \"s\" : f32[N,M] state \"z\" : f32[N] state \"k\" : f32[N] state \"one\" : i64[] state \"same\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"s\" : f32[N,M] %2 = reduce %1 {kind = max, axes = [1]} : f32[N]\n"
     "  %3 = broadcast %2 {axes = [0]} : f32[N,M] %4 = sub %1, %3 : f32[N,M] %5 = exp %4 : f32[N,M] %6 = reduce %5 {kind = sum, axes = [1]} : f32[N]\n"
     "  %7 = broadcast %6 {axes = [0]} : f32[N,M] %8 = div %5, %7 : f32[N,M] %9 = const 0.0 : f32[] %10 = broadcast %9 {axes = []} : f32[N]\n"
     "  %11 = const 2.5 : f32[N] %12 = const 1 : i64[] %13 = param \"same\" : f32[N] %14 = exp %13 : f32[N]\n"
     "  return \"s\" %8 -> \"s\", \"z\" %10 -> \"z\", \"k\" %11 -> \"k\", \"one\" %12 -> \"one\", \"same\" %13 -> \"same\", \"e\" %14 }", 0},
    {"routines", HEAD
     "state \"a\" : f32[N] state \"s\" : f32[N,M] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"a\" : f32[N] %2 = param \"s\" : f32[N,M] %3 = cumulate %1 {kind = sum, axes = [0]} : f32[N]\n"
     "  %4 = const [1, 0, 1] : i32[3] %5 = slice %2 {start = [0, 0], step = [1, 1]} : f32[3,M]\n"
     "  %6 = scatter %2, %4, %5 {kind = sum} : f32[N,M] return \"a\" %3 -> \"a\", \"s\" %6 -> \"s\" }", 33 * 4 + 33 * 5 * 4},
    {"an index that is computed", HEAD
     "param \"w\" : f32[N,M] state \"n\" : f32[] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"w\" : f32[N,M] %2 = param \"n\" : f32[] %3 = const 1.0 : f32[] %4 = add %2, %3 : f32[]\n"
     "  %5 = mul %2, %2 : f32[] %6 = cast %5 : i32[] %7 = const 4 : i32[] %8 = mod %6, %7 : i32[] %9 = gather %1, %8 {axis = 0} : f32[M]\n"
     "  %10 = broadcast %9 {axes = [1]} : f32[N,M] %11 = const 0.125 : f32[N,M] %12 = mul %10, %11 : f32[N,M] %13 = add %1, %12 : f32[N,M]\n"
     "  return \"row\" %9, \"n\" %4 -> \"n\", \"w\" %13 -> \"w\" }", 0},
    {"an index computed from a new value", HEAD
     "state \"n\" : i64[] state \"w\" : f32[N] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"n\" : i64[] %2 = const 3 : i64[] %3 = add %1, %2 : i64[] %4 = const 8 : i64[]\n"
     "  %5 = mod %3, %4 : i64[] %6 = param \"w\" : f32[N] %7 = gather %6, %5 {axis = 0} : f32[] %8 = broadcast %7 {axes = []} : f32[N]\n"
     "  %9 = mul %6, %8 : f32[N] return \"at\" %7, \"n\" %5 -> \"n\", \"w\" %9 -> \"w\" }", 8},
    {"rows put behind a place that is kept", HEAD
     "state \"c\" : f32[N,M] state \"t\" : i64[] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = slice %0 {start = [0, 0], step = [1, 1]} : f32[3,M] %2 = param \"c\" : f32[N,M] %3 = param \"t\" : i64[]\n"
     "  %4 = tanh %1 : f32[3,M] %5 = dupdate %2, %4, %3 {axis = 0} : f32[N,M] %6 = const 3 : i64[] %7 = add %3, %6 : i64[]\n"
     "  %8 = reduce %5 {kind = max, axes = [0]} : f32[M] return \"y\" %8, \"c\" %5 -> \"c\", \"t\" %7 -> \"t\" }", 0},
    {"columns put into two states", HEAD
     "state \"c\" : f32[N,M] state \"d\" : f32[N,M] state \"t\" : i32[] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = slice %0 {start = [2, 0], step = [1, 1]} : f32[1,N] %2 = reshape %1 : f32[N,1] %3 = param \"c\" : f32[N,M]\n"
     "  %4 = param \"d\" : f32[N,M] %5 = param \"t\" : i32[] %6 = dupdate %3, %2, %5 {axis = 1} : f32[N,M] %7 = exp %2 : f32[N,1]\n"
     "  %8 = dupdate %4, %7, %5 {axis = 1} : f32[N,M] %9 = const 1 : i32[] %10 = add %5, %9 : i32[] %11 = mul %6, %8 : f32[N,M]\n"
     "  %12 = sub %3, %4 : f32[N,M] return \"y\" %11, \"old\" %12, \"c\" %6 -> \"c\", \"d\" %8 -> \"d\", \"t\" %10 -> \"t\" }", 0},
    {"a state's own rows put elsewhere in it", HEAD
     "state \"c\" : f32[N,M] state \"t\" : i64[] func export @f(B) {\n"
     "  %0 = input \"x\" : f32[B,N] %1 = param \"c\" : f32[N,M] %2 = param \"t\" : i64[] %3 = slice %1 {start = [1, 0], step = [1, 1]} : f32[3,M]\n"
     "  %4 = dupdate %1, %3, %2 {axis = 0} : f32[N,M] %5 = const 1 : i64[] %6 = add %2, %5 : i64[] return \"c\" %4 -> \"c\", \"t\" %6 -> \"t\" }", 33 * 5 * 4},
};

static void replace_all(Str *s, const char *text, int64_t n, int64_t m)
{
    for (const char *p = text; *p; p++) {
        bool alone = (p == text || !((p[-1] | 32) >= 'a' && (p[-1] | 32) <= 'z')) && !((p[1] | 32) >= 'a' && (p[1] | 32) <= 'z');
        if (alone && (*p == 'N' || *p == 'M')) str_fmt(s, "%lld", (long long)(*p == 'N' ? n : m));
        else str_char(s, *p);
    }
}

/* ---- one program ----------------------------------------------------------------------------------------------------- */

typedef struct World {
    Arena        arena;
    const char  *what;
    const Module *m;                    /* as written, with its gradients */
    const Func  *f;
    Tensor       value[MAX_PARAMS];     /* of params, after so many calls */
    dlc_artefact *artefact;
    const Program *program;
} World;

static double sample(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / (1 << 23) - 1;
}

static Tensor make_tensor(Arena *a, const Type *t, int64_t B, uint64_t *seed)
{
    Tensor x = {.dtype = t->dtype, .rank = t->rank};
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dim[i], &x.dim[i])) x.dim[i] = B;
    x.data = arena_alloc(a, (size_t)tensor_count(&x) * 8 + 64);
    for (int64_t i = 0; i < tensor_count(&x); i++) tensor_set(&x, i, dtype_is_float(t->dtype) ? fabs(sample(seed)) : 1);
    return x;
}

static size_t bytes_of(const Tensor *t) { return (size_t)tensor_count(t) * dtype_size(t->dtype); }

static void compile(World *w, const char *text, const char *target, bool fused)
{
    Arena *a = &w->arena;
    const char *error = NULL;
    Module *m = must_read_ir(a, text);
    PassOptions passes = {.level = 2, .verify = true};
    CodegenOptions o = {.cpu = target, .level = 2, .no_fuse = !fused};
    if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s: %s", w->what, error);
    Program *p = program_build(a, m, &o, &error);
    if (!p) fail_msg("%s: %s", w->what, error);
    w->program = p;
    char folder[] = "/tmp/dlc-test-XXXXXX", message[512];
    assert_non_null(mkdtemp(folder));
    const char *so = arena_printf(a, "%s/f.so", folder);
    ArtefactInfo info;
    if (!artefact_write(a, p, &o, ARTEFACT_SO, so, NULL, &info, &error)) fail_msg("%s: %s", w->what, error);
    w->artefact = dlc_open(so, message, sizeof message);
    unlink(so);
    rmdir(folder);
    if (!w->artefact) fail_msg("%s: %s", w->what, message);
}

static dlc_instance *instance(World *w, int threads)
{
    dlc_options options = {.size = sizeof options, .threads = threads};
    char message[256];
    dlc_instance *m = dlc_create(w->artefact, &options, message, sizeof message);
    if (!m) fail_msg("%s: %s", w->what, message);
    return m;
}

static void set_params(World *w, dlc_instance *m, const Tensor *value)
{
    for (uint32_t i = 0; i < w->m->params.n; i++)
        if (dlc_set(m, w->m->params.at[i]->path, value[i].data, bytes_of(&value[i]))) fail_msg("%s: %s", w->what, dlc_error(m));
}

/* Call f with these inputs; outputs into out, new memory. */
static int call(World *w, dlc_instance *m, const char *fn, int64_t B, const Tensor *x, Tensor *out)
{
    int number = dlc_find(w->artefact, fn);
    dlc_function_info info;
    void *data[MAX_ARGS] = {NULL};
    assert_int_equal(dlc_function(w->artefact, number, &info), DLC_OK);
    for (int i = 0; i < info.noutputs; i++) {
        dlc_argument_info arg;
        dlc_argument(w->artefact, number, DLC_OUTPUT, i, &arg);
        out[i] = (Tensor){.dtype = (DType)arg.dtype, .rank = (uint32_t)arg.rank};
        assert_int_equal(dlc_shape(w->artefact, number, DLC_OUTPUT, i, &B, out[i].dim), DLC_OK);
        if (arg.state) continue;
        data[i] = out[i].data = arena_alloc(&w->arena, bytes_of(&out[i]) + 64);
    }
    return dlc_call(m, number, &B, (const void *[]){x->data}, data);
}

static void check_close(World *w, const char *name, int step, const Tensor *want, const Tensor *got)
{
    double scale = 1e-3;
    for (int64_t i = 0; i < tensor_count(want); i++) scale = fmax(scale, fabs(tensor_get(want, i)));
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double a = tensor_get(want, i), b = tensor_get(got, i);
        if (!(fabs(a - b) <= 1e-4 * scale)) fail_msg("%s: call %d: element %lld of %s is %.9g, the evaluator says %.9g", w->what, step, (long long)i, name, b, a);
    }
}

/* Params of an instance, in new memory. */
static void get_params(World *w, dlc_instance *m, Tensor *value)
{
    for (uint32_t i = 0; i < w->m->params.n; i++) {
        value[i] = w->value[i];
        value[i].data = arena_alloc(&w->arena, bytes_of(&value[i]) + 64);
        if (dlc_get(m, w->m->params.at[i]->path, value[i].data, bytes_of(&value[i]))) fail_msg("%s: %s", w->what, dlc_error(m));
    }
}

static void evaluate(World *w, const Tensor *x, Tensor *results)
{
    Tensor in[MAX_ARGS];
    const char *error = NULL;
    for (uint32_t i = 0; i < w->f->args.n; i++)
        in[i] = w->f->args.at[i].param ? w->value[w->f->args.at[i].param->index] : *x;
    if (!ir_eval(&w->arena, w->f, in, NULL, false, results, &error)) fail_msg("%s: %s", w->what, error);
    for (uint32_t r = 0; r < w->f->results.n; r++)
        if (w->f->results.at[r].param) w->value[w->f->results.at[r].param->index] = results[r];
}

/* The commit rule, step by step: nothing that fails from the commit on, no write before it, no old value read after the new
 * one was written. */
static void check_plan(World *w)
{
    const ProgramFunc *f = w->program->funcs.at[0];
    bool written[MAX_PARAMS] = {false};
    for (uint32_t s = 0; s < f->steps.n; s++) {
        const Step *step = &f->steps.at[s];
        const Kernel *k = step->kernel;
        bool fails = k->class == KERNEL_ROUTINE && (k->routine == OP_scatter || k->routine == OP_top_k);
        for (uint32_t i = 0; i < k->body.n; i++) fails |= k->body.at[i].kind == K_check;
        if (fails && s >= f->commit) fail_msg("%s: step %u can fail after the commit", w->what, s);
        for (uint32_t o = 0; o < k->operands.n; o++) {
            const Buffer *b = &f->buffers.at[step->buffer[o]];
            for (uint32_t g = 0; g < f->guards.n; g++)
                if (k->operands.at[o].written && f->guards.at[g] == step->buffer[o] && s >= f->commit) fail_msg("%s: a guard after the commit", w->what);
            if (b->kind != BUFFER_PARAM) continue;
            if (k->operands.at[o].written && s < f->commit) fail_msg("%s: step %u writes before the commit", w->what, s);
            if (!k->operands.at[o].written && b->value->op == OP_arg && written[b->index]) fail_msg("%s: step %u reads what was overwritten", w->what, s);
        }
        for (uint32_t o = 0; o < k->operands.n; o++)
            if (k->operands.at[o].written && f->buffers.at[step->buffer[o]].kind == BUFFER_PARAM) written[f->buffers.at[step->buffer[o]].index] = true;
    }
}

static void run(const Program1 *p, int64_t n, int64_t m, const char *target, bool fused)
{
    World w = {0};
    Str text = {.arena = &w.arena};
    replace_all(&text, p->text, n, m);
    w.what = arena_printf(&w.arena, "%s, %lld by %lld, %s, %s", p->name, (long long)n, (long long)m, target, fused ? "fused" : "unfused");
    Module *written = must_read_ir(&w.arena, text.at);
    const char *error = NULL;
    if (!passes_run(written, &(PassOptions){.level = 0}, NULL, &error)) fail_msg("%s: %s", w.what, error);      /* gradients */
    w.m = written;
    w.f = w.m->funcs.at[0];
    compile(&w, text.at, target, fused);
    check_plan(&w);
    if (fused && n == 33 && m == 5) {
        int64_t copied = w.program->funcs.at[0]->copied;
        if (copied != p->copied) fail_msg("%s: %lld bytes are copied, not %lld", w.what, (long long)copied, (long long)p->copied);
    }
    uint64_t seed = 7;
    for (uint32_t i = 0; i < w.m->params.n; i++) w.value[i] = make_tensor(&w.arena, w.m->params.at[i]->type, 0, &seed);
    dlc_instance *one = instance(&w, 1), *two = instance(&w, 2);
    set_params(&w, one, w.value), set_params(&w, two, w.value);
    for (int step = 0; step < CALLS; step++) {
        Tensor x = make_tensor(&w.arena, w.f->args.at[0].node->type, 7, &seed), want[MAX_ARGS], out[2][MAX_ARGS], after[2][MAX_PARAMS];
        evaluate(&w, &x, want);
        dlc_instance *both[2] = {one, two};
        for (int i = 0; i < 2; i++) {
            if (call(&w, both[i], "f", 7, &x, out[i])) fail_msg("%s: %s", w.what, dlc_error(both[i]));
            get_params(&w, both[i], after[i]);
        }
        for (uint32_t r = 0; r < w.f->results.n; r++) {
            if (w.f->results.at[r].param) continue;
            check_close(&w, w.f->results.at[r].name, step, &want[r], &out[0][r]);
            if (memcmp(out[0][r].data, out[1][r].data, bytes_of(&want[r]))) fail_msg("%s: other bits with two threads", w.what);
        }
        for (uint32_t i = 0; i < w.m->params.n; i++) {
            check_close(&w, w.m->params.at[i]->path, step, &w.value[i], &after[0][i]);
            if (memcmp(after[0][i].data, after[1][i].data, bytes_of(&w.value[i]))) fail_msg("%s: other bits with two threads", w.what);
            memcpy(w.value[i].data, after[0][i].data, bytes_of(&w.value[i]));      /* errors must not add up */
        }
    }
    dlc_destroy(one), dlc_destroy(two);
    dlc_close(w.artefact);
    arena_free(&w.arena);
}

static void against_the_evaluator(void **state)
{
    static const int64_t sizes[][2] = {{33, 5}, {260, 64}};
    (void)state;
    for (size_t i = 0; i < COUNT(programs); i++)
        for (size_t t = 0; t < COUNT(targets); t++)
            for (size_t s = 0; s < COUNT(sizes) && runs_here(targets[t]); s++)
                for (int fused = s == 0 ? 0 : 1; fused < 2; fused++) run(&programs[i], sizes[s][0], sizes[s][1], targets[t], fused);
}

/* ---- calls that fail ------------------------------------------------------------------------------------------------------ */

static const char failing[] = HEAD
    "param \"w\" : f32[8] state \"m\" : f32[8] state \"n\" : i64[] func export train @f() {\n"
    "  %0 = input \"x\" : f32[8] %1 = param \"w\" : f32[8] %2 = param \"m\" : f32[8] %3 = param \"n\" : i64[]\n"
    "  %4 = seed \"seed\" : i64[] %5 = step \"step\" : i64[] %6 = rng %4, %5 {stream = 3} : f32[8]\n"
    "  %7 = mul %0, %1 : f32[8] %8 = add %7, %6 : f32[8] %9 = reduce %8 {kind = sum, axes = [0]} : f32[]\n"
    "  %10 = add %2, %0 : f32[8] %11 = add %1, %10 : f32[8] %12 = const 1 : i64[] %13 = add %3, %12 : i64[]\n"
    "  %14 = slice %0 {start = [0], step = [1]} : f32[1] %15 = reshape %14 : f32[] %16 = cast %15 : i32[] %17 = gather %11, %16 {axis = 0} : f32[]\n"
    "  %18 = sub %9, %9 : f32[] %19 = eq %18, %18 : bool[] %20 = reduce %0 {kind = max, axes = [0]} : f32[] %21 = const 50.0 : f32[]\n"
    "  %22 = lt %20, %21 : bool[] guard %19 \"the loss\" guard %22 \"the gradient of `w`\"\n"
    "  return \"loss\" %9, \"at\" %17, \"w\" %11 -> \"w\", \"m\" %10 -> \"m\", \"n\" %13 -> \"n\" }\n"
    "func export @draw() { %0 = seed \"seed\" : i64[] %1 = step \"step\" : i64[] %2 = rng %0, %1 {stream = 3} : f32[8] return \"y\" %2 }\n"
    "func @init() { %0 = const 0.0 : f32[8] %1 = const 1.0 : f32[8] %2 = const 0 : i64[] return \"w\" %1 -> \"w\", \"m\" %0 -> \"m\", \"n\" %2 -> \"n\" }";

static void expect_failure(World *w, dlc_instance *m, const float *x, int status, const char *text)
{
    Tensor before[MAX_PARAMS], after[MAX_PARAMS], out[MAX_ARGS], in = {DT_f32, 1, {8}, (void *)(uintptr_t)x};
    get_params(w, m, before);
    assert_int_equal(call(w, m, "f", 0, &in, out), status);
    if (strcmp(dlc_error(m), text)) fail_msg("%s\nis not %s", dlc_error(m), text);
    get_params(w, m, after);
    for (uint32_t i = 0; i < w->m->params.n; i++) assert_memory_equal(before[i].data, after[i].data, bytes_of(&before[i]));
}

static void failures_change_nothing(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(targets); t++) {
        if (!runs_here(targets[t])) continue;
        World w = {.what = targets[t]};
        uint64_t seed = 1;
        w.m = must_read_ir(&w.arena, failing);
        w.f = w.m->funcs.at[0];
        for (uint32_t i = 0; i < w.m->params.n; i++) w.value[i] = make_tensor(&w.arena, w.m->params.at[i]->type, 0, &seed);
        compile(&w, failing, targets[t], true);
        dlc_instance *m = instance(&w, 1), *clean = instance(&w, 1), *other = instance(&w, 2);
        float good[8] = {1, 2, 3}, infinite[8] = {1, INFINITY}, large[8] = {1, 60}, outside[8] = {8}, negative[8] = {-1};
        Tensor in = {DT_f32, 1, {8}, good}, one[MAX_ARGS], two[MAX_ARGS], a[MAX_PARAMS], b[MAX_PARAMS];
        expect_failure(&w, m, infinite, DLC_NOT_FINITE, "f: the loss is not finite; nothing was changed");
        expect_failure(&w, m, large, DLC_NOT_FINITE, "f: the gradient of `w` is not finite; nothing was changed");
        expect_failure(&w, m, outside, DLC_BAD_INDEX, "f: test.ir:8: gather: index out of range");
        expect_failure(&w, m, negative, DLC_BAD_INDEX, "f: test.ir:8: gather: index out of range");
        /* The step counter stood still too: the same numbers as an instance that did not fail. */
        for (int i = 0; i < 3; i++) {
            assert_int_equal(call(&w, m, "f", 0, &in, one), DLC_OK);
            assert_int_equal(call(&w, clean, "f", 0, &in, two), DLC_OK);
            for (int r = 0; r < 2; r++) assert_memory_equal(one[r].data, two[r].data, bytes_of(&one[r]));
            if (i == 1) expect_failure(&w, m, infinite, DLC_NOT_FINITE, "f: the loss is not finite; nothing was changed");
        }
        get_params(&w, m, a), get_params(&w, clean, b);
        for (uint32_t i = 0; i < w.m->params.n; i++) assert_memory_equal(a[i].data, b[i].data, bytes_of(&a[i]));
        assert_true(tensor_get(&a[2], 0) == 3);
        get_params(&w, other, b);                       /* an instance of its own */
        assert_true(tensor_get(&b[2], 0) == 0);
        /* Every committed call draws anew. */
        assert_int_equal(call(&w, m, "draw", 0, &in, one), DLC_OK);
        assert_int_equal(call(&w, clean, "draw", 0, &in, two), DLC_OK);
        assert_memory_equal(one[0].data, two[0].data, 32);
        assert_int_equal(call(&w, m, "draw", 0, &in, one), DLC_OK);
        assert_memory_not_equal(one[0].data, two[0].data, 32);
        dlc_destroy(m), dlc_destroy(clean), dlc_destroy(other);
        dlc_close(w.artefact);
        arena_free(&w.arena);
    }
}

static const char room[] = HEAD
    "state \"c\" : f32[8] state \"t\" : i64[] func export @f() {\n"
    "  %0 = input \"x\" : f32[8] %1 = slice %0 {start = [0], step = [1]} : f32[3] %2 = param \"c\" : f32[8] %3 = param \"t\" : i64[]\n"
    "  %4 = dupdate %2, %1, %3 {axis = 0} : f32[8] %5 = const 3 : i64[] %6 = add %3, %5 : i64[] %7 = reduce %4 {kind = sum, axes = [0]} : f32[]\n"
    "  return \"sum\" %7, \"c\" %4 -> \"c\", \"t\" %6 -> \"t\" }\n"
    "func @init() { %0 = const 0.0 : f32[8] %1 = const 0 : i64[] return \"c\" %0 -> \"c\", \"t\" %1 -> \"t\" }";

/* What is put behind the end, or before the beginning, changes nothing, not even the place. */
static void no_room_changes_nothing(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(targets); t++) {
        if (!runs_here(targets[t])) continue;
        World w = {.what = targets[t]};
        uint64_t seed = 1;
        w.m = must_read_ir(&w.arena, room);
        w.f = w.m->funcs.at[0];
        for (uint32_t i = 0; i < w.m->params.n; i++) w.value[i] = make_tensor(&w.arena, w.m->params.at[i]->type, 0, &seed);
        compile(&w, room, targets[t], true);
        assert_int_equal(w.program->funcs.at[0]->copied, 0);
        dlc_instance *m = instance(&w, 1);
        float x[8] = {1, 2, 3}, want[8] = {1, 2, 3, 1, 2, 3}, c[8];
        Tensor in = {DT_f32, 1, {8}, x}, out[MAX_ARGS];
        for (int i = 0; i < 2; i++) assert_int_equal(call(&w, m, "f", 0, &in, out), DLC_OK);
        expect_failure(&w, m, x, DLC_BAD_INDEX, "f: test.ir:5: dupdate: index out of range");
        for (int64_t at = -2; at < 0; at++) {
            assert_int_equal(dlc_set(m, "t", &at, sizeof at), DLC_OK);
            expect_failure(&w, m, x, DLC_BAD_INDEX, "f: test.ir:5: dupdate: index out of range");
        }
        assert_int_equal(dlc_get(m, "c", c, sizeof c), DLC_OK);
        assert_memory_equal(c, want, sizeof c);
        dlc_destroy(m);
        dlc_close(w.artefact);
        arena_free(&w.arena);
    }
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

/* `average` begins as a copy of the weights, `noise` is drawn from the seed. */
static const char resumed[] = HEAD
    "param \"w\" : f32[8] state \"average\" : f32[8] state \"noise\" : f32[8] state \"n\" : i64[] func export train @f() {\n"
    "  %0 = input \"x\" : f32[8] %1 = param \"w\" : f32[8] %2 = param \"average\" : f32[8] %3 = param \"n\" : i64[]\n"
    "  %4 = seed \"seed\" : i64[] %5 = step \"step\" : i64[] %6 = rng %4, %5 {stream = 3} : f32[8] %7 = mul %0, %6 : f32[8]\n"
    "  %8 = add %1, %7 : f32[8] %9 = add %2, %8 : f32[8] %10 = const 0.5 : f32[8] %11 = mul %9, %10 : f32[8] %12 = const 1 : i64[]\n"
    "  %13 = add %3, %12 : i64[] %14 = param \"noise\" : f32[8]\n"
    "  return \"y\" %6, \"z\" %14, \"w\" %8 -> \"w\", \"average\" %11 -> \"average\", \"n\" %13 -> \"n\" }\n"
    "func @init() { %0 = seed \"seed\" : i64[] %1 = const 0 : i64[] %2 = rng %0, %1 {stream = 1} : f32[8]\n"
    "  %3 = rng %0, %1 {stream = 2} : f32[8] %4 = param \"w\" : f32[8] %5 = mul %4, %4 : f32[8]\n"
    "  return \"w\" %2 -> \"w\", \"average\" %4 -> \"average\", \"noise\" %3 -> \"noise\", \"n\" %1 -> \"n\" }";

static dlc_instance *seeded(World *w, uint64_t seed)
{
    dlc_options options = {.size = sizeof options, .threads = 1, .seed = seed};
    char message[256];
    dlc_instance *m = dlc_create(w->artefact, &options, message, sizeof message);
    if (!m) fail_msg("%s", message);
    return m;
}

static void step(World *w, dlc_instance *m, Tensor *out)
{
    float x[8] = {1, 2, 3, 4};
    Tensor in = {DT_f32, 1, {8}, x};
    assert_int_equal(call(w, m, "f", 0, &in, out), DLC_OK);
}

static bool same_state(World *w, dlc_instance *a, dlc_instance *b)
{
    Tensor x[MAX_PARAMS], y[MAX_PARAMS];
    bool same = true;
    get_params(w, a, x), get_params(w, b, y);
    for (uint32_t i = 0; i < w->m->params.n; i++) same &= !memcmp(x[i].data, y[i].data, bytes_of(&x[i]));
    return same;
}

static void resuming(void **state)
{
    (void)state;
    World w = {.what = "resuming"};
    uint64_t seed = 1;
    w.m = must_read_ir(&w.arena, resumed);
    w.f = w.m->funcs.at[0];
    for (uint32_t i = 0; i < w.m->params.n; i++) w.value[i] = make_tensor(&w.arena, w.m->params.at[i]->type, 0, &seed);
    compile(&w, resumed, "generic", true);
    char path[] = "/tmp/dlc-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    Tensor a[MAX_ARGS], b[MAX_ARGS], v[MAX_PARAMS];
    dlc_instance *m = seeded(&w, UINT64_MAX - 3), *again = seeded(&w, 5), *part = seeded(&w, 5);
    for (int i = 0; i < 3; i++) step(&w, m, a);
    assert_int_equal(dlc_save(m, path), DLC_OK);
    for (int i = 0; i < 3; i++) step(&w, m, a);
    /* Bit for bit as if nothing had happened, whatever the instance did before. */
    step(&w, again, b);
    assert_int_equal(dlc_load(again, path), DLC_OK);
    for (int i = 0; i < 3; i++) step(&w, again, b);
    assert_memory_equal(a[0].data, b[0].data, 32);
    assert_true(same_state(&w, m, again));
    /* A partial load takes values alone: the draws are those of the instance's own seed and step. */
    dlc_instance *own = seeded(&w, 5);
    assert_int_equal(dlc_load_partial(part, path), DLC_OK);
    step(&w, part, a), step(&w, own, b);
    assert_memory_equal(a[0].data, b[0].data, 32);
    /* X_init begins anew. */
    assert_int_equal(dlc_init(again, 5), DLC_OK);
    step(&w, again, a);
    assert_memory_equal(a[0].data, b[0].data, 32);
    assert_true(same_state(&w, again, own));
    dlc_destroy(m), dlc_destroy(again), dlc_destroy(part), dlc_destroy(own);

    /* A file with the weights alone: states take their initial values, from the loaded weights, also where others were there. */
    bool leave_out[MAX_PARAMS] = {false, true, true, true};
    dlc_instance *trained = seeded(&w, 9), *used = seeded(&w, 5);
    step(&w, trained, a), step(&w, used, a);
    assert_int_equal(dlc_save_with(trained, path, leave_out, NULL), DLC_OK);
    dlc_instance *fresh = seeded(&w, 5), *initial = seeded(&w, 5);
    assert_int_equal(dlc_load(fresh, path), DLC_OK);
    assert_int_equal(dlc_load(used, path), DLC_OK);
    assert_true(same_state(&w, fresh, used));
    Tensor t[MAX_PARAMS], i[MAX_PARAMS];
    get_params(&w, fresh, v), get_params(&w, trained, t), get_params(&w, initial, i);
    assert_memory_equal(v[0].data, t[0].data, 32);
    assert_memory_equal(v[1].data, t[0].data, 32);      /* average = w */
    assert_memory_equal(v[2].data, i[2].data, 32);      /* noise: weights alone bring no seed */
    assert_true(tensor_get(&v[3], 0) == 0);
    dlc_destroy(trained), dlc_destroy(used), dlc_destroy(fresh), dlc_destroy(initial);
    unlink(path);
    dlc_close(w.artefact);
    arena_free(&w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_evaluator), cmocka_unit_test(failures_change_nothing),
                                       cmocka_unit_test(no_room_changes_nothing), cmocka_unit_test(resuming)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
