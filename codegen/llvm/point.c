/* point.c - places where a kernel's body is evaluated, and the values of index polynomials there.
 *
 * A polynomial is split by the points that set its variables: each point adds what changes with its own variables to
 * the sum that the outer point computed once, so a loop body is left with additions.
 */
#include "codegen/llvm/emit.h"

/* ---- what depends on what --------------------------------------------------------------------- */

uint32_t kernel_index_inst(const Kernel *k, const Atom *a)
{
    for (uint32_t i = 0; i < k->body.n; i++) {
        if (k->body.at[i].as_index == a) return i;
    }
    return NO_INST;
}

int64_t kernel_step(const Kernel *k, Dim *at, uint32_t i)
{
    Dim *coef, *rest;
    int64_t c;
    if (!dim_linear(k->module, at, dim_as_sym(k->axes.at[i].var), &coef, &rest)) return 0;
    return dim_is_const(coef, &c) ? c : 0;
}

static uint64_t axes_of_dim(const Kernel *k, const uint64_t *inst_axes, Dim *d)
{
    uint64_t axes = 0;
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *a = d->term[t].atom[j];
            if (a->kind != ATOM_SYM) {
                axes |= axes_of_dim(k, inst_axes, a->a) | axes_of_dim(k, inst_axes, a->b);
                continue;
            }
            bool axis = false;
            for (uint32_t i = 0; i < k->axes.n && !axis; i++) {
                axis = dim_as_sym(k->axes.at[i].var) == a;
                if (axis) axes |= UINT64_C(1) << i;
            }
            uint32_t inst = axis ? NO_INST : kernel_index_inst(k, a);
            if (inst != NO_INST) axes |= inst_axes[inst];
        }
    }
    return axes;
}

uint64_t kernel_axes_of_dim(const KernelInfo *info, Dim *d)
{
    return axes_of_dim(info->kernel, info->axes, d);
}

/* The insts whose values are symbols of d. */
static void needs_of_dim(Arena *a, const Kernel *k, struct InstList *needs, Dim *d)
{
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *at = d->term[t].atom[j];
            if (at->kind != ATOM_SYM) {
                needs_of_dim(a, k, needs, at->a);
                needs_of_dim(a, k, needs, at->b);
            } else {
                uint32_t inst = kernel_index_inst(k, at);
                if (inst != NO_INST) vec_push(a, needs, inst);
            }
        }
    }
}

const KernelInfo *kernel_info(Arena *a, const Kernel *k)
{
    KernelInfo *info = arena_new(a, KernelInfo);
    info->kernel = k;
    info->axes = arena_array(a, uint64_t, k->body.n + 1);
    info->needs = arena_array(a, struct InstList, k->body.n + 1);
    uint64_t last = 0;                  /* axes that reductions and contractions run over */
    for (uint32_t i = 0; i < k->axes.n; i++) {
        AxisRole r = k->axes.at[i].role;
        if (r == AXIS_REDUCED || r == AXIS_DEPTH) last |= UINT64_C(1) << i;
    }
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        uint64_t axes = 0;
        for (uint32_t j = 0; j < in->nargs; j++) {
            vec_push(a, &info->needs[i], in->arg[j]);
            axes |= info->axes[in->arg[j]];
        }
        if (in->kind == K_load && in->pred != NO_INST) {
            vec_push(a, &info->needs[i], in->pred);
            axes |= info->axes[in->pred];
        }
        if (in->at) {
            needs_of_dim(a, k, &info->needs[i], in->at);
            axes |= axes_of_dim(k, info->axes, in->at);
        }
        if (in->kind == K_reduce || in->kind == K_argreduce || in->kind == K_contract) {
            axes = (axes & ~last) | AXES_RESULT;
        }
        info->axes[i] = axes;
    }
    return info;
}

/* ---- points --------------------------------------------------------------------------------------- */

static Point *point_new(Emit *e, const Kernel *k)
{
    Point *p = arena_new(e->arena, Point);
    p->kernel = k;
    p->value = arena_array(e->arena, LLVMValueRef, k->body.n + 1);
    p->wide = arena_array(e->arena, LLVMValueRef, k->body.n + 1);
    p->vector = -1;
    p->lanes = 1;
    p->block = LLVMGetInsertBlock(e->builder);
    return p;
}

Point *point_entry(Emit *e, const Kernel *k, LLVMValueRef env)
{
    Point *p = point_new(e, k);
    p->info = kernel_info(e->arena, k);
    p->sym = arena_array(e->arena, LLVMValueRef, k->syms.n + 1);
    p->base = arena_array(e->arena, LLVMValueRef, k->operands.n + 1);
    p->env = env;
    return p;
}

Point *point_inner(Emit *e, Point *outer)
{
    Point *p = point_new(e, outer->kernel);
    p->outer = outer;
    p->info = outer->info;
    p->vector = outer->vector;
    p->lanes = outer->lanes;
    p->mask = outer->mask;
    return p;
}

void point_set(Point *p, uint32_t axis, LLVMValueRef value)
{
    p->sets |= UINT64_C(1) << axis;
    p->var[axis] = value;
}

void point_set_vector(Point *p, uint32_t axis, LLVMValueRef first, uint32_t lanes, LLVMValueRef mask)
{
    point_set(p, axis, first);
    p->lanes = lanes;
    p->vector = lanes > 1 ? (int32_t)axis : -1;
    p->mask = mask;
}

void point_here(Emit *e, Point *p)
{
    p->block = LLVMGetInsertBlock(e->builder);
}

Point *point_level(Point *p, uint64_t axes)
{
    while (p->outer && !(p->sets & axes)) p = p->outer;
    return p;
}

static Point *entry_of(Point *p)
{
    while (p->outer) p = p->outer;
    return p;
}

/* Field number i of the RtEnv: buf, dim, fault. */
static LLVMValueRef env_field(Emit *e, Point *entry, int i)
{
    LLVMValueRef at = emit_element(e, e->ptr, entry->env, emit_i64(e, i));
    return LLVMBuildLoad2(e->builder, e->ptr, at, "");
}

LLVMValueRef emit_base(Emit *e, Point *p, uint32_t operand)
{
    Point *entry = entry_of(p);
    if (!entry->base[operand]) {
        LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
        emit_position(e, entry->block);
        LLVMValueRef at = emit_element(e, e->ptr, env_field(e, entry, 0), emit_i64(e, operand));
        entry->base[operand] = LLVMBuildLoad2(e->builder, e->ptr, at, "");
        emit_position(e, here);
    }
    return entry->base[operand];
}

LLVMValueRef emit_fault(Emit *e, Point *p)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
    Point *entry = entry_of(p);
    if (!entry->fault) {
        emit_position(e, entry->block);
        entry->fault = env_field(e, entry, 2);
        emit_position(e, here);
    }
    return entry->fault;
}

/* The value of one of the kernel's symbols. */
static LLVMValueRef symbol(Emit *e, Point *p, const Atom *a)
{
    Point *entry = entry_of(p);
    uint32_t i = 0;
    while (i < p->kernel->syms.n && p->kernel->syms.at[i] != a) i++;
    if (i == p->kernel->syms.n) {
        e->error = arena_printf(e->arena, "%s: symbol %s is not among the kernel's", p->kernel->name, a->name);
        return emit_i64(e, 0);
    }
    if (!entry->sym[i]) {
        LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
        emit_position(e, entry->block);
        LLVMValueRef at = emit_element(e, e->i64, env_field(e, entry, 1), emit_i64(e, i));
        entry->sym[i] = LLVMBuildLoad2(e->builder, e->i64, at, a->name);
        emit_position(e, here);
    }
    return entry->sym[i];
}

/* ---- polynomials that all lanes agree on ------------------------------------------------------------ */

/* The axis that a is the variable of, or -1. */
static int32_t axis_of(const Kernel *k, const Atom *a)
{
    for (uint32_t i = 0; i < k->axes.n; i++) {
        if (dim_as_sym(k->axes.at[i].var) == a) return (int32_t)i;
    }
    return -1;
}

/* a as i64 in place of an index: signed but for u8. */
static LLVMValueRef widen_index(Emit *e, const Inst *in, LLVMValueRef v)
{
    LLVMTypeRef t = emit_with_element(LLVMTypeOf(v), e->i64);
    if (in->dtype == DT_i64) return v;
    bool sign = in->dtype != DT_u8 && in->dtype != DT_bool;
    return sign ? LLVMBuildSExt(e->builder, v, t, "") : LLVMBuildZExt(e->builder, v, t, "");
}

/* An axis, a symbol or a value of the body: scalar, or one a lane (the vector axis: its value in lane 0). */
static LLVMValueRef symbol_value(Emit *e, Point *p, const Atom *a)
{
    int32_t axis = axis_of(p->kernel, a);
    if (axis >= 0) {
        for (Point *q = p; q; q = q->outer) {
            if (q->sets >> axis & 1) return q->var[axis];
        }
        e->error = arena_printf(e->arena, "%s: variable %s has no value here", p->kernel->name, a->name);
        return emit_i64(e, 0);
    }
    uint32_t inst = kernel_index_inst(p->kernel, a);
    if (inst != NO_INST) return widen_index(e, &p->kernel->body.at[inst], emit_inst(e, p, inst));
    return symbol(e, p, a);
}

/* a op b of floordiv, mod, min, max; b of the first two is positive. */
static LLVMValueRef atom_op(Emit *e, const Atom *at, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef B = e->builder;
    LLVMTypeRef t = LLVMTypeOf(a);
    int64_t c = 0;
    bool constant = (at->kind == ATOM_FLOORDIV || at->kind == ATOM_MOD) && dim_is_const(at->b, &c) && c > 0;
    bool power = constant && (c & (c - 1)) == 0;
    switch (at->kind) {
    case ATOM_FLOORDIV:
        if (power) return LLVMBuildAShr(B, a, emit_integer(t, __builtin_ctzll((unsigned long long)c)), "");
        if (at->a->lo < 0) return math_floordiv(e, a, b);
        break;
    case ATOM_MOD:
        if (power) return LLVMBuildAnd(B, a, emit_integer(t, c - 1), "");
        if (at->a->lo < 0) return math_mod(e, a, b);
        break;
    case ATOM_MIN:
        return emit_select(e, LLVMBuildICmp(B, LLVMIntSLT, a, b, ""), a, b);
    default:
        return emit_select(e, LLVMBuildICmp(B, LLVMIntSGT, a, b, ""), a, b);
    }
    /* Neither side is negative. By a constant it becomes a multiplication; narrow where the range allows. */
    bool narrow = constant && at->a->hi <= INT32_MAX && c <= INT32_MAX;
    if (narrow) {
        LLVMTypeRef n = emit_with_element(t, e->i32);
        a = LLVMBuildTrunc(B, a, n, "");
        b = LLVMBuildTrunc(B, b, n, "");
    }
    LLVMValueRef r = at->kind == ATOM_FLOORDIV ? LLVMBuildUDiv(B, a, b, "") : LLVMBuildURem(B, a, b, "");
    return narrow ? LLVMBuildZExt(B, r, t, "") : r;
}

static LLVMValueRef add(Emit *e, LLVMValueRef sum, LLVMValueRef v)
{
    return sum ? LLVMBuildAdd(e->builder, sum, v, "") : v;
}

static LLVMValueRef times(Emit *e, LLVMValueRef v, LLVMValueRef factor)
{
    if (v && LLVMIsConstant(factor) && emit_type_lanes(LLVMTypeOf(factor)) == 1 && LLVMConstIntGetSExtValue(factor) == 1) return v;
    return v ? LLVMBuildMul(e->builder, v, factor, "") : factor;
}

/* d at p term by term, without looking for what could be computed further out. */
static LLVMValueRef sum_of_terms(Emit *e, Point *p, Dim *d)
{
    LLVMValueRef sum = NULL;
    for (uint32_t t = 0; t < d->nterms; t++) {
        LLVMValueRef v = NULL;
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *at = d->term[t].atom[j];
            v = times(e, v, at->kind == ATOM_SYM ? symbol_value(e, p, at) : atom_op(e, at, emit_dim(e, p, at->a), emit_dim(e, p, at->b)));
        }
        LLVMValueRef coef = emit_i64(e, d->term[t].coef);
        sum = add(e, sum, v ? times(e, v, coef) : coef);
    }
    return sum ? sum : emit_i64(e, 0);
}

/* Take off d what is linear in the variables that p sets, as a sum; NULL: nothing is. *rest may belong further out. */
static LLVMValueRef own_part(Emit *e, Point *p, Dim *d, Dim **rest)
{
    LLVMValueRef sum = NULL;
    *rest = d;
    for (uint32_t i = 0; i < p->kernel->axes.n && p->outer; i++) {
        Dim *coef, *left;
        if (!(p->sets >> i & 1) || !dim_linear(p->kernel->module, *rest, dim_as_sym(p->kernel->axes.at[i].var), &coef, &left)) continue;
        if (dim_equals(coef, 0)) continue;
        sum = add(e, sum, times(e, p->var[i], emit_dim(e, p, coef)));
        *rest = left;
    }
    return sum;
}

LLVMValueRef emit_dim(Emit *e, Point *p, Dim *d)
{
    int64_t c;
    if (dim_is_const(d, &c)) return emit_i64(e, c);
    Point *q = point_level(p, kernel_axes_of_dim(p->info, d));
    for (uint32_t i = 0; i < q->dims.n; i++) {
        if (q->dims.at[i].dim == d) return q->dims.at[i].value;
    }
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
    if (q != p) emit_position(e, q->block);
    Dim *rest;
    LLVMValueRef sum = own_part(e, q, d, &rest);
    if (!sum) sum = sum_of_terms(e, q, d);
    else if (!dim_equals(rest, 0)) sum = add(e, emit_dim(e, q, rest), sum);
    vec_push(e->arena, &q->dims, ((struct PointDim){d, sum}));
    if (q != p) emit_position(e, here);
    return sum;
}

LLVMValueRef emit_address(Emit *e, Point *p, uint32_t operand, Dim *d)
{
    Point *q = point_level(p, kernel_axes_of_dim(p->info, d));
    for (uint32_t i = 0; i < q->addresses.n; i++) {
        if (q->addresses.at[i].dim == d && q->addresses.at[i].operand == operand) return q->addresses.at[i].value;
    }
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
    if (q != p) emit_position(e, q->block);
    Dim *rest;
    LLVMValueRef step = own_part(e, q, d, &rest);
    /* What belongs further out is an address there; a loop then has [address + variable * size] to do, which is one operand. */
    bool split = step && !(q->sets & kernel_axes_of_dim(p->info, rest));
    LLVMValueRef base = split && !dim_equals(rest, 0) ? emit_address(e, q, operand, rest) : emit_base(e, q, operand);
    if (!split) step = emit_dim(e, q, d);
    LLVMValueRef at = emit_element(e, emit_memory_type(e, p->kernel->operands.at[operand].dtype), base, step);
    vec_push(e->arena, &q->addresses, ((struct PointAddress){d, operand, at}));
    if (q != p) emit_position(e, here);
    return at;
}

LLVMValueRef emit_dim_outside(Emit *e, Point *outer, Dim *d)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
    emit_position(e, outer->block);
    LLVMValueRef v = emit_dim(e, outer, d);
    emit_position(e, here);
    return v;
}

/* ---- polynomials that differ from lane to lane --------------------------------------------------------- */

/* Do lanes disagree about d? */
static bool differs(Emit *e, Point *p, Dim *d)
{
    if (p->lanes == 1) return false;
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *at = d->term[t].atom[j];
            if (at->kind != ATOM_SYM) {
                if (differs(e, p, at->a) || differs(e, p, at->b)) return true;
                continue;
            }
            int32_t axis = axis_of(p->kernel, at);
            if (axis >= 0 && axis == p->vector) return true;
            if (axis < 0 && kernel_index_inst(p->kernel, at) == NO_INST) continue;
            if (emit_type_lanes(LLVMTypeOf(symbol_value(e, p, at))) > 1) return true;
        }
    }
    return false;
}

/* a // c or a % c for lanes that rise by a constant from a scalar x: with x = q c + r, lane l has (r + l s) // c more
 * than q, and its remainder. So only small numbers are divided lane by lane, in 32 bits. NULL: not of that form. */
static LLVMValueRef divide_steps(Emit *e, Point *p, const Atom *at)
{
    LLVMBuilderRef B = e->builder;
    int64_t c, s;
    if ((at->kind != ATOM_FLOORDIV && at->kind != ATOM_MOD) || !dim_is_const(at->b, &c) || c <= 0 || c > 1 << 24) return NULL;
    Index x = emit_index(e, p, at->a);
    if (x.kind != INDEX_LINEAR || !dim_is_const(x.stride, &s) || s < 0 || s > 1 << 20) return NULL;
    Atom quotient = *at, remainder = *at;
    quotient.kind = ATOM_FLOORDIV;
    remainder.kind = ATOM_MOD;
    LLVMValueRef divisor = emit_i64(e, c), r = atom_op(e, &remainder, x.first, divisor);
    LLVMTypeRef wide = emit_vector_type(e->i64, p->lanes);
    LLVMValueRef step = LLVMBuildMul(B, emit_steps(e, e->i32, p->lanes), emit_splat(e, emit_i32(e, (int32_t)s), p->lanes), "");
    LLVMValueRef small = LLVMBuildAdd(B, emit_splat(e, LLVMBuildTrunc(B, r, e->i32, ""), p->lanes), step, "");
    LLVMValueRef by = emit_splat(e, emit_i32(e, (int32_t)c), p->lanes);
    if (at->kind == ATOM_MOD) return LLVMBuildZExt(B, LLVMBuildURem(B, small, by, ""), wide, "");
    LLVMValueRef more = LLVMBuildZExt(B, LLVMBuildUDiv(B, small, by, ""), wide, "");
    return LLVMBuildAdd(B, emit_splat(e, atom_op(e, &quotient, x.first, divisor), p->lanes), more, "");
}

static LLVMValueRef atom_lanes(Emit *e, Point *p, const Atom *at)
{
    LLVMValueRef divided = at->kind != ATOM_SYM ? divide_steps(e, p, at) : NULL;
    if (divided) return divided;
    if (at->kind != ATOM_SYM) return atom_op(e, at, emit_dim_lanes(e, p, at->a), emit_dim_lanes(e, p, at->b));
    LLVMValueRef v = symbol_value(e, p, at);
    if (emit_type_lanes(LLVMTypeOf(v)) > 1) return v;
    v = emit_splat(e, v, p->lanes);
    if (axis_of(p->kernel, at) == p->vector) v = LLVMBuildAdd(e->builder, v, emit_steps(e, e->i64, p->lanes), "");
    return v;
}

LLVMValueRef emit_dim_lanes(Emit *e, Point *p, Dim *d)
{
    Index x = emit_index(e, p, d);
    if (x.kind == INDEX_ANY) return x.each;
    LLVMValueRef v = emit_splat(e, x.first, p->lanes);
    if (x.kind == INDEX_SAME) return v;
    LLVMValueRef stride = emit_splat(e, emit_dim(e, p, x.stride), p->lanes);
    return LLVMBuildAdd(e->builder, v, LLVMBuildMul(e->builder, emit_steps(e, e->i64, p->lanes), stride, ""), "");
}

Index emit_index(Emit *e, Point *p, Dim *d)
{
    Index x = {INDEX_SAME, NULL, NULL, NULL};
    if (!differs(e, p, d)) {
        x.first = emit_dim(e, p, d);
        return x;
    }
    Dim *coef, *rest;
    if (p->vector >= 0 && dim_linear(p->kernel->module, d, dim_as_sym(p->kernel->axes.at[p->vector].var), &coef, &rest) &&
        !differs(e, p, coef) && !differs(e, p, rest)) {
        x.kind = INDEX_LINEAR;
        x.first = emit_dim(e, p, d);
        x.stride = coef;
        return x;
    }
    x.kind = INDEX_ANY;
    LLVMValueRef same = NULL, sum = NULL;
    for (uint32_t t = 0; t < d->nterms; t++) {
        LLVMValueRef v = NULL;
        LLVMValueRef coef_value = emit_i64(e, d->term[t].coef), factor = NULL;
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *at = d->term[t].atom[j];
            Term one = {1, 1, &at};
            struct Dim alone = {.nterms = 1, .term = &one, .lo = INT64_MIN, .hi = INT64_MAX};
            if (differs(e, p, &alone)) {
                v = times(e, v, atom_lanes(e, p, at));
            } else {
                LLVMValueRef u = at->kind == ATOM_SYM ? symbol_value(e, p, at)
                                                      : atom_op(e, at, emit_dim(e, p, at->a), emit_dim(e, p, at->b));
                factor = times(e, factor, u);
            }
        }
        factor = factor ? times(e, factor, coef_value) : coef_value;
        if (!v) same = add(e, same, factor);
        else if (LLVMIsConstant(factor) && LLVMConstIntGetSExtValue(factor) == 1) sum = add(e, sum, v);
        else sum = add(e, sum, LLVMBuildMul(e->builder, v, emit_splat(e, factor, p->lanes), ""));
    }
    x.each = same ? LLVMBuildAdd(e->builder, sum, emit_splat(e, same, p->lanes), "") : sum;
    return x;
}
