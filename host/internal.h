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
/* data.c: all bytes of a file, unpacked if it is a .gz. */
bool data_bytes(Arena *a, const char *path, char **text, size_t *n, const char **error);
/* The bytes of a .npy or idx file. */
bool data_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error);
/* data_convert.c: convert the first element; false: its value would change. */
bool data_exact(const dlc_tensor *from, dlc_tensor *to);
/* npy.c */
bool npy_parse(Arena *a, const char *path, const char *text, size_t n, dlc_tensor *t, const char **error);
/* zip.c: the array `key` (NULL: its only one) of a .npz file. */
bool npz_parse(Arena *a, const char *path, const char *text, size_t n, const char *key, dlc_tensor *t, const char **error);

#endif
