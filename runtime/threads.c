/* threads.c - a pool of threads that take numbered pieces of one job at a time.
 *
 * A job is published by one atomic word: its number, how many pieces it has, and the next piece to take. A thread
 * takes a piece by adding one to it with compare-and-swap, so a thread that wakes late finds nothing left and nobody
 * waits for it; the caller can do everything alone, as it must after a fork. Idle threads spin for a moment, then
 * sleep on a futex.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_THREADS = 1024, SPINS = 4000 };  /* a spin is a pause: 4000 take 20 to 100 microseconds */

typedef struct Pool {
    dlc_pool          face;             /* what others see */
    RtMemory          memory;
    pthread_t        *thread;           /* [face.threads - 1] */
    int               started;
    pid_t             owner;            /* process that started them; a fork has no threads */
    atomic_flag       busy;             /* a job is under way */
    _Atomic uint64_t  job;              /* number << 32 | pieces << 16 | next piece; it takes 2^32 jobs to mistake one */
    _Atomic(void (*)(void *, int)) work;    /* of the job; valid while it has pieces left */
    _Atomic(void *)   arg;
    _Atomic uint32_t  done;             /* pieces that are finished */
    _Atomic uint32_t  bell;             /* rung when there is a job, or the end; idle threads sleep on it */
    _Atomic uint32_t  sleepers;
    atomic_bool       waiting, stop;    /* the caller sleeps on `done`; threads are to return */
} Pool;

static void futex_wait(_Atomic uint32_t *p, uint32_t value)
{
    syscall(SYS_futex, p, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *p, int n)
{
    syscall(SYS_futex, p, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Take and do one piece of the current job. false: there is none. */
static bool work_once(Pool *p)
{
    uint64_t job = atomic_load(&p->job);
    uint32_t next = job & 0xffff, pieces = job >> 16 & 0xffff;
    if (next >= pieces) return false;
    void (*work)(void *, int) = atomic_load(&p->work);
    void *arg = atomic_load(&p->arg);
    /* Where this succeeds the job was the same all along, so work and arg were read whole. */
    if (!atomic_compare_exchange_weak(&p->job, &job, job + 1)) return true;
    work(arg, (int)next);
    if (atomic_fetch_add(&p->done, 1) + 1 == pieces && atomic_load(&p->waiting)) futex_wake(&p->done, 1);
    return true;
}

static void *thread_main(void *arg)
{
    Pool *p = arg;
    for (;;) {
        uint32_t bell = atomic_load(&p->bell);
        if (atomic_load(&p->stop)) return NULL;
        if (work_once(p)) continue;
        int spin = 0;
        while (spin < SPINS && atomic_load_explicit(&p->bell, memory_order_relaxed) == bell) relax(), spin++;
        if (spin < SPINS) continue;
        atomic_fetch_add(&p->sleepers, 1);
        futex_wait(&p->bell, bell);
        atomic_fetch_sub(&p->sleepers, 1);
    }
}

static void ring(Pool *p, int n)
{
    atomic_fetch_add(&p->bell, 1);
    if (atomic_load(&p->sleepers)) futex_wake(&p->bell, n);
}

/* Start the threads that are missing for n pieces. Fewer than asked for is fine: results do not depend on it. */
static void start(Pool *p, int n)
{
    if (n > p->face.threads) n = p->face.threads;
    if (p->started >= n - 1) return;
    if (!p->started) p->owner = getpid();
    sigset_t all, old;
    sigfillset(&all);                                   /* the host's signals are the host's threads' */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->started < n - 1 && !pthread_create(&p->thread[p->started], NULL, thread_main, p)) p->started++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void pool_run(dlc_pool *face, int n, void (*work)(void *arg, int i), void *arg)
{
    Pool *p = (Pool *)(void *)face;
    if (n < 2 || n > 0xffff || p->face.threads < 2 || atomic_flag_test_and_set(&p->busy)) {
        for (int i = 0; i < n; i++) work(arg, i);       /* small, or another instance has the threads */
        return;
    }
    start(p, n);
    uint64_t number = (atomic_load(&p->job) >> 32) + 1;
    atomic_store(&p->done, 0);
    atomic_store(&p->work, work);
    atomic_store(&p->arg, arg);
    atomic_store(&p->job, number << 32 | (uint64_t)n << 16);
    ring(p, n - 1);
    while (work_once(p)) continue;
    for (int spin = 0; spin < SPINS && atomic_load(&p->done) < (uint32_t)n; spin++) relax();
    if (atomic_load(&p->done) < (uint32_t)n) {
        atomic_store(&p->waiting, true);
        for (uint32_t done; (done = atomic_load(&p->done)) < (uint32_t)n;) futex_wait(&p->done, done);
        atomic_store(&p->waiting, false);
    }
    atomic_flag_clear(&p->busy);
}

dlc_pool *rt_pool_create(const RtMemory *a, int n)
{
    if (n < 1) n = 1;
    if (n > MAX_THREADS) n = MAX_THREADS;
    Pool *p = rt_alloc_zero(a, (int64_t)sizeof *p);
    pthread_t *thread = rt_alloc(a, (int64_t)n * (int64_t)sizeof *thread);
    if (!p || !thread) {
        rt_free(a, p, sizeof *p);
        rt_free(a, thread, (int64_t)n * (int64_t)sizeof *thread);
        return NULL;
    }
    p->face = (dlc_pool){n, pool_run, NULL};
    p->memory = *a;
    p->thread = thread;
    atomic_flag_clear(&p->busy);
    return &p->face;
}

void rt_pool_destroy(dlc_pool *face)
{
    if (!face) return;
    Pool *p = (Pool *)(void *)face;
    atomic_store(&p->stop, true);
    ring(p, MAX_THREADS);
    for (int i = 0; i < p->started && p->owner == getpid(); i++) pthread_join(p->thread[i], NULL);
    RtMemory memory = p->memory;
    rt_free(&memory, p->thread, (int64_t)p->face.threads * (int64_t)sizeof *p->thread);
    rt_free(&memory, p, sizeof *p);
}

dlc_pool *dlc_rt_pool_create(int threads)
{
    return rt_pool_create(&rt_malloc, threads > 0 ? threads : rt_cpu_count());
}

void dlc_rt_pool_destroy(dlc_pool *pool)
{
    rt_pool_destroy(pool);
}

/* ---- how many CPUs -------------------------------------------------------------------------------------------- */

/* A small file's text. */
static bool read_text(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, cap - 1);
    close(fd);
    if (n < 0) return false;
    text[n] = 0;
    return true;
}

/* A whole number at *p, which moves behind it; -1: there is none. */
static int64_t number(const char **p)
{
    int64_t v = 0;
    while (**p == ' ') ++*p;
    const char *from = *p;
    for (; **p >= '0' && **p <= '9'; ++*p)
        if (!size_mul(v, 10, &v) || !size_add(v, **p - '0', &v)) return -1;
    return *p > from ? v : -1;
}

/* Narrow *cpus to a quota of `quota` microseconds in each `period`. */
static void narrow(int *cpus, int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0) return;
    int64_t n = quota / period + (quota % period != 0);
    if (n < *cpus) *cpus = (int)n;
}

/* cgroup v2: cpu.max of the process's group and of each one above it; v1: the root's. */
static void cgroup_quota(int *cpus)
{
    char group[512], path[640], text[64];
    if (!read_text("/proc/self/cgroup", group, sizeof group)) return;
    char *g = strstr(group, "0::/");
    if (g) {
        g += 3;
        g[strcspn(g, "\n")] = 0;
        for (;;) {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", g);
            const char *p = text;
            if (read_text(path, text, sizeof text)) {   /* "max 100000" or "150000 100000" */
                int64_t quota = number(&p);
                narrow(cpus, quota, number(&p));
            }
            char *slash = strrchr(g, '/');
            if (!slash) break;
            *slash = 0;
        }
    }
    char more[64];
    if (read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text) &&
        read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", more, sizeof more)) {
        const char *p = text, *q = more;
        int64_t quota = number(&p);                     /* "-1": none */
        narrow(cpus, quota, number(&q));
    }
}

int rt_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    cgroup_quota(&n);
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}
