/* random_ir.h - random valid functions for differential tests: evaluator against kernels against compiled code. */
#ifndef DLC_RANDOM_IR_H
#define DLC_RANDOM_IR_H

#include "ir/ir.h"

/* A module with one exported function "f" over symbols B and T, the same for the same seed. Values stay of order 1 and away
 * from discontinuities, so that results agree within a tolerance whatever the order of sums. */
Module *random_module(Arena *a, uint64_t seed);
/* The same kind of program, differentiated: its results are the gradients of a sum over its last value by some of its inputs
 * and params, with the autodiff pass done. NULL: this seed's value does not depend on any. */
Module *random_gradients(Arena *a, uint64_t seed);
/* Inputs for it: floats in [-1, 1), integers in [0, 3). */
Tensor  random_tensor(Arena *a, const Func *f, Type *t, const int64_t *dims, uint64_t *seed);
uint32_t random_below(uint64_t *seed, uint32_t n);

#endif
