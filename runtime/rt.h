/* rt.h - what generated code and the runtime agree on: kernels' calling convention and the constant tables
 * that describe a model. artefact.c writes the tables as LLVM constants, field for field; nothing in them is
 * written at run time. Freestanding: no header of the compiler.
 */
#ifndef DLC_RT_H
#define DLC_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_ABI = 2, RT_MAX_RANK = 16 };
/* dtypes as ir.h numbers them (checked in artefact.c). */
enum { RT_f64 = 1, RT_f32, RT_f16, RT_bf16, RT_i64, RT_i32, RT_i16, RT_i8, RT_u8, RT_bool };

/* What a kernel sees of a call. */
typedef struct RtEnv {
    char *const   *buf;         /* a pointer an operand */
    const int64_t *dim;         /* a value a symbol of the kernel */
    int64_t       *fault;       /* a K_check that fails stores its site + 1 here (any one wins) */
} RtEnv;

/* MAP and REDUCE: do items [lo, hi) of the step's `items`. Any split gives the same bits. `scratch`: the
 * thread's own `scratch` bytes, 64-aligned. */
typedef void RtKernelFn(const RtEnv *e, int64_t lo, int64_t hi, void *scratch);

/* ---- routines: RtKernelFns of the runtime itself, for operators without generated code -------------------------
 * They read and write whole buffers in row-major order, and get all they need as dims, by these numbers. */

enum { RT_none, RT_sum, RT_prod, RT_max, RT_min, RT_or, RT_and };       /* as ir.h numbers reductions */
/* order.c: an item is a line; line number i starts at i / INNER * INNER * LENGTH + i % INNER, INNER elements apart. */
enum { RT_LINE_DTYPE, RT_LINE_KIND /* cumulate */, RT_LINE_REVERSE /* sort: descending */, RT_LINE_SITE /* KEEP > LENGTH */,
       RT_LINE_OUTER, RT_LINE_INNER, RT_LINE_LENGTH, RT_LINE_KEEP /* sort: so many first elements */ };
enum { RT_SORT_BYTES = 24 };    /* scratch of sort, an element of a line */
RtKernelFn dlc_rt_cumulate, dlc_rt_sort;
/* scatter.c: an item is a column of ROW elements. KIND: sum, max, none (replace). */
enum { RT_SCATTER_DTYPE, RT_SCATTER_KIND, RT_SCATTER_ID_DTYPE, RT_SCATTER_SITE /* an id is out of range */, RT_SCATTER_ROWS,
       RT_SCATTER_ROW, RT_SCATTER_IDS };
RtKernelFn dlc_rt_scatter;

/* ---- contractions: the loops are in gemm.c; these are the generated pieces ------------------------------- */

/* C[rows x columns] (+)= A * B, one k-ascending fma chain an element. a_row, a_k, b_k, c_row: strides in
 * elements; b's and c's columns are adjacent. accumulate: start from C instead of 0. A full kernel does
 * `vectors` whole vectors and ignores `columns`; a masked one touches only the first `columns` columns of C, and of
 * B (unless RtMicro.pads_b: then it reads B by whole vectors). */
typedef void RtMicroFn(int64_t k, const void *a, int64_t a_row, int64_t a_k, const void *b, int64_t b_k,
                       void *c, int64_t c_row, int64_t accumulate, int64_t columns);
enum { RT_MAX_VECTORS = 4, RT_ROW_SETS = 4 };
typedef struct RtMicro {        /* one family: an artefact has one a dtype and target */
    int32_t dtype, lanes;       /* lanes: elements a vector */
    int32_t vectors;            /* a full panel is vectors * lanes columns */
    int32_t pads_b;             /* no masks on this target: column tails of B must be packed, zeros up to a vector */
    int32_t rows[RT_ROW_SETS];  /* heights of the tiles, descending, the last 1: 8, 4, 2, 1 */
    /* By index into rows. NULL: not needed by this artefact (gemm.c takes the next lower one). */
    RtMicroFn *full[RT_ROW_SETS];
    RtMicroFn *masked[RT_ROW_SETS][RT_MAX_VECTORS];     /* [vectors - 1] */
    /* Strided panel packing: dst[k][width] = src[k * k_stride + i * i_stride] for i < n, the rest zeros. NULL: the
     * artefact packs little at run time, plain C does. */
    void (*pack)(int64_t k, int64_t n, const void *src, int64_t k_stride, int64_t i_stride, void *dst, int64_t width);
} RtMicro;

/* Panel of an operand whose index map is not linear, or that has work to do on the way, over the whole depth:
 * dst[k][width] for flat rows (or columns) [i0, i1), zeros up to width; or, by rows, dst[i - i0][width]. */
typedef void RtPackFn(const RtEnv *e, int64_t batch, int64_t i0, int64_t i1, void *dst, int64_t width);
/* Element offsets of A, B and C (of the first two, or of C, only where they are read or written in place). */
typedef void RtAtFn(const RtEnv *e, int64_t batch, int64_t offset[3]);
/* The epilogue over a finished tile: flat rows [m0, m1), columns [n0, n1); tile[(m - m0) * ld + n - n0]. */
typedef void RtEpilogueFn(const RtEnv *e, int64_t batch, int64_t m0, int64_t m1, int64_t n0, int64_t n1, const void *tile, int64_t ld);

struct RtContract;
struct RtPlan;
typedef int64_t RtBlasFn(const struct RtContract *c, const struct RtPlan *p, const RtEnv *e, void *scratch);

typedef struct RtContract {
    const RtMicro *micro;
    uint32_t batch, m, n, k;            /* polys: extents */
    int32_t  a_operand, b_operand;      /* operands read in place or by RtMicro.pack; -1: pack_a, pack_b read them */
    int32_t  a_batched, b_batched;      /* does it differ from batch to batch? */
    uint32_t a_m, a_k, b_n, b_k;        /* polys: strides in elements, where an operand is linear */
    RtAtFn   *at;                       /* NULL: all offsets are 0 */
    RtPackFn *pack_a, *pack_b;          /* NULL: linear */
    int32_t  a_by_rows;                 /* pack_a writes row after row, width apart */
    int32_t  prepared_a, prepared_b;    /* number among RtModel.nprepared where the operand is constant, else -1; its
                                         * extents and strides are then constants too */
    int32_t  c_operand;                 /* C is stored directly here ... */
    uint32_t c_m;                       /* ... with this row stride (poly), columns adjacent; or -1 and an epilogue */
    RtEpilogueFn *epilogue;
    /* Under --blas, for large linear products: dlc_rt_blas, and cblas_sgemm or cblas_dgemm; else NULL. */
    RtBlasFn *blas;
    void     *cblas;
} RtContract;

/* ---- tables --------------------------------------------------------------------------------------------------- */

/* Polynomials are programs for a stack machine (dims.c), each in RtFunc.code from poly[i] up to RT_END. */
enum { RT_END, RT_CONST /* value */, RT_SYM /* index */, RT_ADD, RT_SUB, RT_MUL, RT_FLOORDIV, RT_MOD, RT_MIN, RT_MAX };

enum { RT_STEP_KERNEL, RT_STEP_CONTRACT };
typedef struct RtStep {
    RtKernelFn *fn;
    const RtContract *contract;
    uint32_t kind, nbuf, ndim, split;   /* split: item ranges of threads are multiples of it */
    uint32_t list;                      /* in RtFunc.list: buffers, an entry an operand; then polys, an entry a symbol of the kernel */
    uint32_t items;                     /* poly */
    uint32_t work;                      /* poly: rough cost of the step in elementary operations, to choose the threads */
    uint32_t scratch;                   /* poly: bytes a thread */
} RtStep;

enum { RT_BUF_INPUT, RT_BUF_OUTPUT, RT_BUF_PARAM, RT_BUF_CONST, RT_BUF_WORK, RT_BUF_SEED, RT_BUF_STEP };
typedef struct RtBuffer {
    uint32_t kind, index, dtype, count; /* count: poly, elements */
    const void *data;
    int64_t  offset;                    /* work: in the workspace, or -1: packed at capacity */
    uint32_t first, last;
    uint32_t shares;                    /* work: lies where that buffer lies (it is dead by then); UINT32_MAX: has its own place */
} RtBuffer;

typedef struct RtTensor {               /* an input, an output */
    const char *name;
    uint32_t dtype, rank;
    const uint32_t *dim;                /* polys */
    int32_t  param;                     /* output: param it aliases, or -1 */
    uint32_t limit;                     /* input: poly of the exclusive bound of its elements (indices); UINT32_MAX: unchecked */
    uint32_t level;                     /* output of init: 0, or 1 + the highest level of the params it is computed from */
} RtTensor;

enum { RT_EQ, RT_NE, RT_LT, RT_LE };
typedef struct RtRequire {
    uint32_t rel, a, b;                 /* polys */
    const char *text, *where;           /* "T <= 1024", "gpt2.dl:97" */
} RtRequire;

typedef struct RtGuard {                /* a condition that is computed */
    uint32_t buf;                       /* bool: false: the call fails */
    const char *what;                   /* "the loss": is not finite */
} RtGuard;

typedef struct RtFunc {
    const char *name, *doc;
    uint32_t ndims, ninputs, noutputs, nrequires, npolys, nbufs, nsteps, nsites;
    const char *const *dim;             /* names of the dims: arguments of the C function, in order */
    const RtTensor  *input, *output;
    const RtRequire *require;
    const uint32_t  *poly;              /* start of each in code */
    const int64_t   *code;
    const RtBuffer  *buf;
    const RtStep    *step;
    const uint32_t  *list;              /* numbers of the steps' buffers and polys */
    const char *const *site;            /* texts of faults */
    int64_t  work;                      /* bytes of workspace, or -1 */
    const uint32_t *param;              /* params it reads, for "must be loaded" */
    uint32_t nparams;
    /* Steps before it can fail or compute guards and write no param or state; then faults and guards are asked, and
     * from it on no step can fail. */
    uint32_t commit;
    const int64_t *bound;               /* declared upper bounds of the dims; INT64_MAX: none */
    const RtGuard *guard;
    const uint32_t *changed;            /* params and states that it writes */
    uint32_t nguards, nchanged;
    uint32_t draws;                     /* has the step counter for an argument: a call that succeeds advances it */
} RtFunc;

typedef struct RtParam {
    const char *path;
    uint32_t dtype, rank, state, must_load, naliases;
    const int64_t *dim;
    const char *const *alias;
} RtParam;

typedef struct RtModel {
    uint32_t abi, nfuncs, nparams;
    uint32_t nprepared;                 /* constant operands of contractions that an instance packs once */
    const char *name, *target;          /* "mlp", "x86-64-v4" */
    const char *features;               /* CPU features that create checks: "avx512f,avx512bw,..." */
    const RtFunc  *func;                /* exports; then init where init >= 0 */
    const RtParam *param;
    int32_t  init;                      /* func of the initial values, or -1 */
} RtModel;

/* ---- the runtime's entry points for generated code (all hidden in a .so, local in a .o) --------------------------
 * Each generated X_name(m, ...) is a jump to dlc_rt_name(m, ...); those that work without an instance get the model. */

typedef struct RtInstance RtInstance;
struct dlc_options;
struct dlc_pool;
struct dlc_param_info;

RtInstance *dlc_rt_create(const RtModel *model, const struct dlc_options *options);
void dlc_rt_destroy(RtInstance *m);
const char *dlc_rt_error(RtInstance *m);                /* NULL: why the last create of this thread failed */
int  dlc_rt_call(RtInstance *m, uint32_t func, const int64_t *dims, const void *const *in, void *const *out);
int  dlc_rt_reserve(RtInstance *m, uint32_t func, const int64_t *dims);
int64_t dlc_rt_workspace(const RtModel *model, uint32_t func, const int64_t *dims);
int  dlc_rt_init(RtInstance *m, uint64_t seed);
int  dlc_rt_load(RtInstance *m, const char *path);
int  dlc_rt_load_partial(RtInstance *m, const char *path);
const char *dlc_rt_load_report(RtInstance *m);
int  dlc_rt_save(RtInstance *m, const char *path);
/* ... without the params whose flag is set in leave_out[nparams] (NULL: all are saved), and with more texts in the file's
 * metadata: key, value, ..., NULL (NULL: none). */
int  dlc_rt_save_with(RtInstance *m, const char *path, const bool *leave_out, const char *const *metadata);
int  dlc_rt_get(RtInstance *m, const char *path, void *data, size_t bytes);
int  dlc_rt_set(RtInstance *m, const char *path, const void *data, size_t bytes);
int  dlc_rt_param_info(const RtModel *model, int index, struct dlc_param_info *info);
int64_t dlc_rt_blas(const RtContract *c, const struct RtPlan *p, const RtEnv *e, void *scratch);
struct dlc_pool *dlc_rt_pool_create(int threads);
void dlc_rt_pool_destroy(struct dlc_pool *pool);

/* What an artefact exports for programs that open it by path, as X_model_1. */
typedef struct RtDescriptor {
    uint32_t abi, size;                 /* RT_ABI, sizeof(RtDescriptor) */
    const RtModel *model;
    RtInstance *(*create)(const RtModel *model, const struct dlc_options *options);
    void (*destroy)(RtInstance *m);
    const char *(*error)(RtInstance *m);
    int  (*call)(RtInstance *m, uint32_t func, const int64_t *dims, const void *const *in, void *const *out);
    int  (*reserve)(RtInstance *m, uint32_t func, const int64_t *dims);
    int64_t (*workspace)(const RtModel *model, uint32_t func, const int64_t *dims);
    int  (*init)(RtInstance *m, uint64_t seed);
    int  (*load)(RtInstance *m, const char *path);
    int  (*load_partial)(RtInstance *m, const char *path);
    const char *(*load_report)(RtInstance *m);
    int  (*save)(RtInstance *m, const char *path);
    int  (*get)(RtInstance *m, const char *path, void *data, size_t bytes);
    int  (*set)(RtInstance *m, const char *path, const void *data, size_t bytes);
    int  (*param_info)(const RtModel *model, int index, struct dlc_param_info *info);
    int  (*save_with)(RtInstance *m, const char *path, const bool *leave_out, const char *const *metadata);
} RtDescriptor;

#endif
