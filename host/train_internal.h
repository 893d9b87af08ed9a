/* train_internal.h - what the files of the training loop share. */
#ifndef DLC_TRAIN_INTERNAL_H
#define DLC_TRAIN_INTERNAL_H

#include "host/train.h"

/* A function with room for its results. */
typedef struct TrainCall {
    int       fn, ndims, noutputs;
    const int64_t *given;               /* dims from the options; NULL: none */
    int64_t  *dims;
    dlc_argument_info *output;
    void    **result;                   /* malloc'ed; NULL for params and states */
    int64_t  *capacity;                 /* bytes each */
} TrainCall;

typedef struct TrainInner {
    TrainCall step, evaluate;
    bool     *leave_out;                /* params that no function but the step uses: they are no weights. NULL: all are weights */
    const char *description;            /* of the data, as JSON */
    const char *unsaved[2];             /* why `out` and `checkpoint` could not be written the last time; NULL: they were */
    char      error[1024];
} TrainInner;

/* train_call.c */
bool train_call_init(Arena *a, const dlc_artefact *artefact, int fn, const int64_t *given, TrainCall *c, const char **error);
void train_call_free(TrainCall *c);
/* Call it on a batch. The status; not DLC_OK: `error` (of cap bytes) says why. */
int  train_call(const TrainOptions *o, TrainCall *c, const Batch *b, char *error, size_t cap);
/* Element i of a result of the last call. */
double train_result(const TrainCall *c, int output, int64_t i);
void train_note(const Train *t, const char *fmt, ...) PRINTF(2, 3);

/* train_checkpoint.c: write `out`, `checkpoint`. A failure is noted and kept in inner->unsaved. */
bool train_save_weights(Train *t);
bool train_save_checkpoint(Train *t);
/* The training state of a checkpoint, n bytes of JSON; path: for messages. */
bool train_read_state(Train *t, const char *path, const char *text, size_t n, bool force, const char **error);
/* Remove what a run that was killed left half written of this file. */
void train_clean(Train *t, const char *path);

#endif
