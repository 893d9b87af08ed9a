#ifndef DLC_ABI_1
#define DLC_ABI_1
#include <stddef.h>
#include <stdint.h>

/* What a call returns. The numbers never change. */
enum dlc_status {
    DLC_OK           = 0,
    DLC_NO_MEMORY    = 1,
    DLC_BAD_ARGUMENT = 2,   /* a null pointer, buffers that overlap, a wrong size, an unknown option */
    DLC_BAD_DIM      = 3,   /* a dim that is negative, too large, or breaks what the model declares */
    DLC_BAD_INDEX    = 4,   /* an index out of range */
    DLC_NOT_LOADED   = 5,   /* a parameter without an initial value was not loaded yet */
    DLC_BAD_FILE     = 6,   /* not a safetensors file, or one that does not fit the model */
    DLC_IO           = 7,   /* the system could not read or write */
    DLC_NOT_FOUND    = 8,   /* no such file, parameter or function; a parameter that the file lacks */
    DLC_BUSY         = 9,   /* another thread is inside a call of the same instance */
    DLC_CPU          = 10,  /* the code needs CPU features that this machine does not have */
    DLC_NOT_FINITE   = 11,  /* a loss or gradient is infinite or NaN; nothing was changed */
    DLC_CAPACITY     = 12   /* above the reserved capacity of an instance with `fixed` */
};

/* Element types, as in dlc_param_info. f16 and bf16 travel as uint16_t, bool as uint8_t. */
enum dlc_dtype {
    DLC_F64 = 1, DLC_F32, DLC_F16, DLC_BF16, DLC_I64, DLC_I32, DLC_I16, DLC_I8, DLC_U8, DLC_BOOL
};

/* Threads to work on: made by X_pool_create, or the host's own with a `run` of its making. Instances of any
 * models may share one, which must outlive them. */
typedef struct dlc_pool {
    int   threads;          /* how many work at a time, the caller among them */
    /* Call work(arg, i) once for every 0 <= i < n, on whatever threads, and return when all have returned. */
    void (*run)(struct dlc_pool *pool, int n, void (*work)(void *arg, int i), void *arg);
    void *user;
} dlc_pool;

/* Options of X_create. Set `size`; what is zero takes its default. */
typedef struct dlc_options {
    size_t    size;         /* sizeof(dlc_options) */
    int       threads;      /* 0: one a CPU that the process may use; 1: none is started */
    int       fixed;        /* nonzero: a call above the reserved capacity fails instead of allocating */
    int       map;          /* nonzero: X_load maps the file, which must then stay as it is, instead of copying it */
    uint64_t  seed;         /* of initial values and random draws */
    int64_t   max_iterations;   /* bound on the iterations of a `while`; 0: 2^31 - 1 */
    dlc_pool *pool;         /* instead of own threads; `threads`, where not 0, still bounds how many work */
    /* Instead of malloc and free. allocate gives `bytes` bytes at a multiple of `align`, or NULL. */
    void   *(*allocate)(void *user, size_t bytes, size_t align);
    void    (*release)(void *user, void *p, size_t bytes);
    void     *allocate_user;
} dlc_options;

/* One parameter or state of a model. */
typedef struct dlc_param_info {
    const char    *path;    /* "net.l1.weight" */
    int            dtype;   /* enum dlc_dtype */
    int            rank;
    const int64_t *dim;     /* rank of them */
    size_t         bytes;
    int            state;   /* nonzero: a state; 0: a param */
    int            must_load;   /* nonzero: has no initial value */
} dlc_param_info;
#endif
