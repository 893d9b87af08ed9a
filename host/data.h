/* data.h - tensors from files: .npy, .npz, idx (also .gz), tensors of safetensors files; and how a file and what to make
 * of it are written on the command line.
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

/* A row an option of a spec: NAME, what may follow its '=' ("" nothing; "?": an '=' is not needed). docs/data.md. */
#define DATA_OPTIONS(X) \
    X(scale, "1/255") X(round, "") X(normalize, "") X(onehot, "") X(categorical, "") X(missing, "fill|category|drop|error") \
    X(sep, "comma|semicolon|tab") X(header, "none") X(chars, "") X(bytes, "") X(tokens, "u8|u16|i32|i64?") X(shift, "N") \
    X(stride, "N") X(resize, "HxW?") X(crop, "HxW")
enum {
#define X(name, value) DATA_##name,
    DATA_OPTIONS(X)
#undef X
    DATA_OPTION_COUNT
};
enum { MISSING_DEFAULT, MISSING_FILL, MISSING_CATEGORY, MISSING_DROP, MISSING_ERROR };

typedef struct DataSpec {
    const char *argument;               /* "x" */
    const char *path, *key;             /* key: NULL if none */
    const char *same;                   /* @OTHER: the data of that argument; path is NULL */
    uint32_t    given;                  /* a bit an option: 1 << DATA_scale ... */
    double      scale;                  /* 1 if none was given */
    int         missing;
    char        separator;              /* 0: found in the header */
    int         tokens;                 /* dtype of raw tokens, or 0; DLC_U8 of one byte, DLC_I16 stands for u16 */
    int64_t     shift, stride;          /* stride: 0 if none was given */
    int64_t     resize[2], crop[2];     /* height, width; 0: not given */
} DataSpec;
/* "x=FILE[:key][,OPTION...]". A ':' or a ',' belongs to the path if there is a file of that name. `allowed`: bits of the
 * options that make sense here. false: *error. */
bool data_spec_options(Arena *a, const char *text, uint32_t allowed, DataSpec *spec, const char **error);
/* "x=FILE[:key][,scale=...]" */
bool data_spec(Arena *a, const char *text, DataSpec *spec, const char **error);
/* Read it. The format is known by its first bytes. dtypes that models lack (u16, u32, u64) come as the next wider
 * integer that holds them. */
bool data_read(Arena *a, const char *path, const char *key, dlc_tensor *t, const char **error);
/* The shape that an argument wants, where the data lacks nothing but 1-dims: they are put in where `dim` says 1 (-1: any
 * number). Elements stay. False if it cannot be; *t is then as it was. */
bool data_fit(dlc_tensor *t, int rank, const int64_t *dim);
/* More dims than the argument has: the last ones become one, where that is what its last dim says (images as rows of pixels).
 * Else nothing changes. dim: -1: any number. */
void data_flatten(dlc_tensor *t, int rank, const int64_t *dim);
/* As the argument `name` of this dtype and rank wants it: missing 1-dims come behind the shape, numbers are converted if
 * each of them stays what it is. With a scale that is not 1, to a float type only: times the scale, rounded once. */
bool data_convert(Arena *a, const dlc_tensor *from, const char *name, int dtype, int rank, double scale, dlc_tensor *to, const char **error);
/* "u8[10000,28,28]" */
const char *data_type(Arena *a, const dlc_tensor *t);
/* .npy, written atomically. */
bool data_write_npy(Arena *a, const char *path, const dlc_tensor *t, const char **error);

#endif
