/* random.h - random programs: made, run in every configuration, compared with the evaluator, and made smaller when one fails.
 *
 * Two modes. Exact: values are small integers and no operator rounds, so that the evaluator, every -O level and every target
 * row must agree bit for bit whatever the order of their sums. Approximate: all operators; the truth is the evaluator in f64, and
 * how far a result may be from it follows from runs in which every intermediate value is disturbed by a few roundings.
 */
#ifndef DLC_RANDOM_H
#define DLC_RANDOM_H

#include "ir/ir.h"

enum { BINDINGS = 3, RANDOM_ARGS = 64, RANDOM_RESULTS = 24, RANDOM_DIMS = 4 };

/* A module with one exported function, and what it is run on. */
typedef struct RandomProgram {
    Module  *m;
    bool     exact;
    uint32_t nbindings;
    int64_t  dims[BINDINGS][RANDOM_DIMS];   /* values of the function's dims, in order */
    uint64_t data;                      /* the inputs' values follow from this, their names and places */
} RandomProgram;

/* ---- draw.c ---- */

uint32_t draw_below(uint64_t *seed, uint32_t n);
bool     dims_value(const Func *f, const int64_t *dims, Dim *d, int64_t *v);
/* The values of an argument: floats in [-1, 1), in exact mode integers in [-4, 4]; integers likewise; those named "ids..." in [0, 3). */
Tensor   draw_tensor(Arena *a, const RandomProgram *p, const int64_t *dims, const Arg *arg);
void     draw_inputs(Arena *a, const RandomProgram *p, const int64_t *dims, Tensor *inputs);

/* ---- generate*.c ---- */

typedef struct GenerateOptions {
    bool exact;
    bool updates;                       /* params and states that get new values, and guards */
} GenerateOptions;
/* The same for the same seed. false: this seed gives no program (a gradient that is not exact, or of nothing). */
bool generate(Arena *a, uint64_t seed, const GenerateOptions *o, RandomProgram *p);

/* ---- exact.c ---- */

/* Does no operator of the function round on these inputs, whatever the order in which it sums? */
bool is_exact(Arena *a, Func *f, const Tensor *inputs, const int64_t *dims);

/* ---- check.c ---- */

/* A failure: `kind` is equal for failures of one cause, as far as can be told; `text` has the numbers. */
typedef struct Failure { char kind[160], text[1024]; int config, binding; } Failure;

/* A way to compile: a row of targets.def, options, and as the driver has it. */
typedef struct Config { const char *target; int level; bool no_fuse, no_plan; } Config;
enum { CONFIGS = 15 };
Config config_number(int i);
bool   config_runs_here(int i);
const char *config_text(Arena *a, int i);

/* Compare in the configurations of the set (a bit each), for every binding. false: *failure. */
bool check_program(Arena *a, const RandomProgram *p, uint32_t configs, Failure *failure);

/* ---- judge.c ---- */

typedef struct Judge Judge;
/* Prepare to judge results of p for one binding. NULL: *error, the evaluator failed. */
Judge *judge_new(Arena *a, const RandomProgram *p, const int64_t *dims, const Tensor *inputs, const char **error);
/* Is `got` result r? false: `text` says what differs. */
bool judge_result(Judge *j, uint32_t r, const Tensor *got, char *text, size_t cap);
const Tensor *judge_truth(const Judge *j, uint32_t r);
/* Does a guard say that a value is not finite? Then the call must fail and change nothing. */
bool judge_refuses(const Judge *j);

/* ---- reduce.c ---- */

typedef bool StillFails(void *user, const RandomProgram *p);
/* A program that fails too, from which no single step of the reducer can take more. `*p` fails. */
RandomProgram reduce(Arena *a, const RandomProgram *p, StillFails *fails, void *user);

/* ---- file.c: programs as IR text ---- */

/* `notes`: lines for a comment; NULL: none. */
void program_print(Str *s, const RandomProgram *p, const char *notes);
/* NULL or what is wrong. */
const char *program_read(Arena *a, const char *name, const char *text, size_t n, RandomProgram *p);

#endif
