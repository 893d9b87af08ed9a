/* emit.c - building blocks over the LLVM C API: types, constants, intrinsics, masked memory, counted loops. */
#include <stdio.h>
#include <string.h>

#include "codegen/llvm/emit.h"

/* ---- types and constants ------------------------------------------------------------------------- */

LLVMTypeRef emit_type(Emit *e, DType t)
{
    switch (t) {
    case DT_f64:  return e->f64;
    case DT_f32:  return e->f32;
    case DT_i64:  return e->i64;
    case DT_i32:  return e->i32;
    case DT_i16:  return LLVMInt16TypeInContext(e->context);
    case DT_bool: return e->i1;
    default:      return e->i8;
    }
}

LLVMTypeRef emit_memory_type(Emit *e, DType t)
{
    return t == DT_bool ? e->i8 : emit_type(e, t);
}

LLVMTypeRef emit_vector_type(LLVMTypeRef element, uint32_t lanes)
{
    return lanes == 1 ? element : LLVMVectorType(element, lanes);
}

uint32_t emit_type_lanes(LLVMTypeRef t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

LLVMTypeRef emit_with_element(LLVMTypeRef like, LLVMTypeRef element)
{
    return emit_vector_type(element, emit_type_lanes(like));
}

LLVMValueRef emit_i64(Emit *e, int64_t v)
{
    return LLVMConstInt(e->i64, (unsigned long long)v, true);
}

LLVMValueRef emit_i32(Emit *e, int32_t v)
{
    return LLVMConstInt(e->i32, (unsigned long long)v, true);
}

/* A constant vector with `one` in every lane of t. */
static LLVMValueRef constant_lanes(LLVMTypeRef t, LLVMValueRef one)
{
    LLVMValueRef all[64];
    uint32_t n = emit_type_lanes(t);
    if (n == 1) return one;
    for (uint32_t i = 0; i < n; i++) all[i] = one;
    return LLVMConstVector(all, n);
}

LLVMValueRef emit_number(LLVMTypeRef t, double v)
{
    LLVMTypeRef element = emit_type_lanes(t) == 1 ? t : LLVMGetElementType(t);
    return constant_lanes(t, LLVMConstReal(element, v));
}

LLVMValueRef emit_integer(LLVMTypeRef t, int64_t v)
{
    LLVMTypeRef element = emit_type_lanes(t) == 1 ? t : LLVMGetElementType(t);
    return constant_lanes(t, LLVMConstInt(element, (unsigned long long)v, true));
}

LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, uint32_t lanes)
{
    if (lanes == 1) return scalar;
    LLVMTypeRef t = LLVMVectorType(LLVMTypeOf(scalar), lanes);
    if (LLVMIsConstant(scalar)) return constant_lanes(t, scalar);
    LLVMValueRef v = LLVMBuildInsertElement(e->builder, LLVMGetPoison(t), scalar, emit_i32(e, 0), "");
    return LLVMBuildShuffleVector(e->builder, v, LLVMGetPoison(t), LLVMConstNull(LLVMVectorType(e->i32, lanes)), "");
}

LLVMValueRef emit_steps(Emit *e, LLVMTypeRef integer, uint32_t lanes)
{
    LLVMValueRef step[64];
    if (lanes == 1) return LLVMConstInt(integer, 0, false);
    for (uint32_t i = 0; i < lanes; i++) step[i] = LLVMConstInt(integer, i, false);
    return LLVMConstVector(step, lanes);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

LLVMValueRef emit_intrinsic(Emit *e, const char *name, uint32_t noverloads, LLVMTypeRef *overload, uint32_t nargs, LLVMValueRef *arg)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, overload, noverloads);
    return LLVMBuildCall2(e->builder, LLVMIntrinsicGetType(e->context, id, overload, noverloads), f, arg, nargs, "");
}

LLVMValueRef emit_intrinsic_like(Emit *e, const char *name, uint32_t nargs, LLVMValueRef *arg)
{
    LLVMTypeRef t = LLVMTypeOf(arg[0]);
    return emit_intrinsic(e, name, 1, &t, nargs, arg);
}

LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    /* Without the instruction llvm.fma would become a call of fmaf for every lane. */
    if (!e->target->has_fma) return LLVMBuildFAdd(e->builder, LLVMBuildFMul(e->builder, a, b, ""), c, "");
    return emit_intrinsic_like(e, "llvm.fma", 3, (LLVMValueRef[]){a, b, c});
}

LLVMValueRef emit_select(Emit *e, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(e->builder, c, a, b, "");
}

LLVMValueRef emit_extract(Emit *e, LLVMValueRef v, uint32_t lane)
{
    if (emit_type_lanes(LLVMTypeOf(v)) == 1) return v;
    return LLVMBuildExtractElement(e->builder, v, emit_i32(e, (int32_t)lane), "");
}

LLVMValueRef emit_insert(Emit *e, LLVMValueRef v, LLVMValueRef x, uint32_t lane)
{
    if (emit_type_lanes(LLVMTypeOf(v)) == 1) return x;
    return LLVMBuildInsertElement(e->builder, v, x, emit_i32(e, (int32_t)lane), "");
}

LLVMValueRef emit_shuffle(Emit *e, LLVMValueRef a, LLVMValueRef b, uint32_t lanes, int32_t lo, int32_t step)
{
    LLVMValueRef pick[64];
    if (lanes == 1) return emit_extract(e, a, (uint32_t)lo);
    for (uint32_t i = 0; i < lanes; i++) pick[i] = emit_i32(e, lo + (int32_t)i * step);
    return LLVMBuildShuffleVector(e->builder, a, b ? b : LLVMGetPoison(LLVMTypeOf(a)), LLVMConstVector(pick, lanes), "");
}

LLVMValueRef emit_element(Emit *e, LLVMTypeRef t, LLVMValueRef base, LLVMValueRef index)
{
    return LLVMBuildGEP2(e->builder, t, base, &index, 1, "");
}

void emit_position(Emit *e, LLVMBasicBlockRef block)
{
    LLVMValueRef last = LLVMGetBasicBlockTerminator(block);
    if (last) LLVMPositionBuilderBefore(e->builder, last);
    else      LLVMPositionBuilderAtEnd(e->builder, block);
}

static void add_attribute(Emit *e, LLVMValueRef f, const char *name, const char *value)
{
    LLVMAttributeRef at;
    if (value) {
        at = LLVMCreateStringAttribute(e->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    } else {
        at = LLVMCreateEnumAttribute(e->context, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
    }
    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, at);
}

LLVMValueRef emit_function(Emit *e, const char *name, LLVMTypeRef type, bool internal)
{
    LLVMValueRef f = LLVMAddFunction(e->module, name, type);
    char width[16];
    snprintf(width, sizeof width, "%u", e->target->bytes * 8);
    add_attribute(e, f, "nounwind", NULL);
    add_attribute(e, f, "prefer-vector-width", width);
    if (e->tune) add_attribute(e, f, "tune-cpu", e->tune);
    if (internal) {
        LLVMSetLinkage(f, LLVMInternalLinkage);
        add_attribute(e, f, "noinline", NULL);
    }
    e->function = f;
    e->sink = NULL;
    LLVMPositionBuilderAtEnd(e->builder, LLVMAppendBasicBlockInContext(e->context, f, "entry"));
    return f;
}

/* ---- memory ------------------------------------------------------------------------------------------ */

/* 64 zero bytes that a disabled scalar load reads instead. */
static LLVMValueRef zeros(Emit *e)
{
    if (!e->zeros) {
        LLVMTypeRef t = LLVMArrayType2(e->i8, 64);
        e->zeros = LLVMAddGlobal(e->module, t, "dlc_zeros");
        LLVMSetInitializer(e->zeros, LLVMConstNull(t));
        LLVMSetGlobalConstant(e->zeros, true);
        LLVMSetLinkage(e->zeros, LLVMInternalLinkage);
        LLVMSetAlignment(e->zeros, 64);
    }
    return e->zeros;
}

/* Stack of this function that a disabled scalar store writes instead. */
static LLVMValueRef sink(Emit *e)
{
    if (!e->sink) {
        LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder), entry = LLVMGetEntryBasicBlock(e->function);
        LLVMValueRef first = LLVMGetFirstInstruction(entry);
        if (first) LLVMPositionBuilderBefore(e->builder, first);
        else       LLVMPositionBuilderAtEnd(e->builder, entry);
        e->sink = LLVMBuildAlloca(e->builder, e->i64, "sink");
        emit_position(e, here);
    }
    return e->sink;
}

/* As it is in memory: bools are bytes. */
static LLVMValueRef to_memory(Emit *e, DType t, LLVMValueRef v)
{
    return t == DT_bool ? LLVMBuildZExt(e->builder, v, emit_with_element(LLVMTypeOf(v), e->i8), "") : v;
}

static LLVMValueRef from_memory(Emit *e, DType t, LLVMValueRef v)
{
    if (t != DT_bool) return v;
    return LLVMBuildICmp(e->builder, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

LLVMValueRef emit_load(Emit *e, DType t, LLVMValueRef p, uint32_t lanes, LLVMValueRef mask)
{
    LLVMTypeRef type = emit_vector_type(emit_memory_type(e, t), lanes);
    unsigned align = (unsigned)dtype_size(t);
    LLVMValueRef v;
    if (mask && lanes > 1) {
        LLVMValueRef arg[] = {p, emit_i32(e, (int32_t)align), mask, LLVMConstNull(type)};
        v = emit_intrinsic(e, "llvm.masked.load", 2, (LLVMTypeRef[]){type, e->ptr}, 4, arg);
    } else {
        if (mask) p = emit_select(e, mask, p, zeros(e));
        v = LLVMBuildLoad2(e->builder, type, p, "");
        LLVMSetAlignment(v, align);
    }
    return from_memory(e, t, v);
}

void emit_store(Emit *e, DType t, LLVMValueRef v, LLVMValueRef p, LLVMValueRef mask)
{
    unsigned align = (unsigned)dtype_size(t);
    v = to_memory(e, t, v);
    if (mask && emit_type_lanes(LLVMTypeOf(v)) > 1) {
        LLVMValueRef arg[] = {v, p, emit_i32(e, (int32_t)align), mask};
        emit_intrinsic(e, "llvm.masked.store", 2, (LLVMTypeRef[]){LLVMTypeOf(v), e->ptr}, 4, arg);
        return;
    }
    if (mask) p = emit_select(e, mask, p, sink(e));
    LLVMSetAlignment(LLVMBuildStore(e->builder, v, p), align);
}

LLVMValueRef emit_mask(Emit *e, LLVMValueRef n, uint32_t lanes)
{
    if (lanes == 1) return LLVMBuildICmp(e->builder, LLVMIntSGT, n, emit_i64(e, 0), "");
    /* Compare in 32 bits: n is cut to `lanes` first, which keeps the answer. */
    LLVMValueRef full = emit_i64(e, lanes);
    LLVMValueRef cut = emit_select(e, LLVMBuildICmp(e->builder, LLVMIntSLT, n, full, ""), n, full);
    LLVMValueRef wide = emit_splat(e, LLVMBuildTrunc(e->builder, cut, e->i32, ""), lanes);
    return LLVMBuildICmp(e->builder, LLVMIntSLT, emit_steps(e, e->i32, lanes), wide, "");
}

/* ---- loops -------------------------------------------------------------------------------------------- */

void loop_begin(Emit *e, Loop *l, LLVMValueRef from, LLVMValueRef to, LLVMValueRef step, uint32_t n, const LLVMValueRef *first)
{
    l->from = from;
    l->to = to;
    l->step = step;
    l->n = n;
    l->before = LLVMGetInsertBlock(e->builder);
    l->body = LLVMAppendBasicBlockInContext(e->context, e->function, "loop");
    l->exit = LLVMAppendBasicBlockInContext(e->context, e->function, "after");
    LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, from, to, ""), l->body, l->exit);
    LLVMPositionBuilderAtEnd(e->builder, l->body);
    l->i = LLVMBuildPhi(e->builder, LLVMTypeOf(from), "i");
    for (uint32_t k = 0; k < n; k++) {
        l->first[k] = first[k];
        l->carried[k] = LLVMBuildPhi(e->builder, LLVMTypeOf(first[k]), "");
    }
}

/* The same value, whose origin LLVM does not see: an empty piece of assembly. Its loop strength reduction leaves such a
 * counter alone. It would cost 30 % of code generation, and gains nothing on addresses made by emit_address(). */
static LLVMValueRef opaque(Emit *e, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v), type = LLVMFunctionType(t, &t, 1, false);
    static const char constraint[] = "=r,0";
    LLVMValueRef same = LLVMGetInlineAsm(type, "", 0, constraint, sizeof constraint - 1, false, false, LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(e->builder, type, same, &v, 1, "");
}

void loop_end(Emit *e, Loop *l, const LLVMValueRef *next)
{
    LLVMValueRef i = opaque(e, LLVMBuildAdd(e->builder, l->i, l->step, ""));
    LLVMBasicBlockRef in[2] = {l->before, LLVMGetInsertBlock(e->builder)};
    LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, i, l->to, ""), l->body, l->exit);
    LLVMAddIncoming(l->i, (LLVMValueRef[]){l->from, i}, in, 2);
    LLVMPositionBuilderAtEnd(e->builder, l->exit);
    for (uint32_t k = 0; k < l->n; k++) {
        LLVMValueRef both[2] = {l->first[k], next[k]};
        LLVMAddIncoming(l->carried[k], both, in, 2);
        l->carried[k] = LLVMBuildPhi(e->builder, LLVMTypeOf(next[k]), "");
        LLVMAddIncoming(l->carried[k], both, in, 2);
    }
}
