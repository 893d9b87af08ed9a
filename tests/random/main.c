/* main.c - runs random programs; keeps and reduces those that fail; runs kept ones again.
 *
 * Workers are processes that take every jobs-th seed and say in shared memory which one they are at, so that a crash of the
 * compiler or of compiled code costs that one program and names it.
 */
#include "tests/random/isolate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: random [OPTION...] [FILE...]    FILE: a kept program, run in all configurations\n"
    "  --seed=N      the first seed (default 1; `now`: a fresh one)\n"
    "  --count=N     programs (default 100)\n"
    "  --seconds=N   stop after that time\n"
    "  --mode=MODE   exact, approximate or both (default)\n"
    "  --updates     with params and states that get new values, and guards\n"
    "  --configs=N   configurations a program, the first of them -O2 for the best target (default 2; 0: all)\n"
    "  --jobs=N      processes (default 2)\n"
    "  --keep=DIR    write programs that fail there, reduced\n"
    "  --print       print the program of --seed and --mode and stop\n"
    "  --reduce      reduce each FILE that fails, into --keep\n";

typedef struct Options {
    uint64_t    seed, count;
    double      seconds;
    bool        mode[2];                /* approximate, exact */
    bool        updates, print, reduce;
    int         configs, jobs;
    const char *keep;
} Options;

typedef struct Slot { uint64_t at, done, skipped; } Slot;     /* at: the seed in work */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one program ------------------------------------------------------------------------------------------- */

/* The first runnable configuration and others that change with the seed. */
static uint32_t choose_configs(const Options *o, uint64_t seed)
{
    uint32_t set = 0;
    int n = 0, runnable[CONFIGS];
    for (int i = 0; i < CONFIGS; i++)
        if (config_runs_here(i)) runnable[n++] = i;
    if (!o->configs || o->configs >= n) return (1u << CONFIGS) - 1;
    set = 1u << runnable[0];
    for (int k = 1; k < o->configs; k++) set |= 1u << runnable[1 + draw_below(&(uint64_t){seed * 31 + (uint64_t)k}, (uint32_t)n - 1)];
    return set;
}

typedef struct Job { const Options *o; const RandomProgram *p; uint32_t configs; uint64_t seed; bool exact; } Job;

static bool run_program(void *user, Failure *failure)
{
    const Job *j = user;
    Arena a = {0};
    if (j->p->exact)
        for (uint32_t b = 0; b < j->p->nbindings; b++) {
            Tensor inputs[RANDOM_ARGS];
            draw_inputs(&a, j->p, j->p->dims[b], inputs);
            if (!is_exact(&a, j->p->m->funcs.at[0], inputs, j->p->dims[b])) {
                snprintf(failure->kind, sizeof failure->kind, "not exact");
                return false;
            }
        }
    return check_program(&a, j->p, j->configs, failure);
}

static bool run_seed(void *user, Failure *failure)
{
    const Job *j = user;
    Arena a = {0};
    RandomProgram p;
    bool ok = !generate(&a, j->seed, &(GenerateOptions){j->exact, j->o->updates}, &p) || check_program(&a, &p, j->configs, failure);
    arena_free(&a);
    return ok;
}

typedef struct Same { const Options *o; Failure failure; } Same;

/* Does p fail as before, in the configuration that failed? */
static bool still_fails(void *user, const RandomProgram *p)
{
    const Same *same = user;
    int config = same->failure.config;
    Job j = {.o = same->o, .p = p, .configs = config < 0 ? 0 : 1u << config};
    Failure failure;
    return !isolated(run_program, &j, 30, &failure) && !strcmp(failure.kind, same->failure.kind);
}

static void keep(const Options *o, const RandomProgram *p, const char *name, const Failure *failure)
{
    if (!o->keep) return;
    Arena a = {0};
    Same same = {o, *failure};
    RandomProgram small = still_fails(&same, p) ? reduce(&a, p, still_fails, &same) : *p;
    Str s = {.arena = &a};
    program_print(&s, &small, arena_printf(&a, "%s: %s\n%s\n", name, failure->kind, failure->text));
    const char *path = arena_printf(&a, "%s/%s.ir", o->keep, name);
    FILE *f = fopen(path, "w");
    bool ok = f && fwrite(s.at, 1, s.n, f) == s.n;
    if (f && fclose(f)) ok = false;
    printf(ok ? "# kept as %s, %u nodes\n" : "# %s: cannot write\n", path, small.m->funcs.at[0]->body.nodes.n);
    arena_free(&a);
}

static void report(const Options *o, uint64_t seed, bool exact)
{
    const char *mode = exact ? "exact" : "approximate";
    Job j = {.o = o, .configs = choose_configs(o, seed), .seed = seed, .exact = exact};
    Failure failure;
    if (isolated(run_seed, &j, 120, &failure)) {
        printf("not ok random %s program %llu: failed once, and not when run again\n", mode, (unsigned long long)seed);
        return;
    }
    printf("not ok random %s program %llu%s: %s\n# %s\n", mode, (unsigned long long)seed, o->updates ? " with updates" : "", failure.kind, failure.text);
    fflush(stdout);
    if (failure.kind[0] == 0 || !o->keep) return;
    Arena a = {0};
    RandomProgram p;
    const char *name = arena_printf(&a, "%s-%s%llu", mode, o->updates ? "updates-" : "", (unsigned long long)seed);
    if (generate(&a, seed, &(GenerateOptions){exact, o->updates}, &p)) keep(o, &p, name, &failure);
    arena_free(&a);
}

/* ---- many ----------------------------------------------------------------------------------------------------- */

static pid_t start_worker(const Options *o, bool exact, Slot *slot, uint64_t from, double end)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid) return pid;
    if (!freopen("/dev/null", "w", stderr)) _exit(2);   /* assertions are asked for again by report() */
    for (uint64_t seed = from; seed < o->seed + o->count && now() < end; seed += (uint64_t)o->jobs) {
        slot->at = seed;
        alarm(120);
        Arena a = {0};
        RandomProgram p;
        Failure failure;
        if (generate(&a, seed, &(GenerateOptions){exact, o->updates}, &p)) {
            if (!check_program(&a, &p, choose_configs(o, seed), &failure)) _exit(1);
            slot->done++;
        } else {
            slot->skipped++;
        }
        arena_free(&a);
    }
    _exit(0);
}

/* Returns how many failed. */
static uint32_t run_mode(const Options *o, bool exact)
{
    Slot *slot = shared_alloc((size_t)o->jobs * sizeof *slot);
    pid_t *worker = calloc((size_t)o->jobs, sizeof *worker);
    double end = o->seconds > 0 ? now() + o->seconds : 1e300;
    uint32_t failures = 0;
    if (!worker) abort();
    for (int i = 0; i < o->jobs; i++) worker[i] = start_worker(o, exact, &slot[i], o->seed + (uint64_t)i, end);
    for (int running = o->jobs; running;) {
        int status = 0, i = 0;
        pid_t pid = waitpid(-1, &status, 0);
        while (i < o->jobs && worker[i] != pid) i++;
        if (i == o->jobs) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            running--;
            continue;
        }
        failures++;
        report(o, slot[i].at, exact);
        worker[i] = start_worker(o, exact, &slot[i], slot[i].at + (uint64_t)o->jobs, end);
    }
    uint64_t done = 0, skipped = 0;
    for (int i = 0; i < o->jobs; i++) done += slot[i].done, skipped += slot[i].skipped;
    printf("%s random programs, %s%s: %llu pass from seed %llu on (%llu seeds give none)\n", failures || !done ? "not ok" : "ok", exact ? "exact" : "approximate",
           o->updates ? " with updates" : "", (unsigned long long)done, (unsigned long long)o->seed, (unsigned long long)skipped);
    fflush(stdout);
    free(worker);
    shared_free(slot, (size_t)o->jobs * sizeof *slot);
    return failures;
}

/* A kept program. */
static bool run_file(const Options *o, const char *path)
{
    Arena a = {0};
    Str text = {.arena = &a};
    FILE *f = fopen(path, "r");
    for (int c; f && (c = getc(f)) != EOF;) str_char(&text, (char)c);
    if (f) fclose(f);
    RandomProgram p;
    const char *error = text.n ? program_read(&a, path, text.at, text.n, &p) : "cannot be read, or is empty";
    if (error) {
        printf("not ok %s: %s\n", path, error);
        return false;
    }
    Failure failure;
    Job j = {.o = o, .p = &p, .configs = (1u << CONFIGS) - 1};
    bool ok = isolated(run_program, &j, 120, &failure);
    if (ok) printf("ok %s\n", path);
    else printf("not ok %s: %s\n# %s\n", path, failure.kind, failure.text);
    fflush(stdout);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!ok && o->reduce) keep(o, &p, arena_printf(&a, "%.*s", (int)strcspn(name, "."), name), &failure);
    arena_free(&a);
    return ok;
}

static const char *value_of(const char *arg, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(arg, name, n) && arg[n] == '=' ? arg + n + 1 : NULL;
}

int main(int argc, char **argv)
{
    Options o = {.seed = 1, .count = 100, .mode = {true, true}, .configs = 2, .jobs = 2};
    bool ok = true, files = false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *v;
        if ((v = value_of(arg, "--seed"))) o.seed = strcmp(v, "now") ? strtoull(v, NULL, 10) : (uint64_t)time(NULL) * 1000;
        else if ((v = value_of(arg, "--count"))) o.count = strtoull(v, NULL, 10);
        else if ((v = value_of(arg, "--seconds"))) o.seconds = atof(v);
        else if ((v = value_of(arg, "--mode"))) o.mode[0] = strcmp(v, "exact") != 0, o.mode[1] = strcmp(v, "approximate") != 0;
        else if ((v = value_of(arg, "--configs"))) o.configs = atoi(v);
        else if ((v = value_of(arg, "--jobs"))) o.jobs = atoi(v) < 1 ? 1 : atoi(v);
        else if ((v = value_of(arg, "--keep"))) o.keep = v;
        else if (!strcmp(arg, "--updates")) o.updates = true;
        else if (!strcmp(arg, "--print")) o.print = true;
        else if (!strcmp(arg, "--reduce")) o.reduce = true;
        else if (arg[0] == '-') return fputs(usage, stderr), 2;
        else files = true, ok &= run_file(&o, arg);
    }
    if (files) return !ok;
    for (int exact = 1; exact >= 0; exact--) {
        if (!o.mode[exact]) continue;
        if (o.print) {
            Arena a = {0};
            Str s = {.arena = &a};
            RandomProgram p;
            if (generate(&a, o.seed, &(GenerateOptions){exact, o.updates}, &p)) program_print(&s, &p, NULL);
            printf("%s", s.n ? s.at : "# no program\n");
            arena_free(&a);
        } else {
            ok &= run_mode(&o, exact) == 0;
        }
    }
    return !ok;
}
