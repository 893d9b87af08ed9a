/* schedule.h - what the schedules map.c and reduce.c share: a function over a range of a flat index. */
#ifndef DLC_SCHEDULE_H
#define DLC_SCHEDULE_H

#include "codegen/llvm/emit.h"

/* An RtKernelFn with a loop over items [lo, hi) of the flat index of the first `axes` axes. Between rows_begin and
 * rows_end the builder is in the loop's body, at a point that sets those axes.
 *   runs:  the last of the axes is left to the body, which does `n` of its values from `first` on
 *   else:  a trip is one item, and sets all of the axes. */
typedef struct Rows {
    LLVMValueRef function;
    Point       *entry, *point;
    LLVMValueRef scratch;           /* the function's parameter */
    LLVMValueRef first, n;
    /* internal */
    Loop         loop;
    uint32_t     axes;
    bool         runs;
    LLVMValueRef extent[POINT_AXES];
} Rows;
void rows_begin(Emit *e, Rows *r, const Kernel *k, uint32_t axes, bool runs);
void rows_end(Emit *e, Rows *r);

#endif
