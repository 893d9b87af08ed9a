/* dataset.h - examples from files, in batches: the input side of `dlc train`.
 *
 *   Dataset *d = dataset_open(&arena, &(DatasetOptions){.artefact = a, .fn = step, .dims = dims, .spec = spec, .nspec = n}, &error);
 *   Dataset *held_out = dataset_split(d, 0.1, seed, &error);             a tenth for validation
 *   Batches *b = batches_open(d, &(BatchOptions){.size = 64, .shuffle = true, .seed = seed, .epoch = e, .prefetch = true}, &error);
 *   while (batches_next(b, &batch, &error)) ...                          dlc_bind(.., batch.in, ..), dlc_call(.., batch.data, ..)
 *   batches_close(b);                                                    error == NULL: the epoch is over
 *
 * docs/data.md describes the specs: `NAME=FILE[:KEY][,OPTION...]`, `NAME=@OTHER,shift=1`. The batch dim is the first dim
 * of every input that has one example a row; other inputs (no dims, or another first dim) are the same for every batch.
 * Everything that is drawn at random depends on the seed, the epoch and the number of the example alone.
 * Files may be hostile: what is wrong in one is an error that names it and the place.
 */
#ifndef DLC_DATASET_H
#define DLC_DATASET_H

#include "host/data.h"

typedef struct Dataset Dataset;
typedef struct Batches Batches;

typedef struct DatasetOptions {
    const dlc_artefact *artefact;
    int            fn;                  /* the function whose inputs are to be fed */
    const int64_t *dims;                /* of fn; -1: not known (yet). NULL: none is known */
    const char *const *spec;            /* "x=FILE,scale=1/255", ... */
    uint32_t       nspec;
    const char    *csv, *target;        /* or: --csv FILE[,OPTION...] --target COLUMN[,OPTION...]; NULL: not given */
    /* What dataset_describe said of the data that the model was trained on: vocabularies, classes, categories, means and
     * deviations are then taken from it (validation data, a resumed run). NULL: they are found in this data. */
    const char    *description;
    const char    *const *augment;      /* "flip,crop=4", "images:rotate=10", ...: see docs/data.md */
    uint32_t       naugment;
} DatasetOptions;

/* NULL: *error. Everything lives in `a`; so do the errors of all functions here, unless they say otherwise. */
Dataset *dataset_open(Arena *a, const DatasetOptions *o, const char **error);
/* Take round(fraction * count) examples out of d, at least one, drawn by the seed (of a text or token stream: its end).
 * d keeps the rest, and its statistics are then those of the rest; the result has the same encoding and no augmentation. */
Dataset *dataset_split(Dataset *d, double fraction, uint64_t seed, const char **error);
/* The same examples for another function, whose inputs are some of d's by name, dtype and shape (`evaluate`). */
Dataset *dataset_for(Dataset *d, int fn, const char **error);

int64_t dataset_count(const Dataset *d);                        /* examples */
int64_t dataset_batch_size(const Dataset *d);                   /* where the function fixes it; else 0 */
int64_t dataset_batches(const Dataset *d, int64_t size);        /* batches an epoch; the last may be smaller (not where the
                                                                 * function fixes the size: then it is left out) */
/* One JSON object: what it takes to encode other data in the same way; NAME is an argument.
 *   {"arguments":{"NAME":{"kind":"table","columns":[{"name":"age","mean":3.5,"deviation":2.0,"normalize":true},
 *                                                   {"name":"sex","categories":["f","m"],"fill":"m"}]},
 *                 "NAME":{"kind":"chars","vocabulary":["\n"," ","a",...]},
 *                 "NAME":{"kind":"classes","classes":["cat","dog"]},
 *                 "NAME":{"kind":"array","normalize":true,"mean":[..],"deviation":[..]}}}
 * A normalised value is (value - mean) / deviation. */
const char *dataset_describe(const Dataset *d);
/* "x: iris.csv, 4 columns; y: species of iris.csv, 3 classes", for people. */
const char *dataset_summary(const Dataset *d);
/* Scale of a float argument that was normalised as a whole and has one element an example: original = given * *deviation
 * + *mean. false: it was not. */
bool dataset_scale(const Dataset *d, const char *argument, double *mean, double *deviation);
/* The names of the classes of an argument (an integer target): NULL if they have none. */
const char *const *dataset_classes(const Dataset *d, const char *argument, uint32_t *n);

/* ---- batches of one epoch ---------------------------------------------------------------------------------------------- */

typedef struct BatchOptions {
    int64_t  size;                      /* examples a batch */
    uint64_t seed;
    int64_t  epoch;                     /* from 0 */
    int64_t  first;                     /* begin with this batch of the epoch, from 0: a resumed run */
    bool     shuffle, augment, prefetch;
} BatchOptions;

typedef struct Batch {
    dlc_tensor *in;                     /* one an input of the function */
    const void *const *data;            /* in[i].data, as dlc_call wants them */
    int64_t     count;                  /* examples in it */
    int64_t     index;                  /* its number in the epoch */
} Batch;

/* Its memory is its own: free it with batches_close, before the arena of d. One at a time a Dataset. */
Batches *batches_open(Dataset *d, const BatchOptions *o, const char **error);
/* The next one; it is valid until the next call, or the close. false: *error, or NULL when the epoch is over. The error
 * lives until batches_close. */
bool batches_next(Batches *b, Batch *batch, const char **error);
void batches_close(Batches *b);         /* NULL is fine */

/* ---- all examples in one call: `dlc run` ----------------------------------------------------------------------------------- */

/* Does one of these specs need a data set: a table, text, a folder, or another option than scale? */
bool dataset_needed(Arena *a, const char *const *spec, uint32_t n);
/* All examples in the order of the files, one tensor an input; they live in the arena of d. */
dlc_tensor *dataset_tensors(Dataset *d, const char **error);

#endif
