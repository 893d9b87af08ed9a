/* reduce.h - between reduce_plan.c, which decides how a reduction is computed, and reduce.c, which emits it. */
#ifndef DLC_REDUCE_H
#define DLC_REDUCE_H

#include "codegen/llvm/schedule.h"

/* A value that one sweep computes and later ones read back from the thread's scratch memory. */
typedef struct Saved {
    uint32_t inst, sweep;           /* the sweep that computes it */
    uint64_t readers;               /* bit s: sweep s reads it */
    Dim     *offset;                /* bytes into the scratch memory */
} Saved;

typedef struct ReducePlan {
    const Kernel *kernel;
    const KernelInfo *info;
    uint32_t nparallel;             /* the reduced axes come after these */
    uint64_t reduced;               /* as a set of axes */
    uint32_t *sweep;                /* by inst: how many sweeps must be complete before it is known */
    uint32_t nsweeps;
    bool     column;                /* lanes run along the last parallel axis; else along the last reduced one */
    uint32_t lanes, copies;         /* vectors at a time */
    bool     unrolled;              /* the reduced axes are few points of constant number: no loops */
    Dim     *flat, *count;          /* position among the points of the reduced axes, and their number */
    VEC(Saved) saved;
    Dim     *scratch;               /* bytes */
} ReducePlan;

enum { SWEEPS = 64 };               /* more than a kernel can have; the fuser makes two or three */

/* false: e->error says why. */
bool reduce_plan(Emit *e, const Kernel *k, ReducePlan *p);
/* Sweep in which a store of single elements happens. */
uint32_t reduce_store_sweep(const ReducePlan *p, const KStore *s);
/* Do sums of floats in this kernel need fresh accumulators for a loop over axes [axis, end)? Long chains lose accuracy. */
bool reduce_is_long(const ReducePlan *p, uint32_t axis, int64_t limit);

#endif
