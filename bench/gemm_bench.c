/* gemm_bench - how fast contractions are, beside what the machine can do in the same run.
 *
 *   gemm_bench [--cpu=ROW] [--f64] [--threads=N] [--blas=libopenblas.so.0] [MxNxK ...]
 *
 * For each shape, the best of several runs, as a share of the FMA peak measured just before (a loop of independent
 * fmas): two operands given at run time, row-major ("nn"); B transposed ("nt", as weights are); B prepared once
 * ("pre"); cblas_?gemm on the nn operands, single-threaded unless --threads. The micro-kernels are generated, linked
 * by ld and opened as an artefact's would be.
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/gemm_code.h"

typedef struct Shape { int64_t batch, m, n, k; } Shape;
static const Shape shapes[] = {
    {1, 256, 256, 256}, {1, 512, 512, 512}, {1, 768, 768, 768}, {1, 1024, 1024, 1024}, {1, 2048, 2048, 2048}, {1, 1000, 1000, 1000},
    {1, 128, 768, 768}, {1, 128, 3072, 768}, {1, 128, 768, 3072}, {1, 128, 2304, 768}, {1, 32, 1000, 2048}, {1, 8, 3072, 768}, {1, 8, 768, 3072},
    {1, 1, 3072, 768}, {1, 1, 768, 3072}, {1, 1, 4096, 4096}, {12, 128, 128, 64}, {12, 128, 64, 128}, {1, 64, 3136, 576}, {1, 512, 49, 4608},
};

/* ---- the machine ------------------------------------------------------------------------------------------------- */

typedef struct Bench {
    GemmCode code;
    int      threads;
    double   peak;          /* GFLOP/s of one core */
    void    *blas;
    size_t   size;          /* bytes an element */
} Bench;

/* A thread alone is measured by its own time, which other processes do not lengthen. */
static double now(int threads)
{
    struct timespec t;
    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
/* Independent fmas on whole vectors of the target's width: GFLOP/s. */
static double fma_peak(const RtMicro *u)
{
    enum { ITERATIONS = 300000, CHAINS = 12 };
    double best = 0;
    for (int r = 0; r < 5; r++) {
        double t = now(1);
        int64_t n = ITERATIONS;
#define FMA(set, i) "vfmadd231ps %%" set "14, %%" set "15, %%" set #i "\n\t"
#define LOOP(set) "1:\n\t" FMA(set, 0) FMA(set, 1) FMA(set, 2) FMA(set, 3) FMA(set, 4) FMA(set, 5) FMA(set, 6) FMA(set, 7) FMA(set, 8) FMA(set, 9) \
    FMA(set, 10) FMA(set, 11) "dec %0\n\tjnz 1b"
#define CLOBBER "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11"
        int64_t bytes = u->lanes * (u->dtype == RT_f64 ? 8 : 4);
        if (bytes == 64) __asm__ volatile(LOOP("zmm") : "+r"(n) : : CLOBBER);
        else if (bytes == 32) __asm__ volatile(LOOP("ymm") : "+r"(n) : : CLOBBER);
        else __asm__ volatile(LOOP("xmm") : "+r"(n) : : CLOBBER);
        double rate = 2.0 * ITERATIONS * CHAINS * u->lanes / (now(1) - t) / 1e9;
        if (rate > best) best = rate;
    }
    return best;
}
#else
static double fma_peak(const RtMicro *u) { (void)u; return 0; }
#endif

/* ---- running a contraction on threads -------------------------------------------------------------------------------- */

typedef struct Run {
    const RtContract *c;
    const RtPlan *p;
    const RtEnv  *e;
    const void   *pa, *pb;
    char         *scratch;
    int64_t       next;
    int           threads;
    int           round, done;  /* of the helpers: the round they may start; how many finished it */
} Run;

static void work(Run *r, int i)
{
    for (;;) {
        int64_t t = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
        if (t >= r->p->tasks) return;
        rt_contract_run(r->c, r->p, r->e, r->pa, r->pb, t, t + 1, r->scratch + i * (r->p->scratch + 4096));
    }
}

/* Helpers wait by spinning, more or less as the runtime's own do. */
typedef struct Helper { Run *run; int i; } Helper;
static void *helper(void *arg)
{
    Helper *h = arg;
    for (int round = 1;; round++) {
        int now;
        while ((now = __atomic_load_n(&h->run->round, __ATOMIC_ACQUIRE)) < round && now >= 0) sched_yield();
        if (now < 0) return NULL;
        work(h->run, h->i);
        __atomic_fetch_add(&h->run->done, 1, __ATOMIC_RELEASE);
    }
}

static void once(Run *r)
{
    r->next = 0;
    r->done = 0;
    __atomic_fetch_add(&r->round, 1, __ATOMIC_RELEASE);
    work(r, 0);
    while (__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) < r->threads - 1) sched_yield();
}

/* Seconds a run, best of several. */
static double seconds(Run *r, double flops)
{
    pthread_t thread[64];
    Helper h[64];
    int n = r->threads, inner = (int)(2e6 / flops) + 1;
    for (int i = 1; i < n; i++) h[i] = (Helper){r, i}, pthread_create(&thread[i], NULL, helper, &h[i]);
    double best = 1e9, total = 0;
    for (int i = 0; i < 400 && (i < 4 || total < 0.3); i++) {
        double t = now(n);
        for (int j = 0; j < inner; j++) once(r);
        t = now(n) - t;
        total += t;
        if (t / inner < best) best = t / inner;
    }
    __atomic_store_n(&r->round, -1, __ATOMIC_RELEASE);
    for (int i = 1; i < n; i++) pthread_join(thread[i], NULL);
    return best;
}

static void *numbers(const Bench *b, int64_t n)
{
    char *p = aligned_alloc(4096, ((size_t)n * b->size + 8191) & ~(size_t)4095);
    if (!p) exit(3);
    for (int64_t i = 0; i < n; i++) {
        double v = (double)((uint32_t)(i * 2654435761u) >> 8 & 0xffff) / 65536 - 0.5;
        if (b->size == 8) ((double *)p)[i] = v;
        else ((float *)p)[i] = (float)v;
    }
    return p;
}

enum { NN, NT, PRE };

static double measure(const Bench *b, Shape s, int kind, void *x, void *y, void *z)
{
    enum { BATCH, M, N, K, AM, AK, BN, BK, CM, POLYS };
    bool transposed = kind != NN;
    int64_t poly[POLYS] = {s.batch, s.m, s.n, s.k, s.k, 1, transposed ? s.k : 1, transposed ? 1 : s.n, s.n};
    RtContract c = {.micro = b->code.micro, .batch = BATCH, .m = M, .n = N, .k = K, .a_operand = 0, .b_operand = 1, .a_batched = 1, .b_batched = 1,
                    .a_m = AM, .a_k = AK, .b_n = BN, .b_k = BK, .prepared_a = -1, .prepared_b = kind == PRE ? 0 : -1, .c_operand = 2, .c_m = CM};
    char *buf[3] = {x, y, z};
    RtEnv e = {buf, NULL, NULL};
    RtPlan p;
    int64_t item[] = {s.m * s.k, s.n * s.k, s.m * s.n};
    if (s.batch > 1) c.at = gemm_code_dense_at, e.dim = item;
    if (!rt_contract_plan(&c, poly, b->threads, false, kind == PRE, &p)) return 0;
    Run r = {.c = &c, .p = &p, .e = &e, .threads = b->threads, .scratch = aligned_alloc(4096, ((size_t)(p.scratch + 4096) * (size_t)b->threads + 4095) & ~(size_t)4095)};
    void *prepared = NULL;
    if (kind == PRE) {
        prepared = aligned_alloc(64, ((size_t)rt_prepared_size(&c, poly, true) + 63) & ~(size_t)63);
        rt_prepare(&c, poly, true, &e, prepared);
        r.pb = prepared;
    }
    double t = seconds(&r, 2.0 * (double)(s.m * s.n * s.k));
    free(r.scratch);
    free(prepared);
    return t;
}

typedef void Sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void Dgemm(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);

static void blas_gemm(const Bench *b, Shape s, const char *x, const char *y, char *z)
{
    int m = (int)s.m, n = (int)s.n, k = (int)s.k;
    void (*any)(void) = NULL;
    memcpy(&any, &b->blas, sizeof any);
    for (int64_t i = 0; i < s.batch; i++) {
        const char *p = x + i * s.m * s.k * (int64_t)b->size, *q = y + i * s.n * s.k * (int64_t)b->size;
        char *r = z + i * s.m * s.n * (int64_t)b->size;
        if (b->size == 8) ((Dgemm *)any)(101, 111, 111, m, n, k, 1, (const void *)p, k, (const void *)q, n, 0, (void *)r, n);
        else ((Sgemm *)any)(101, 111, 111, m, n, k, 1, (const void *)p, k, (const void *)q, n, 0, (void *)r, n);
    }
}

static double blas_seconds(const Bench *b, Shape s, const void *x, const void *y, void *z)
{
    double best = 1e9, total = 0;
    int inner = (int)(2e6 / (2.0 * (double)(s.m * s.n * s.k))) + 1;
    for (int i = 0; i < 400 && (i < 4 || total < 0.3); i++) {
        double t = now(b->threads);
        for (int j = 0; j < inner; j++) blas_gemm(b, s, x, y, z);
        t = now(b->threads) - t;
        total += t;
        if (t / inner < best) best = t / inner;
    }
    return best;
}

static double difference(const Bench *b, const void *x, const void *y, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = b->size == 8 ? fabs(((const double *)x)[i] - ((const double *)y)[i]) : fabs((double)((const float *)x)[i] - (double)((const float *)y)[i]);
        if (d > most) most = d;
    }
    return most;
}

static void run_shape(Bench *b, Shape s)
{
    void *x = numbers(b, s.batch * s.m * s.k), *y = numbers(b, s.batch * s.n * s.k), *z = numbers(b, s.batch * s.m * s.n), *w = numbers(b, s.batch * s.m * s.n);
    double flops = 2.0 * (double)(s.batch * s.m * s.n * s.k), peak = fma_peak(b->code.micro) * b->threads;
    printf("%2lld x %5lld %5lld %5lld  peak %6.1f ", (long long)s.batch, (long long)s.m, (long long)s.n, (long long)s.k, peak);
    static const char *const name[] = {"nn", "nt", "pre"};
    for (int kind = PRE; kind >= NN; kind--) {
        double rate = flops / measure(b, s, kind, x, y, z) / 1e9;
        printf(" %s %6.1f (%3.0f%%)", name[kind], rate, 100 * rate / peak);
    }
    if (b->blas) {
        double rate = flops / blas_seconds(b, s, x, y, w) / 1e9;
        printf("  blas %6.1f (%3.0f%%), differs by %.1e", rate, 100 * rate / peak, difference(b, z, w, s.batch * s.m * s.n));
    }
    printf("\n");
    fflush(stdout);
    free(x), free(y), free(z), free(w);
}

int main(int argc, char **argv)
{
    Bench b = {.threads = 1, .size = 4};
    const char *cpu = "host", *blas = NULL, *error = NULL;
    int first = argc;
    for (int i = 1; i < argc && first == argc; i++) {
        if (!strncmp(argv[i], "--cpu=", 6)) cpu = argv[i] + 6;
        else if (!strcmp(argv[i], "--f64")) b.size = 8;
        else if (!strncmp(argv[i], "--threads=", 10)) b.threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--blas=", 7)) blas = argv[i] + 7;
        else first = i;
    }
    if (b.threads < 1 || b.threads > 64) b.threads = 1;
    if (blas) {
        char threads[16];
        snprintf(threads, sizeof threads, "%d", b.threads);
        setenv("OPENBLAS_NUM_THREADS", threads, 1);
        void *h = dlopen(blas, RTLD_NOW);
        b.blas = h ? dlsym(h, b.size == 8 ? "cblas_dgemm" : "cblas_sgemm") : NULL;
        if (!b.blas) fprintf(stderr, "%s: %s\n", blas, dlerror());
    }
    Arena a = {0};
    if (!gemm_code_open(&a, cpu, b.size == 8 ? DT_f64 : DT_f32, &b.code, &error)) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    printf("%s, %s, %d thread%s, %u micro-kernels and packing in %.1f ms\n", b.code.target, b.size == 8 ? "f64" : "f32", b.threads, b.threads > 1 ? "s" : "",
           b.code.kernels, b.code.milliseconds);
    if (first == argc)
        for (size_t i = 0; i < COUNT(shapes); i++) run_shape(&b, shapes[i]);
    for (int i = first; i < argc; i++) {
        long long batch = 1, m, n, k;
        if (sscanf(argv[i], "%lldx%lldx%lldx%lld", &batch, &m, &n, &k) != 4) {
            batch = 1;
            if (sscanf(argv[i], "%lldx%lldx%lld", &m, &n, &k) != 3) continue;
        }
        run_shape(&b, (Shape){batch, m, n, k});
    }
    arena_free(&a);
    return 0;
}
