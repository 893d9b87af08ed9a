/* The runtime alone: sizes, calls, options, params, threads, CPU features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toy_model.h"

/* ---- memory that is counted, and can run out -------------------------------------------------------------------------- */

typedef struct Counter { long live, left; } Counter;    /* left: allocations that still succeed; -1: all */

static void *count_allocate(void *user, size_t bytes, size_t align)
{
    Counter *c = user;
    void *p = NULL;
    if (c->left == 0) return NULL;
    if (c->left > 0) c->left--;
    if (posix_memalign(&p, align, bytes)) return NULL;
    memset(p, 0xa5, bytes);                             /* nothing may count on zeros */
    __atomic_add_fetch(&c->live, (long)bytes, __ATOMIC_RELAXED);
    return p;
}

static void count_release(void *user, void *p, size_t bytes)
{
    Counter *c = user;
    __atomic_sub_fetch(&c->live, (long)bytes, __ATOMIC_RELAXED);
    free(p);
}

static dlc_options counted(Counter *c)
{
    return (dlc_options){.size = sizeof(dlc_options), .threads = 1, .seed = 10, .allocate = count_allocate, .release = count_release, .allocate_user = c};
}

static int scale(RtInstance *m, int64_t b, int64_t t, const float *x, const int32_t *ids, float *y)
{
    return dlc_rt_call(m, TOY_scale, (int64_t[]){b, t}, (const void *[]){x, ids}, (void *[]){y});
}

static int push(RtInstance *m, float v, int64_t b, const int32_t *ids)
{
    return dlc_rt_call(m, TOY_push, (int64_t[]){b}, (const void *[]){&v, ids}, (void *[]){NULL});
}

/* ---- dims --------------------------------------------------------------------------------------------------------------- */

static void polynomials(void **state)
{
    (void)state;
    int64_t v, dims[] = {7, 3};
    static const int64_t floordiv[] = {RT_SYM, 0, RT_CONST, -1, RT_MUL, RT_CONST, 2, RT_FLOORDIV, RT_END};
    static const int64_t by_zero[] = {RT_SYM, 0, RT_CONST, 0, RT_MOD, RT_END};
    static const int64_t overflow[] = {RT_CONST, INT64_MAX, RT_SYM, 1, RT_MUL, RT_END};
    static const int64_t least[] = {RT_SYM, 0, RT_SYM, 1, RT_MIN, RT_END};
    static const int64_t unfinished[] = {RT_SYM, 0, RT_ADD, RT_END};
    int64_t deep[2 * RT_STACK + 3];
    for (int i = 0; i <= RT_STACK; i++) deep[2 * i] = RT_CONST, deep[2 * i + 1] = i;
    deep[2 * RT_STACK + 2] = RT_END;
    assert_true(rt_poly(floordiv, dims, &v));
    assert_int_equal(v, -4);
    assert_false(rt_poly(by_zero, dims, &v));
    assert_false(rt_poly(overflow, dims, &v));
    assert_true(rt_poly(least, dims, &v));
    assert_int_equal(v, 3);
    assert_false(rt_poly(unfinished, dims, &v));
    assert_false(rt_poly(deep, dims, &v));
}

static void arguments_are_checked(void **state)
{
    (void)state;
    RtInstance *m = dlc_rt_create(&toy_model, NULL);
    float x[16] = {0}, y[16];
    int32_t ids[4] = {0, 1, 2, 3};
    assert_non_null(m);
    assert_int_equal(scale(m, -1, 2, x, ids, y), DLC_BAD_DIM);
    assert_string_equal(dlc_rt_error(m), "scale: B is -1: it cannot be negative");
    assert_int_equal(scale(m, 1, 9, x, ids, y), DLC_BAD_DIM);
    assert_string_equal(dlc_rt_error(m), "scale: T <= 8 does not hold: T is 9 (toy.dl:7)");
    assert_int_equal(scale(m, INT64_MAX / 4, 8, x, ids, y), DLC_BAD_DIM);
    assert_string_equal(dlc_rt_error(m), "scale: sizes overflow: B is 2305843009213693951, T is 8");
    assert_int_equal(scale(m, 2, 2, NULL, ids, y), DLC_BAD_ARGUMENT);
    assert_string_equal(dlc_rt_error(m), "scale: x is NULL");
    assert_int_equal(scale(m, 2, 2, x, ids, NULL), DLC_BAD_ARGUMENT);
    assert_int_equal(scale(m, 2, 2, x, ids, x + 3), DLC_BAD_ARGUMENT);
    assert_string_equal(dlc_rt_error(m), "scale: the output y overlaps the input x");
    assert_int_equal(scale(m, 2, 2, x, ids, x + 4), DLC_OK);
    ids[3] = 5;
    assert_int_equal(scale(m, 4, 2, x, ids, y), DLC_BAD_INDEX);
    assert_string_equal(dlc_rt_error(m), "scale: element 3 of ids is 5, which is not in 0..4");
    assert_int_equal(scale(m, 3, 2, x, ids, y), DLC_OK);
    assert_string_equal(dlc_rt_error(m), "");
    assert_int_equal(scale(m, 0, 5, NULL, NULL, NULL), DLC_OK);
    assert_int_equal(dlc_rt_call(m, TOY_init, NULL, NULL, NULL), DLC_NOT_FOUND);
    assert_int_equal(dlc_rt_call(m, 17, NULL, NULL, NULL), DLC_NOT_FOUND);
    assert_int_equal(dlc_rt_call(m, TOY_scale, NULL, NULL, NULL), DLC_BAD_ARGUMENT);
    assert_int_equal(dlc_rt_call(NULL, 0, NULL, NULL, NULL), DLC_BAD_ARGUMENT);
    dlc_rt_destroy(m);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct { dlc_options o; char more[8]; } newer = {.o = {.size = sizeof newer, .threads = 1}};
    dlc_options o = {.threads = 1};
    assert_null(dlc_rt_create(&toy_model, &o));
    assert_string_equal(dlc_rt_error(NULL), "options: size is not set to the size of the options");
    RtInstance *m = dlc_rt_create(&toy_model, &newer.o);
    assert_non_null(m);
    assert_string_equal(dlc_rt_error(NULL), "");
    dlc_rt_destroy(m);
    newer.more[3] = 1;
    assert_null(dlc_rt_create(&toy_model, &newer.o));
    o = (dlc_options){.size = offsetof(dlc_options, seed), .threads = 1};       /* an older header */
    m = dlc_rt_create(&toy_model, &o);
    assert_non_null(m);
    dlc_rt_destroy(m);
    o = (dlc_options){.size = sizeof o, .threads = -1};
    assert_null(dlc_rt_create(&toy_model, &o));
    o = (dlc_options){.size = sizeof o, .allocate = count_allocate};
    assert_null(dlc_rt_create(&toy_model, &o));
}

/* ---- calls ---------------------------------------------------------------------------------------------------------------- */

static void a_call_computes(void **state)
{
    (void)state;
    Counter c = {.left = -1};
    dlc_options o = counted(&c);
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    float x[6] = {1, 2, 3, 4, 5, 6}, y[6];
    int32_t ids[3] = {0, 1, 4};
    assert_int_equal(scale(m, 3, 2, x, ids, y), DLC_OK);        /* w[0] is the seed, 10 */
    float want[6] = {10, 20, 31, 41, 54, 64};
    assert_memory_equal(y, want, sizeof y);
    long live = c.live;
    assert_int_equal(scale(m, 2, 2, x, ids, y), DLC_OK);        /* smaller, and again: nothing is allocated */
    assert_int_equal(scale(m, 3, 2, x, ids, y), DLC_OK);
    assert_memory_equal(y, want, sizeof y);
    assert_int_equal(c.live, live);
    dlc_rt_destroy(m);
    assert_int_equal(c.live, 0);
}

static void workspaces_grow_or_not(void **state)
{
    (void)state;
    int64_t one[] = {1, 8}, two[] = {2, 3};
    assert_int_equal(dlc_rt_workspace(&toy_model, TOY_scale, one), 64);
    assert_int_equal(dlc_rt_workspace(&toy_model, TOY_scale, (int64_t[]){100, 8}), 3200);
    assert_int_equal(dlc_rt_workspace(&toy_model, TOY_scale, (int64_t[]){1, 9}), -1);
    assert_int_equal(dlc_rt_workspace(&toy_model, TOY_init, NULL), -1);
    assert_int_equal(dlc_rt_workspace(&toy_model, 99, one), -1);

    Counter c = {.left = -1};
    dlc_options o = counted(&c);
    o.fixed = 1;
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    float x[24] = {0}, y[24];
    int32_t ids[3] = {0};
    assert_int_equal(dlc_rt_reserve(m, TOY_scale, two), DLC_OK);
    assert_int_equal(scale(m, 2, 3, x, ids, y), DLC_OK);
    assert_int_equal(scale(m, 3, 3, x, ids, y), DLC_CAPACITY);
    assert_string_equal(dlc_rt_error(m), "scale: B is 3, above the reserved 2 of an instance with `fixed`");
    assert_int_equal(scale(m, 1, 3, x, ids, y), DLC_OK);
    assert_int_equal(dlc_rt_reserve(m, TOY_scale, (int64_t[]){3, 8}), DLC_OK);
    long live = c.live;
    assert_int_equal(scale(m, 3, 8, x, ids, y), DLC_OK);
    assert_int_equal(c.live, live);
    dlc_rt_destroy(m);

    /* The first call of one without `fixed` reserves the declared bound of T. */
    o.fixed = 0;
    m = dlc_rt_create(&toy_model, &o);
    assert_int_equal(scale(m, 3, 1, x, ids, y), DLC_OK);
    live = c.live;
    assert_int_equal(scale(m, 3, 8, x, ids, y), DLC_OK);
    assert_int_equal(c.live, live);
    dlc_rt_destroy(m);
    assert_int_equal(c.live, 0);
}

/* Whatever allocation fails, the call says so, nothing is lost, and it works when there is memory again. */
static void memory_runs_out(void **state)
{
    (void)state;
    float x[6] = {1, 2, 3, 4, 5, 6}, y[6], want[6] = {10, 20, 31, 41, 54, 64};
    int32_t ids[3] = {0, 1, 4};
    int failures = 0;
    for (long n = 0;; n++) {
        Counter c = {.left = n};
        dlc_options o = counted(&c);
        RtInstance *m = dlc_rt_create(&toy_model, &o);
        if (!m) {
            assert_int_equal(c.live, 0);
            assert_non_null(strstr(dlc_rt_error(NULL), "no memory"));
            continue;
        }
        int status = scale(m, 3, 2, x, ids, y);
        if (status) {
            assert_int_equal(status, DLC_NO_MEMORY);
            assert_non_null(strstr(dlc_rt_error(m), "no memory"));
            failures++;
        }
        c.left = -1;
        assert_int_equal(scale(m, 3, 2, x, ids, y), DLC_OK);
        assert_memory_equal(y, want, sizeof y);
        dlc_rt_destroy(m);
        assert_int_equal(c.live, 0);
        if (!status) break;
    }
    assert_true(failures > 3);
}

static void a_failed_call_changes_nothing(void **state)
{
    (void)state;
    RtInstance *m = dlc_rt_create(&toy_model, NULL);
    float s[2] = {5, 6}, got[2];
    int32_t good[2] = {0, 4}, bad[2] = {0, 7};
    assert_int_equal(dlc_rt_set(m, "net.s", s, sizeof s), DLC_OK);
    assert_int_equal(push(m, 2, 2, bad), DLC_BAD_INDEX);
    assert_string_equal(dlc_rt_error(m), "push: toy.dl:9: take: index out of range");
    assert_int_equal(dlc_rt_get(m, "net.s", got, sizeof got), DLC_OK);
    assert_memory_equal(got, s, sizeof s);
    assert_int_equal(push(m, 2, 2, good), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.s", got, sizeof got), DLC_OK);
    assert_true(got[0] == 7 && got[1] == 8);
    dlc_rt_destroy(m);
}

static void *call_inside(void *arg)
{
    float x = 1, y;
    int32_t id = 0;
    *(int *)((void **)arg)[1] = scale(((void **)arg)[0], 1, 1, &x, &id, &y);
    return NULL;
}

static void concurrent_calls_are_busy(void **state)
{
    (void)state;
    RtInstance *m = dlc_rt_create(&toy_model, NULL);
    int status = -1;
    void *arg[] = {m, &status};
    pthread_t t;
    assert_true(rt_enter(m));
    pthread_create(&t, NULL, call_inside, arg);
    pthread_join(t, NULL);
    assert_int_equal(status, DLC_BUSY);
    rt_leave(m);
    pthread_create(&t, NULL, call_inside, arg);
    pthread_join(t, NULL);
    assert_int_equal(status, DLC_OK);
    dlc_rt_destroy(m);
}

/* ---- params ------------------------------------------------------------------------------------------------------------------ */

static void params_by_path(void **state)
{
    (void)state;
    dlc_options o = {.size = sizeof o, .threads = 1, .seed = 3};
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    float x[3] = {1, 2, 3}, y[3], w[2], bias[3] = {1, 1, 1};
    dlc_param_info info;
    assert_int_equal(dlc_rt_call(m, TOY_add_bias, NULL, (const void *[]){x}, (void *[]){y}), DLC_NOT_LOADED);
    assert_string_equal(dlc_rt_error(m), "add_bias needs bias, which has no initial value: load it first");
    assert_int_equal(dlc_rt_get(m, "bias", bias, sizeof bias), DLC_NOT_LOADED);
    assert_int_equal(dlc_rt_set(m, "bias", bias, sizeof bias), DLC_OK);
    assert_int_equal(dlc_rt_call(m, TOY_add_bias, NULL, (const void *[]){x}, (void *[]){y}), DLC_OK);
    assert_true(y[0] == 2 && y[1] == 3 && y[2] == 4);
    assert_int_equal(dlc_rt_get(m, "net.w", w, sizeof w), DLC_OK);
    assert_true(w[0] == 3 && w[1] == 4);
    assert_int_equal(dlc_rt_get(m, "tied.w", w, sizeof w), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.w", w, 4), DLC_BAD_ARGUMENT);
    assert_string_equal(dlc_rt_error(m), "net.w has 8 bytes, not 4");
    assert_int_equal(dlc_rt_get(m, "net.v", w, 8), DLC_NOT_FOUND);
    assert_int_equal(dlc_rt_set(m, NULL, w, 8), DLC_BAD_ARGUMENT);
    assert_int_equal(dlc_rt_param_info(&toy_model, 1, &info), DLC_OK);
    assert_string_equal(info.path, "net.s");
    assert_true(info.state && info.bytes == 8 && info.rank == 1 && info.dtype == DLC_F32);
    assert_int_equal(dlc_rt_param_info(&toy_model, 3, &info), DLC_NOT_FOUND);
    dlc_rt_destroy(m);
}

/* A state whose initial value is computed from a param takes the param's own value, not its initial one. */
static void initial_values_in_order(void **state)
{
    (void)state;
    dlc_options o = {.size = sizeof o, .threads = 1, .seed = 3};
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    float w[2] = {50, 60}, s[2];
    assert_int_equal(dlc_rt_get(m, "net.s", s, sizeof s), DLC_OK);
    assert_true(s[0] == 3 && s[1] == 4);
    dlc_rt_destroy(m);
    m = dlc_rt_create(&toy_model, &o);
    assert_int_equal(dlc_rt_set(m, "net.w", w, sizeof w), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.s", s, sizeof s), DLC_OK);
    assert_true(s[0] == 50 && s[1] == 60);
    assert_int_equal(dlc_rt_init(m, 8), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.w", w, sizeof w), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.s", s, sizeof s), DLC_OK);
    assert_true(w[0] == 8 && s[1] == 9);
    dlc_rt_destroy(m);
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------- */

typedef struct Tally { _Atomic int done[64]; _Atomic int total; } Tally;
static void tally(void *arg, int i)
{
    Tally *t = arg;
    atomic_fetch_add(&t->done[i], 1);
    atomic_fetch_add(&t->total, 1);
}

static void a_pool_does_each_piece_once(void **state)
{
    (void)state;
    dlc_pool *pool = dlc_rt_pool_create(4);
    assert_int_equal(pool->threads, 4);
    for (int round = 0; round < 3000; round++) {
        int n = round % 7;
        Tally t = {0};
        pool->run(pool, n, tally, &t);
        for (int i = 0; i < n; i++) assert_int_equal(t.done[i], 1);
        assert_int_equal(t.total, n);
        if (round % 1000 == 999) usleep(20000);         /* long enough for the threads to fall asleep */
    }
    dlc_rt_pool_destroy(pool);
    dlc_rt_pool_destroy(dlc_rt_pool_create(3));         /* never started */
    assert_true(rt_cpu_count() >= 1);
}

static void nested(void *arg, int i)
{
    dlc_pool *pool = ((void **)arg)[0];
    (void)i;
    pool->run(pool, 3, tally, ((void **)arg)[1]);
}

static void a_busy_pool_lets_callers_work(void **state)
{
    (void)state;
    dlc_pool *pool = dlc_rt_pool_create(3);
    Tally t = {0};
    pool->run(pool, 4, nested, (void *[]){pool, &t});
    assert_int_equal(t.total, 12);
    dlc_rt_pool_destroy(pool);
}

/* After a fork the pool's threads are gone: the child does all itself, and neither hangs. */
static void a_fork_survives(void **state)
{
    (void)state;
    dlc_pool *pool = dlc_rt_pool_create(3);
    Tally t = {0};
    pool->run(pool, 3, tally, &t);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        pool->run(pool, 3, tally, &t);
        bool ok = t.total == 6;
        dlc_rt_pool_destroy(pool);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    dlc_rt_pool_destroy(pool);
}

/* The host's own pool: backwards, one after the other. */
static int host_runs;
static void host_run(dlc_pool *pool, int n, void (*work)(void *arg, int i), void *arg)
{
    host_runs++;
    assert_true(n <= pool->threads);
    for (int i = n - 1; i >= 0; i--) work(arg, i);
}

static void threads_change_no_bits(void **state)
{
    (void)state;
    enum { B = 6000, T = 8 };
    float *x = malloc(B * T * sizeof *x), *y = malloc(B * T * sizeof *y), *z = malloc(B * T * sizeof *z);
    int32_t *ids = malloc(B * sizeof *ids);
    for (int i = 0; i < B * T; i++) x[i] = (float)i * 0.37f;
    for (int i = 0; i < B; i++) ids[i] = i % 5;
    dlc_options o = {.size = sizeof o, .threads = 1, .seed = 7};
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    assert_int_equal(scale(m, B, T, x, ids, y), DLC_OK);
    assert_null(m->pool);                               /* threads = 1 makes none */
    dlc_rt_destroy(m);
    dlc_pool host = {.threads = 5, .run = host_run};
    dlc_pool *shared = dlc_rt_pool_create(3);
    dlc_pool *const pools[] = {NULL, shared, &host, shared};
    for (int i = 0; i < 4; i++) {
        o.threads = i == 0 ? 4 : 0;
        o.pool = pools[i];
        m = dlc_rt_create(&toy_model, &o);
        assert_int_equal(scale(m, B, T, x, ids, z), DLC_OK);
        assert_memory_equal(y, z, B * T * sizeof *y);
        dlc_rt_destroy(m);
    }
    assert_int_equal(host_runs, 2);
    dlc_rt_pool_destroy(shared);
    free(x), free(y), free(z), free(ids);
}

/* ---- CPU ------------------------------------------------------------------------------------------------------------------------- */

static void cpu_features(void **state)
{
    (void)state;
    size_t n;
    /* A CPU with AVX-512 under a system that saves no ZMM registers; see the table of cpu.c for the bits. */
    RtCpu cpu = {.reg = {1u << 28 | 1u << 12 | 1u << 23, 1u << 26, 1u << 16 | 1u << 5, 0, 0, 0}, .xcr0 = 0x7};
    assert_null(rt_cpu_lacks(&cpu, "", &n));
    assert_null(rt_cpu_lacks(&cpu, "sse2,avx2,fma,popcnt", &n));
    const char *lacks = rt_cpu_lacks(&cpu, "avx2,avx512f,bmi", &n);
    assert_int_equal(n, 7);
    assert_memory_equal(lacks, "avx512f", 7);
    cpu.xcr0 = 0xe7;
    assert_memory_equal(rt_cpu_lacks(&cpu, "avx2,avx512f,bmi", &n), "bmi", 3);
    assert_null(rt_cpu_lacks(&cpu, "avx512f", &n));
    assert_memory_equal(rt_cpu_lacks(&cpu, "avx512", &n), "avx512", 6);        /* not one that it knows */
    cpu.xcr0 = 0;
    assert_memory_equal(rt_cpu_lacks(&cpu, "avx2", &n), "avx2", 4);

    RtModel other = toy_model;
    other.features = "sse2,avx1024";
    other.target = "x86-64-v9";
    assert_null(dlc_rt_create(&other, NULL));
    assert_string_equal(dlc_rt_error(NULL),
                        "toy was compiled for x86-64-v9 and needs avx1024, which this CPU does not have; compile it with another --cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polynomials), cmocka_unit_test(arguments_are_checked), cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_call_computes), cmocka_unit_test(workspaces_grow_or_not), cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(a_failed_call_changes_nothing), cmocka_unit_test(concurrent_calls_are_busy), cmocka_unit_test(params_by_path),
        cmocka_unit_test(initial_values_in_order), cmocka_unit_test(a_pool_does_each_piece_once),
        cmocka_unit_test(a_busy_pool_lets_callers_work), cmocka_unit_test(a_fork_survives), cmocka_unit_test(threads_change_no_bits),
        cmocka_unit_test(cpu_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
