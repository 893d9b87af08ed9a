/* data_support.h - what the tests of data sets share: small files, functions described in a line of text, batches as text. */
#ifndef DLC_DATA_SUPPORT_H
#define DLC_DATA_SUPPORT_H

#include "host/dataset_internal.h"

/* A folder of its own for every test; removed with all that is in it. */
extern char test_folder[64];
int make_test_folder(void **state);
int remove_test_folder(void **state);
const char *test_path(Arena *a, const char *name);
const char *test_file(Arena *a, const char *name, const void *data, size_t n);
const char *test_text(Arena *a, const char *name, const char *text);
void test_subfolder(Arena *a, const char *name);
/* A .npy file; elements 0, 1, 2, ... where data is NULL. */
const char *test_npy(Arena *a, const char *name, int dtype, int rank, const int64_t *dim, const void *data);

/* "x:f32[B,4] y:i32[B]<3": inputs; an upper-case letter is a dim, "<3" the bound of indices. */
Signature test_signature(Arena *a, const char *text);

/* In specs, "%/" stands for the test's folder. The list ends with NULL. */
typedef struct Opening {
    const char *function, *spec[8], *csv, *target, *description, *augment[4];
} Opening;
Dataset *must_open(Arena *a, Opening o);
/* It fails, and says this. */
void must_not_open(Arena *a, Opening o, const char *says);

/* All batches as text: "x=1,2;3,4 y=0,1 | ..." with %g. */
const char *all_batches(Dataset *d, BatchOptions o);
/* In the order of the file, whole. */
const char *all_examples(Dataset *d);
void check_text(const char *got, const char *wanted);

#endif
