/* kernel.h - what a kernel is, and the program that runs kernels: the last stop before a target.
 *
 * A kernel is an iteration space, operands with index maps, and a scalar SSA body. It has no loops, tiles,
 * threads or vectors: codegen/llvm/ and codegen/cuda/ own their schedules. Index maps are Dims (polynomials
 * with floordiv and mod, see ir.h) over the kernel's iteration variables, the symbols of the function, and
 * values that the body computes (an index read from memory).
 *
 * lower.c builds a kernel for every group that passes/fuse.c decided on; program.c puts kernels, buffers and
 * the memory plan together; artefact.c writes it out.
 */
#ifndef DLC_KERNEL_H
#define DLC_KERNEL_H

#include "ir/ir.h"

typedef enum KernelClass {
    KERNEL_MAP,             /* no reduction: every point of the space stores */
    KERNEL_REDUCE,          /* K_reduce insts over the REDUCED axes; stores at points or at rows */
    KERNEL_ROUTINE,         /* no body: a function of the runtime reads and writes whole buffers (routine.c) */
    KERNEL_CONTRACT         /* one K_contract inst: sum over the DEPTH axes of a * b; then the epilogue and stores */
} KernelClass;

/* MAP and REDUCE: PARALLEL, REDUCED. CONTRACT: BATCH, ROW, COLUMN, DEPTH; a uses BATCH, ROW, DEPTH variables,
 * b BATCH, DEPTH, COLUMN; the epilogue BATCH, ROW, COLUMN. Axes of one role are adjacent, in row-major order
 * of the flat index of that role. */
typedef enum AxisRole { AXIS_PARALLEL, AXIS_REDUCED, AXIS_BATCH, AXIS_ROW, AXIS_COLUMN, AXIS_DEPTH } AxisRole;
typedef struct KAxis {
    AxisRole role;
    Dim     *var;           /* its iteration variable: a symbol with .extent */
    Dim     *extent;
} KAxis;

typedef struct KOperand {
    DType dtype;
    bool  written;
    bool  constant;         /* params and constants: the same bytes at every call until params change */
} KOperand;

typedef enum InstKind {
    K_const,                /* .value (float) or .ivalue, of .dtype; with .at: the float whose bits, as a double, are that dim */
    K_index,                /* the Dim .at as an i64 */
    K_load,                 /* operand .operand at element offset .at; where .pred (an inst, bool) is false: 0, and no access */
    K_op,                   /* elementwise .op (class MAP of ops.def) of .arg; cast: to .dtype. dtype of the result in .dtype */
    K_rng,                  /* .arg: key, step (i64), element index (i64); .at: the stream, a symbol, so that equal draws share code */
    K_reduce,               /* .red over all REDUCED axes of .arg[0]: a value of the row */
    K_argreduce,            /* RED_max or RED_min: .arg[0] value; i32 position along the REDUCED axis (exactly one), lowest of ties */
    K_contract,             /* sum over DEPTH of .arg[0] * .arg[1], one k-ascending chain of fma */
    K_check                 /* .arg[0]: an integer that must satisfy 0 <= x < .at; else reports fault .site. Value: bool, whether it holds */
} InstKind;

typedef struct Inst {
    InstKind kind;
    DType    dtype;         /* of the value */
    Op       op;
    RedKind  red;
    uint32_t nargs, arg[3]; /* insts before this one */
    uint32_t operand;
    uint32_t pred;          /* K_load: inst number, or NO_INST */
    Dim     *at;
    double   value;         /* K_const of floats */
    int64_t  ivalue;        /* K_const of integers and bool */
    uint32_t site;          /* K_check: fault site (RtFunc.site) */
    bool     row;           /* uses no REDUCED variable except through K_reduce: constant along a row (REDUCE only) */
    uint32_t sweep;         /* REDUCE: how many passes over the row must be complete before its value is known: of a K_reduce
                             * 1 + its argument's (it accumulates during the pass number of its argument); else the most of its
                             * arguments'; 0: known in the first pass */
    const Atom *as_index;   /* not NULL: this integer value is the symbol `as_index` in the .at of later insts */
    Span     span;
} Inst;
enum { NO_INST = UINT32_MAX, MAX_INSTS = 512 };      /* MAX_INSTS: of a body */

typedef struct KStore {
    uint32_t operand, inst;
    Dim     *at;            /* element offset */
    bool     row;           /* one store a row (REDUCE: the address uses no REDUCED variable) */
} KStore;

typedef struct Kernel Kernel;
struct Kernel {
    KernelClass class;
    const char *name;       /* "k3_add_relu_f32": number, work, dtype; unique in the artefact */
    VEC(KAxis)    axes;     /* outermost first; REDUCED (or DEPTH) last */
    VEC(KOperand) operands; /* pointers the kernel gets, in order */
    VEC(Inst)     body;     /* operands first */
    VEC(KStore)   stores;
    VEC(const Atom *) syms; /* its dims: canonical symbols s0, s1, ..., which stand in its Dims for ... */
    VEC(Dim *)    bound;    /* ... these dims of the function it was lowered from (of another function's equal kernel: Step.dim) */
    Op          routine;    /* ROUTINE: the operator, ... */
    const char *function;   /* ... the function that computes it, and gets syms by the numbers of rt.h, ... */
    VEC(Dim *)  counts;     /* ... elements of each operand, ... */
    Dim        *scratch;    /* ... bytes a thread */
    Kernel     *sum;        /* CONTRACT: the kernel that adds up the parts which this one stores; NULL: it stores the result (parts.c) */
    Dim        *parts;      /* with sum: elements of all parts, in the function's symbols */
    Module     *module;     /* for Dim arithmetic */
    uint64_t    hash;       /* of the canonical text: equal kernels have equal text */
    const char *text;       /* canonical text: what kernel_print writes with operands, syms and vars by number */
    Span        span;
};

/* lower.c helpers that schedules use too. */
void   kernel_finish(Arena *a, Kernel *k);      /* merge axes that are one in every address, order insts, set row/sweep/syms/hash/text */
/* Before kernel_finish: where that pays, let a contraction store parts of its depth, and set sum. */
void   kernel_split_depth(Arena *a, Kernel *k);
/* A number as a symbol of the kernel: kernels that differ in it alone are equal, and get it as a dim. */
Dim   *kernel_literal(Module *m, uint64_t value);
/* The scope of the canonical symbols: an atom of it, named s3, is number 3 of syms. */
const void *kernel_scope(void);
void   kernel_print(Str *s, const Kernel *k);
Dim   *kernel_extent(const Kernel *k, AxisRole role);   /* product of the extents of a role; the constant 1 for none */
/* If the address is linear in the flat index of `role` — at = stride * flat + rest — the stride; else NULL.
 * Needs exactly the axes of that role to combine: stride of axis i = stride of the last * extents after i. */
Dim   *kernel_flat_stride(const Kernel *k, Dim *at, AxisRole role);
/* Floating-point operations and bytes moved for one execution, as polynomials. */
Dim   *kernel_flops(const Kernel *k);
Dim   *kernel_bytes(const Kernel *k);

/* ---- the program: what the artefact executes ----------------------------------------------------------- */

typedef enum BufferKind { BUFFER_INPUT, BUFFER_OUTPUT, BUFFER_PARAM, BUFFER_CONST, BUFFER_WORK } BufferKind;
typedef struct Buffer {
    BufferKind  kind;
    uint32_t    index;      /* input: in Func.args counting ARG_INPUT only; output: in Func.results; param: Param.index */
    DType       dtype;
    Dim        *count;      /* elements */
    const void *data;       /* const */
    uint32_t    first, last;/* work: steps of its first write and last read */
    int64_t     offset;     /* work: in the workspace, where sizes are constants; else -1 */
    uint32_t    shares;     /* work: takes over the storage of that (dead) buffer, whose lifetime covers it; else NO_BUFFER */
    const Node *value;      /* whose value it holds, for --explain */
    bool        seed, step; /* input: the instance's seed or step counter instead of an argument */
} Buffer;

enum { NO_BUFFER = UINT32_MAX };

typedef struct Step {
    Kernel   *kernel;       /* shared by steps whose kernels are equal */
    uint32_t *buffer;       /* an entry an operand: index into ProgramFunc.buffers */
    Dim     **dim;          /* an entry a kernel symbol: what it is here (a symbol of the function) */
    struct Group *group;    /* what it was made of (fuse.h); NULL: the sum of a contraction's parts */
    const char *refused;    /* why what it stores is not computed inside its readers; for --explain */
    Span      span;
} Step;

typedef struct FaultSite { const char *text; Span span; } FaultSite;   /* "gpt2.dl:52: take: index out of range" */

typedef struct ProgramFunc {
    Func    *func;
    VEC(Buffer) buffers;
    VEC(Step)   steps;
    VEC(FaultSite) sites;
    VEC(uint32_t) guards;   /* buffer of each of Func.guards */
    uint32_t commit;        /* steps before it can fail or compute guards and write no param; steps from it on cannot fail */
    int64_t  copied;        /* bytes of new values of params that are staged in the workspace, then copied */
    int64_t  work;          /* bytes of workspace; -1: sizes are symbolic, packed at capacity by the runtime */
} ProgramFunc;

typedef struct Program {
    Module  *module;        /* after the passes */
    VEC(ProgramFunc *) funcs;   /* as Module.funcs: exports, then init */
    VEC(Kernel *) kernels;      /* distinct ones */
} Program;

typedef struct CodegenOptions {
    const char *cpu;        /* "host", "x86-64-v4", "x86-64-v3", "generic": a row of targets.def; NULL: host */
    bool        blas;       /* --blas=openblas */
    int         level;      /* -O0..-O3 */
    bool        no_fuse, no_plan;
} CodegenOptions;

/* budget.c: bytes of workspace of f at the given sizes, as the runtime will place it; -1: a dim is open, or too much. live
 * (NULL, or an entry a step, zeroed) gets what is alive at each step. */
int64_t workspace_at(Arena *a, const ProgramFunc *f, DimLookup *lookup, void *user, int64_t *live);
/* m, or a copy in which values are computed again, so that the workspace of every export is within the budget at the given
 * sizes. m went through the passes. NULL: *error says what it takes at least, or which size is open. */
Module *budget_fit(Arena *a, Module *m, const CodegenOptions *o, int64_t budget, DimLookup *lookup, void *user, const char **error);

/* program.c: fuse, lower and plan every function of a module that went through the passes. NULL: *error. */
Program *program_build(Arena *a, Module *m, const CodegenOptions *o, const char **error);

/* ---- artefact.c, llvm/ ------------------------------------------------------------------------------------ */

typedef enum ArtefactKind { ARTEFACT_SO, ARTEFACT_O, ARTEFACT_A } ArtefactKind;
typedef struct ArtefactInfo {
    int64_t     size;       /* bytes of the file */
    const char *target;     /* "x86-64-v4 (this machine)" */
} ArtefactInfo;
/* Write `path` (.so, .o or .a) and `header` (NULL: none), each atomically: both or neither. */
bool artefact_write(Arena *a, const Program *p, const CodegenOptions *o, ArtefactKind kind, const char *path, const char *header,
                    ArtefactInfo *info, const char **error);
/* The generated header's text, without compiling anything. */
void artefact_header(Str *s, const Module *m);
/* LLVM IR or assembly of the kernels, for inspect. */
bool llvm_text(Arena *a, const Program *p, const CodegenOptions *o, bool assembly, Str *out, const char **error);

#endif
