/* test_gemm.c - runtime/gemm.c with generated micro-kernels: every shape, stride, form of packing and division into tasks
 * must give exactly the naive k-ascending chain (of fma, or of rounded products where the target has none), for every
 * target row. So equal bits over threads, tile positions and batch sizes follow. Operands end at a wall (jit.h). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/gemm_code.h"
#include "jit.h"

enum { BATCH, M, N, K, AM, AK, BN, BK, CM, POLYS };

typedef struct Case {
    bool     f64, fma;
    int64_t  poly[POLYS];
    int64_t  item[3];               /* elements of a batch item of A, B, C; 0: all share one */
    char    *a, *b, *c;
    const RtMicro *micro;
} Case;

static double get(const Case *t, const char *p, int64_t i) { return t->f64 ? ((const double *)(const void *)p)[i] : (double)((const float *)(const void *)p)[i]; }
static void put(const Case *t, char *p, int64_t i, double v)
{
    if (t->f64) ((double *)(void *)p)[i] = v;
    else ((float *)(void *)p)[i] = (float)v;
}

/* The chain of one element. */
static double chain(const Case *t, int64_t batch, int64_t m, int64_t n)
{
    const int64_t *p = t->poly;
    double wide = 0;
    float narrow = 0;
    for (int64_t k = 0; k < p[K]; k++) {
        double x = get(t, t->a, batch * t->item[0] + m * p[AM] + k * p[AK]), y = get(t, t->b, batch * t->item[1] + n * p[BN] + k * p[BK]);
        volatile double wide_product = x * y;                   /* rounded on their own */
        volatile float narrow_product = (float)x * (float)y;
        if (t->f64) wide = t->fma ? fma(x, y, wide) : wide + wide_product;
        else narrow = t->fma ? fmaf((float)x, (float)y, narrow) : narrow + narrow_product;
    }
    return t->f64 ? wide : (double)narrow;
}

/* ---- generated pieces, written by hand: they find their case through env->dim ------------------------------------- */

static const Case *case_of(const RtEnv *e)
{
    const Case *t;
    memcpy(&t, e->dim, sizeof t);
    return t;
}

static void at(const RtEnv *e, int64_t batch, int64_t offset[3])
{
    for (int i = 0; i < 3; i++) offset[i] = batch * case_of(e)->item[i];
}

static void epilogue(const RtEnv *e, int64_t batch, int64_t m0, int64_t m1, int64_t n0, int64_t n1, const void *tile, int64_t ld)
{
    const Case *t = case_of(e);
    for (int64_t m = m0; m < m1; m++)
        for (int64_t n = n0; n < n1; n++) put(t, t->c, batch * t->item[2] + m * t->poly[CM] + n, get(t, tile, (m - m0) * ld + n - n0));
}

static void pack(const RtEnv *e, bool is_b, bool by_rows, int64_t batch, int64_t i0, int64_t i1, void *dst, int64_t width)
{
    const Case *t = case_of(e);
    int64_t i_stride = t->poly[is_b ? BN : AM], k_stride = t->poly[is_b ? BK : AK];
    for (int64_t i = i0; i < (by_rows ? i1 : i0 + width); i++)
        for (int64_t k = 0; k < t->poly[K]; k++) {
            double v = i < i1 ? get(t, is_b ? t->b : t->a, batch * t->item[is_b] + i * i_stride + k * k_stride) : 0;
            put(t, dst, by_rows ? (i - i0) * width + k : k * width + i - i0, v);
        }
}
static void pack_a(const RtEnv *e, int64_t batch, int64_t i0, int64_t i1, void *dst, int64_t width) { pack(e, false, false, batch, i0, i1, dst, width); }
static void pack_rows(const RtEnv *e, int64_t batch, int64_t i0, int64_t i1, void *dst, int64_t width) { pack(e, false, true, batch, i0, i1, dst, width); }
static void pack_b(const RtEnv *e, int64_t batch, int64_t i0, int64_t i1, void *dst, int64_t width) { pack(e, true, false, batch, i0, i1, dst, width); }

/* ---- one case ------------------------------------------------------------------------------------------------------- */

static uint64_t state = 1;
static int64_t below(int64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)n);
}

/* n elements before a wall; of C: a value that shows whether it was written. */
static char *operand(const Case *t, int64_t n, bool random)
{
    char *p = guarded_alloc((size_t)n * (t->f64 ? 8 : 4));
    for (int64_t i = 0; i < n; i++) put(t, p, i, random ? (double)below(20001) / 10000 - 1 : 1e30);
    return p;
}

static void *prepare(const RtContract *c, const Case *t, const RtEnv *e, bool is_b)
{
    int64_t n = rt_prepared_size(c, t->poly, is_b);
    assert_true(n >= 0);
    void *p = guarded_alloc((size_t)(n + 63) & ~(size_t)63);
    rt_prepare(c, t->poly, is_b, e, p);
    return p;
}

static int64_t pick_extent(bool large)
{
    static const int64_t small[] = {0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 50, 64, 65, 80, 96, 97, 100, 128, 129};
    return large && below(12) == 0 ? 200 + below(200) : small[below(COUNT(small))];
}

static void check(const Case *t, const RtContract *c, const RtPlan *p, const char *what)
{
    const int64_t *q = t->poly;
    int64_t rows = t->item[2] ? q[BATCH] : 0;
    for (int64_t b = 0; b < rows; b++)
        for (int64_t m = 0; m < q[M]; m++) {
            for (int64_t n = 0; n < q[N]; n++) {
                double want = chain(t, b, m, n), got = get(t, t->c, b * t->item[2] + m * q[CM] + n);
                if (want == got) continue;
                fail_msg("%s %s, %lld x %lld x %lld x %lld, strides %lld %lld, %lld %lld, a %d%s%s b %d%s, tasks %lld x %lld: element %lld %lld %lld is %.9g, not %.9g",
                         what, t->f64 ? "f64" : "f32", (long long)q[BATCH], (long long)q[M], (long long)q[N], (long long)q[K], (long long)q[AM], (long long)q[AK],
                         (long long)q[BN], (long long)q[BK], c->a_operand, c->a_by_rows ? " by rows" : "", c->prepared_a >= 0 ? " prepared" : "", c->b_operand,
                         c->prepared_b >= 0 ? " prepared" : "", (long long)p->tasks_m, (long long)p->tasks_n, (long long)b, (long long)m, (long long)n, got, want);
            }
            for (int64_t n = q[N]; n < q[CM] && m + 1 < q[M]; n++) assert_true(get(t, t->c, b * t->item[2] + m * q[CM] + n) > 1e29);
        }
}

static void random_case(const GemmCode *code, bool f64, bool fma, int64_t deep)
{
    Case t = {.f64 = f64, .fma = fma, .micro = code->micro};
    int64_t *q = t.poly;
    q[BATCH] = below(4), q[M] = pick_extent(true), q[N] = pick_extent(true), q[K] = deep ? deep + below(50) : pick_extent(false);
    if (deep) q[BATCH] = 1, q[M] = 17 + below(20), q[N] = 1 + below(60);
    int64_t pad = below(3);
    if (below(3)) q[AM] = q[K] + pad, q[AK] = 1;
    else q[AM] = 1, q[AK] = q[M] + pad;
    switch (below(4)) {
    case 0: q[BN] = 1, q[BK] = q[N] + pad; break;
    case 1: q[BN] = q[K] + pad, q[BK] = 1; break;
    case 2: q[BN] = 2, q[BK] = 2 * q[N] + pad; break;
    default: q[BN] = 1, q[BK] = q[N]; break;
    }
    q[CM] = q[N] + below(3);
    int64_t last_a = q[M] && q[K] ? (q[M] - 1) * q[AM] + (q[K] - 1) * q[AK] + 1 : 0, last_b = q[N] && q[K] ? (q[N] - 1) * q[BN] + (q[K] - 1) * q[BK] + 1 : 0;
    int64_t last_c = q[M] && q[N] ? (q[M] - 1) * q[CM] + q[N] : 0;
    bool a_shared = below(3) == 0, b_shared = below(3) == 0;
    t.item[0] = a_shared ? 0 : last_a, t.item[1] = b_shared ? 0 : last_b, t.item[2] = last_c;
    t.a = operand(&t, last_a * (a_shared ? 1 : q[BATCH]), true), t.b = operand(&t, last_b * (b_shared ? 1 : q[BATCH]), true);
    int64_t self[2] = {0, 0};
    const Case *me = &t;
    memcpy(self, &me, sizeof me);
    char *buf[3] = {t.a, t.b, NULL};
    RtEnv e = {buf, self, NULL};
    RtContract c = {.micro = code->micro, .batch = BATCH, .m = M, .n = N, .k = K, .a_operand = 0, .b_operand = 1, .a_batched = !a_shared, .b_batched = !b_shared,
                    .a_m = AM, .a_k = AK, .b_n = BN, .b_k = BK, .at = at, .prepared_a = -1, .prepared_b = -1, .c_operand = 2, .c_m = CM};
    switch (below(5)) {
    case 0: c.a_operand = -1, c.pack_a = pack_a; break;
    case 1: c.a_operand = -1, c.pack_a = pack_rows, c.a_by_rows = 1; break;
    default: break;
    }
    if (below(4) == 0) c.b_operand = -1, c.pack_b = pack_b;
    if (below(3) == 0) c.c_operand = -1, c.epilogue = epilogue;
    const void *prepared[2] = {NULL, NULL};
    if (below(3) == 0) c.prepared_a = 0, prepared[0] = prepare(&c, &t, &e, false);
    if (below(3) == 0) c.prepared_b = 0, prepared[1] = prepare(&c, &t, &e, true);
    for (int threads = 1; threads <= 5; threads += 2) {
        RtPlan p;
        assert_true(rt_contract_plan(&c, q, threads, prepared[0], prepared[1], &p));
        buf[2] = t.c = operand(&t, last_c * q[BATCH], false);
        char *scratch = guarded_alloc((size_t)p.scratch);
        for (int64_t i = p.tasks; i-- > 0;) rt_contract_run(&c, &p, &e, prepared[0], prepared[1], i, i + 1, scratch);
        check(&t, &c, &p, code->target);
    }
    guarded_free_all();
}

static void random_cases(void **unused)
{
    (void)unused;
    Arena a = {0};
    for (uint32_t row = 0; target_row(row); row++)
        for (int f64 = 0; f64 < 2; f64++) {
            const Target *target = target_row(row);
            GemmCode code;
            const char *error = NULL;
            if (!jit_can_run(target->name)) continue;
            if (!gemm_code_open(&a, target->name, f64 ? DT_f64 : DT_f32, &code, &error)) fail_msg("%s: %s", target->name, error);
            for (int i = 0; i < 150; i++) random_case(&code, f64, target->has_fma, 0);
            for (int i = 0; i < 4; i++) random_case(&code, f64, target->has_fma, 2500);
        }
    arena_free(&a);
}

/* What --blas is given: the arguments are checked by doing what they say, for a transposed A and B. */
static void naive_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    assert_int_equal(order, 101);
    assert_true(alpha == 1 && beta == 0);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int q = 0; q < k; q++) sum = fmaf(a[ta == 112 ? q * lda + i : i * lda + q], b[tb == 112 ? j * ldb + q : q * ldb + j], sum);
            c[i * ldc + j] = sum;
        }
}

static void by_blas(void **unused)
{
    (void)unused;
    RtMicro u = {.dtype = RT_f32, .lanes = 16, .vectors = 3, .rows = {8, 4, 2, 1}};
    void (*function)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int) = naive_sgemm;
    for (int form = 0; form < 4; form++) {
        Case t = {.fma = true, .micro = &u, .poly = {2, 100, 110, 120, form & 1 ? 1 : 121, form & 1 ? 101 : 1, form & 2 ? 120 : 1, form & 2 ? 1 : 113, 115}};
        t.item[0] = 121 * 101, t.item[1] = 120 * 113, t.item[2] = 100 * 115;
        t.a = operand(&t, 2 * t.item[0], true), t.b = operand(&t, 2 * t.item[1], true), t.c = operand(&t, 2 * t.item[2], false);
        int64_t self[2] = {0, 0};
        const Case *me = &t;
        memcpy(self, &me, sizeof me);
        char *buf[3] = {t.a, t.b, t.c};
        RtEnv e = {buf, self, NULL};
        RtContract c = {.micro = &u, .batch = BATCH, .m = M, .n = N, .k = K, .a_operand = 0, .b_operand = 1, .a_batched = 1, .b_batched = 1, .a_m = AM, .a_k = AK,
                        .b_n = BN, .b_k = BK, .at = at, .prepared_a = -1, .prepared_b = -1, .c_operand = 2, .c_m = CM};
        memcpy(&c.cblas, &function, sizeof c.cblas);
        RtPlan p;
        assert_true(rt_contract_plan(&c, t.poly, 2, false, false, &p));
        assert_int_equal(dlc_rt_blas(&c, &p, &e, NULL), 0);
        check(&t, &c, &p, "blas");
        guarded_free_all();
    }
}

/* Sizes that cannot be: refused, not wrapped. */
static void sizes_overflow(void **unused)
{
    (void)unused;
    RtMicro u = {.dtype = RT_f32, .lanes = 16, .vectors = 3, .rows = {8, 4, 2, 1}};
    RtContract c = {.micro = &u, .batch = BATCH, .m = M, .n = N, .k = K, .a_operand = 0, .b_operand = 1, .a_m = AM, .a_k = AK, .b_n = BN, .b_k = BK,
                    .prepared_a = -1, .prepared_b = 0, .c_operand = 2, .c_m = CM};
    RtPlan p;
    int64_t huge[POLYS] = {1, INT64_C(1) << 40, INT64_C(1) << 40, 8, 8, 1, 1, 8, 8}, deep[POLYS] = {1, 100, 100, INT64_MAX / 8, 1, 1, 2, 1, 1};
    int64_t negative[POLYS] = {1, -1, 4, 4, 4, 1, 1, 4, 4}, none[POLYS] = {1, 5, 0, 4, 4, 1, 1, 4, 4};
    assert_false(rt_contract_plan(&c, huge, 1, false, false, &p));
    assert_false(rt_contract_plan(&c, deep, 1, false, false, &p));
    assert_int_equal(rt_prepared_size(&c, deep, true), -1);
    assert_false(rt_contract_plan(&c, negative, 1, false, false, &p));
    assert_true(rt_contract_plan(&c, none, 1, false, false, &p));
    assert_int_equal(p.tasks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_cases), cmocka_unit_test(by_blas), cmocka_unit_test(sizes_overflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
