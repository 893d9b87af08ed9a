/* machine.c - the machine's limits, measured (see machine.h). The widest registers that the CPU has are used; the loops
 * keep enough independent chains in flight to cover the latency of a multiply-add.
 */
#include "driver/machine.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { MAX_THREADS = 64, CHAINS = 12 };
static const size_t read_bytes = (size_t)256 << 20;

#if defined(__x86_64__)
#include <cpuid.h>

typedef float F16 __attribute__((vector_size(64)));
typedef float F8 __attribute__((vector_size(32)));
typedef float F4 __attribute__((vector_size(16)));

/* CHAINS independent multiply-adds a round. The accumulators stay in registers because of the empty asm. */
#define FMA_LOOP(V, name, isa, op)                                                                                             \
    __attribute__((target(isa), noinline)) static void name(int64_t rounds)                                                    \
    {                                                                                                                          \
        V a0 = {0}, a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0, x = a0, y = a0; \
        for (int64_t i = 0; i < rounds; i++)                                                                                   \
            __asm__ volatile(op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)                         \
                             : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6), "+x"(a7), "+x"(a8),       \
                               "+x"(a9), "+x"(a10), "+x"(a11)                                                                  \
                             : "x"(x), "x"(y));                                                                                \
    }
#define FMA3(i) "vfmadd231ps %12, %13, %" #i "\n"
#define MULADD(i) "mulps %12, %" #i "\n addps %13, %" #i "\n"
FMA_LOOP(F16, fma_v4, "avx512f", FMA3)
FMA_LOOP(F8, fma_v3, "avx2,fma", FMA3)
FMA_LOOP(F4, fma_generic, "sse2", MULADD)

static void fma_loop(int64_t rounds, double *flops)
{
    if (__builtin_cpu_supports("avx512f")) fma_v4(rounds), *flops = 2.0 * 16 * CHAINS * (double)rounds;
    else if (__builtin_cpu_supports("fma")) fma_v3(rounds), *flops = 2.0 * 8 * CHAINS * (double)rounds;
    else fma_generic(rounds), *flops = 2.0 * 4 * CHAINS * (double)rounds;
}

static void cpu_name(char *out, size_t n)
{
    unsigned r[4];
    char brand[49] = {0}, *start = brand;
    for (unsigned i = 0; i < 3; i++)
        if (__get_cpuid(0x80000002 + i, &r[0], &r[1], &r[2], &r[3])) memcpy(brand + 16 * i, r, 16);
    while (*start == ' ') start++;
    __get_cpuid(1, &r[0], &r[1], &r[2], &r[3]);
    unsigned family = (r[0] >> 8 & 15) == 15 ? (r[0] >> 20 & 255) + 15 : r[0] >> 8 & 15, model = (r[0] >> 4 & 15) | (r[0] >> 12 & 240);
    snprintf(out, n, "%.36s family %u model %u", *start ? start : "x86-64", family, model);
}
#else
static void fma_loop(int64_t rounds, double *flops)
{
    volatile float a[CHAINS] = {0};
    for (int64_t i = 0; i < rounds; i++)
        for (int k = 0; k < CHAINS; k++) a[k] = a[k] * 0.5f + 1.0f;
    *flops = 2.0 * CHAINS * (double)rounds;
}
static void cpu_name(char *out, size_t n) { snprintf(out, n, "unknown CPU"); }
#endif

typedef struct Job {
    pthread_barrier_t *start;
    const uint64_t *block;              /* NULL: multiply-adds */
    size_t words;
    double amount, seconds;
    uint64_t sum;
} Job;

static void *work(void *user)
{
    Job *j = user;
    pthread_barrier_wait(j->start);
    double t = time_now();
    if (!j->block) {
        fma_loop(4000000, &j->amount);
    } else {
        uint64_t s[8] = {0};
        for (size_t i = 0; i + 8 <= j->words; i += 8)
            for (int k = 0; k < 8; k++) s[k] += j->block[i + (size_t)k];
        for (int k = 0; k < 8; k++) j->sum += s[k];
        j->amount = (double)(j->words * 8);
    }
    j->seconds = time_now() - t;
    return NULL;
}

/* The best of three: amount a second, the slowest thread counting. */
static double rate(int threads, const uint64_t *block)
{
    double best = 0;
    for (int round = 0; round < 3; round++) {
        pthread_t id[MAX_THREADS];
        Job job[MAX_THREADS] = {0};
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, (unsigned)threads);
        size_t share = read_bytes / 8 / (size_t)threads;
        for (int i = 0; i < threads; i++) {
            job[i] = (Job){.start = &start, .block = block ? block + (size_t)i * share : NULL, .words = share};
            if (i && pthread_create(&id[i], NULL, work, &job[i])) return best;
        }
        work(&job[0]);
        double amount = job[0].amount, slowest = job[0].seconds;
        for (int i = 1; i < threads; i++) {
            pthread_join(id[i], NULL);
            amount += job[i].amount;
            if (job[i].seconds > slowest) slowest = job[i].seconds;
        }
        pthread_barrier_destroy(&start);
        if (slowest > 0 && amount / slowest > best) best = amount / slowest;
    }
    return best;
}

void machine_measure(int threads, MachineLimits *m)
{
    *m = (MachineLimits){0};
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    cpu_name(m->cpu, sizeof m->cpu);
    m->f32_flops = rate(threads, NULL);
    uint64_t *block = malloc(read_bytes);
    if (!block) return;
    memset(block, 1, read_bytes);
    m->read_bytes = rate(threads, block);
    free(block);
}
