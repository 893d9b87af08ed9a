/* data.h - tensors from files, for the command line: .npy, idx (also .gz) and single tensors of safetensors files.
 *
 *   x=FILE[:key][,scale=1/255]
 *
 * Files may be hostile: every size in them is checked against the file's. Conversions to what an argument wants are
 * exact or refused.
 */
#ifndef DLC_DATA_H
#define DLC_DATA_H

#include "base/base.h"
#include "host/dlc.h"

typedef struct DataSpec {
    const char *argument;               /* "x" */
    const char *path, *key;             /* key: NULL if none */
    double      scale;                  /* 1 if none was given */
    bool        scaled;
} DataSpec;
/* "x=FILE[:key][,scale=...]". A ':' belongs to the path if there is a file of that name. false: *error. */
bool data_spec(Arena *a, const char *text, DataSpec *spec, const char **error);
/* Read it. The format is known by its first bytes. dtypes that models lack (u16, u32, u64) come as the next wider
 * integer that holds them. */
bool data_read(Arena *a, const char *path, const char *key, dlc_tensor *t, const char **error);
/* The shape that an argument wants, where the data lacks nothing but 1-dims: they are put in where `dim` says 1 (-1: any
 * number). Elements stay. False if it cannot be; *t is then as it was. */
bool data_fit(dlc_tensor *t, int rank, const int64_t *dim);
/* As the argument `name` of this dtype and rank wants it: missing 1-dims come behind the shape, numbers are converted if
 * each of them stays what it is. With a scale that is not 1, to a float type only: times the scale, rounded once. */
bool data_convert(Arena *a, const dlc_tensor *from, const char *name, int dtype, int rank, double scale, dlc_tensor *to, const char **error);
/* "u8[10000,28,28]" */
const char *data_type(Arena *a, const dlc_tensor *t);
/* .npy, written atomically. */
bool data_write_npy(Arena *a, const char *path, const dlc_tensor *t, const char **error);

#endif
