/* test_contract.c - contraction kernels (dot, conv, with what is fused around them), compiled for every target row, against
 * the evaluator: whole with constant operands prepared, and cut into tasks as for many threads without, which must agree
 * bit for bit. Every buffer ends at a wall (jit.h). */
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

/* Results are sums of up to some thousand products of order 1. */
static bool is_close(double x, double y)
{
    return fabs(x - y) <= 1e-4 * (1 + fabs(x)) || (isnan(x) && isnan(y)) || x == y;
}

typedef struct Case {
    const char *name, *signature, *body;
    uint32_t contractions;          /* kernels of that class expected; 0: any */
} Case;

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
        for (int64_t i = 0; i < n; i++) {
            double x = tensor_get(&want[r], i), y = tensor_get(&whole[r], i);
            if (!is_close(x, y)) {
                fail_msg("%s, dims %lld %lld, result %u element %lld of %lld: evaluator %.9g, compiled %.9g\n%s", cpu,
                         (long long)dims[0], (long long)dims[1], r, (long long)i, (long long)n, x, y, text);
            }
        }
        assert_memory_equal(whole[r].data, part[r].data, (size_t)n * dtype_size(whole[r].dtype));
    }
}

/* Fused or not, every row of targets.def, every size. */
static void check_module(Module *(*make)(Arena *a, const void *what), const void *what, const char *text, uint32_t nsizes, const int64_t (*dims)[2],
                         uint32_t contractions)
{
    for (int fused = 0; fused < 2; fused++) {
        Arena a = {0};
        const char *error = NULL;
        Module *m = make(&a, what), *reference = make(&a, what);
        PassOptions passes = {.level = 2, .verify = true};
        if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s: %s", text, error);
        Program *p = program_build(&a, m, &(CodegenOptions){.no_fuse = !fused}, &error);
        if (!p) fail_msg("%s: %s", text, error);
        uint32_t found = 0;
        for (uint32_t i = 0; i < p->kernels.n; i++) {
            found += p->kernels.at[i]->class == KERNEL_CONTRACT;
            if (getenv("SHOW_KERNELS")) fprintf(stderr, "%s", p->kernels.at[i]->text);
        }
        if (contractions) assert_int_equal(found, contractions);
        for (uint32_t row = 0; target_row(row) && found; row++) {
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

/* Symbols B and T: none, one, around tiles and panels, odd. */
static const int64_t sizes[][2] = {{3, 5}, {1, 1}, {2, 16}, {5, 33}, {17, 7}, {0, 4}, {4, 0}, {2, 150}, {67, 64}, {9, 49}};

static void check_case(void **state)
{
    const Case *c = *state;
    Arena a = {0};
    Str params = {.arena = &a};         /* declared as they are used: %1 = param "w" : f32[50,33] */
    str_add(&params, "");
    for (const char *at = c->body; (at = strstr(at, "param ")); at++) str_addn(&params, at, strcspn(at, "\n") + 1);
    const char *text = arena_printf(&a, "ir 1\nmodule \"t\"\n%s\nfunc export @f(%s) {\n%s}\n", params.at, c->signature, c->body);
    check_module(module_of_text, text, text, COUNT(sizes), sizes, c->contractions);
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
        check_module(module_of_seed, &seed, what, 1, &dims[seed % COUNT(dims)], 0);
    }
}

#define DOT(out, attr) "  %2 = dot %0, %1 {" attr "} : " out "\n"
#define X(type) "  %0 = input \"x\" : " type "\n"
#define Y(type) "  %1 = input \"y\" : " type "\n"
#define W(type) "  %1 = param \"w\" : " type "\n"
#define OUT(n) "  return \"out\" %" n "\n"
#define CONV(out, groups, stride, dilation, spread, lo, hi) \
    "  %2 = conv %0, %1 {groups = " groups ", stride = " stride ", dilation = " dilation ", spread = " spread ", lo = " lo ", hi = " hi "} : " out "\n"

/* The gradient of a convolution's weight: images and outputs change over with the batch. */
#define WEIGHT_GRADIENT(t, C, O, in, out, kernel) \
    "  %0 = input \"x\" : " t "[B," C "," in "]\n" \
    "  %1 = input \"d\" : " t "[B," O "," out "]\n" \
    "  %2 = transpose %0 {perm = [1, 0, 2, 3]} : " t "[" C ",B," in "]\n" \
    "  %3 = transpose %1 {perm = [1, 0, 2, 3]} : " t "[" O ",B," out "]\n" \
    "  %4 = conv %2, %3 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [1, 1], hi = [0, 1]} : " t "[" C "," O "," kernel "]\n" \
    "  %5 = transpose %4 {perm = [1, 0, 2, 3]} : " t "[" O "," C "," kernel "]\n" OUT("5")

static const Case cases[] = {
    {"weight gradient of a convolution, by images", "B", WEIGHT_GRADIENT("f32", "1", "6", "12,22", "9,20", "5,5"), 1},
    {"weight gradient over several panels", "B", WEIGHT_GRADIENT("f32", "5", "9", "12,22", "9,20", "5,5"), 1},
    {"weight gradient of a narrow kernel", "B", WEIGHT_GRADIENT("f32", "4", "3", "12,20", "11,20", "3,3"), 1},
    {"weight gradient in double", "B", WEIGHT_GRADIENT("f64", "2", "3", "10,13", "7,11", "5,5"), 1},
    {"dense", "B, T", X("f32[B,T]") Y("f32[T,70]") DOT("f32[B,70]", "contract = [1]x[0]") OUT("2"), 1},
    {"rows of a batch and weights of outputs", "B, T", X("f32[B,T,33]") W("f32[50,33]") DOT("f32[B,T,50]", "contract = [2]x[1]") OUT("2"), 1},
    {"wide weights", "B, T", X("f32[B,40]") W("f32[200,40]") DOT("f32[B,200]", "contract = [1]x[1]") OUT("2"), 1},
    {"weights of inputs", "B", X("f32[B,24]") W("f32[24,96]") DOT("f32[B,96]", "contract = [1]x[0]") OUT("2"), 1},
    {"weights on the left", "B", "  %0 = param \"w\" : f32[33,50]\n" Y("f32[33,B]") DOT("f32[50,B]", "contract = [0]x[0]") OUT("2"), 1},
    {"both transposed", "B, T", X("f32[T,B]") Y("f32[49,T]") DOT("f32[B,49]", "contract = [0]x[1]") OUT("2"), 1},
    {"double", "B, T", X("f64[B,T]") Y("f64[T,23]") DOT("f64[B,23]", "contract = [1]x[0]") OUT("2"), 1},
    {"batched scores", "B, T", X("f32[B,3,T,8]") Y("f32[B,3,T,8]") DOT("f32[B,3,T,T]", "contract = [3]x[3], batch = [0, 1]x[0, 1]") OUT("2"), 1},
    {"heads in the middle", "B, T", X("f32[B,T,3,8]") Y("f32[B,T,3,8]") DOT("f32[B,3,T,T]", "contract = [3]x[3], batch = [0, 2]x[0, 2]") OUT("2"), 1},
    {"matrix by vector", "B, T", X("f32[B,T]") Y("f32[T]") DOT("f32[B]", "contract = [1]x[0]") OUT("2"), 1},
    {"vector by matrix", "B, T", X("f32[T]") Y("f32[T,B]") DOT("f32[B]", "contract = [0]x[0]") OUT("2"), 1},
    {"inner product", "T", X("f32[T]") Y("f32[T]") DOT("f32[]", "contract = [0]x[0]") OUT("2"), 0},
    {"outer product", "B, T", X("f32[B]") Y("f32[T]") DOT("f32[B,T]", "contract = []x[]") OUT("2"), 1},
    {"two contracted axes", "B, T", X("f32[B,5,T]") Y("f32[T,9,5]") DOT("f32[B,9]", "contract = [1, 2]x[2, 0]") OUT("2"), 1},
    {"bias and activation", "B, T",
     X("f32[B,33]") W("f32[60,33]") DOT("f32[B,60]", "contract = [1]x[1]")
     "  %3 = input \"b\" : f32[60]\n"
     "  %4 = broadcast %3 {axes = [1]} : f32[B,60]\n"
     "  %5 = add %2, %4 : f32[B,60]\n"
     "  %6 = tanh %5 : f32[B,60]\n" OUT("6"), 1},
    {"split into heads behind", "B, T",
     X("f32[B,T,12]") Y("f32[24,12]") DOT("f32[B,T,24]", "contract = [2]x[1]")
     "  %3 = reshape %2 : f32[B,T,3,8]\n"
     "  %4 = transpose %3 {perm = [0, 2, 1, 3]} : f32[B,3,T,8]\n"
     "  %5 = exp %4 : f32[B,3,T,8]\n" OUT("5"), 1},
    {"work in front", "B, T",
     X("f32[B,T]") Y("f32[T,30]")
     "  %2 = tanh %0 : f32[B,T]\n"
     "  %3 = exp %1 : f32[T,30]\n"
     "  %4 = dot %2, %3 {contract = [1]x[0]} : f32[B,30]\n" OUT("4"), 1},
    {"rows gathered", "B, T",
     X("f32[11,T]") "  %1 = input \"ids\" : i32[B]\n"
     "  %2 = gather %0, %1 {axis = 0} : f32[B,T]\n"
     "  %3 = input \"y\" : f32[20,T]\n"
     "  %4 = dot %2, %3 {contract = [1]x[1]} : f32[B,20]\n" OUT("4"), 1},
    {"padded and sliced operands", "B, T",
     X("f32[B,T]") "  %1 = const 0.0 : f32[]\n"
     "  %2 = pad %0, %1 {lo = [1, 2], hi = [0, 3]} : f32[B + 1,T + 5]\n"
     "  %3 = input \"y\" : f32[T + 6,44]\n"
     "  %4 = slice %3 {start = [1, 2], step = [1, 2]} : f32[T + 5,21]\n"
     "  %5 = dot %2, %4 {contract = [1]x[0]} : f32[B + 1,21]\n" OUT("5"), 1},
    {"transposed result", "B, T",
     X("f32[B,T]") Y("f32[T,40]") DOT("f32[B,40]", "contract = [1]x[0]")
     "  %3 = transpose %2 {perm = [1, 0]} : f32[40,B]\n"
     "  %4 = exp %3 : f32[40,B]\n" OUT("4"), 1},
    {"convolution", "B", X("f32[B,3,9,8]") W("f32[10,3,3,3]") CONV("f32[B,10,9,8]", "1", "[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]") OUT("2"), 1},
    {"convolution of any size", "B, T", X("f32[B,2,T + 2,T + 1]") W("f32[18,2,3,2]") CONV("f32[B,18,T,T]", "1", "[1, 1]", "[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]") OUT("2"), 1},
    {"strided convolution", "B", X("f32[B,3,23,40]") W("f32[9,3,5,3]") CONV("f32[B,9,11,20]", "1", "[2, 2]", "[1, 1]", "[1, 1]", "[2, 1]", "[1, 0]") OUT("2"), 1},
    {"pointwise convolution", "B", X("f32[B,20,6,11]") W("f32[16,20,1,1]") CONV("f32[B,16,6,11]", "1", "[1, 1]", "[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]") OUT("2"), 1},
    {"grouped, dilated convolution", "B", X("f32[B,6,12,30]") W("f32[8,3,3,3]") CONV("f32[B,8,12,28]", "2", "[1, 1]", "[2, 3]", "[1, 1]", "[2, 2]", "[2, 2]") OUT("2"), 1},
    {"transposed convolution", "B", X("f32[B,3,5,6]") W("f32[4,3,3,3]") CONV("f32[B,4,10,12]", "1", "[1, 1]", "[1, 1]", "[2, 2]", "[1, 1]", "[2, 2]") OUT("2"), 1},
    {"convolution of a line", "B, T", X("f32[B,2,T + 3]") W("f32[5,2,4]") CONV("f32[B,5,T]", "1", "[1]", "[1]", "[1]", "[0]", "[0]") OUT("2"), 1},
    {"convolution with bias and activation", "B",
     X("f32[B,3,9,8]") W("f32[10,3,3,3]") CONV("f32[B,10,9,8]", "1", "[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]")
     "  %3 = param \"b\" : f32[10]\n"
     "  %4 = broadcast %3 {axes = [1]} : f32[B,10,9,8]\n"
     "  %5 = add %2, %4 : f32[B,10,9,8]\n"
     "  %6 = tanh %5 : f32[B,10,9,8]\n" OUT("6"), 1},
};

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1];
    for (size_t i = 0; i < COUNT(cases); i++) tests[i] = (struct CMUnitTest){cases[i].name, check_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(random_programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
