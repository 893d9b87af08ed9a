/* train_call.c - calling the step and `evaluate` on batches, with memory for their results that grows as it must. */
#include "host/train_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "host/internal.h"
#include "ir/ir.h"

bool train_call_init(Arena *a, const dlc_artefact *artefact, int fn, const int64_t *given, TrainCall *c, const char **error)
{
    dlc_function_info f;
    if (dlc_function(artefact, fn, &f)) {
        *error = arena_printf(a, "no function number %d", fn);
        return false;
    }
    *c = (TrainCall){.fn = fn, .ndims = f.ndims, .noutputs = f.noutputs, .given = given};
    c->dims = arena_array(a, int64_t, (size_t)f.ndims + 1);
    c->output = arena_array(a, dlc_argument_info, (size_t)f.noutputs + 1);
    c->result = arena_array(a, void *, (size_t)f.noutputs + 1);
    c->capacity = arena_array(a, int64_t, (size_t)f.noutputs + 1);
    for (int i = 0; i < f.noutputs; i++) dlc_argument(artefact, fn, DLC_OUTPUT, i, &c->output[i]);
    return true;
}

void train_call_free(TrainCall *c)
{
    for (int i = 0; i < c->noutputs; i++) free(c->result[i]);
}

/* Memory for every result at these dims. */
static int make_room(const TrainOptions *o, TrainCall *c, char *error, size_t cap)
{
    for (int i = 0; i < c->noutputs; i++) {
        const dlc_argument_info *r = &c->output[i];
        int64_t shape[DLC_MAX_RANK] = {0}, bytes;
        if (r->state) continue;
        if (dlc_shape(o->artefact, c->fn, DLC_OUTPUT, i, c->dims, shape) || !shape_bytes(r->dtype, r->rank, shape, &bytes)) {
            snprintf(error, cap, "%s: its size overflows", r->name);
            return DLC_BAD_DIM;
        }
        if (c->result[i] && c->capacity[i] >= bytes) continue;
        free(c->result[i]);
        c->result[i] = malloc((size_t)bytes + 1);
        c->capacity[i] = c->result[i] ? bytes : 0;
        if (!c->result[i]) {
            snprintf(error, cap, "no memory for the result %s", r->name);
            return DLC_NO_MEMORY;
        }
    }
    return DLC_OK;
}

int train_call(const TrainOptions *o, TrainCall *c, const Batch *b, char *error, size_t cap)
{
    for (int i = 0; i < c->ndims; i++) c->dims[i] = c->given ? c->given[i] : -1;
    int status = dlc_bind(o->artefact, c->fn, b->in, c->dims, error, cap);
    for (int i = 0; i < c->ndims && !status; i++) {
        if (c->dims[i] >= 0) continue;
        dlc_function_info f;
        dlc_function(o->artefact, c->fn, &f);
        snprintf(error, cap, "dim %s of %s shows in no input", f.dim[i], f.name);
        status = DLC_BAD_DIM;
    }
    if (!status) status = make_room(o, c, error, cap);
    if (status) return status;
    status = dlc_call(o->instance, c->fn, c->dims, b->data, c->result);
    if (status) snprintf(error, cap, "%s", dlc_error(o->instance));
    return status;
}

double train_result(const TrainCall *c, int output, int64_t i)
{
    Tensor x = {.dtype = (DType)c->output[output].dtype, .rank = 1, .dim = {i + 1}, .data = c->result[output]};
    return tensor_get(&x, i);
}
