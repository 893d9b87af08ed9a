/* math_call.c - operators that are calls: sin and cos of f32, random numbers (functions of this module, made when
 * first needed), and libm for f64, pow and float remainders, a lane at a time.
 */
#include <stdio.h>

#include "codegen/llvm/math.h"

/* ---- functions of the module ------------------------------------------------------------------------ */

typedef struct Helper {
    LLVMValueRef       function;
    bool               made;            /* its body is to be emitted now */
    LLVMBasicBlockRef  back;
    LLVMValueRef       back_function, back_sink;
} Helper;

/* The internal function "dlc_NAME_f32x16"; if it is new, the builder is in it until helper_end. */
static Helper helper_begin(Emit *e, const char *name, DType dtype, LLVMTypeRef result, uint32_t nargs, LLVMTypeRef *arg)
{
    Helper h = {0};
    const char *full = arena_printf(e->arena, "dlc_%s_%sx%u", name, dtype_name(dtype), emit_type_lanes(result));
    h.function = LLVMGetNamedFunction(e->module, full);
    if (h.function) return h;
    h.made = true;
    h.back = LLVMGetInsertBlock(e->builder);
    h.back_function = e->function;
    h.back_sink = e->sink;
    h.function = emit_function(e, full, LLVMFunctionType(result, arg, nargs, false), true);
    return h;
}

static void helper_end(Emit *e, Helper *h, LLVMValueRef result)
{
    LLVMBuildRet(e->builder, result);
    e->function = h->back_function;
    e->sink = h->back_sink;
    emit_position(e, h->back);
}

static LLVMValueRef call(Emit *e, LLVMValueRef f, uint32_t nargs, LLVMValueRef *arg)
{
    return LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(f), f, arg, nargs, "");
}

/* ---- libm ------------------------------------------------------------------------------------------------ */

/* The C function `name` (f32: with an f behind it) on each lane. */
static LLVMValueRef libm_lanes(Emit *e, const char *name, DType dtype, uint32_t nargs, LLVMValueRef *arg)
{
    LLVMTypeRef one = emit_type(e, dtype), types[2] = {one, one};
    const char *full = arena_printf(e->arena, "%s%s", name, dtype == DT_f32 ? "f" : "");
    LLVMValueRef f = LLVMGetNamedFunction(e->module, full);
    if (!f) f = LLVMAddFunction(e->module, full, LLVMFunctionType(one, types, nargs, false));
    LLVMTypeRef t = LLVMTypeOf(arg[0]);
    LLVMValueRef r = LLVMGetPoison(t);
    for (uint32_t i = 0; i < emit_type_lanes(t); i++) {
        LLVMValueRef lane[2];
        for (uint32_t j = 0; j < nargs; j++) lane[j] = emit_extract(e, arg[j], i);
        r = emit_insert(e, r, call(e, f, nargs, lane), i);
    }
    return r;
}

static LLVMValueRef libm(Emit *e, const char *name, DType dtype, uint32_t nargs, LLVMValueRef *arg)
{
    LLVMTypeRef t = LLVMTypeOf(arg[0]), types[2] = {t, t};
    if (emit_type_lanes(t) == 1) return libm_lanes(e, name, dtype, nargs, arg);
    Helper h = helper_begin(e, name, dtype, t, nargs, types);
    if (h.made) {
        LLVMValueRef param[2];
        for (uint32_t j = 0; j < nargs; j++) param[j] = LLVMGetParam(h.function, j);
        helper_end(e, &h, libm_lanes(e, name, dtype, nargs, param));
    }
    return call(e, h.function, nargs, arg);
}

/* ---- sin, cos of f32 ---------------------------------------------------------------------------------------- */

/* 0.57 ulp. In f64: x = q pi/2 + r, then a polynomial of r that the quadrant q chooses. Beyond 2^28 pi/2 pi's 78
 * bits are not enough, and libm takes over in those lanes. Constants after FreeBSD's k_sinf.c, k_cosf.c. */
static LLVMValueRef f32_circle_body(Emit *e, LLVMValueRef x, bool cosine)
{
    LLVMBuilderRef B = e->builder;
    LLVMTypeRef single = LLVMTypeOf(x), wide = emit_with_element(single, e->f64), bits = emit_with_element(single, e->i64);
    LLVMValueRef d = LLVMBuildFPExt(B, x, wide, ""), magic = emit_number(wide, 6755399441055744.0);     /* 1.5 * 2^52 */
    LLVMValueRef t = fadd(e, fmul(e, d, emit_number(wide, 0.63661977236758134308)), magic);
    LLVMValueRef q = LLVMBuildBitCast(B, t, bits, ""), n = fsub(e, t, magic);
    LLVMValueRef r = fsub(e, d, fmul(e, n, emit_number(wide, 1.57079631090164184570)));     /* exact: 25 bits of pi/2 */
    r = fsub(e, r, fmul(e, n, emit_number(wide, 1.58932547735281966916e-08)));
    LLVMValueRef z = fmul(e, r, r);
    LLVMValueRef s = HORNER(e, z, 0.0000027183114939898219064, -0.000198393348360966317347, 0.0083333293858894631756,
                            -0.166666666416265235595);
    s = emit_fma(e, fmul(e, s, z), r, r);
    LLVMValueRef c = HORNER(e, z, 0.0000243904487962774090654, -0.00138867637746099294692, 0.0416666233237390631894,
                            -0.499999997251031003120, 1);
    if (cosine) q = LLVMBuildAdd(B, q, whole(q, 1), "");
    LLVMValueRef odd = icmp(e, LLVMIntNE, LLVMBuildAnd(B, q, whole(q, 1), ""), whole(q, 0));
    LLVMValueRef negative = icmp(e, LLVMIntNE, LLVMBuildAnd(B, q, whole(q, 2), ""), whole(q, 0));
    LLVMValueRef y = emit_select(e, odd, c, s);
    y = emit_select(e, negative, LLVMBuildFNeg(B, y, ""), y);
    LLVMValueRef fast = LLVMBuildFPTrunc(B, y, single, "");
    if (!cosine) fast = emit_select(e, fcmp(e, LLVMRealOEQ, x, num(x, 0)), x, fast);     /* -0 */

    LLVMValueRef far = fcmp(e, LLVMRealUGT, fabs_(e, x), num(x, 4.2e8)), any = far;
    if (emit_type_lanes(single) > 1) any = emit_intrinsic_like(e, "llvm.vector.reduce.or", 1, &any);
    LLVMBasicBlockRef here = LLVMGetInsertBlock(B);
    LLVMBasicBlockRef slow = LLVMAppendBasicBlockInContext(e->context, e->function, "far");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "done");
    LLVMBuildCondBr(B, any, slow, done);
    LLVMPositionBuilderAtEnd(B, slow);
    LLVMValueRef exact = emit_select(e, far, libm_lanes(e, cosine ? "cos" : "sin", DT_f32, 1, &x), fast);
    LLVMBuildBr(B, done);
    LLVMPositionBuilderAtEnd(B, done);
    LLVMValueRef result = LLVMBuildPhi(B, single, "");
    LLVMAddIncoming(result, (LLVMValueRef[]){fast, exact}, (LLVMBasicBlockRef[]){here, slow}, 2);
    return result;
}

static LLVMValueRef f32_circle(Emit *e, LLVMValueRef x, bool cosine)
{
    LLVMTypeRef t = LLVMTypeOf(x);
    Helper h = helper_begin(e, cosine ? "cos" : "sin", DT_f32, t, 1, &t);
    if (h.made) helper_end(e, &h, f32_circle_body(e, LLVMGetParam(h.function, 0), cosine));
    return call(e, h.function, 1, &x);
}

/* ---- which operator is what ------------------------------------------------------------------------------------- */

LLVMValueRef math_call(Emit *e, Op op, DType dtype, LLVMValueRef *arg)
{
    if (dtype == DT_f32 && (op == OP_sin || op == OP_cos)) return f32_circle(e, arg[0], op == OP_cos);
    switch (op) {
    case OP_exp: case OP_expm1: case OP_log: case OP_log1p: case OP_sin: case OP_cos: case OP_tanh: case OP_erf:
        return libm(e, op_name(op), dtype, 1, arg);
    case OP_sigmoid: {
        LLVMValueRef x = LLVMBuildFNeg(e->builder, arg[0], "");
        return fdiv_(e, num(x, 1), fadd(e, num(x, 1), libm(e, "exp", dtype, 1, &x)));
    }
    case OP_pow:
        return libm(e, "pow", dtype, 2, arg);
    case OP_mod: {
        /* fmod is exact; the remainder then takes the divisor's sign. */
        LLVMValueRef r = libm(e, "fmod", dtype, 2, arg), zero = num(r, 0);
        LLVMValueRef other = LLVMBuildXor(e->builder, fcmp(e, LLVMRealOLT, r, zero), fcmp(e, LLVMRealOLT, arg[1], zero), "");
        LLVMValueRef move = LLVMBuildAnd(e->builder, other, fcmp(e, LLVMRealONE, r, zero), "");
        return emit_select(e, move, fadd(e, r, arg[1]), r);
    }
    default:
        return NULL;
    }
}

/* ---- random numbers ------------------------------------------------------------------------------------------------ */

/* Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011), the words of block number `block` of each lane; see rng_bits in ir.h. */
static void philox(Emit *e, LLVMValueRef block, LLVMValueRef key, LLVMValueRef nonce, LLVMValueRef word[4])
{
    LLVMBuilderRef B = e->builder;
    uint32_t lanes = emit_type_lanes(LLVMTypeOf(block));
    LLVMTypeRef t32 = emit_vector_type(e->i32, lanes), t64 = emit_vector_type(e->i64, lanes);
    LLVMValueRef shift = emit_integer(t64, 32), wide_nonce = emit_splat(e, nonce, lanes), wide_key = emit_splat(e, key, lanes);
    word[0] = LLVMBuildTrunc(B, block, t32, "");
    word[1] = LLVMBuildTrunc(B, LLVMBuildLShr(B, block, shift, ""), t32, "");
    word[2] = LLVMBuildTrunc(B, wide_nonce, t32, "");
    word[3] = LLVMBuildTrunc(B, LLVMBuildLShr(B, wide_nonce, shift, ""), t32, "");
    LLVMValueRef k0 = LLVMBuildTrunc(B, wide_key, t32, "");
    LLVMValueRef k1 = LLVMBuildTrunc(B, LLVMBuildLShr(B, wide_key, shift, ""), t32, "");
    for (int round = 0; round < 10; round++) {
        LLVMValueRef a = LLVMBuildMul(B, LLVMBuildZExt(B, word[0], t64, ""), emit_integer(t64, 0xD2511F53), "");
        LLVMValueRef b = LLVMBuildMul(B, LLVMBuildZExt(B, word[2], t64, ""), emit_integer(t64, 0xCD9E8D57), "");
        LLVMValueRef a_hi = LLVMBuildTrunc(B, LLVMBuildLShr(B, a, shift, ""), t32, "");
        LLVMValueRef b_hi = LLVMBuildTrunc(B, LLVMBuildLShr(B, b, shift, ""), t32, "");
        word[0] = LLVMBuildXor(B, LLVMBuildXor(B, b_hi, word[1], ""), k0, "");
        word[2] = LLVMBuildXor(B, LLVMBuildXor(B, a_hi, word[3], ""), k1, "");
        word[1] = LLVMBuildTrunc(B, b, t32, "");
        word[3] = LLVMBuildTrunc(B, a, t32, "");
        k0 = LLVMBuildAdd(B, k0, emit_integer(t32, 0x9E3779B9), "");
        k1 = LLVMBuildAdd(B, k1, emit_integer(t32, 0xBB67AE85), "");
    }
}

static LLVMValueRef bit_is_set(Emit *e, LLVMValueRef x, int64_t bit)
{
    return icmp(e, LLVMIntNE, LLVMBuildAnd(e->builder, x, whole(x, bit), ""), whole(x, 0));
}

static LLVMValueRef rng_body(Emit *e, DType dtype, LLVMValueRef index, LLVMValueRef key, LLVMValueRef nonce)
{
    LLVMBuilderRef B = e->builder;
    LLVMValueRef word[4];
    uint32_t lanes = emit_type_lanes(LLVMTypeOf(index));
    if (dtype == DT_f64) {
        LLVMTypeRef t64 = emit_vector_type(e->i64, lanes);
        philox(e, LLVMBuildLShr(B, index, whole(index, 1), ""), key, nonce, word);
        LLVMValueRef second = bit_is_set(e, index, 1);
        LLVMValueRef lo = LLVMBuildZExt(B, emit_select(e, second, word[2], word[0]), t64, "");
        LLVMValueRef hi = LLVMBuildZExt(B, emit_select(e, second, word[3], word[1]), t64, "");
        LLVMValueRef bits = LLVMBuildOr(B, LLVMBuildShl(B, hi, whole(hi, 32), ""), lo, "");
        bits = LLVMBuildLShr(B, bits, whole(bits, 11), "");
        LLVMValueRef x = LLVMBuildUIToFP(B, bits, emit_vector_type(e->f64, lanes), "");
        return fmul(e, x, num(x, 0x1p-53));
    }
    philox(e, LLVMBuildLShr(B, index, whole(index, 2), ""), key, nonce, word);
    LLVMValueRef odd = bit_is_set(e, index, 1);
    LLVMValueRef low = emit_select(e, odd, word[1], word[0]), high = emit_select(e, odd, word[3], word[2]);
    LLVMValueRef bits = emit_select(e, bit_is_set(e, index, 2), high, low);
    if (dtype != DT_f32) return bits;
    bits = LLVMBuildLShr(B, bits, whole(bits, 8), "");
    LLVMValueRef x = LLVMBuildSIToFP(B, bits, emit_vector_type(e->f32, lanes), "");
    return fmul(e, x, num(x, 0x1p-24));
}

LLVMValueRef math_rng(Emit *e, DType dtype, LLVMValueRef key, LLVMValueRef step, LLVMValueRef stream, LLVMValueRef index)
{
    LLVMTypeRef index_type = LLVMTypeOf(index), arg_type[3] = {index_type, e->i64, e->i64};
    LLVMValueRef nonce = LLVMBuildXor(e->builder, emit_extract(e, step, 0), stream, "");
    LLVMTypeRef result = emit_with_element(index_type, emit_type(e, dtype));
    Helper h = helper_begin(e, "rng", dtype, result, 3, arg_type);
    if (h.made) {
        LLVMValueRef r = rng_body(e, dtype, LLVMGetParam(h.function, 0), LLVMGetParam(h.function, 1), LLVMGetParam(h.function, 2));
        helper_end(e, &h, r);
    }
    return call(e, h.function, 3, (LLVMValueRef[]){index, emit_extract(e, key, 0), nonce});
}
