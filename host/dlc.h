/* dlc.h - the generic side of an artefact: open a model.so by path, list its functions, their arguments and its
 * parameters, and call it with tensors described at run time. A program that knows its model when it is compiled uses
 * the generated header instead and needs none of this.
 *
 *   dlc_artefact *a = dlc_open("mlp.so", error, sizeof error);
 *   dlc_instance *m = dlc_create(a, NULL, error, sizeof error);
 *   int fn = dlc_find(a, "infer");
 *   int64_t dims[1] = {-1}, shape[DLC_MAX_RANK];
 *   dlc_bind(a, fn, &x, dims, error, sizeof error);            B from the shape of x
 *   dlc_shape(a, fn, DLC_OUTPUT, 0, dims, shape);              to allocate the result
 *   dlc_call(m, fn, dims, in, out);
 *
 * Functions that return int return a status of enum dlc_status, unless they say otherwise.
 */
#ifndef DLC_H
#define DLC_H

#include <stdbool.h>

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DLC_MAX_RANK = 16 };
enum dlc_side { DLC_INPUT, DLC_OUTPUT };

typedef struct dlc_artefact dlc_artefact;   /* an open model.so */
typedef struct dlc_instance dlc_instance;   /* its params, states and memory */

/* A dense row-major tensor in the host's memory. */
typedef struct dlc_tensor {
    void   *data;
    int     dtype;                      /* enum dlc_dtype */
    int     rank;
    int64_t dim[DLC_MAX_RANK];
} dlc_tensor;

typedef struct dlc_function_info {
    const char *name, *doc;             /* doc: lines, or NULL */
    int         ndims, ninputs, noutputs;
    const char *const *dim;             /* names of the dims */
} dlc_function_info;

typedef struct dlc_argument_info {
    const char *name;
    int         dtype, rank;
    int         state;                  /* output: nonzero: the new value of a param or state, not given to the caller */
    int64_t     dim[DLC_MAX_RANK];      /* -1: not a number */
    int         symbol[DLC_MAX_RANK];   /* the function's dim that it is; -1: a number, or computed from dims */
    int64_t     limit;                  /* input: its elements are indices and must be below it; -1: unchecked, or not a number */
} dlc_argument_info;

/* NULL: `error` (of cap bytes) says why: no such file, not an artefact, one of another version of dlc. */
dlc_artefact *dlc_open(const char *path, char *error, size_t cap);
void dlc_close(dlc_artefact *a);        /* after its instances */
const char *dlc_name(const dlc_artefact *a);        /* "mlp" */
const char *dlc_target(const dlc_artefact *a);      /* "x86-64-v4" */

int  dlc_function_count(const dlc_artefact *a);
int  dlc_find(const dlc_artefact *a, const char *function);     /* its number; -1: none of that name */
int  dlc_function(const dlc_artefact *a, int fn, dlc_function_info *info);
int  dlc_argument(const dlc_artefact *a, int fn, enum dlc_side side, int i, dlc_argument_info *info);
int  dlc_param_count(const dlc_artefact *a);
int  dlc_param(const dlc_artefact *a, int i, dlc_param_info *info);
bool dlc_reads(const dlc_artefact *a, int fn, int param);           /* does the function compute from it? */

/* The function's dims from the shapes of all its inputs: fills in those that are -1, and leaves one so that no input
 * shows alone. Says of a wrong dtype, rank or dim what is wrong. */
int  dlc_bind(const dlc_artefact *a, int fn, const dlc_tensor *inputs, int64_t *dims, char *error, size_t cap);
/* Shape of an argument for these dims: rank numbers. */
int  dlc_shape(const dlc_artefact *a, int fn, enum dlc_side side, int i, const int64_t *dims, int64_t *shape);
int64_t dlc_workspace(const dlc_artefact *a, int fn, const int64_t *dims);      /* bytes; -1: cannot be */
size_t  dlc_dtype_size(int dtype);
const char *dlc_dtype_name(int dtype);  /* "f32" */
const char *dlc_status_text(int status);

/* NULL: `error` says why. */
dlc_instance *dlc_create(dlc_artefact *a, const dlc_options *options, char *error, size_t cap);
void dlc_destroy(dlc_instance *m);
const char *dlc_error(dlc_instance *m); /* of the last call; valid until the next */
/* in: a pointer an input; out: one an output, ignored for those that are states. */
int  dlc_call(dlc_instance *m, int fn, const int64_t *dims, const void *const *in, void *const *out);
int  dlc_reserve(dlc_instance *m, int fn, const int64_t *dims);
int  dlc_init(dlc_instance *m, uint64_t seed);
int  dlc_load(dlc_instance *m, const char *path);
int  dlc_load_partial(dlc_instance *m, const char *path);
const char *dlc_load_report(dlc_instance *m);
int  dlc_save(dlc_instance *m, const char *path);
/* ... without the params whose flag is set in leave_out[dlc_param_count] (NULL: all are saved), and with more texts in the
 * file's metadata: key, value, ..., NULL (NULL: none). */
int  dlc_save_with(dlc_instance *m, const char *path, const bool *leave_out, const char *const *metadata);
int  dlc_get(dlc_instance *m, const char *param, void *data, size_t bytes);
int  dlc_set(dlc_instance *m, const char *param, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
