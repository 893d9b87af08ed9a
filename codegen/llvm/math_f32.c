/* math_f32.c - elementary functions of f32 as polynomials on scalars or vectors.
 *
 * llvm.exp and its like become a libm call for every lane, so these are our own. Each says its largest error in ulp,
 * measured over every 31st float on a target with fma; without, up to 0.3 more (tests/unit/test_math.c).
 * Everything is branch-free; special values come out right by the arithmetic itself or by selects.
 */
#include "codegen/llvm/math.h"

/* Rounds |x| < 2^22 to an integer when added and subtracted, and leaves the integer in the low bits. */
static const double MAGIC = 12582912.0;     /* 1.5 * 2^23 */
/* ln 2 in two parts; a small integer times LN2_HI is exact. */
static const double LOG2_E = 1.44269504088896341, LN2_HI = 0.693359375, LN2_LO = -2.12194440054690581e-4;

static LLVMValueRef as_int(Emit *e, LLVMValueRef x)
{
    return LLVMBuildBitCast(e->builder, x, emit_with_element(LLVMTypeOf(x), e->i32), "");
}

static LLVMValueRef as_float(Emit *e, LLVMValueRef x)
{
    return LLVMBuildBitCast(e->builder, x, emit_with_element(LLVMTypeOf(x), e->f32), "");
}

/* x cut to [lo, hi]; NaN stays. One instruction a side. */
static LLVMValueRef clamp(Emit *e, LLVMValueRef x, double lo, double hi)
{
    x = emit_select(e, fcmp(e, LLVMRealOGT, num(x, lo), x), num(x, lo), x);
    return emit_select(e, fcmp(e, LLVMRealOLT, num(x, hi), x), num(x, hi), x);
}

/* 2^n for integers n of [-126, 127]. */
static LLVMValueRef power_of_two(Emit *e, LLVMValueRef n)
{
    n = LLVMBuildAdd(e->builder, n, whole(n, 127), "");
    return as_float(e, LLVMBuildShl(e->builder, n, whole(n, 23), ""));
}

/* p * 2^n, rounded once, also where the result is subnormal. n: a whole number, |n| < 250, as float and as int. */
static LLVMValueRef scale(Emit *e, LLVMValueRef p, LLVMValueRef n, LLVMValueRef i)
{
    LLVMTypeRef t = LLVMTypeOf(p);
    uint32_t lanes = emit_type_lanes(t);
    if (e->target->scalef32 && lanes * 4 == e->target->bytes) {
        LLVMValueRef every = LLVMConstAllOnes(LLVMIntTypeInContext(e->context, lanes));
        LLVMValueRef arg[] = {p, n, LLVMConstNull(t), every, emit_i32(e, 4)};   /* 4: the current rounding */
        return emit_intrinsic(e, e->target->scalef32, 0, NULL, 5, arg);
    }
    /* In two steps, each a normal number: the first product is exact. */
    LLVMValueRef half = LLVMBuildAShr(e->builder, i, whole(i, 1), "");
    LLVMValueRef rest = LLVMBuildSub(e->builder, i, half, "");
    return fmul(e, fmul(e, p, power_of_two(e, half)), power_of_two(e, rest));
}

/* x = n ln 2 + r with |r| <= ln 2 / 2: n as a whole float and as an int. */
static LLVMValueRef reduce_ln2(Emit *e, LLVMValueRef x, LLVMValueRef *n, LLVMValueRef *i)
{
    LLVMValueRef t = emit_fma(e, x, num(x, LOG2_E), num(x, MAGIC));
    *n = fsub(e, t, num(x, MAGIC));
    *i = LLVMBuildSub(e->builder, as_int(e, t), whole(as_int(e, t), 0x4B400000), "");
    LLVMValueRef r = emit_fma(e, *n, num(x, -LN2_HI), x);
    return emit_fma(e, *n, num(x, -LN2_LO), r);
}

/* 0.87 ulp, subnormal results included. */
static LLVMValueRef f32_exp(Emit *e, LLVMValueRef x)
{
    LLVMValueRef n, i;
    LLVMValueRef r = reduce_ln2(e, clamp(e, x, -105, 89), &n, &i);
    LLVMValueRef p = HORNER(e, r, 1.37805939e-3, 8.37312452e-3, 4.16695364e-2, 1.66664720e-1, 4.99999851e-1, 1, 1);
    return scale(e, p, n, i);
}

/* 1.36 ulp: exp(r) - 1 = p on the reduced range; then 2^n p + (2^n - 1). */
static LLVMValueRef f32_expm1(Emit *e, LLVMValueRef x)
{
    LLVMValueRef n, i;
    LLVMValueRef cut = clamp(e, x, -20, 88.9);
    LLVMValueRef r = reduce_ln2(e, cut, &n, &i);
    LLVMValueRef q = HORNER(e, r, 1.97350979e-4, 1.39309070e-3, 8.33343994e-3, 4.16668020e-2, 1.66666716e-1, 4.99999970e-1);
    LLVMValueRef p = emit_fma(e, q, fmul(e, r, r), r);
    /* Half of everything, doubled at the end: 2^128 is no f32. */
    LLVMValueRef half = power_of_two(e, LLVMBuildSub(e->builder, i, whole(i, 1), ""));
    LLVMValueRef y = emit_fma(e, p, half, fsub(e, half, num(x, 0.5)));
    y = fadd(e, y, y);
    y = emit_select(e, fcmp(e, LLVMRealOEQ, n, num(x, 0)), p, y);
    return emit_select(e, fcmp(e, LLVMRealOEQ, x, num(x, 0)), x, y);    /* -0 */
}

/* (log(1 + f) - f) for 1 + f in [sqrt(1/2), sqrt(2)], plus n times LN2_LO: what has to be added to f and n * LN2_HI. */
static LLVMValueRef log_tail(Emit *e, LLVMValueRef f, LLVMValueRef n)
{
    LLVMValueRef s = fmul(e, f, f);
    LLVMValueRef p = HORNER(e, f, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                            -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1);
    LLVMValueRef y = fmul(e, fmul(e, p, s), f);
    y = emit_fma(e, n, num(f, LN2_LO), y);
    return emit_fma(e, num(f, -0.5), s, y);
}

/* x = m 2^n with m in [sqrt(1/2), sqrt(2)), for normal x > 0: n as int. Returns m. */
static LLVMValueRef split(Emit *e, LLVMValueRef x, LLVMValueRef *n)
{
    LLVMValueRef i = as_int(e, x);
    LLVMValueRef above = LLVMBuildSub(e->builder, i, whole(i, 0x3F3504F3), "");     /* sqrt(1/2) */
    *n = LLVMBuildAShr(e->builder, above, whole(i, 23), "");
    return as_float(e, LLVMBuildSub(e->builder, i, LLVMBuildShl(e->builder, *n, whole(i, 23), ""), ""));
}

/* What a logarithm is at the ends of its range: x is 1 + its argument. */
static LLVMValueRef log_ends(Emit *e, LLVMValueRef x, LLVMValueRef y)
{
    y = emit_select(e, fcmp(e, LLVMRealOEQ, x, num(x, __builtin_inf())), x, y);
    y = emit_select(e, fcmp(e, LLVMRealOEQ, x, num(x, 0)), num(x, -__builtin_inf()), y);
    return emit_select(e, fcmp(e, LLVMRealUGE, x, num(x, 0)), emit_select(e, fcmp(e, LLVMRealUNO, x, x), x, y),
                       num(x, __builtin_nan("")));
}

/* 0.82 ulp. */
static LLVMValueRef f32_log(Emit *e, LLVMValueRef x)
{
    LLVMValueRef small = fcmp(e, LLVMRealOLT, x, num(x, 0x1p-126));
    LLVMValueRef normal = emit_select(e, small, fmul(e, x, num(x, 0x1p23)), x), i;
    LLVMValueRef f = fsub(e, split(e, normal, &i), num(x, 1));
    i = LLVMBuildSub(e->builder, i, emit_select(e, small, whole(i, 23), whole(i, 0)), "");
    LLVMValueRef n = LLVMBuildSIToFP(e->builder, i, LLVMTypeOf(x), "");
    LLVMValueRef y = fadd(e, f, log_tail(e, f, n));
    return log_ends(e, x, emit_fma(e, n, num(x, LN2_HI), y));
}

/* 1.4 ulp: log of u = 1 + x, with what the addition lost put back. */
static LLVMValueRef f32_log1p(Emit *e, LLVMValueRef x)
{
    LLVMValueRef one = num(x, 1), u = fadd(e, x, one), i;
    LLVMValueRef big = fcmp(e, LLVMRealOGT, x, one);
    LLVMValueRef lost = emit_select(e, big, fsub(e, one, fsub(e, u, x)), fsub(e, x, fsub(e, u, one)));
    LLVMValueRef m = split(e, u, &i);
    /* 2^-n * lost; n is at most 128, where lost is far below notice. */
    LLVMValueRef down = LLVMBuildSub(e->builder, whole(i, 0), i, "");
    LLVMValueRef low = icmp(e, LLVMIntSLT, down, whole(i, -126));
    down = emit_select(e, low, whole(i, -126), down);
    LLVMValueRef f = emit_fma(e, lost, power_of_two(e, down), fsub(e, m, one));
    LLVMValueRef n = LLVMBuildSIToFP(e->builder, i, LLVMTypeOf(x), "");
    LLVMValueRef y = fadd(e, f, log_tail(e, f, n));
    y = log_ends(e, u, emit_fma(e, n, num(x, LN2_HI), y));
    return emit_select(e, fcmp(e, LLVMRealOEQ, u, one), x, y);      /* tiny x, and -0 */
}

/* 1.33 ulp: an odd polynomial near 0, else 1 - 2 / (exp(2|x|) + 1). */
static LLVMValueRef f32_tanh(Emit *e, LLVMValueRef x)
{
    LLVMValueRef a = fabs_(e, x), s = fmul(e, x, x);
    LLVMValueRef p = HORNER(e, s, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1);
    p = emit_fma(e, fmul(e, p, s), x, x);
    LLVMValueRef t = f32_exp(e, fadd(e, a, a));
    t = fsub(e, num(x, 1), fdiv_(e, num(x, 2), fadd(e, t, num(x, 1))));
    t = emit_select(e, fcmp(e, LLVMRealOLT, a, num(x, 0.625)), p, t);
    return emit_intrinsic_like(e, "llvm.copysign", 2, (LLVMValueRef[]){t, x});
}

/* 0.99 ulp: a polynomial near 0, else 1 - exp(polynomial). Coefficients after N. Juffa. */
static LLVMValueRef f32_erf(Emit *e, LLVMValueRef x)
{
    LLVMValueRef a = fabs_(e, x), s = fmul(e, x, x);
    LLVMValueRef near = HORNER(e, s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1);
    near = emit_fma(e, near, x, x);
    LLVMValueRef t = clamp(e, a, 0, 4), t2 = fmul(e, t, t);
    LLVMValueRef hi = emit_fma(e, num(x, -1.72853470e-5), t, num(x, 3.83197126e-4));
    LLVMValueRef lo = emit_fma(e, num(x, -3.88396438e-3), t, num(x, 2.42546219e-2));
    LLVMValueRef r = emit_fma(e, hi, t2, lo);
    r = emit_fma(e, r, t, num(x, -1.06777877e-1));
    r = emit_fma(e, r, t, num(x, -6.34846687e-1));
    r = emit_fma(e, r, t, num(x, -1.28717512e-1));
    r = emit_fma(e, r, t, LLVMBuildFNeg(e->builder, t, ""));
    LLVMValueRef far = fsub(e, num(x, 1), f32_exp(e, r));
    far = emit_intrinsic_like(e, "llvm.copysign", 2, (LLVMValueRef[]){far, x});
    return emit_select(e, fcmp(e, LLVMRealOLE, a, num(x, 0.927734375)), near, far);
}

LLVMValueRef math_f32(Emit *e, Op op, LLVMValueRef x)
{
    switch (op) {
    case OP_exp:     return f32_exp(e, x);
    case OP_expm1:   return f32_expm1(e, x);
    case OP_log:     return f32_log(e, x);
    case OP_log1p:   return f32_log1p(e, x);
    case OP_tanh:    return f32_tanh(e, x);
    case OP_erf:     return f32_erf(e, x);
    case OP_sigmoid: return fdiv_(e, num(x, 1), fadd(e, f32_exp(e, LLVMBuildFNeg(e->builder, x, "")), num(x, 1)));
    default:         return NULL;
    }
}
