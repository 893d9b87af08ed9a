/* internal.h - what the files of host/ share. */
#ifndef DLC_HOST_INTERNAL_H
#define DLC_HOST_INTERNAL_H

#include "host/data.h"

/* Bytes of a shape; false: a negative dim, or an overflow. */
bool shape_bytes(int dtype, int rank, const int64_t *dim, int64_t *bytes);
/* Reverse the bytes of n elements of `size` bytes. */
void swap_bytes(void *p, int64_t n, size_t size);

/* symbol.c: the defined symbol of an open shared object whose name ends so. Objects without DT_HASH: NULL. */
const char *symbol_ending(void *handle, const char *end);
/* data.c: the bytes of a .npy or idx file. */
bool data_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error);
/* npy.c */
bool npy_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error);

#endif
