/* emit.h - turning a kernel's scalar body into LLVM IR at one place of a loop nest. Internal to codegen/llvm/.
 *
 * A schedule (map.c, reduce.c, contract.c) owns the loops. Where it wants values it makes a Point: which iteration
 * variable has which value there, and which of them runs along the lanes of a vector. Points form a chain from the
 * function's entry inwards, one for each loop level that sets variables. emit_inst() computes an instruction in the
 * outermost point that sets a variable it depends on, so what is constant in a loop leaves it by construction:
 * nothing relies on LLVM's middle end, which is not run.
 *
 * A value is a scalar where all lanes agree and a vector where they differ; emit_lanes() makes a vector of either.
 * The same arithmetic is emitted for vectors, for masked tails and for scalars, so that an element has the same bits
 * in whichever of them it falls.
 */
#ifndef DLC_EMIT_H
#define DLC_EMIT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/kernel.h"

/* ---- target.c: rows of targets.def ----------------------------------------------------------------- */

enum { TARGET_ROW_SETS = 4 };
typedef struct Target {
    const char *name, *cpu;
    uint32_t    bytes;              /* of a vector register */
    uint32_t    registers;
    bool        has_fma, has_mask, has_gather;
    uint32_t    rows[TARGET_ROW_SETS], vectors;
    const char *features;           /* what the artefact checks: RtModel.features */
    const char *scalef32, *scalef64;
} Target;

/* The row for --cpu. NULL or "host": the best row this machine runs; *tune is then LLVM's name of this machine's CPU,
 * to schedule for (allocated in a), else NULL. NULL: *error names the rows. */
const Target *target_find(Arena *a, const char *cpu, const char **tune, const char **error);
const Target *target_row(uint32_t i);               /* NULL after the last */
uint32_t target_lanes(const Target *t, DType dtype);    /* elements a vector register */
/* Can code be generated for this kernel? false: *error says what is missing. */
bool target_supports(Arena *a, const Kernel *k, const char **error);

/* ---- llvm_module.c: what belongs to one module ------------------------------------------------------------ */

typedef struct Emit {
    Arena             *arena;
    const Target      *target;
    LLVMContextRef     context;
    LLVMModuleRef      module;
    LLVMBuilderRef     builder;
    LLVMTargetMachineRef machine;
    LLVMTypeRef        void_, i1, i8, i32, i64, f32, f64, ptr;
    LLVMTypeRef        kernel_type;     /* of RtKernelFn */
    LLVMValueRef       function;        /* being emitted */
    LLVMValueRef       sink;            /* where disabled scalar stores go: stack of this function, made on demand */
    LLVMValueRef       zeros;           /* 64 zero bytes: where disabled scalar loads come from; made on demand */
    const char        *tune;            /* CPU to schedule for, or NULL */
    bool               has_library;     /* micro-kernels are linked in (micro_library), not emitted */
    struct MicroNeeds *micro;           /* of micro.c: which micro-kernels the contractions so far need */
    const char        *error;           /* first failure; later emission is of no use, but harmless */
} Emit;

/* ---- emit.c: building blocks ---------------------------------------------------------------------------------- */

LLVMTypeRef  emit_type(Emit *e, DType t);                       /* of a value: bool is i1 */
LLVMTypeRef  emit_memory_type(Emit *e, DType t);                /* in memory: bool is i8 */
LLVMTypeRef  emit_vector_type(LLVMTypeRef element, uint32_t lanes);     /* lanes 1: the element itself */
uint32_t     emit_type_lanes(LLVMTypeRef t);                    /* 1 for scalars */
LLVMTypeRef  emit_with_element(LLVMTypeRef like, LLVMTypeRef element);  /* as many lanes as `like` */
LLVMValueRef emit_i64(Emit *e, int64_t v);
LLVMValueRef emit_i32(Emit *e, int32_t v);
LLVMValueRef emit_number(LLVMTypeRef t, double v);              /* float constant, of all lanes of t */
LLVMValueRef emit_integer(LLVMTypeRef t, int64_t v);            /* integer constant, of all lanes of t */
LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, uint32_t lanes);
LLVMValueRef emit_steps(Emit *e, LLVMTypeRef integer, uint32_t lanes);  /* constant <0, 1, 2, ...> */
/* Call of an intrinsic; `overload`: the types in its name. */
LLVMValueRef emit_intrinsic(Emit *e, const char *name, uint32_t noverloads, LLVMTypeRef *overload, uint32_t nargs, LLVMValueRef *arg);
LLVMValueRef emit_intrinsic_like(Emit *e, const char *name, uint32_t nargs, LLVMValueRef *arg);    /* overloaded on arg[0]'s type */
LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);    /* a * b + c; two roundings where the target has no fma */
LLVMValueRef emit_select(Emit *e, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b); /* c may be scalar or per lane */
LLVMValueRef emit_extract(Emit *e, LLVMValueRef v, uint32_t lane);                 /* of a scalar: itself */
LLVMValueRef emit_insert(Emit *e, LLVMValueRef v, LLVMValueRef x, uint32_t lane);
/* Elements lo, lo + step, ... (lanes of them) of a and b side by side. b may be NULL. */
LLVMValueRef emit_shuffle(Emit *e, LLVMValueRef a, LLVMValueRef b, uint32_t lanes, int32_t lo, int32_t step);
LLVMValueRef emit_element(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef index);  /* &((t *)base)[index] */

/* The builder goes to the end of a block: before its terminator, if it has one. */
void         emit_position(Emit *e, LLVMBasicBlockRef block);
/* A new function "name", with the builder at its entry; every function of kernels is made here. Ends the previous
 * one's use of Emit.function. internal: not visible outside the module. */
LLVMValueRef emit_function(Emit *e, const char *name, LLVMTypeRef type, bool internal);

/* `lanes` elements of dtype t from `p`, adjacent in memory; mask NULL or <lanes x i1>: disabled lanes are not
 * touched and give 0. lanes 1: a scalar, mask an i1. Bool comes as i1. Alignment is the element's. */
LLVMValueRef emit_load(Emit *e, DType t, LLVMValueRef p, uint32_t lanes, LLVMValueRef mask);
void         emit_store(Emit *e, DType t, LLVMValueRef v, LLVMValueRef p, LLVMValueRef mask);
/* The first n (i64) of `lanes` lanes: <lanes x i1>. */
LLVMValueRef emit_mask(Emit *e, LLVMValueRef n, uint32_t lanes);

/* for (i = from; i < to; i += step) with carried values: between loop_begin and loop_end the builder is in the body
 * and loop.carried[] holds the phis; loop_end takes their next values, and leaves the values after the loop (those of
 * before it, if it never ran) in loop.carried[]. */
enum { LOOP_CARRIED = 64 };
typedef struct Loop {
    LLVMValueRef      i;
    LLVMValueRef      to, step, from;
    LLVMBasicBlockRef before, body, exit;
    uint32_t          n;
    LLVMValueRef      carried[LOOP_CARRIED], first[LOOP_CARRIED];
} Loop;
void loop_begin(Emit *e, Loop *l, LLVMValueRef from, LLVMValueRef to, LLVMValueRef step, uint32_t n, const LLVMValueRef *first);
void loop_end(Emit *e, Loop *l, const LLVMValueRef *next);

/* ---- point.c: points, index polynomials ------------------------------------------------------------------------- */

/* What values depend on, as sets of axes: bit i is axis i of the kernel, AXES_RESULT what a schedule gives by
 * emit_set(). */
#define AXES_RESULT (UINT64_C(1) << 63)
typedef struct KernelInfo {
    const Kernel *kernel;
    uint64_t     *axes;             /* by inst */
    struct InstList { uint32_t *at; uint32_t n, cap; } *needs;  /* by inst: the insts it reads: arguments, predicate, indices */
} KernelInfo;
const KernelInfo *kernel_info(Arena *a, const Kernel *k);
uint64_t kernel_axes_of_dim(const KernelInfo *info, Dim *d);
/* By what constant `at` moves when axis i rises by 1; 0: it does not, or not by a constant. */
int64_t  kernel_step(const Kernel *k, Dim *at, uint32_t i);
uint32_t kernel_index_inst(const Kernel *k, const Atom *a);         /* the inst whose value is symbol a; NO_INST: none */

enum { POINT_AXES = 32 };
typedef struct Point Point;
struct Point {
    Point        *outer;            /* NULL: the function's entry */
    const Kernel *kernel;
    const KernelInfo *info;
    uint64_t      sets;             /* bit i: this point sets axis i */
    LLVMValueRef  var[POINT_AXES];  /* those it sets: i64 (for the axis `vector`: of lane 0), or one per lane: <lanes x i64> */
    int32_t       vector;           /* the axis that rises by 1 from lane to lane; -1: none (inherited from outer) */
    uint32_t      lanes;            /* of a vector here; 1: everything is scalar (inherited) */
    LLVMValueRef  mask;             /* NULL, or which lanes exist: <lanes x i1> (inherited) */
    LLVMBasicBlockRef block;        /* where values of this point go while the builder is further in: before its terminator */
    LLVMValueRef *value;            /* by inst; NULL: not computed here */
    LLVMValueRef *wide;             /* by inst: the scalar value spread over lanes */
    struct PointDims { struct PointDim { Dim *dim; LLVMValueRef value; } *at; uint32_t n, cap; } dims;
    struct PointAddresses { struct PointAddress { Dim *dim; uint32_t operand; LLVMValueRef value; } *at; uint32_t n, cap; } addresses;
    /* of the entry point only */
    LLVMValueRef *sym;              /* by kernel symbol */
    LLVMValueRef *base;             /* by operand */
    LLVMValueRef  env, fault;
};

/* The entry point of a function whose parameter `env` is an RtEnv *: loads symbols and operand pointers on demand. The
 * builder stands in the entry block. */
Point *point_entry(Emit *e, const Kernel *k, LLVMValueRef env);
/* A point inside `outer`, in the current block; set its variables next. It inherits vector, lanes, mask. */
Point *point_inner(Emit *e, Point *outer);
void   point_set(Point *p, uint32_t axis, LLVMValueRef value);
/* Axis `axis` has the value `first` in lane 0 and rises along `lanes` lanes; mask may be NULL. */
void   point_set_vector(Point *p, uint32_t axis, LLVMValueRef first, uint32_t lanes, LLVMValueRef mask);
/* The builder has moved on to another block of p's level (after an inner loop): new values of p go there. */
void   point_here(Emit *e, Point *p);

Point *point_level(Point *p, uint64_t axes);    /* the outermost point where these are all known */

/* A polynomial that all lanes agree on (or lane 0's value of one linear in the vector axis): i64. As with emit_inst, the
 * builder is at p: what belongs to p goes where the builder is, what belongs further out goes to the blocks of the outer
 * points. */
LLVMValueRef emit_dim(Emit *e, Point *p, Dim *d);
/* The same for a point further out than the builder is: computed there. */
LLVMValueRef emit_dim_outside(Emit *e, Point *outer, Dim *d);
/* One value a lane, <lanes x i64>; a scalar i64 at a point with lanes 1. */
LLVMValueRef emit_dim_lanes(Emit *e, Point *p, Dim *d);
/* How an address moves along the lanes. */
typedef enum IndexKind { INDEX_SAME, INDEX_LINEAR, INDEX_ANY } IndexKind;
typedef struct Index {
    IndexKind    kind;
    LLVMValueRef first;             /* SAME: the value; LINEAR: lane 0's */
    Dim         *stride;            /* LINEAR: the step from lane to lane, which all lanes agree on */
    LLVMValueRef each;              /* ANY: <lanes x i64> */
} Index;
Index emit_index(Emit *e, Point *p, Dim *d);
LLVMValueRef emit_base(Emit *e, Point *p, uint32_t operand);        /* pointer to element 0 of an operand */
/* The address of element d of an operand (of lane 0's, where d is linear in the vector axis). */
LLVMValueRef emit_address(Emit *e, Point *p, uint32_t operand, Dim *d);
LLVMValueRef emit_fault(Emit *e, Point *p);                         /* RtEnv.fault */

/* ---- body.c: instructions of a kernel's body ------------------------------------------------------------------------ */

/* The value of an instruction at p: scalar if all lanes agree. K_reduce, K_argreduce and K_contract have no value until
 * emit_set() gives them one. */
LLVMValueRef emit_inst(Emit *e, Point *p, uint32_t inst);
LLVMValueRef emit_inst_lanes(Emit *e, Point *p, uint32_t inst);     /* always p->lanes lanes */
LLVMValueRef emit_lanes(Emit *e, Point *p, LLVMValueRef v);         /* v in all lanes, if it is a scalar */
void         emit_set(Point *p, uint32_t inst, LLVMValueRef value);
/* Evaluate a store's value and address and store it; with a mask, in the lanes that exist. */
void         emit_kstore(Emit *e, Point *p, const KStore *s);
/* Values that a schedule wants stored elsewhere than an operand (tiles, panels, row buffers): at element `at` of base. */
void         emit_put(Emit *e, Point *p, DType t, LLVMValueRef value, LLVMValueRef base, Dim *at);
LLVMValueRef emit_get(Emit *e, Point *p, DType t, LLVMValueRef base, Dim *at);
/* Every K_check that depends on nothing further in than p: their effect is needed even where their value is not. */
void         emit_checks(Emit *e, Point *p);
/* Lanes to use for a kernel: a register of its widest common type. */
uint32_t     kernel_lanes(const Target *t, const Kernel *k);
bool         kernel_is_costly(const Inst *i);   /* worth keeping rather than computing again: exp, division, ... */

/* ---- math.c: elementwise operators on scalars or vectors ---------------------------------------------------------------- */

/* op of ops.def's MAP class; operands have equal lanes. dtype: of the operands (cast: from), to: of the result. */
LLVMValueRef math_op(Emit *e, Op op, DType dtype, DType to, LLVMValueRef *arg);
LLVMValueRef math_max(Emit *e, DType dtype, LLVMValueRef a, LLVMValueRef b);    /* NaN wins */
LLVMValueRef math_min(Emit *e, DType dtype, LLVMValueRef a, LLVMValueRef b);
/* Quotient and remainder that round down; by 0: 0. */
LLVMValueRef math_floordiv(Emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef math_mod(Emit *e, LLVMValueRef a, LLVMValueRef b);
/* Random draw number `index` (i64, scalar or lanes): dtype f32, f64 or i32. */
LLVMValueRef math_rng(Emit *e, DType dtype, LLVMValueRef key, LLVMValueRef step, LLVMValueRef stream, LLVMValueRef index);

/* ---- schedules -------------------------------------------------------------------------------------------------------------- */

LLVMValueRef emit_map(Emit *e, const Kernel *k, uint32_t *split);
/* scratch: bytes a thread needs. */
LLVMValueRef emit_reduce(Emit *e, const Kernel *k, uint32_t *split, Dim **scratch);

#endif
