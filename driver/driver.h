/* driver.h - the `dlc` command: a file a subcommand, each a row of commands[] in main.c.
 *
 * Exit codes: 0 ok, 1 the input's fault, 2 usage, 3 ours.
 */
#ifndef DLC_DRIVER_H
#define DLC_DRIVER_H

#include "base/base.h"
#include "codegen/kernel.h"
#include "frontend/frontend.h"
#include "ir/ir.h"
#include "passes/passes.h"

enum { EXIT_OK = 0, EXIT_INPUT = 1, EXIT_USAGE = 2, EXIT_OURS = 3 };

/* ---- options.c: one description of the options serves parsing and --help -------------------------------------- */

typedef enum OptionKind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_LEVEL, OPTION_BYTES, OPTION_CHOICE, OPTION_LIST } OptionKind;
/* LEVEL: 0 to 3. BYTES: 64M, 1.5GiB. CHOICE: one of the words of `value`, which '|' separates. */
typedef VEC(const char *) TextList;
typedef struct Option {
    char        letter;                 /* 0: none */
    const char *name;                   /* without the dashes; NULL: a letter alone */
    const char *value;                  /* placeholder in the help; NULL for a flag */
    OptionKind  kind;
    void       *into;                   /* bool *, const char ** (TEXT, CHOICE), int *, int64_t * (BYTES), TextList * */
    const char *help;
} Option;

typedef struct Command {
    const char *name, *usage, *what;
    int (*run)(int argc, char **argv);  /* argv[0] is the command's name */
} Command;

/* Parse argv[1..]: options anywhere, the rest into *rest. A return other than -1 is the exit code to end with
 * (--help: 0; a bad option: 2, with the nearest known one). */
int options_parse(Arena *a, const Command *c, const Option *options, uint32_t n, int argc, char **argv, TextList *rest);
void usage_error(const Command *c, const char *fmt, ...) PRINTF(2, 3);

/* ---- session.c: what the subcommands share ------------------------------------------------------------------------ */

typedef struct Session {
    Arena arena;
    Diags diags;
    bool  json;                         /* --json: diagnostics as JSON on stdout */
    bool  no_fuse, no_plan, time_passes, werror, explain;
    const char *cpu, *name, *fn, *blas_name, *f32_as;
    int   level;
    int64_t budget;                     /* --memory-budget; -1: none */
    TextList *dims;                     /* --dim NAME=N of the subcommand, for the budget; NULL: it has none */
    int   batch;                        /* of `train`: what an open dim is, for the budget; 0: nothing */
    TextList set;
} Session;

void session_begin(Session *s);
/* Print the diagnostics (stderr, or JSON on stdout), free everything, and give the exit code for `ok`. */
int  session_end(Session *s, bool ok);
/* The options that every compiling subcommand takes; appended to `out`, which has room for 16. */
uint32_t session_options(Session *s, Option *out);
/* Model text, or IR text (FILE.ir), to checked IR. NULL: diagnostics say why. */
bool is_ir_path(const char *path);
Module *session_frontend(Session *s, const char *path);
/* ... and through the passes up to `after` (NULL: all). */
Module *session_passes(Session *s, const char *path, const char *after);
/* ... and to kernels. */
Program *session_program(Session *s, const char *path, CodegenOptions *o);
/* An error that has no place in a source: "dlc: TEXT". Counts as a failure of the input. */
void session_error(Session *s, const char *fmt, ...) PRINTF(2, 3);
bool colour_on(FILE *f);
/* Sizes given as --dim NAME=N: every name must be one of `names`, every N a size; otherwise it is reported. given_dim
 * looks one up. */
bool check_dims(Session *s, const TextList *given, const char *const *names, size_t n);
bool given_dim(const TextList *given, const char *name, int64_t *value);
/* "41 KiB", "1.2 MiB" */
const char *size_text(Arena *a, double bytes);

/* ---- subcommands --------------------------------------------------------------------------------------------------- */

int command_compile(int argc, char **argv);
int command_check(int argc, char **argv);
int command_fmt(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_summary(int argc, char **argv);
int command_run(int argc, char **argv);
int command_train(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_explain(int argc, char **argv);

/* compile.c: compile `path` to a temporary shared object, for run and bench. false: diagnostics say why. */
typedef struct TempArtefact { const char *folder, *so; } TempArtefact;
bool compile_temporary(Session *s, const char *path, const CodegenOptions *o, TempArtefact *t);
void remove_temporary(const TempArtefact *t);

/* summary.c: operations and bytes of one call, as polynomials in the function's dims; NULL on overflow. */
void func_costs(Arena *a, const ProgramFunc *f, Dim **flops, Dim **bytes);
/* "2.5 M", or the polynomial where a dim is open, "overflow" for NULL. */
const char *amount_text(Arena *a, Dim *d, const TextList *dims);
/* report.c: --explain. */
void explain_program(Session *s, const Program *p, Str *out);
/* Value of a polynomial where the dims are given as "NAME=N" texts; false: one is missing. */
bool dim_with(Dim *d, const TextList *sizes, int64_t *value);

/* run.c */
struct dlc_artefact;
int  find_function(Session *s, const struct dlc_artefact *a, const char *name);  /* NULL: its only one; -1: reported */

/* output.c: results as text and as files */
struct dlc_tensor;
bool tensor_bytes(const struct dlc_tensor *t, int64_t *bytes);       /* false: overflow */
void print_tensor(Str *out, const char *name, const struct dlc_tensor *t);
void json_tensor(Str *out, const struct dlc_tensor *t);
/* .npy (one result), or .safetensors; by the ending of path. */
bool write_results(Session *s, const char *path, uint32_t n, const char *const *name, const struct dlc_tensor *t);

#endif
