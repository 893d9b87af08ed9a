/* body.c - the instructions of a kernel's body at a point: loads by how their address moves along the lanes,
 * stores, checks, and the operators of math.c.
 */
#include <string.h>

#include "codegen/llvm/emit.h"

/* ---- memory by index ------------------------------------------------------------------------------- */

static LLVMValueRef both_masks(Emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return a && b ? LLVMBuildAnd(e->builder, a, b, "") : a ? a : b;
}

/* How far apart lanes are: 0 where that is not a constant. */
static int64_t constant_stride(const Index *x)
{
    int64_t c;
    return x->kind == INDEX_LINEAR && dim_is_const(x->stride, &c) ? c : 0;
}

/* Elements of dtype t in memory: `at` points to that of lane 0, unless they are anywhere (INDEX_ANY) behind `base`. */
typedef struct Place {
    DType        dtype;
    Index        index;
    LLVMValueRef base, at;
    uint32_t     repeat;                /* so many lanes have one element, the next ones the next: at points to the first; else 0 */
} Place;

/* Address d that moves on by one element every c lanes, c of them in step with the vectors: the single term that differs is
 * variable // c. So it is where a pooling's gradient goes back to its windows. 0: another address. */
static uint32_t repeats(Emit *e, Point *p, Dim *d)
{
    uint32_t found = 0;
    if (p->vector < 0 || p->lanes == 1) return 0;
    const KAxis *axis = &p->kernel->axes.at[p->vector];
    const Atom *var = dim_as_sym(axis->var);
    for (uint32_t t = 0; t < d->nterms; t++) {
        const Term *x = &d->term[t];
        Term one = {1, x->natoms, x->atom};
        struct Dim alone = {.nterms = 1, .term = &one, .lo = INT64_MIN, .hi = INT64_MAX};
        if (emit_index(e, p, &alone).kind == INDEX_SAME) continue;
        int64_t c, extent;
        if (found || x->coef != 1 || x->natoms != 1 || x->atom[0]->kind != ATOM_FLOORDIV || dim_as_sym(x->atom[0]->a) != var) return 0;
        if (!dim_is_const(x->atom[0]->b, &c) || (c != 2 && c != 4) || p->lanes % c || (int64_t)p->lanes <= c) return 0;
        /* Runs start at multiples of the vector in the flat index: of c along the axis, if that divides its extent. */
        if (!dim_is_const(axis->extent, &extent) || extent % c) return 0;
        found = (uint32_t)c;
    }
    return found;
}

/* Element d of an operand. */
static Place place_of_operand(Emit *e, Point *p, uint32_t operand, Dim *d, bool may_repeat)
{
    Place m = {.dtype = p->kernel->operands.at[operand].dtype, .repeat = may_repeat ? repeats(e, p, d) : 0, .base = emit_base(e, p, operand)};
    m.index = m.repeat ? (Index){.kind = INDEX_ANY} : emit_index(e, p, d);
    if (m.index.kind != INDEX_ANY || m.repeat) m.at = emit_address(e, p, operand, d);
    return m;
}

/* Element d behind any pointer. */
static Place place_behind(Emit *e, Point *p, DType t, LLVMValueRef base, Dim *d)
{
    Place m = {.dtype = t, .index = emit_index(e, p, d), .base = base};
    if (m.index.kind != INDEX_ANY) m.at = emit_element(e, emit_memory_type(e, t), base, m.index.first);
    return m;
}

/* The address of one lane. */
static LLVMValueRef lane_address(Emit *e, Point *p, const Place *m, uint32_t lane)
{
    LLVMTypeRef t = emit_memory_type(e, m->dtype);
    if (m->index.kind == INDEX_ANY) return emit_element(e, t, m->base, emit_extract(e, m->index.each, lane));
    if (m->index.kind == INDEX_SAME || lane == 0) return m->at;
    return emit_element(e, t, m->at, LLVMBuildMul(e->builder, emit_dim(e, p, m->index.stride), emit_i64(e, lane), ""));
}

/* The element `step` after (or before) lane 0's. */
static LLVMValueRef beside(Emit *e, const Place *m, int64_t step)
{
    return emit_element(e, emit_memory_type(e, m->dtype), m->at, emit_i64(e, step));
}

/* Lanes from any addresses, one by one or with the target's gather. */
static LLVMValueRef gather(Emit *e, Point *p, const Place *m, LLVMValueRef mask)
{
    DType t = m->dtype;
    if (mask && e->target->has_gather && dtype_size(t) >= 4) {
        LLVMValueRef each = m->index.each, from = m->base;
        if (m->index.kind != INDEX_ANY) {
            LLVMValueRef stride = emit_splat(e, emit_dim(e, p, m->index.stride), p->lanes);
            each = LLVMBuildMul(e->builder, emit_steps(e, e->i64, p->lanes), stride, "");
            from = m->at;
        }
        LLVMTypeRef element = emit_memory_type(e, t), type = LLVMVectorType(element, p->lanes);
        LLVMValueRef at = LLVMBuildGEP2(e->builder, element, from, &each, 1, "");
        LLVMValueRef arg[] = {at, emit_i32(e, (int32_t)dtype_size(t)), mask, LLVMConstNull(type)};
        return emit_intrinsic(e, "llvm.masked.gather", 2, (LLVMTypeRef[]){type, LLVMTypeOf(at)}, 4, arg);
    }
    LLVMValueRef v = LLVMGetPoison(emit_vector_type(emit_type(e, t), p->lanes));
    for (uint32_t i = 0; i < p->lanes; i++) {
        LLVMValueRef one = emit_load(e, t, lane_address(e, p, m, i), 1, mask ? emit_extract(e, mask, i) : NULL);
        v = emit_insert(e, v, one, i);
    }
    return v;
}

/* Every other element: 0 .. n-1 and n-1 .. 2n-2 of memory, so that nothing past the last lane's own is read. The masks of
 * the two loads are the lanes', moved to where their elements lie. */
static LLVMValueRef load_pairs(Emit *e, Point *p, const Place *m, LLVMValueRef mask)
{
    LLVMValueRef pick[64], place[2][64], part[2];
    int32_t n = (int32_t)p->lanes;
    for (int32_t i = 0; i < n; i++) {
        pick[i] = emit_i32(e, 2 * i < n ? 2 * i : 2 * i + 1);
        place[0][i] = emit_i32(e, i % 2 ? n : i / 2);           /* n: false */
        place[1][i] = emit_i32(e, i % 2 ? (i + n - 1) / 2 : n);
    }
    for (int j = 0; j < 2; j++) {
        LLVMValueRef here = NULL, none = mask ? LLVMConstNull(LLVMTypeOf(mask)) : NULL;
        if (mask) here = LLVMBuildShuffleVector(e->builder, mask, none, LLVMConstVector(place[j], (unsigned)n), "");
        part[j] = emit_load(e, m->dtype, j ? beside(e, m, n - 1) : m->at, p->lanes, here);
    }
    return LLVMBuildShuffleVector(e->builder, part[0], part[1], LLVMConstVector(pick, (unsigned)n), "");
}

/* Each element for m->repeat lanes. */
static LLVMValueRef load_repeated(Emit *e, Point *p, const Place *m, LLVMValueRef mask, bool zeros)
{
    uint32_t c = m->repeat, n = p->lanes / c;
    LLVMValueRef pick[64], each = NULL, none = mask ? LLVMConstNull(LLVMTypeOf(mask)) : NULL;
    for (uint32_t j = 0; mask && j < c; j++) {                  /* an element is read if one of its lanes is */
        for (uint32_t i = 0; i < n; i++) pick[i] = emit_i32(e, (int32_t)(i * c + j));
        LLVMValueRef part = LLVMBuildShuffleVector(e->builder, mask, none, LLVMConstVector(pick, n), "");
        each = each ? LLVMBuildOr(e->builder, each, part, "") : part;
    }
    LLVMValueRef v = emit_load(e, m->dtype, m->at, n, each);
    for (uint32_t i = 0; i < p->lanes; i++) pick[i] = emit_i32(e, (int32_t)(i / c));
    v = LLVMBuildShuffleVector(e->builder, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(pick, p->lanes), "");
    return zeros ? emit_select(e, mask, v, LLVMConstNull(LLVMTypeOf(v))) : v;
}

/* What is at m; mask (scalar or lanes, or NULL): what may be read. */
static LLVMValueRef load_place(Emit *e, Point *p, const Place *m, LLVMValueRef mask)
{
    bool scalar_mask = mask && emit_type_lanes(LLVMTypeOf(mask)) == 1;
    if (m->index.kind == INDEX_SAME && (!mask || scalar_mask)) return emit_load(e, m->dtype, m->at, 1, mask);
    if (scalar_mask) mask = emit_splat(e, mask, p->lanes);
    bool guarded = mask != NULL;
    mask = both_masks(e, mask, p->mask);
    if (m->repeat) return load_repeated(e, p, m, mask, guarded);
    int64_t stride = constant_stride(&m->index);
    int32_t n = (int32_t)p->lanes;
    if (stride == 1) return emit_load(e, m->dtype, m->at, p->lanes, mask);
    if (m->index.kind == INDEX_SAME) {
        /* One element for those lanes that may read it. */
        LLVMValueRef any = emit_intrinsic_like(e, "llvm.vector.reduce.or", 1, &mask);
        LLVMValueRef v = emit_splat(e, emit_load(e, m->dtype, m->at, 1, any), p->lanes);
        return emit_select(e, mask, v, LLVMConstNull(LLVMTypeOf(v)));
    }
    if (stride == -1 && !mask) {
        LLVMValueRef v = emit_load(e, m->dtype, beside(e, m, 1 - n), p->lanes, NULL);
        return emit_shuffle(e, v, NULL, p->lanes, n - 1, -1);
    }
    if (stride == 2 && (!mask || e->target->has_mask)) return load_pairs(e, p, m, mask);
    return gather(e, p, m, mask);
}

static void store_place(Emit *e, Point *p, const Place *m, LLVMValueRef v)
{
    if (p->lanes == 1 || m->index.kind == INDEX_SAME) {
        emit_store(e, m->dtype, emit_extract(e, v, 0), m->at, p->lanes == 1 ? p->mask : NULL);
        return;
    }
    v = emit_lanes(e, p, v);
    int64_t stride = constant_stride(&m->index);
    int32_t n = (int32_t)p->lanes;
    if (stride == 1) {
        emit_store(e, m->dtype, v, m->at, p->mask);
    } else if (stride == -1 && !p->mask) {
        emit_store(e, m->dtype, emit_shuffle(e, v, NULL, p->lanes, n - 1, -1), beside(e, m, 1 - n), NULL);
    } else {
        for (uint32_t i = 0; i < p->lanes; i++) {
            LLVMValueRef mask = p->mask ? emit_extract(e, p->mask, i) : NULL;
            emit_store(e, m->dtype, emit_extract(e, v, i), lane_address(e, p, m, i), mask);
        }
    }
}

LLVMValueRef emit_get(Emit *e, Point *p, DType t, LLVMValueRef base, Dim *at)
{
    Place m = place_behind(e, p, t, base, at);
    return load_place(e, p, &m, NULL);
}

void emit_put(Emit *e, Point *p, DType t, LLVMValueRef value, LLVMValueRef base, Dim *at)
{
    Place m = place_behind(e, p, t, base, at);
    store_place(e, p, &m, value);
}

/* ---- instructions --------------------------------------------------------------------------------------- */

LLVMValueRef emit_lanes(Emit *e, Point *p, LLVMValueRef v)
{
    return emit_type_lanes(LLVMTypeOf(v)) == 1 ? emit_splat(e, v, p->lanes) : v;
}

static LLVMValueRef emit_check(Emit *e, Point *p, const Inst *in, LLVMValueRef x)
{
    LLVMBuilderRef B = e->builder;
    LLVMTypeRef wide = emit_with_element(LLVMTypeOf(x), e->i64);
    DType t = p->kernel->body.at[in->arg[0]].dtype;
    if (t == DT_u8 || t == DT_bool) x = LLVMBuildZExt(B, x, wide, "");
    else if (t != DT_i64)           x = LLVMBuildSExt(B, x, wide, "");
    Index at = emit_index(e, p, in->at);
    LLVMValueRef limit = at.kind == INDEX_SAME ? at.first : emit_dim_lanes(e, p, in->at);
    if (emit_type_lanes(LLVMTypeOf(limit)) > 1) x = emit_lanes(e, p, x);
    limit = emit_type_lanes(LLVMTypeOf(x)) > 1 ? emit_lanes(e, p, limit) : limit;
    /* Unsigned: a negative x is above every limit; limits are extents, not negative. */
    LLVMValueRef holds = LLVMBuildICmp(B, LLVMIntULT, x, limit, "");
    LLVMValueRef fails = LLVMBuildNot(B, holds, "");
    if (emit_type_lanes(LLVMTypeOf(fails)) > 1) {
        if (p->mask) fails = LLVMBuildAnd(B, fails, p->mask, "");
        fails = emit_intrinsic_like(e, "llvm.vector.reduce.or", 1, &fails);
    }
    /* No branch, and no write unless it fails: other threads write here too. */
    emit_store(e, DT_i64, emit_i64(e, (int64_t)in->site + 1), emit_fault(e, p), fails);
    return holds;
}

static LLVMValueRef constant(Emit *e, const Inst *in)
{
    LLVMTypeRef t = emit_type(e, in->dtype);
    return dtype_is_float(in->dtype) ? LLVMConstReal(t, in->value) : LLVMConstInt(t, (unsigned long long)in->ivalue, true);
}

/* Arguments of inst at p, all scalars or all vectors. */
static void arguments(Emit *e, Point *p, const Inst *in, LLVMValueRef *arg)
{
    bool wide = false;
    for (uint32_t i = 0; i < in->nargs; i++) {
        arg[i] = emit_inst(e, p, in->arg[i]);
        wide = wide || emit_type_lanes(LLVMTypeOf(arg[i])) > 1;
    }
    for (uint32_t i = 0; wide && i < in->nargs; i++) arg[i] = emit_inst_lanes(e, p, in->arg[i]);
}

/* x ** c for the exponents that have a short exact form; NULL for others. */
static LLVMValueRef power_of_constant(Emit *e, const Inst *in, const Inst *exponent, LLVMValueRef x)
{
    if (exponent->kind != K_const) return NULL;
    if (exponent->value == 1.0) return x;
    if (exponent->value == 2.0) return LLVMBuildFMul(e->builder, x, x, "");
    if (exponent->value == -1.0) return LLVMBuildFDiv(e->builder, emit_number(LLVMTypeOf(x), 1), x, "");
    if (exponent->value == 0.5) {
        /* pow(-0, 0.5) is +0 and pow(-inf, 0.5) is inf, other than of sqrt. */
        LLVMTypeRef t = LLVMTypeOf(x);
        LLVMValueRef infinity = emit_number(t, -__builtin_inf());
        LLVMValueRef root = math_op(e, OP_sqrt, in->dtype, in->dtype, &x);
        root = LLVMBuildFAdd(e->builder, root, emit_number(t, 0), "");
        return emit_select(e, LLVMBuildFCmp(e->builder, LLVMRealOEQ, x, infinity, ""), emit_number(t, __builtin_inf()), root);
    }
    return NULL;
}

/* A number that comes as a dim. */
static LLVMValueRef number_of_bits(Emit *e, Point *p, const Inst *in)
{
    LLVMValueRef v = LLVMBuildBitCast(e->builder, emit_dim(e, p, in->at), e->f64, "");
    return in->dtype == DT_f64 ? v : LLVMBuildFPTrunc(e->builder, v, emit_type(e, in->dtype), "");
}

/* The value of one instruction whose operands have theirs; the builder is at p. */
static LLVMValueRef emit_one(Emit *e, Point *p, uint32_t number)
{
    const Kernel *k = p->kernel;
    const Inst *in = &k->body.at[number];
    LLVMValueRef arg[3] = {NULL, NULL, NULL};
    switch (in->kind) {
    case K_const:
        if (in->at) return number_of_bits(e, p, in);
        return constant(e, in);
    case K_index: {
        Index x = emit_index(e, p, in->at);
        LLVMValueRef v = x.kind == INDEX_SAME ? x.first : emit_dim_lanes(e, p, in->at);
        if (in->dtype == DT_i64) return v;
        return math_op(e, OP_cast, DT_i64, in->dtype, &v);
    }
    case K_load: {
        Place m = place_of_operand(e, p, in->operand, in->at, in->pred == NO_INST || e->target->has_mask);
        return load_place(e, p, &m, in->pred == NO_INST ? NULL : emit_inst(e, p, in->pred));
    }
    case K_op: {
        arguments(e, p, in, arg);
        if (in->op == OP_pow) {
            LLVMValueRef short_form = power_of_constant(e, in, &k->body.at[in->arg[1]], arg[0]);
            if (short_form) return short_form;
        }
        DType from = k->body.at[in->arg[in->op == OP_select ? 1 : 0]].dtype;
        return math_op(e, in->op, from, in->dtype, arg);
    }
    case K_rng:
        for (uint32_t i = 0; i < 3; i++) arg[i] = emit_inst(e, p, in->arg[i]);
        return math_rng(e, in->dtype, arg[0], arg[1], emit_dim(e, p, in->at), arg[2]);
    case K_check:
        return emit_check(e, p, in, emit_inst(e, p, in->arg[0]));
    default:
        e->error = arena_printf(e->arena, "%s: instruction %u has no value here", k->name, number);
        return LLVMConstNull(emit_type(e, in->dtype));
    }
}

/* The value of inst if p or a point around it has it. */
static LLVMValueRef known(const Point *p, uint32_t inst)
{
    for (; p; p = p->outer) {
        if (p->value[inst]) return p->value[inst];
    }
    return NULL;
}

LLVMValueRef emit_inst(Emit *e, Point *p, uint32_t inst)
{
    LLVMValueRef v = known(p, inst);
    if (v) return v;
    /* Everything it needs, then in order, so that long chains do not recurse. */
    bool *need = arena_array(e->arena, bool, inst + 1);
    need[inst] = true;
    uint32_t lowest = inst;
    for (uint32_t i = inst + 1; i-- > lowest;) {
        if (!need[i]) continue;
        for (uint32_t j = 0; j < p->info->needs[i].n; j++) {
            uint32_t n = p->info->needs[i].at[j];
            if (known(p, n)) continue;
            need[n] = true;
            if (n < lowest) lowest = n;
        }
    }
    for (uint32_t i = lowest; i <= inst; i++) {
        if (!need[i] || known(p, i)) continue;
        Point *q = point_level(p, p->info->axes[i]);
        LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
        if (q != p) emit_position(e, q->block);
        q->value[i] = emit_one(e, q, i);
        if (q != p) emit_position(e, here);
    }
    return known(p, inst);
}

LLVMValueRef emit_inst_lanes(Emit *e, Point *p, uint32_t inst)
{
    LLVMValueRef v = emit_inst(e, p, inst);
    if (p->lanes == 1 || emit_type_lanes(LLVMTypeOf(v)) > 1) return v;
    if (LLVMIsConstant(v)) return emit_splat(e, v, p->lanes);
    /* Spread where the scalar was made: outside of the loops it does not change in. */
    Point *q = p;
    while (!q->value[inst]) q = q->outer;
    LLVMValueRef wide = q->wide[inst];
    if (wide && emit_type_lanes(LLVMTypeOf(wide)) == p->lanes) return wide;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
    if (q != p) emit_position(e, q->block);
    q->wide[inst] = emit_splat(e, v, p->lanes);
    if (q != p) emit_position(e, here);
    return q->wide[inst];
}

void emit_set(Point *p, uint32_t inst, LLVMValueRef value)
{
    p->sets |= AXES_RESULT;
    p->value[inst] = value;
}

void emit_kstore(Emit *e, Point *p, const KStore *s)
{
    LLVMValueRef v = emit_inst(e, p, s->inst);
    Place m = place_of_operand(e, p, s->operand, s->at, false);
    if (p->lanes > 1 && m.index.kind != INDEX_SAME) v = emit_inst_lanes(e, p, s->inst);
    store_place(e, p, &m, v);
}

void emit_checks(Emit *e, Point *p)
{
    uint64_t inside = 0;                /* what p and the points around it give */
    for (Point *q = p; q; q = q->outer) inside |= q->sets;
    for (uint32_t i = 0; i < p->kernel->body.n; i++) {
        if (p->kernel->body.at[i].kind == K_check && !(p->info->axes[i] & ~inside)) emit_inst(e, p, i);
    }
}

/* ---- what schedules ask --------------------------------------------------------------------------------------- */

uint32_t kernel_lanes(const Target *t, const Kernel *k)
{
    size_t widest = 4;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        bool counts = dtype_is_float(in->dtype) || in->kind == K_reduce || in->kind == K_argreduce;
        if (counts && dtype_size(in->dtype) > widest) widest = dtype_size(in->dtype);
    }
    for (uint32_t i = 0; i < k->stores.n; i++) {
        size_t size = dtype_size(k->operands.at[k->stores.at[i].operand].dtype);
        if (size > widest) widest = size;
    }
    return t->bytes / (uint32_t)widest;
}

bool kernel_is_costly(const Inst *i)
{
    if (i->kind == K_rng) return true;
    if (i->kind != K_op || !dtype_is_float(i->dtype)) return false;
    switch (i->op) {
    case OP_exp: case OP_expm1: case OP_log: case OP_log1p: case OP_sqrt: case OP_rsqrt: case OP_sin: case OP_cos: case OP_tanh:
    case OP_erf: case OP_sigmoid: case OP_div: case OP_floordiv: case OP_mod: case OP_pow:
        return true;
    default:
        return false;
    }
}
