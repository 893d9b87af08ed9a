/* contract.c - contractions: the pieces that runtime/gemm.c puts its loops around.
 *
 * A kernel's K_contract inst multiplies a, of (batch, row, depth), by b, of (batch, depth, column). An operand that is
 * a plain load whose address is linear in the flat row (column) and in the flat depth needs no code but its strides;
 * any other gets a packing function: the image side of a convolution, gathered rows, work fused in front. The result
 * goes to memory directly, or tile by tile through an epilogue that runs the rest of the body.
 *
 *   at(batch, offset)                   element offsets of what is linear
 *   pack(batch, i0, i1, dst, width)     a panel of rows or columns [i0, i1), all of the depth
 *   epilogue(batch, m0, m1, n0, n1, tile, ld)
 */
#include "codegen/llvm/llvm.h"

/* FEW_ROWS as gemm.c: with no more, a b with adjacent columns is not packed. Packing does so many vectors side by side,
 * and so many stores in its innermost loop. */
enum { FEW_ROWS = 64, GROUP = 3, SPOTS = 9 };

/* Axes of one role, outermost first, as loops see them: neighbours that are one in every address of a function (though
 * not of the whole kernel) are a single loop, whose index the last of them takes while the others stand at 0. */
typedef struct Axes {
    uint32_t n;
    uint32_t axis[POINT_AXES];
    Dim     *extent[POINT_AXES];
    uint64_t bits, zero;            /* all axes of the role; those that stand at 0 */
} Axes;

static Axes axes_of(const Kernel *k, AxisRole role)
{
    Axes a = {0};
    for (uint32_t i = 0; i < k->axes.n; i++) {
        if (k->axes.at[i].role != role) continue;
        a.bits |= UINT64_C(1) << i;
        a.axis[a.n] = i;
        a.extent[a.n++] = k->axes.at[i].extent;
    }
    return a;
}

/* What contract_emit works on. */
typedef struct Contract {
    Emit             *e;
    const Kernel     *k;
    const KernelInfo *info;
    uint32_t          inst;         /* K_contract */
    DType             dtype;
    uint32_t          lanes;
} Contract;

static uint32_t arg_of(const Contract *c, bool is_b) { return c->k->body.at[c->inst].arg[is_b]; }
static AxisRole role_of(bool is_b) { return is_b ? AXIS_COLUMN : AXIS_ROW; }

/* ---- linear operands ------------------------------------------------------------------------------------------------ */

/* Does the address use a value that the body computes? */
static bool uses_values(const Kernel *k, Dim *d)
{
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *a = d->term[t].atom[j];
            if (a->kind != ATOM_SYM ? uses_values(k, a->a) || uses_values(k, a->b) : kernel_index_inst(k, a) != NO_INST) return true;
        }
    }
    return false;
}

/* The address with the axes of a role at 0. */
static Dim *without(const Kernel *k, Dim *d, AxisRole role)
{
    Axes x = axes_of(k, role);
    for (uint32_t i = 0; i < x.n; i++) {
        const Atom *var = dim_as_sym(k->axes.at[x.axis[i]].var);
        Dim *zero = dim_const(k->module, 0);
        if (!(d = dim_subst(k->module, d, 1, &var, &zero))) return NULL;
    }
    return d;
}

/* Strides over the flat indices of two roles, and the rest: the offset for the batch. */
typedef struct Linear { Dim *outer, *inner, *rest; } Linear;

static bool linear(const Kernel *k, Dim *at, AxisRole outer, AxisRole inner, Linear *l)
{
    if (uses_values(k, at)) return false;
    l->outer = kernel_flat_stride(k, at, outer);
    l->inner = kernel_flat_stride(k, at, inner);
    if (!l->outer || !l->inner) return false;
    l->rest = without(k, at, outer);
    if (l->rest) l->rest = without(k, l->rest, inner);
    return l->rest != NULL;
}

/* Is the operand an unconditional load of linear address? */
static bool linear_operand(const Contract *c, bool is_b, Linear *l)
{
    const Inst *in = &c->k->body.at[arg_of(c, is_b)];
    if (in->kind != K_load || in->pred != NO_INST || in->dtype != c->dtype) return false;
    return linear(c->k, in->at, role_of(is_b), AXIS_DEPTH, l);
}

/* Insts that `inst` is computed from, itself included, marked. */
static bool *insts_behind(const Contract *c, uint32_t inst)
{
    bool *need = arena_array(c->e->arena, bool, c->k->body.n + 1);
    need[inst] = true;
    for (uint32_t i = inst + 1; i-- > 0;) {
        if (!need[i]) continue;
        for (uint32_t j = 0; j < c->info->needs[i].n; j++) need[c->info->needs[i].at[j]] = true;
    }
    return need;
}

/* Does it use a symbol of the call, rather than axes and values of the body (which have an extent)? */
static bool uses_symbols(Dim *d)
{
    for (uint32_t t = 0; t < d->nterms; t++) {
        for (uint32_t j = 0; j < d->term[t].natoms; j++) {
            const Atom *a = d->term[t].atom[j];
            if (a->kind != ATOM_SYM ? uses_symbols(a->a) || uses_symbols(a->b) : !a->extent) return true;
        }
    }
    return false;
}

/* The same at every call, until params change: made of constant operands by addresses without symbols. */
static bool is_constant(const Contract *c, bool is_b)
{
    bool *need = insts_behind(c, arg_of(c, is_b));
    for (uint32_t i = 0; i < c->k->body.n; i++) {
        const Inst *in = &c->k->body.at[i];
        if (!need[i]) continue;
        if (in->kind == K_rng || in->kind == K_check || (in->kind == K_load && !c->k->operands.at[in->operand].constant)) return false;
        if (in->at && uses_symbols(in->at)) return false;
    }
    return true;
}

/* ---- loops ------------------------------------------------------------------------------------------------------------- */

/* Is at = c * (outer * extent + inner) + rest? */
static bool is_one(const Kernel *k, Dim *at, uint32_t outer, uint32_t inner, Dim *extent)
{
    Dim *co, *ci, *rest;
    if (!dim_linear(k->module, at, dim_as_sym(k->axes.at[outer].var), &co, &rest)) return false;
    if (!dim_linear(k->module, rest, dim_as_sym(k->axes.at[inner].var), &ci, &rest)) return false;
    return co == dim_mul(k->module, ci, extent);
}

/* The axes of a role for a function that computes the insts `need`, and the stores if `stores`. */
static Axes merged_axes(const Contract *c, AxisRole role, const bool *need, bool stores)
{
    const Kernel *k = c->k;
    Axes all = axes_of(k, role), a = {.bits = all.bits};
    for (uint32_t i = 0; i < all.n; i++) {
        bool one = a.n > 0;
        for (uint32_t j = 0; j < k->body.n && one; j++)
            if (need[j] && k->body.at[j].at) one = is_one(k, k->body.at[j].at, a.axis[a.n - 1], all.axis[i], all.extent[i]);
        for (uint32_t j = 0; j < k->stores.n && one && stores; j++) one = is_one(k, k->stores.at[j].at, a.axis[a.n - 1], all.axis[i], all.extent[i]);
        Dim *both = one ? dim_mul(k->module, a.extent[a.n - 1], all.extent[i]) : NULL;
        if (both) {
            a.zero |= UINT64_C(1) << a.axis[a.n - 1];
            a.axis[a.n - 1] = all.axis[i];
            a.extent[a.n - 1] = both;
            continue;
        }
        a.axis[a.n] = all.axis[i];
        a.extent[a.n++] = all.extent[i];
    }
    return a;
}

static void set_zeros(Emit *e, Point *p, const Axes *a)
{
    for (uint32_t i = 0; i < p->kernel->axes.n; i++)
        if (a->zero >> i & 1) point_set(p, i, emit_i64(e, 0));
}

/* ---- functions of a batch item ------------------------------------------------------------------------------------------ */

/* The axes of a flat index, outermost first. */
static void split_flat(Emit *e, Point *p, const Axes *x, LLVMValueRef flat, LLVMValueRef *var)
{
    for (uint32_t i = x->n; i-- > 1;) {
        LLVMValueRef extent = emit_dim(e, p, x->extent[i]);
        var[i] = LLVMBuildURem(e->builder, flat, extent, "");
        flat = LLVMBuildUDiv(e->builder, flat, extent, "");
    }
    var[0] = flat;
}

/* The axes of the flat index + n: the last one moves on, the others by carries (n only runs up to its extent). */
static void advance(Emit *e, Point *p, const Axes *x, const LLVMValueRef *var, LLVMValueRef n, LLVMValueRef *next)
{
    LLVMValueRef v = LLVMBuildAdd(e->builder, var[x->n - 1], n, ""), carry = NULL;
    for (uint32_t i = x->n; i-- > 0;) {
        if (carry) v = LLVMBuildAdd(e->builder, var[i], LLVMBuildZExt(e->builder, carry, e->i64, ""), "");
        next[i] = v;
        if (i == 0) break;
        carry = LLVMBuildICmp(e->builder, LLVMIntEQ, v, emit_dim(e, p, x->extent[i]), "");
        next[i] = emit_select(e, carry, emit_i64(e, 0), v);
    }
}

/* A function (env, batch, ...), standing at a point that sets the batch axes. *entry: its entry point. */
static Point *begin_function(Contract *c, const char *suffix, LLVMTypeRef *more, uint32_t n, Point **entry)
{
    Emit *e = c->e;
    LLVMTypeRef arg[10] = {e->ptr, e->i64};
    for (uint32_t i = 0; i < n; i++) arg[2 + i] = more[i];
    LLVMValueRef f = emit_function(e, arena_printf(e->arena, "%s_%s", c->k->name, suffix), LLVMFunctionType(e->void_, arg, 2 + n, false), true);
    *entry = point_entry(e, c->k, LLVMGetParam(f, 0));
    Axes batch = axes_of(c->k, AXIS_BATCH);
    if (!batch.n) return *entry;
    LLVMValueRef var[POINT_AXES];
    split_flat(e, *entry, &batch, LLVMGetParam(f, 1), var);
    Point *p = point_inner(e, *entry);
    for (uint32_t i = 0; i < batch.n; i++) point_set(p, batch.axis[i], var[i]);
    return p;
}

static LLVMValueRef emit_at(Contract *c, Dim *const offset[3])
{
    Emit *e = c->e;
    Point *entry;
    bool any = false;
    for (int i = 0; i < 3; i++) any |= offset[i] && !dim_equals(offset[i], 0);
    if (!any) return NULL;
    Point *p = begin_function(c, "at", (LLVMTypeRef[]){e->ptr}, 1, &entry);
    LLVMValueRef f = e->function;
    for (int i = 0; i < 3; i++) {
        LLVMValueRef value = offset[i] ? emit_dim(e, p, offset[i]) : emit_i64(e, 0);
        emit_store(e, DT_i64, value, emit_element(e, e->i64, LLVMGetParam(f, 2), emit_i64(e, i)), NULL);
    }
    LLVMBuildRetVoid(e->builder);
    return f;
}

/* ---- vectors along an axis ------------------------------------------------------------------------------------------------ */

/* Does something at these points, which are `n` vectors (or scalars) side by side; `at`: the first one's distance from
 * the start of the run. */
typedef void VectorBody(void *user, Point **p, uint32_t n, LLVMValueRef at);

/* Values [from, from + count) of an axis inside `outer`: groups of whole vectors, single ones, and a tail: masked, or scalars
 * on targets without masks. */
static void vector_run(Contract *c, Point *outer, uint32_t axis, Dim *axis_extent, LLVMValueRef from, LLVMValueRef count, uint32_t group, VectorBody *body, void *user)
{
    Emit *e = c->e;
    LLVMBuilderRef B = e->builder;
    LLVMValueRef at = emit_i64(e, 0);
    int64_t most, extent = dim_is_const(axis_extent, &most) ? most : INT64_MAX;
    for (uint32_t n = group; n > 0; n = n > 1 ? 1 : 0) {
        int64_t width = (int64_t)n * c->lanes;
        if (extent < width) continue;
        LLVMValueRef left = LLVMBuildSub(B, count, at, ""), whole;
        if (n == 1) {
            whole = LLVMBuildAnd(B, left, emit_i64(e, -width), "");
        } else {
            whole = LLVMBuildMul(B, LLVMBuildUDiv(B, left, emit_i64(e, width), ""), emit_i64(e, width), "");
        }
        LLVMValueRef end = LLVMBuildAdd(B, at, whole, "");
        Loop l;
        loop_begin(e, &l, at, end, emit_i64(e, width), 0, NULL);
        Point *p[GROUP];
        for (uint32_t i = 0; i < n; i++) {
            p[i] = point_inner(e, outer);
            LLVMValueRef first = LLVMBuildAdd(B, from, LLVMBuildAdd(B, l.i, emit_i64(e, (int64_t)i * c->lanes), ""), "");
            point_set_vector(p[i], axis, first, c->lanes, NULL);
        }
        body(user, p, n, l.i);
        loop_end(e, &l, NULL);
        at = end;
    }
    bool masked = e->target->has_mask;
    if (masked && extent != INT64_MAX && extent % c->lanes == 0 && LLVMIsConstant(from) && LLVMIsConstant(count)) return;
    Loop l;
    loop_begin(e, &l, at, count, emit_i64(e, masked ? c->lanes : 1), 0, NULL);
    Point *p = point_inner(e, outer);
    LLVMValueRef first = LLVMBuildAdd(B, from, l.i, "");
    if (masked) point_set_vector(p, axis, first, c->lanes, emit_mask(e, LLVMBuildSub(B, count, l.i, ""), c->lanes));
    else        point_set_vector(p, axis, first, 1, NULL);
    body(user, &p, 1, l.i);
    loop_end(e, &l, NULL);
}

/* A loop over flat indices [i0, i1) of some axes in runs along the last one (so one trip where there is one axis). */
typedef struct Runs {
    Loop         loop;
    const Axes  *axes;
    Point       *point;             /* sets all but the last axis */
    LLVMValueRef first, n;          /* of the last axis */
    LLVMValueRef at;                /* flat index of the run's start, from i0 */
} Runs;

static void runs_begin(Emit *e, Runs *r, Point *outer, const Axes *axes, LLVMValueRef i0, LLVMValueRef i1, const LLVMValueRef *first)
{
    LLVMBuilderRef B = e->builder;
    r->axes = axes;
    if (axes->n <= 1) {
        r->point = outer;
        r->first = i0;
        r->n = LLVMBuildSub(B, i1, i0, "");
        r->at = emit_i64(e, 0);
        return;
    }
    loop_begin(e, &r->loop, i0, i1, emit_i64(e, 1), axes->n, first);
    r->point = point_inner(e, outer);
    for (uint32_t i = 0; i + 1 < axes->n; i++) point_set(r->point, axes->axis[i], r->loop.carried[i]);
    r->first = r->loop.carried[axes->n - 1];
    LLVMValueRef in_axis = LLVMBuildSub(B, emit_dim(e, r->point, axes->extent[axes->n - 1]), r->first, "");
    LLVMValueRef in_range = LLVMBuildSub(B, i1, r->loop.i, "");
    r->n = emit_select(e, LLVMBuildICmp(B, LLVMIntSLT, in_axis, in_range, ""), in_axis, in_range);
    r->loop.step = r->n;
    r->at = LLVMBuildSub(B, r->loop.i, i0, "");
}

static void runs_end(Emit *e, Runs *r)
{
    if (r->axes->n <= 1) return;
    LLVMValueRef next[POINT_AXES];
    advance(e, r->point, r->axes, r->loop.carried, r->n, next);
    loop_end(e, &r->loop, next);
}

/* ---- packing --------------------------------------------------------------------------------------------------------------- */

/* A point with its place in the panel: flat depth, and item from i0. */
typedef struct Spot { Point *p; LLVMValueRef k, i; } Spot;

typedef struct Pack {
    Contract    *c;
    uint32_t     inst;              /* the operand's value */
    Axes         depth;
    uint32_t     order[POINT_AXES]; /* of the depth's loops, outermost first: numbers in depth */
    LLVMValueRef step[POINT_AXES];  /* by number: what a step of that axis adds to the flat depth */
    uint32_t     unroll;            /* level of the order that is written out instead of looped over */
    bool         by_rows;           /* dst[i][width] rather than dst[k][width] */
    LLVMValueRef dst, width;
    Spot         start;             /* of the present run */
} Pack;

static LLVMValueRef pack_address(const Pack *p, LLVMValueRef i, LLVMValueRef k)
{
    Emit *e = p->c->e;
    LLVMValueRef outer = p->by_rows ? i : k, inner = p->by_rows ? k : i;
    LLVMValueRef at = LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, outer, p->width, ""), inner, "");
    return emit_element(e, emit_type(e, p->c->dtype), p->dst, at);
}

static Spot spot_inside(const Pack *p, Spot s, uint32_t number, LLVMValueRef var)
{
    Emit *e = p->c->e;
    Spot inner = {point_inner(e, s.p), LLVMBuildAdd(e->builder, s.k, LLVMBuildMul(e->builder, var, p->step[number], ""), ""), s.i};
    point_set(inner.p, p->depth.axis[number], var);
    return inner;
}

/* Loops over the depth axes from `level` of the order on; `leaf` then does the spots. */
typedef void PackLeaf(Pack *p, Spot *at, uint32_t n);
static void pack_loops(Pack *p, Spot *at, uint32_t n, uint32_t level, uint32_t levels, PackLeaf *leaf)
{
    Emit *e = p->c->e;
    if (level == levels) {
        leaf(p, at, n);
        return;
    }
    uint32_t number = p->order[level];
    Spot inner[SPOTS];
    int64_t extent;
    if (level == p->unroll && dim_is_const(p->depth.extent[number], &extent) && extent * n <= SPOTS) {
        for (uint32_t i = 0; i < n * extent; i++) inner[i] = spot_inside(p, at[i / extent], number, emit_i64(e, i % extent));
        pack_loops(p, inner, n * (uint32_t)extent, level + 1, levels, leaf);
        return;
    }
    Loop l;
    loop_begin(e, &l, emit_i64(e, 0), emit_dim(e, at[0].p, p->depth.extent[number]), emit_i64(e, 1), 0, NULL);
    for (uint32_t v = 0; v < n; v++) inner[v] = spot_inside(p, at[v], number, l.i);
    pack_loops(p, inner, n, level + 1, levels, leaf);
    loop_end(e, &l, NULL);
}

static LLVMValueRef pack_value(const Pack *p, Point *at)
{
    return at->lanes > 1 ? emit_inst_lanes(p->c->e, at, p->inst) : emit_inst(p->c->e, at, p->inst);
}

/* One store a spot. */
static void pack_store(Pack *p, Spot *at, uint32_t n)
{
    for (uint32_t v = 0; v < n; v++)
        emit_store(p->c->e, p->c->dtype, pack_value(p, at[v].p), pack_address(p, at[v].i, at[v].k), at[v].p->mask);
}

static void pack_along_items(void *user, Point **at, uint32_t n, LLVMValueRef first)
{
    Pack *p = user;
    Emit *e = p->c->e;
    Spot spot[GROUP];
    for (uint32_t v = 0; v < n; v++) {
        LLVMValueRef i = LLVMBuildAdd(e->builder, first, emit_i64(e, (int64_t)v * at[v]->lanes), "");
        spot[v] = (Spot){at[v], emit_i64(e, 0), LLVMBuildAdd(e->builder, p->start.i, i, "")};
    }
    pack_loops(p, spot, n, 0, p->depth.n, pack_store);
}

static void pack_along_depth(void *user, Point **at, uint32_t n, LLVMValueRef first)
{
    Pack *p = user;
    Emit *e = p->c->e;
    for (uint32_t v = 0; v < n; v++) {
        LLVMValueRef value = pack_value(p, at[v]);
        LLVMValueRef k = LLVMBuildAdd(e->builder, p->start.k, LLVMBuildAdd(e->builder, first, emit_i64(e, (int64_t)v * at[v]->lanes), ""), "");
        if (p->by_rows || at[v]->lanes == 1) {
            emit_store(e, p->c->dtype, value, pack_address(p, p->start.i, k), at[v]->mask);
            continue;
        }
        for (uint32_t lane = 0; lane < at[v]->lanes; lane++) {
            LLVMValueRef to = pack_address(p, p->start.i, LLVMBuildAdd(e->builder, k, emit_i64(e, lane), ""));
            emit_store(e, p->c->dtype, emit_extract(e, value, lane), to, at[v]->mask ? emit_extract(e, at[v]->mask, lane) : NULL);
        }
    }
}

/* The last depth axis by vectors. */
static void pack_last(Pack *p, Spot *at, uint32_t n)
{
    uint32_t last = p->depth.n - 1;
    for (uint32_t v = 0; v < n; v++) {
        p->start = at[v];
        LLVMValueRef extent = emit_dim(p->c->e, at[v].p, p->depth.extent[last]);
        vector_run(p->c, at[v].p, p->depth.axis[last], p->depth.extent[last], emit_i64(p->c->e, 0), extent, 1, pack_along_depth, p);
    }
}

/* The loops over the depth: those axes outermost that a predicate depends on, so that it is worked out once for all of
 * the others (a convolution's channels); the last of them not as a loop but written out, so that what it reads is still
 * in L1 for the next (the kernel's columns). With vectors along the last axis, that one stays last. */
static void order_depth(Pack *p, bool along_depth)
{
    const Contract *c = p->c;
    const bool *need = insts_behind(c, p->inst);
    uint64_t guarded = 0;
    for (uint32_t i = 0; i < c->k->body.n; i++) {
        const Inst *in = &c->k->body.at[i];
        if (need[i] && in->kind == K_load && in->pred != NO_INST) guarded |= c->info->axes[in->pred];
    }
    uint32_t n = 0, count = p->depth.n - (along_depth && p->depth.n);
    p->unroll = UINT32_MAX;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count; i++)
            if ((guarded >> p->depth.axis[i] & 1) == (pass == 0)) p->order[n++] = i;
        if (pass == 0 && n > 0 && n < count && !along_depth) p->unroll = n - 1;
    }
}

/* How often the operand's loads are adjacent, or nearly, along an axis. */
static uint32_t adjacent_loads(const Contract *c, uint32_t inst, uint32_t axis, int64_t far)
{
    bool *need = insts_behind(c, inst);
    uint32_t found = 0;
    for (uint32_t i = 0; i < c->k->body.n; i++) {
        const Inst *in = &c->k->body.at[i];
        Dim *stride, *rest;
        int64_t s;
        if (!need[i] || in->kind != K_load || !dim_uses(in->at, dim_as_sym(c->k->axes.at[axis].var))) continue;
        if (dim_linear(c->k->module, in->at, dim_as_sym(c->k->axes.at[axis].var), &stride, &rest) && dim_is_const(stride, &s) && s >= -far && s <= far)
            found++;
    }
    return found;
}

/* Should vectors run along the last depth axis? If that is where memory is adjacent and it is long enough. */
static bool vectors_along_depth(const Contract *c, uint32_t inst, const Axes *items, const Axes *depth)
{
    if (!depth->n) return false;
    uint32_t last = depth->n - 1;
    int64_t extent;
    if (dim_is_const(depth->extent[last], &extent) && extent < c->lanes) return false;
    if (!items->n) return true;
    return adjacent_loads(c, inst, depth->axis[last], 1) > adjacent_loads(c, inst, items->axis[items->n - 1], 4);
}

/* Columns (rows) [n, width) of a panel: zeros. */
static void pack_zeros(Pack *p, LLVMValueRef n, Point *at)
{
    Emit *e = p->c->e;
    Loop k, z;
    LLVMValueRef depth = emit_dim(e, at, kernel_extent(p->c->k, AXIS_DEPTH));
    loop_begin(e, &z, n, p->width, emit_i64(e, 1), 0, NULL);
    loop_begin(e, &k, emit_i64(e, 0), depth, emit_i64(e, 1), 0, NULL);
    emit_store(e, p->c->dtype, LLVMConstNull(emit_type(e, p->c->dtype)), pack_address(p, z.i, k.i), NULL);
    loop_end(e, &k, NULL);
    loop_end(e, &z, NULL);
}

static LLVMValueRef emit_pack(Contract *c, bool is_b, bool *by_rows)
{
    Emit *e = c->e;
    uint32_t inst = arg_of(c, is_b);
    const bool *need = insts_behind(c, inst);
    Pack p = {.c = c, .inst = inst, .depth = merged_axes(c, AXIS_DEPTH, need, false)};
    Axes items = merged_axes(c, role_of(is_b), need, false);
    bool along_depth = vectors_along_depth(c, inst, &items, &p.depth);
    order_depth(&p, along_depth);
    *by_rows = p.by_rows = along_depth && !is_b;
    uint32_t levels = p.depth.n - along_depth;
    PackLeaf *leaf = along_depth ? pack_last : pack_store;

    Point *entry, *at = begin_function(c, is_b ? "pack_b" : "pack_a", (LLVMTypeRef[]){e->i64, e->i64, e->ptr, e->i64}, 4, &entry);
    LLVMValueRef f = e->function, i0 = LLVMGetParam(f, 2), i1 = LLVMGetParam(f, 3), first[POINT_AXES];
    p.dst = LLVMGetParam(f, 4), p.width = LLVMGetParam(f, 5);
    at = point_inner(e, at);
    set_zeros(e, at, &items), set_zeros(e, at, &p.depth);
    for (uint32_t i = p.depth.n; i-- > 0;)
        p.step[i] = i + 1 == p.depth.n ? emit_i64(e, 1) : LLVMBuildMul(e->builder, p.step[i + 1], emit_dim(e, at, p.depth.extent[i + 1]), "");
    if (!p.by_rows) pack_zeros(&p, LLVMBuildSub(e->builder, i1, i0, ""), at);
    if (at->block != LLVMGetInsertBlock(e->builder)) point_here(e, at);
    if (items.n) split_flat(e, at, &items, i0, first);
    Runs r;
    runs_begin(e, &r, at, &items, i0, i1, first);
    p.start = (Spot){r.point, emit_i64(e, 0), r.at};
    if (!items.n) {                                         /* one row, or one column */
        pack_loops(&p, &p.start, 1, 0, levels, leaf);
    } else if (!along_depth) {
        vector_run(c, r.point, items.axis[items.n - 1], items.extent[items.n - 1], r.first, r.n, GROUP, pack_along_items, &p);
    } else {
        Loop l;
        loop_begin(e, &l, emit_i64(e, 0), r.n, emit_i64(e, 1), 0, NULL);
        Point *item = point_inner(e, r.point);
        point_set(item, items.axis[items.n - 1], LLVMBuildAdd(e->builder, r.first, l.i, ""));
        pack_loops(&p, &(Spot){item, emit_i64(e, 0), LLVMBuildAdd(e->builder, r.at, l.i, "")}, 1, 0, levels, leaf);
        loop_end(e, &l, NULL);
    }
    runs_end(e, &r);
    LLVMBuildRetVoid(e->builder);
    return f;
}

/* ---- epilogue ---------------------------------------------------------------------------------------------------------------- */

typedef struct Epilogue {
    Contract    *c;
    LLVMValueRef tile;              /* the present row's first element of the run */
} Epilogue;

static void epilogue_stores(void *user, Point **at, uint32_t n, LLVMValueRef first)
{
    Epilogue *x = user;
    Contract *c = x->c;
    Emit *e = c->e;
    for (uint32_t v = 0; v < n; v++) {
        LLVMValueRef i = LLVMBuildAdd(e->builder, first, emit_i64(e, (int64_t)v * at[v]->lanes), "");
        LLVMValueRef from = emit_element(e, emit_type(e, c->dtype), x->tile, i);
        emit_set(at[v], c->inst, emit_load(e, c->dtype, from, at[v]->lanes, at[v]->mask));
        emit_checks(e, at[v]);
        for (uint32_t s = 0; s < c->k->stores.n; s++) emit_kstore(e, at[v], &c->k->stores.at[s]);
    }
}

/* Insts that the epilogue computes: what stores need, up to the contraction, and the checks it can make. */
static bool *epilogue_insts(const Contract *c)
{
    const Kernel *k = c->k;
    bool *need = arena_array(c->e->arena, bool, k->body.n + 1);
    uint64_t depth = axes_of(k, AXIS_DEPTH).bits;
    for (uint32_t i = 0; i < k->stores.n; i++) need[k->stores.at[i].inst] = true;
    for (uint32_t i = 0; i < k->body.n; i++) need[i] |= k->body.at[i].kind == K_check && !(c->info->axes[i] & depth);
    for (uint32_t i = k->body.n; i-- > 0;) {
        if (!need[i] || i == c->inst) continue;
        for (uint32_t j = 0; j < c->info->needs[i].n; j++) need[c->info->needs[i].at[j]] = true;
    }
    return need;
}

static LLVMValueRef emit_epilogue(Contract *c)
{
    Emit *e = c->e;
    LLVMBuilderRef B = e->builder;
    const bool *need = epilogue_insts(c);
    Axes rows = merged_axes(c, AXIS_ROW, need, true), columns = merged_axes(c, AXIS_COLUMN, need, true);
    Point *entry, *at = begin_function(c, "epilogue", (LLVMTypeRef[]){e->i64, e->i64, e->i64, e->i64, e->ptr, e->i64}, 6, &entry);
    LLVMValueRef f = e->function, m0 = LLVMGetParam(f, 2), m1 = LLVMGetParam(f, 3), n0 = LLVMGetParam(f, 4), n1 = LLVMGetParam(f, 5);
    LLVMValueRef row[POINT_AXES], column[POINT_AXES];
    at = point_inner(e, at);
    set_zeros(e, at, &rows), set_zeros(e, at, &columns);
    if (rows.n) split_flat(e, at, &rows, m0, row);
    if (columns.n) split_flat(e, at, &columns, n0, column);
    Loop l;
    loop_begin(e, &l, m0, m1, emit_i64(e, 1), rows.n, row);
    Point *p = point_inner(e, at);
    for (uint32_t i = 0; i < rows.n; i++) point_set(p, rows.axis[i], l.carried[i]);
    LLVMValueRef line = LLVMBuildMul(B, LLVMBuildSub(B, l.i, m0, ""), LLVMGetParam(f, 7), "");
    Runs r;
    runs_begin(e, &r, p, &columns, n0, n1, column);
    Epilogue x = {c, emit_element(e, emit_type(e, c->dtype), LLVMGetParam(f, 6), LLVMBuildAdd(B, line, r.at, ""))};
    if (columns.n) {
        vector_run(c, r.point, columns.axis[columns.n - 1], columns.extent[columns.n - 1], r.first, r.n, 1, epilogue_stores, &x);
    } else {
        Point *alone = point_inner(e, r.point);
        epilogue_stores(&x, &alone, 1, emit_i64(e, 0));
    }
    runs_end(e, &r);
    LLVMValueRef next[POINT_AXES];
    if (rows.n) advance(e, p, &rows, l.carried, emit_i64(e, 1), next);
    loop_end(e, &l, next);
    LLVMBuildRetVoid(B);
    return f;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

/* Where C can be stored by the micro-kernels themselves: its only use is one store, columns adjacent. */
static bool direct_store(const Contract *c, Linear *l)
{
    const KStore *s = &c->k->stores.at[0];
    if (c->k->stores.n != 1 || s->inst != c->inst || c->k->operands.at[s->operand].dtype != c->dtype) return false;
    if (!linear(c->k, s->at, AXIS_ROW, AXIS_COLUMN, l)) return false;
    return dim_equals(l->inner, 1) || !axes_of(c->k, AXIS_COLUMN).n;
}

static bool not_one(Dim *d) { return !dim_equals(d, 1); }

bool contract_emit(Emit *e, const Kernel *k, ContractCode *out, const char **error)
{
    Contract c = {.e = e, .k = k, .info = kernel_info(e->arena, k), .inst = NO_INST};
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].kind == K_contract) c.inst = i;
    if (c.inst == NO_INST || k->stores.n == 0) {
        *error = arena_printf(e->arena, "%s: a contraction without a product or a store", k->name);
        return false;
    }
    c.dtype = k->body.at[c.inst].dtype;
    if (c.dtype != DT_f32 && c.dtype != DT_f64) {
        *error = arena_printf(e->arena, "%s: contractions of %s are not supported in compiled code yet", k->name, dtype_name(c.dtype));
        return false;
    }
    c.lanes = target_lanes(e->target, c.dtype);
    *out = (ContractCode){.dtype = c.dtype, .a_operand = -1, .b_operand = -1, .c_operand = -1};
    out->batch = kernel_extent(k, AXIS_BATCH), out->m = kernel_extent(k, AXIS_ROW);
    out->n = kernel_extent(k, AXIS_COLUMN), out->k = kernel_extent(k, AXIS_DEPTH);
    if (!out->batch || !out->m || !out->n || !out->k) {
        *error = arena_printf(e->arena, "%s: its sizes overflow", k->name);
        return false;
    }

    Dim *offset[3] = {NULL, NULL, NULL};
    Linear a, b, store;
    uint64_t batch = axes_of(k, AXIS_BATCH).bits;
    out->a_batched = c.info->axes[arg_of(&c, false)] & batch;
    out->b_batched = c.info->axes[arg_of(&c, true)] & batch;
    bool packs = false;
    if (linear_operand(&c, false, &a)) {
        out->a_operand = (int32_t)k->body.at[arg_of(&c, false)].operand;
        out->a_m = a.outer, out->a_k = a.inner, offset[0] = a.rest;
        /* With its depth adjacent a is read in place as fast as from a packed copy. */
        out->a_constant = is_constant(&c, false) && not_one(a.inner) && not_one(out->k);
        packs |= not_one(a.inner) && !out->a_constant;
    } else {
        out->pack_a = emit_pack(&c, false, &out->a_by_rows);
        out->a_constant = is_constant(&c, false);
    }
    if (linear_operand(&c, true, &b)) {
        out->b_operand = (int32_t)k->body.at[arg_of(&c, true)].operand;
        out->b_n = b.outer, out->b_k = b.inner, offset[1] = b.rest;
        out->b_constant = is_constant(&c, true);
        packs |= !out->b_constant && ((not_one(b.outer) && not_one(out->n)) || out->m->hi > FEW_ROWS);
    } else {
        bool by_rows;
        out->pack_b = emit_pack(&c, true, &by_rows);
        out->b_constant = is_constant(&c, true);
    }
    if (direct_store(&c, &store)) {
        out->c_operand = (int32_t)k->stores.at[0].operand;
        out->c_m = store.outer, offset[2] = store.rest;
    } else {
        out->epilogue = emit_epilogue(&c);
    }
    out->at = emit_at(&c, offset);
    micro_need(e, c.dtype, k->module, out->m, out->n, packs);
    *error = e->error;
    return !e->error;
}
