/* interpret.h - run a Program's kernels point by point, in double, without any schedule or code generation: what a
 * kernel means. Lets the tests of lower.c compare kernels with the evaluator before LLVM comes in.
 */
#ifndef DLC_INTERPRET_H
#define DLC_INTERPRET_H

#include "codegen/kernel.h"

/* inputs: one tensor an Arg of f->func (params too); dims: values of f->func->dims; results are allocated in a. All
 * element values pass through double. false: a K_check failed. */
bool interpret(Arena *a, const ProgramFunc *f, const Tensor *inputs, const int64_t *dims, Tensor *results);

#endif
