/* math.c - elementwise operators on scalars or vectors: arithmetic, comparisons, casts. Elementary functions are in
 * math_f32.c and math_call.c. The meaning is that of ir/eval.c: NaN wins in max and min, integer division by 0
 * gives 0, integers wrap, float to integer saturates.
 */
#include "codegen/llvm/math.h"

static bool is_signed(DType t)
{
    return t != DT_u8 && t != DT_bool;
}

/* ---- integer division ------------------------------------------------------------------------------ */

/* The quotient towards zero and its remainder, for any b: 0 and -1, which the instruction cannot do, are replaced. */
static LLVMValueRef safe_divisor(Emit *e, LLVMValueRef b)
{
    LLVMValueRef trap = LLVMBuildOr(e->builder, icmp(e, LLVMIntEQ, b, whole(b, 0)), icmp(e, LLVMIntEQ, b, whole(b, -1)), "");
    return emit_select(e, trap, whole(b, 1), b);
}

/* Does a division that rounded towards zero have to go one down? r: its remainder. */
static LLVMValueRef rounds_down(Emit *e, LLVMValueRef r, LLVMValueRef b)
{
    LLVMValueRef other = icmp(e, LLVMIntSLT, LLVMBuildXor(e->builder, r, b, ""), whole(r, 0));
    return LLVMBuildAnd(e->builder, other, icmp(e, LLVMIntNE, r, whole(r, 0)), "");
}

LLVMValueRef math_floordiv(Emit *e, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef B = e->builder;
    LLVMValueRef d = safe_divisor(e, b);
    LLVMValueRef q = LLVMBuildSDiv(B, a, d, ""), r = LLVMBuildSub(B, a, LLVMBuildMul(B, q, d, ""), "");
    q = emit_select(e, rounds_down(e, r, d), LLVMBuildSub(B, q, whole(q, 1), ""), q);
    q = emit_select(e, icmp(e, LLVMIntEQ, b, whole(b, -1)), LLVMBuildNeg(B, a, ""), q);
    return emit_select(e, icmp(e, LLVMIntEQ, b, whole(b, 0)), whole(q, 0), q);
}

LLVMValueRef math_mod(Emit *e, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef B = e->builder;
    LLVMValueRef d = safe_divisor(e, b), r = LLVMBuildSRem(B, a, d, "");
    /* With d = 1 for b = 0 and b = -1 the remainder is 0, which is what both give. */
    return emit_select(e, rounds_down(e, r, d), LLVMBuildAdd(B, r, d, ""), r);
}

static LLVMValueRef unsigned_division(Emit *e, bool mod, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef none = icmp(e, LLVMIntEQ, b, whole(b, 0)), d = emit_select(e, none, whole(b, 1), b);
    LLVMValueRef r = mod ? LLVMBuildURem(e->builder, a, d, "") : LLVMBuildUDiv(e->builder, a, d, "");
    return emit_select(e, none, whole(r, 0), r);
}

/* ---- max, min ------------------------------------------------------------------------------------------ */

static LLVMValueRef extreme(Emit *e, DType t, LLVMValueRef a, LLVMValueRef b, bool max)
{
    if (!dtype_is_float(t)) {
        LLVMIntPredicate p = max ? is_signed(t) ? LLVMIntSGT : LLVMIntUGT : is_signed(t) ? LLVMIntSLT : LLVMIntULT;
        return emit_select(e, icmp(e, p, a, b), a, b);
    }
    /* The first select is one instruction, and gives b if either is NaN. */
    LLVMValueRef r = emit_select(e, fcmp(e, max ? LLVMRealOGT : LLVMRealOLT, a, b), a, b);
    return emit_select(e, fcmp(e, LLVMRealUNO, a, a), a, r);
}

LLVMValueRef math_max(Emit *e, DType t, LLVMValueRef a, LLVMValueRef b)
{
    return extreme(e, t, a, b, true);
}

LLVMValueRef math_min(Emit *e, DType t, LLVMValueRef a, LLVMValueRef b)
{
    return extreme(e, t, a, b, false);
}

/* ---- casts ------------------------------------------------------------------------------------------------- */

static LLVMValueRef cast(Emit *e, DType from, DType to, LLVMValueRef x)
{
    LLVMBuilderRef B = e->builder;
    LLVMTypeRef t = emit_with_element(LLVMTypeOf(x), emit_type(e, to)), source = LLVMTypeOf(x);
    if (from == to) return x;
    if (to == DT_bool) {
        LLVMValueRef zero = LLVMConstNull(source);
        return dtype_is_float(from) ? fcmp(e, LLVMRealUNE, x, zero) : icmp(e, LLVMIntNE, x, zero);
    }
    if (dtype_is_float(from)) {
        if (to == DT_f64) return LLVMBuildFPExt(B, x, t, "");
        if (to == DT_f32) return LLVMBuildFPTrunc(B, x, t, "");
        return emit_intrinsic(e, is_signed(to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", 2, (LLVMTypeRef[]){t, source}, 1, &x);
    }
    if (dtype_is_float(to)) return is_signed(from) ? LLVMBuildSIToFP(B, x, t, "") : LLVMBuildUIToFP(B, x, t, "");
    size_t have = from == DT_bool ? 0 : dtype_size(from);
    if (dtype_size(to) < have)  return LLVMBuildTrunc(B, x, t, "");
    if (dtype_size(to) == have) return x;
    return is_signed(from) ? LLVMBuildSExt(B, x, t, "") : LLVMBuildZExt(B, x, t, "");
}

/* ---- operators ------------------------------------------------------------------------------------------------ */

/* -1, 0 or 1 where x is below, at or above 0; NaN and the zeros stay. */
static LLVMValueRef sign(Emit *e, DType t, LLVMValueRef x)
{
    if (dtype_is_float(t)) {
        LLVMValueRef r = emit_select(e, fcmp(e, LLVMRealOLT, x, num(x, 0)), num(x, -1), x);
        return emit_select(e, fcmp(e, LLVMRealOGT, x, num(x, 0)), num(x, 1), r);
    }
    LLVMValueRef above = emit_select(e, icmp(e, is_signed(t) ? LLVMIntSGT : LLVMIntUGT, x, whole(x, 0)), whole(x, 1), whole(x, 0));
    if (!is_signed(t)) return above;
    return emit_select(e, icmp(e, LLVMIntSLT, x, whole(x, 0)), whole(x, -1), above);
}

static LLVMValueRef compare(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef b)
{
    if (dtype_is_float(t)) {
        LLVMRealPredicate p = op == OP_eq ? LLVMRealOEQ : op == OP_ne ? LLVMRealUNE : op == OP_lt ? LLVMRealOLT :
                              op == OP_le ? LLVMRealOLE : op == OP_gt ? LLVMRealOGT : LLVMRealOGE;
        return fcmp(e, p, a, b);
    }
    bool s = is_signed(t);
    LLVMIntPredicate p = op == OP_eq ? LLVMIntEQ : op == OP_ne ? LLVMIntNE : op == OP_lt ? s ? LLVMIntSLT : LLVMIntULT :
                         op == OP_le ? s ? LLVMIntSLE : LLVMIntULE : op == OP_gt ? s ? LLVMIntSGT : LLVMIntUGT :
                         s ? LLVMIntSGE : LLVMIntUGE;
    return icmp(e, p, a, b);
}

static LLVMValueRef float_op(Emit *e, Op op, DType t, LLVMValueRef *arg)
{
    LLVMBuilderRef B = e->builder;
    LLVMValueRef x = arg[0], r = t == DT_f32 ? math_f32(e, op, x) : NULL;
    if (!r) r = math_call(e, op, t, arg);
    if (r) return r;
    switch (op) {
    case OP_neg:      return LLVMBuildFNeg(B, x, "");
    case OP_abs:      return fabs_(e, x);
    case OP_sqrt:     return emit_intrinsic_like(e, "llvm.sqrt", 1, &x);
    case OP_rsqrt:    return fdiv_(e, num(x, 1), emit_intrinsic_like(e, "llvm.sqrt", 1, &x));
    case OP_floor:    return emit_intrinsic_like(e, "llvm.floor", 1, &x);
    case OP_ceil:     return emit_intrinsic_like(e, "llvm.ceil", 1, &x);
    case OP_round:    return emit_intrinsic_like(e, "llvm.roundeven", 1, &x);
    case OP_isfinite: return fcmp(e, LLVMRealOLT, fabs_(e, x), num(x, __builtin_inf()));
    case OP_add:      return fadd(e, x, arg[1]);
    case OP_sub:      return fsub(e, x, arg[1]);
    case OP_mul:      return fmul(e, x, arg[1]);
    case OP_div:      return fdiv_(e, x, arg[1]);
    case OP_floordiv: {
        LLVMValueRef q = fdiv_(e, x, arg[1]);
        return emit_intrinsic_like(e, "llvm.floor", 1, &q);
    }
    default:          return NULL;
    }
}

static LLVMValueRef integer_op(Emit *e, Op op, DType t, LLVMValueRef *arg)
{
    LLVMBuilderRef B = e->builder;
    switch (op) {
    case OP_neg:      return LLVMBuildNeg(B, arg[0], "");
    case OP_abs:
        if (!is_signed(t)) return arg[0];
        return emit_intrinsic_like(e, "llvm.abs", 2, (LLVMValueRef[]){arg[0], LLVMConstInt(e->i1, 0, false)});
    case OP_not:      return LLVMBuildNot(B, arg[0], "");
    case OP_add:      return LLVMBuildAdd(B, arg[0], arg[1], "");
    case OP_sub:      return LLVMBuildSub(B, arg[0], arg[1], "");
    case OP_mul:      return LLVMBuildMul(B, arg[0], arg[1], "");
    case OP_floordiv: return is_signed(t) ? math_floordiv(e, arg[0], arg[1]) : unsigned_division(e, false, arg[0], arg[1]);
    case OP_mod:      return is_signed(t) ? math_mod(e, arg[0], arg[1]) : unsigned_division(e, true, arg[0], arg[1]);
    case OP_and:      return LLVMBuildAnd(B, arg[0], arg[1], "");
    case OP_or:       return LLVMBuildOr(B, arg[0], arg[1], "");
    default:          return NULL;
    }
}

LLVMValueRef math_op(Emit *e, Op op, DType t, DType to, LLVMValueRef *arg)
{
    LLVMValueRef r;
    switch (op) {
    case OP_cast:   return cast(e, t, to, arg[0]);
    case OP_select: return emit_select(e, arg[0], arg[1], arg[2]);
    case OP_max:    return math_max(e, t, arg[0], arg[1]);
    case OP_min:    return math_min(e, t, arg[0], arg[1]);
    case OP_sign:   return sign(e, t, arg[0]);
    case OP_eq: case OP_ne: case OP_lt: case OP_le: case OP_gt: case OP_ge:
        return compare(e, op, t, arg[0], arg[1]);
    default:
        r = dtype_is_float(t) ? float_op(e, op, t, arg) : integer_op(e, op, t, arg);
    }
    if (r) return r;
    e->error = arena_printf(e->arena, "%s of %s has no code", op_name(op), dtype_name(t));
    return LLVMConstNull(emit_with_element(LLVMTypeOf(arg[0]), emit_type(e, to)));
}
