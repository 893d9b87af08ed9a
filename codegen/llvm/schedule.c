/* schedule.c - the outer loop of kernels: a range of a flat index, whose axes move on by carries. */
#include "codegen/llvm/schedule.h"

void rows_begin(Emit *e, Rows *r, const Kernel *k, uint32_t axes, bool runs)
{
    LLVMBuilderRef B = e->builder;
    r->function = emit_function(e, k->name, e->kernel_type, true);
    r->axes = axes;
    r->runs = runs && axes > 0;
    LLVMValueRef env = LLVMGetParam(r->function, 0), lo = LLVMGetParam(r->function, 1), hi = LLVMGetParam(r->function, 2);
    r->scratch = LLVMGetParam(r->function, 3);
    LLVMSetValueName2(env, "env", 3);
    LLVMSetValueName2(lo, "lo", 2);
    LLVMSetValueName2(hi, "hi", 2);
    /* Nothing to do may mean that extents are 0: they are divided by only behind this. */
    LLVMBasicBlockRef work = LLVMAppendBasicBlockInContext(e->context, r->function, "work");
    LLVMBasicBlockRef none = LLVMAppendBasicBlockInContext(e->context, r->function, "none");
    LLVMBuildCondBr(B, LLVMBuildICmp(B, LLVMIntSLT, lo, hi, ""), work, none);
    LLVMPositionBuilderAtEnd(B, none);
    LLVMBuildRetVoid(B);
    LLVMPositionBuilderAtEnd(B, work);
    r->entry = point_entry(e, k, env);
    for (uint32_t i = 0; i < axes; i++) r->extent[i] = emit_dim(e, r->entry, k->axes.at[i].extent);

    /* The axes of item lo. */
    LLVMValueRef first[POINT_AXES + 1], rest = lo;
    for (uint32_t i = axes; i-- > 1;) {
        first[i] = LLVMBuildURem(B, rest, r->extent[i], "");
        rest = LLVMBuildUDiv(B, rest, r->extent[i], "");
    }
    first[0] = rest;
    loop_begin(e, &r->loop, lo, hi, emit_i64(e, 1), axes, first);
    r->point = point_inner(e, r->entry);
    for (uint32_t i = 0; i < axes; i++) {
        if (i + 1 == axes && r->runs) r->first = r->loop.carried[i];
        else point_set(r->point, i, r->loop.carried[i]);
    }
    if (r->runs) {
        LLVMValueRef in_axis = LLVMBuildSub(B, r->extent[axes - 1], r->first, "");
        LLVMValueRef in_range = LLVMBuildSub(B, hi, r->loop.i, "");
        r->n = emit_select(e, LLVMBuildICmp(B, LLVMIntSLT, in_axis, in_range, ""), in_axis, in_range);
        r->loop.step = r->n;
    }
}

void rows_end(Emit *e, Rows *r)
{
    LLVMBuilderRef B = e->builder;
    LLVMValueRef next[POINT_AXES + 1], carry = LLVMConstInt(e->i1, 1, false);
    for (uint32_t i = r->axes; i-- > 0;) {
        if (i + 1 == r->axes && r->runs) {
            /* A run goes to the end of its axis, unless the range ends first. */
            next[i] = emit_i64(e, 0);
            continue;
        }
        LLVMValueRef v = LLVMBuildAdd(B, r->loop.carried[i], LLVMBuildZExt(B, carry, e->i64, ""), "");
        if (i == 0) {
            next[i] = v;
            continue;
        }
        carry = LLVMBuildICmp(B, LLVMIntEQ, v, r->extent[i], "");
        next[i] = emit_select(e, carry, emit_i64(e, 0), v);
    }
    loop_end(e, &r->loop, next);
    LLVMBuildRetVoid(B);
}
