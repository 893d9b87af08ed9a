/* contract.h - what the pieces of a contraction's code share: its axes as loops see them, and loops over them by vectors.
 * contract.c decides, contract_pack.c packs operands, contract_loops.c has the loops.
 */
#ifndef DLC_CONTRACT_H
#define DLC_CONTRACT_H

#include "codegen/llvm/llvm.h"

/* Vectors that are done side by side. */
enum { GROUP = 3 };

/* Axes of one role, outermost first, as loops see them: neighbours that are one in every address of a function (though
 * not of the whole kernel) are a single loop, whose index the last of them takes while the others stand at 0. */
typedef struct Axes {
    uint32_t n;
    uint32_t axis[POINT_AXES];
    Dim     *extent[POINT_AXES];
    uint64_t bits, zero;            /* all axes of the role; those that stand at 0 */
} Axes;

/* What contract_emit works on. */
typedef struct Contract {
    Emit             *e;
    const Kernel     *k;
    const KernelInfo *info;
    uint32_t          inst;         /* K_contract */
    DType             dtype;
    uint32_t          lanes;
} Contract;

static inline uint32_t arg_of(const Contract *c, bool is_b) { return c->k->body.at[c->inst].arg[is_b]; }
static inline AxisRole role_of(bool is_b) { return is_b ? AXIS_COLUMN : AXIS_ROW; }

/* ---- contract_loops.c ---- */
/* Does something at these points, which are `n` vectors (or scalars) side by side; `at`: the first one's distance from
 * the start of the run. */
typedef void VectorBody(void *user, Point **p, uint32_t n, LLVMValueRef at);

/* A loop over flat indices [i0, i1) of some axes in runs along the last one (so one trip where there is one axis). */
typedef struct Runs {
    Loop         loop;
    const Axes  *axes;
    Point       *point;             /* sets all but the last axis */
    LLVMValueRef first, n;          /* of the last axis */
    LLVMValueRef at;                /* flat index of the run's start, from i0 */
} Runs;

Axes   axes_of(const Kernel *k, AxisRole role);
/* Insts that `inst` is computed from, itself included, marked. */
bool  *insts_behind(const Contract *c, uint32_t inst);
/* The axes of a role for a function that computes the insts `need`, and the stores if `stores`. */
Axes   merged_axes(const Contract *c, AxisRole role, const bool *need, bool stores);
void   set_zeros(Emit *e, Point *p, const Axes *a);
/* The axes of a flat index, outermost first. */
void   split_flat(Emit *e, Point *p, const Axes *x, LLVMValueRef flat, LLVMValueRef *var);
/* The axes of the flat index + n: the last one moves on, the others by carries (n only runs up to its extent). */
void   advance(Emit *e, Point *p, const Axes *x, const LLVMValueRef *var, LLVMValueRef n, LLVMValueRef *next);
/* A function (env, batch, ...), standing at a point that sets the batch axes. *entry: its entry point. */
Point *begin_function(Contract *c, const char *suffix, LLVMTypeRef *more, uint32_t n, Point **entry);
/* Values [from, from + count) of an axis inside `outer`: groups of whole vectors, single ones, and a tail: masked, or scalars
 * on targets without masks. */
void   vector_run(Contract *c, Point *outer, uint32_t axis, Dim *axis_extent, LLVMValueRef from, LLVMValueRef count, uint32_t group,
                  VectorBody *body, void *user);
void   runs_begin(Emit *e, Runs *r, Point *outer, const Axes *axes, LLVMValueRef i0, LLVMValueRef i1, const LLVMValueRef *first);
void   runs_end(Emit *e, Runs *r);

/* ---- contract_pack.c ---- */
/* The packing function of an operand, standing for RtPackFn. *by_rows: it writes row after row. */
LLVMValueRef emit_pack(Contract *c, bool is_b, bool *by_rows);

#endif
