/* internal.h - what the runtime's files share. The runtime is linked into every artefact: libc only, no printing,
 * exiting or aborting, nothing global that changes (but the text of a failed create, a thread each). All memory comes
 * from the pair of functions in RtMemory, all arithmetic on sizes goes through base/size.h.
 */
#ifndef DLC_RT_INTERNAL_H
#define DLC_RT_INTERNAL_H

#include "base/size.h"
#include "runtime/abi.h"
#include "runtime/gemm.h"
#include "runtime/rt.h"

#include <stdatomic.h>

#if defined(__GNUC__)
#define RT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RT_PRINTF(fmt, args)
#endif

enum { RT_ALIGN = 64 };                 /* of every block: a cache line and the widest vector */

/* ---- memory.c: memory and text ------------------------------------------------------------------------------ */

typedef struct RtMemory {
    void *(*allocate)(void *user, size_t bytes, size_t align);
    void  (*release)(void *user, void *p, size_t bytes);
    void  *user;
} RtMemory;
extern const RtMemory rt_malloc;        /* malloc and free */

/* `bytes` bytes at a multiple of RT_ALIGN, not cleared; 0 bytes is fine. NULL: none left, or negative. */
void *rt_alloc(const RtMemory *a, int64_t bytes);
void *rt_alloc_zero(const RtMemory *a, int64_t bytes);
void  rt_free(const RtMemory *a, void *p, int64_t bytes);

typedef struct RtError { char text[1024]; } RtError;
#define RT_PATH "%.600s"                /* a path in a message: what is said about it must fit behind it */
/* Set the text (e may be NULL) and return the status. */
int rt_fail(RtError *e, int status, const char *fmt, ...) RT_PRINTF(3, 4);
/* ": No such file or directory" for an errno, behind the formatted text. */
int rt_fail_errno(RtError *e, int status, int error, const char *fmt, ...) RT_PRINTF(4, 5);

/* A text that is built twice: first with `at` NULL, to learn its length, then for good. */
typedef struct RtText {
    char   *at;
    int64_t n;
} RtText;
void rt_text_add(RtText *t, const char *s, size_t n);
void rt_text(RtText *t, const char *s);
void rt_text_int(RtText *t, int64_t v);
void rt_text_unsigned(RtText *t, uint64_t v);
void rt_text_json(RtText *t, const char *s);            /* in quotes, escaped */

/* ---- dims.c: polynomials and what must hold of a call's sizes --------------------------------------------- */

enum { RT_STACK = 32 };                 /* operands a polynomial may have pending; artefact_tables.c keeps to it */
extern const uint8_t rt_dtype_size[RT_bool + 1];
const char *rt_dtype_name(uint32_t dtype);              /* "f32" */
/* false: overflow, or a division by zero. */
bool rt_poly(const int64_t *code, const int64_t *dims, int64_t *value);
/* Check the dims of a call and evaluate all of f's polynomials into value[f->npolys]. */
int  rt_bind_dims(const RtFunc *f, const int64_t *dims, int64_t *value, RtError *e);
/* Bytes of a tensor or buffer of `count` elements; false: overflow or negative. */
bool rt_bytes(int64_t count, uint32_t dtype, int64_t *bytes);

/* ---- plan.c: workspaces ------------------------------------------------------------------------------------- */

/* What an instance knows about one of its functions; made at its first use. */
typedef struct RtFuncState {
    int64_t *value;                     /* [npolys] for `dims` */
    int64_t *dims;                      /* [ndims] of the last call that passed the checks */
    int64_t *capacity;                  /* [ndims] what the plan serves; nothing is allocated for more */
    int64_t *size;                      /* [nbufs] bytes planned a work buffer */
    int64_t *offset;                    /* [nbufs] where it lies in the workspace */
    char   **ptr;                       /* [nbufs] addresses in this call */
    char   **buf;                       /* of the step being run: its operands, */
    int64_t *dim;                       /* its kernel's symbols */
    RtPlan  *contract;                  /* [contracts] for `dims` */
    int64_t  work, scratch;             /* bytes that they need: workspace; scratch of a thread */
    int64_t  bytes;                     /* of the block all this lies in, which begins with this struct */
    uint64_t prepared;                  /* version of the params that the function's packed operands are of */
    bool     bound, planned;            /* value is valid for dims; size and offset are for capacity */
} RtFuncState;

RtFuncState *rt_func_state(const RtMemory *a, const RtFunc *f);         /* NULL: no memory */
/* Bytes of scratch a thread needs at the sizes in `value`, and the plans of the contractions. */
int rt_plan_steps(const RtFunc *f, const int64_t *value, int threads, RtPlan *contract, int64_t *scratch, RtError *e);
/* Make the plan serve `dims` too, whose polynomials are in fs->value. Sets *grown if it did not before. */
int rt_plan_work(const RtMemory *a, const RtFunc *f, RtFuncState *fs, const int64_t *dims, bool *grown, RtError *e);
void rt_plan_forget(const RtFunc *f, RtFuncState *fs);  /* there is no plan any more */

/* ---- threads.c ------------------------------------------------------------------------------------------------ */

int rt_cpu_count(void);                 /* CPUs that this process may use: affinity and cgroup quota */
/* n threads, the caller among them; started by the first run that has work for them. */
dlc_pool *rt_pool_create(const RtMemory *a, int n);
void rt_pool_destroy(dlc_pool *pool);

/* ---- cpu.c ------------------------------------------------------------------------------------------------------ */

typedef struct RtCpu {                  /* what cpuid and xgetbv say */
    uint32_t reg[6];                    /* see cpu.c */
    uint64_t xcr0;                      /* register state that the system saves */
} RtCpu;
void rt_cpu_read(RtCpu *cpu);
/* The first of the comma-separated features that the CPU lacks (its length in *n), or NULL. Unknown ones are lacking. */
const char *rt_cpu_lacks(const RtCpu *cpu, const char *features, size_t *n);

/* ---- instance.c -------------------------------------------------------------------------------------------------- */

typedef struct RtSlot {                 /* a param or state in an instance */
    char   *data;
    int64_t offset, bytes;              /* its place in the arena */
    bool    has;                        /* a value: loaded, set or initial */
    uint64_t version;                   /* RtInstance.version when it changed last */
} RtSlot;

typedef struct RtPacked {
    void    *data;
    int64_t  bytes;
    uint64_t version;                   /* RtInstance.version when it was made; 0: never */
} RtPacked;

struct RtInstance {
    const RtModel *model;
    RtMemory  memory;
    RtError   error;
    atomic_int busy;
    bool      fixed, map, own_pool;
    int       threads;
    dlc_pool *pool;                     /* NULL until needed */
    uint64_t  seed;
    int64_t   step;                     /* committed calls of functions that draw random numbers */
    RtFuncState **func;                 /* [nfuncs] */
    RtSlot   *slot;                     /* [nparams] */
    char     *arena;                    /* all slots; NULL until needed */
    int64_t   arena_bytes;
    void     *mapping;                  /* of the loaded file, with `map` */
    int64_t   mapping_bytes;
    uint64_t  version;                  /* counts changes of params; from 1 */
    RtPacked *packed;                   /* [nprepared] */
    char     *work, *scratch;
    int64_t   work_bytes, scratch_bytes;
    char     *report;                   /* of the last load */
    int64_t   report_bytes;
    int64_t   bytes;                    /* of the block the instance lies in */
};

/* Every function of the ABI that takes an instance stands between these: false: busy. */
bool rt_enter(RtInstance *m);
void rt_leave(RtInstance *m);
/* Own threads, if they may be used and do not exist. */
dlc_pool *rt_pool(RtInstance *m);

/* ---- call.c ------------------------------------------------------------------------------------------------------- */

/* Run f, whose state is bound and whose input and output pointers are in fs->ptr. */
int rt_run(RtInstance *m, const RtFunc *f, RtFuncState *fs);
/* State of function number i, with dims bound and workspace enough. */
int rt_ready(RtInstance *m, uint32_t i, const int64_t *dims, RtFuncState **state);

/* ---- params.c ------------------------------------------------------------------------------------------------------ */

void rt_changed(RtInstance *m, uint32_t param);         /* what was made of its value has to be made anew */
void rt_all_changed(RtInstance *m);

int rt_arena(RtInstance *m);            /* make the arena if there is none */
void rt_unmap(void *mapping, int64_t bytes);
/* Initial values for those params that have one and no value yet. */
int rt_init_absent(RtInstance *m);
/* Values for the params that f needs. */
int rt_need_params(RtInstance *m, const RtFunc *f);
/* The param called so, also by an alias; -1: none. */
int64_t rt_find_param(const RtModel *model, const char *path);

/* ---- safetensors.c --------------------------------------------------------------------------------------------------- */

typedef struct RtTensorEntry {          /* a tensor of a file */
    const char    *name;                /* zero-terminated; may hold zeros itself, so name_len counts */
    uint32_t       name_len;
    uint32_t       dtype;               /* RT_f32 ...; 0: one that models do not have */
    const char    *dtype_name;          /* "F32" */
    uint32_t       rank;
    const int64_t *dim;
    int64_t        begin, bytes;        /* in the data */
} RtTensorEntry;

/* Numbers in a file's metadata, as decimal texts: what random draws go on from. */
#define RT_KEY_CALLS "dlc.calls"
#define RT_KEY_SEED "dlc.seed"
typedef struct RtCounter {
    bool     has;
    uint64_t value;
} RtCounter;

typedef struct RtSafetensors {
    RtMemory       memory;
    const char    *path;
    int            fd;
    uint32_t       n;
    RtTensorEntry *tensor;              /* by name */
    RtCounter      calls, seed;
    int64_t        data, data_bytes;    /* where the tensors' bytes begin in the file, and how many there are */
    void          *block;               /* all of the above lies in it */
    int64_t        block_bytes;
} RtSafetensors;

/* Open and validate as the reference reader does. DLC_OK, or nothing is left open. */
int  rt_safetensors_open(RtSafetensors *s, const RtMemory *memory, const char *path, RtError *e);
/* The same for a header in memory, of n bytes, with data_bytes bytes behind it; fd is -1. */
int  rt_safetensors_parse(RtSafetensors *s, const RtMemory *memory, const char *path, const char *header, int64_t n,
                          int64_t data_bytes, RtError *e);
const RtTensorEntry *rt_safetensors_find(const RtSafetensors *s, const char *name);
int  rt_safetensors_read(const RtSafetensors *s, const RtTensorEntry *t, void *to, RtError *e);
void rt_safetensors_close(RtSafetensors *s);

#endif
