/* test_math.c - accuracy of generated elementary functions, for every target row: the error in units of the last place of
 * the true value, from libm in double (f64: long double). Arguments are all floats whose bits are a multiple of a
 * stride (DLC_MATH_STRIDE=1: all there are), so every exponent, subnormals, infinities and NaN are among them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jit.h"

/* Generated code gives 0 where exp(-x) is beyond a float: below -88.72. */
static double true_sigmoid(double x) { return exp(-x) > 0x1.fffffep127 ? 0 : 1 / (1 + exp(-x)); }
static double true_rsqrt(double x) { return 1 / sqrt(x); }
static double true_pow(double x) { return pow(x, 1.7f); }
static double true_square(double x) { return x * x; }
static double true_root(double x) { return pow(x, 0.5); }
static double true_inverse(double x) { return 1 / x; }
static double true_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double true_fmod(double x) { double r = fmod(x, -0.3f); return r > 0 ? r + (double)-0.3f : r; }

typedef struct Function {
    const char *name, *line;            /* the node in IR; %0 is x, %1 a constant */
    double    (*truth)(double);
    double      ulps;                   /* the largest error allowed */
    double      constant;
} Function;

static const Function functions[] = {
    {"exp", "exp %0", exp, 1.2, 0},
    {"expm1", "expm1 %0", expm1, 1.6, 0},
    {"log", "log %0", log, 1.0, 0},
    {"log1p", "log1p %0", log1p, 2.0, 0},
    {"tanh", "tanh %0", tanh, 2.0, 0},
    {"erf", "erf %0", erf, 2.0, 0},
    {"sin", "sin %0", sin, 0.6, 0},
    {"cos", "cos %0", cos, 0.6, 0},
    {"sigmoid", "sigmoid %0", true_sigmoid, 2.5, 0},
    {"sqrt", "sqrt %0", sqrt, 0.5, 0},
    {"rsqrt", "rsqrt %0", true_rsqrt, 1.5, 0},
    {"floor", "floor %0", floor, 0, 0},
    {"ceil", "ceil %0", ceil, 0, 0},
    {"round", "round %0", nearbyint, 0, 0},
    {"sign", "sign %0", true_sign, 0, 0},
    {"pow 1.7", "pow %0, %1", true_pow, 1.0, 1.7f},
    {"pow 2", "pow %0, %1", true_square, 0.5, 2},
    {"pow 0.5", "pow %0, %1", true_root, 0.5, 0.5},
    {"pow -1", "pow %0, %1", true_inverse, 0.5, -1},
    {"mod -0.3", "mod %0, %1", true_fmod, 1.0, -0.3f},
};

static Program *program_of(Arena *a, const char *text)
{
    Diags *d = arena_new(a, Diags);
    d->arena = a;
    Module *m = ir_read(a, d, diag_source(d, "test.ir", text, strlen(text)));
    const char *error = NULL;
    Program *p = m ? program_build(a, m, &(CodegenOptions){0}, &error) : NULL;
    if (!p) fail_msg("%s\n%s", error ? error : "unreadable", text);
    return p;
}

/* |got - want| in units of the last place of want. */
static double float_error(float got, double want)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (want == 0 || got == (float)want) return want == 0 && (got != 0 || !signbit(got) != !signbit(want)) ? INFINITY : 0;
    if (isinf(want)) return INFINITY;
    double g = isinf(got) ? copysign(0x1p128, got) : (double)got;   /* one step past the largest */
    int e;
    frexp(want, &e);
    e = e < -125 ? -125 : e > 128 ? 128 : e;
    return fabs(g - want) / ldexp(1, e - 24);
}

static void check_function(void **state)
{
    const Function *f = *state;
    Arena a = {0};
    const char *text = arena_printf(&a, "ir 1\nmodule \"t\"\n\nfunc export @f(N) {\n  %%0 = input \"x\" : f32[N]\n  %%1 = const %.9g%s : f32[]\n"
                                    "  %%2 = broadcast %%1 {axes = []} : f32[N]\n  %%3 = %s : f32[N]\n  return \"out\" %%3\n}\n",
                                    f->constant, f->constant == floor(f->constant) ? ".0" : "", f->line);
    char *with = strstr(text, ", %1 :");
    if (with) with[3] = '2';
    Program *p = program_of(&a, text);
    const char *error = NULL, *stride_text = getenv("DLC_MATH_STRIDE");
    uint64_t stride = stride_text ? strtoull(stride_text, NULL, 10) : 4099, total = (1ULL << 32) / stride;
    enum { CHUNK = 1 << 20 };
    float *x = malloc(CHUNK * sizeof *x);
    for (uint32_t row = 0; target_row(row); row++) {
        const char *cpu = target_row(row)->name;
        Jit j;
        if (!jit_can_run(cpu)) continue;
        if (!jit_open(&a, p, cpu, &j, &error)) fail_msg("%s", error);
        double worst = 0;
        float at = 0;
        for (uint64_t done = 0; done < total; done += CHUNK) {
            Arena chunk = {0};
            int64_t n = total - done < CHUNK ? (int64_t)(total - done) : CHUNK;
            for (int64_t i = 0; i < n; i++) {
                uint32_t bits = (uint32_t)((done + (uint64_t)i) * stride);
                if (i == 0 && done == 0) bits = 0x80000000;     /* -0 */
                memcpy(&x[i], &bits, 4);
            }
            Tensor in = {.dtype = DT_f32, .rank = 1, .dim = {n}, .data = x}, out;
            jit_run(&chunk, &j, p->funcs.at[0], &in, &n, 0, &out);
            for (int64_t i = 0; i < n; i++) {
                double want = f->truth(x[i]), bad = float_error(((float *)out.data)[i], want);
                if (bad > worst) worst = bad, at = x[i];
            }
            arena_free(&chunk);
        }
        if (getenv("DLC_MATH_PRINT")) printf("%-10s %-10s %8.3f ulp at %.9g\n", f->name, cpu, worst, (double)at);
        else if (worst > f->ulps) fail_msg("%s on %s: %g ulp at %.9g", f->name, cpu, worst, (double)at);
        jit_close(&j);
    }
    free(x);
    arena_free(&a);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(functions)];
    for (size_t i = 0; i < COUNT(functions); i++) {
        tests[i] = (struct CMUnitTest){.name = functions[i].name, .test_func = check_function, .initial_state = (void *)&functions[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
