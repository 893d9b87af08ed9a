/* math.h - between the files of math: short forms of building arithmetic, and who does which operator. */
#ifndef DLC_MATH_H
#define DLC_MATH_H

#include "codegen/llvm/emit.h"

static inline LLVMValueRef fadd(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(e->builder, a, b, ""); }
static inline LLVMValueRef fsub(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(e->builder, a, b, ""); }
static inline LLVMValueRef fmul(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(e->builder, a, b, ""); }
static inline LLVMValueRef fdiv_(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFDiv(e->builder, a, b, ""); }
static inline LLVMValueRef fcmp(Emit *e, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFCmp(e->builder, p, a, b, ""); }
static inline LLVMValueRef icmp(Emit *e, LLVMIntPredicate p, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildICmp(e->builder, p, a, b, ""); }
/* A constant of x's type. */
static inline LLVMValueRef num(LLVMValueRef x, double c) { return emit_number(LLVMTypeOf(x), c); }
static inline LLVMValueRef whole(LLVMValueRef x, int64_t c) { return emit_integer(LLVMTypeOf(x), c); }
static inline LLVMValueRef fabs_(Emit *e, LLVMValueRef x) { return emit_intrinsic_like(e, "llvm.fabs", 1, &x); }
/* ((c[0] * x + c[1]) * x + ...) + c[n - 1] */
static inline LLVMValueRef horner(Emit *e, LLVMValueRef x, uint32_t n, const double *c)
{
    LLVMValueRef p = num(x, c[0]);
    for (uint32_t i = 1; i < n; i++) p = emit_fma(e, p, x, num(x, c[i]));
    return p;
}
#define HORNER(e, x, ...) horner((e), (x), sizeof(double[]){__VA_ARGS__} / sizeof(double), (const double[]){__VA_ARGS__})

/* math_f32.c: f32 operators as polynomials, in line. NULL: not one of them. */
LLVMValueRef math_f32(Emit *e, Op op, LLVMValueRef x);
/* math_call.c: operators that are calls: of functions of the module that hold longer code, or of libm a lane at a
 * time. NULL: not one of them. */
LLVMValueRef math_call(Emit *e, Op op, DType dtype, LLVMValueRef *arg);

#endif
