/* contract_pack.c - packing functions: an operand of a contraction that is no plain matrix is written to a panel, all of the
 * depth for some of its items (rows, or columns), item next to item, so that a micro-kernel reads it by whole vectors.
 *
 * Vectors run along the items, or along the depth where that is where memory is adjacent (the image, in the gradient of a
 * convolution's weight); then blocks are turned in registers.
 */
#include "codegen/llvm/contract.h"

/* So many stores in the innermost loop. */
enum { SPOTS = 9 };

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
    Spot        *items;             /* of pack_last_together */
    uint32_t     nitems;
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

enum { QUAD = 4 };                      /* items side by side that are turned together: 16 bytes of f32 */

/* Four vectors along the depth, turned: out[lane] has that lane of each of them. Two rounds of interleaving within parts of
 * four lanes, which is what shuffles do fastest. */
static void turn(Emit *e, LLVMValueRef *v, uint32_t lanes, LLVMValueRef *out)
{
    LLVMValueRef low[64], high[64], even[64], odd[64], pick[QUAD], half[4], full[4];
    for (uint32_t i = 0; i < lanes; i++) {
        uint32_t part = i / QUAD * QUAD, j = i % QUAD, other = j % 2 ? lanes : 0;
        low[i] = emit_i32(e, (int32_t)(part + j / 2 + other));              /* a0 b0 a1 b1 */
        high[i] = emit_i32(e, (int32_t)(part + 2 + j / 2 + other));         /* a2 b2 a3 b3 */
        uint32_t second = j / 2 ? lanes : 0;
        even[i] = emit_i32(e, (int32_t)(part + j % 2 + second));            /* a0 b0 c0 d0 */
        odd[i] = emit_i32(e, (int32_t)(part + 2 + j % 2 + second));         /* a1 b1 c1 d1 */
    }
#define SHUFFLE(a, b, by) LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(by, lanes), "")
    half[0] = SHUFFLE(v[0], v[1], low), half[1] = SHUFFLE(v[0], v[1], high);
    half[2] = SHUFFLE(v[2], v[3], low), half[3] = SHUFFLE(v[2], v[3], high);
    full[0] = SHUFFLE(half[0], half[2], even), full[1] = SHUFFLE(half[0], half[2], odd);
    full[2] = SHUFFLE(half[1], half[3], even), full[3] = SHUFFLE(half[1], half[3], odd);
#undef SHUFFLE
    for (uint32_t lane = 0; lane < lanes; lane++) {
        for (uint32_t i = 0; i < QUAD; i++) pick[i] = emit_i32(e, (int32_t)(lane / QUAD * QUAD + i));
        LLVMValueRef from = full[lane % QUAD];
        out[lane] = LLVMBuildShuffleVector(e->builder, from, LLVMGetPoison(LLVMTypeOf(from)), LLVMConstVector(pick, QUAD), "");
    }
}

/* Vectors along the depth of several adjacent items: by fours, so that a store does four. */
static void pack_items_along_depth(void *user, Point **at, uint32_t n, LLVMValueRef first)
{
    Pack *p = user;
    Emit *e = p->c->e;
    uint32_t lanes = at[0]->lanes, item = 0, axis = p->depth.axis[p->depth.n - 1];
    (void)n;
    for (; lanes >= QUAD && item + QUAD <= p->nitems; item += QUAD) {
        LLVMValueRef value[QUAD], turned[64];
        for (uint32_t i = 0; i < QUAD; i++) {
            Point *q = point_inner(e, p->items[item + i].p);
            point_set_vector(q, axis, first, lanes, at[0]->mask);
            value[i] = pack_value(p, q);
        }
        turn(e, value, lanes, turned);
        LLVMValueRef k = LLVMBuildAdd(e->builder, p->items[item].k, first, "");
        for (uint32_t lane = 0; lane < lanes; lane++) {
            LLVMValueRef to = pack_address(p, p->items[item].i, LLVMBuildAdd(e->builder, k, emit_i64(e, lane), "")), mask = NULL;
            if (at[0]->mask) mask = emit_splat(e, emit_extract(e, at[0]->mask, lane), QUAD);
            emit_store(e, p->c->dtype, turned[lane], to, mask);
        }
    }
    for (; item < p->nitems; item++) {
        Point *q = point_inner(e, p->items[item].p);
        point_set_vector(q, axis, first, lanes, at[0]->mask);
        p->start = p->items[item];
        pack_along_depth(p, &q, 1, first);
    }
}

static void pack_last_together(Pack *p, Spot *at, uint32_t n)
{
    uint32_t last = p->depth.n - 1;
    p->items = at;
    p->nitems = n;
    LLVMValueRef extent = emit_dim(p->c->e, at[0].p, p->depth.extent[last]);
    vector_run(p->c, at[0].p, p->depth.axis[last], p->depth.extent[last], emit_i64(p->c->e, 0), extent, 1, pack_items_along_depth, p);
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

/* Should vectors run along the last depth axis? If that is where memory is adjacent and it is long enough; also where it is
 * adjacent along the items too, but those are far fewer than a vector (a kernel's columns, in the gradient of a convolution's
 * weight). */
static bool vectors_along_depth(const Contract *c, uint32_t inst, const Axes *items, const Axes *depth)
{
    if (!depth->n) return false;
    uint32_t last = depth->n - 1;
    int64_t extent, few;
    if (dim_is_const(depth->extent[last], &extent) && extent < c->lanes) return false;
    if (!items->n) return true;
    uint32_t here = adjacent_loads(c, inst, depth->axis[last], 1), there = adjacent_loads(c, inst, items->axis[items->n - 1], 4);
    if (dim_is_const(items->extent[items->n - 1], &few) && 2 * few < c->lanes) return here >= there && here > 0;
    return here > there;
}

/* Columns (rows) [n, width) of a panel: zeros. */
static void pack_zeros(Pack *p, LLVMValueRef n, Point *at)
{
    Emit *e = p->c->e;
    Loop k, z;
    uint32_t lanes = e->target->has_mask ? p->c->lanes : 1;
    LLVMValueRef depth = emit_dim(e, at, kernel_extent(p->c->k, AXIS_DEPTH));
    LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntSLT, n, p->width, "");
    loop_begin(e, &k, emit_i64(e, 0), emit_select(e, some, depth, emit_i64(e, 0)), emit_i64(e, 1), 0, NULL);
    loop_begin(e, &z, n, p->width, emit_i64(e, lanes), 0, NULL);
    LLVMTypeRef t = emit_type(e, p->c->dtype);
    LLVMValueRef mask = lanes > 1 ? emit_mask(e, LLVMBuildSub(e->builder, p->width, z.i, ""), lanes) : NULL;
    emit_store(e, p->c->dtype, LLVMConstNull(lanes > 1 ? emit_vector_type(t, lanes) : t), pack_address(p, z.i, k.i), mask);
    loop_end(e, &z, NULL);
    loop_end(e, &k, NULL);
}

/* Runs of items one by one, each by vectors along the depth; where there are only a few items in a run (a kernel's columns),
 * a whole run at once. */
static void pack_run_along_depth(Pack *p, Runs *r, const Axes *items, uint32_t levels)
{
    Emit *e = p->c->e;
    int64_t few;
    uint32_t axis = items->axis[items->n - 1];
    LLVMValueRef single = r->n;
    if (!p->by_rows && p->c->dtype == DT_f32 && dim_is_const(items->extent[items->n - 1], &few) && few >= QUAD && few <= SPOTS) {
        LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntEQ, r->n, emit_i64(e, few), "");
        Loop once;
        loop_begin(e, &once, emit_i64(e, 0), emit_select(e, whole, emit_i64(e, 1), emit_i64(e, 0)), emit_i64(e, 1), 0, NULL);
        Spot spot[SPOTS];
        for (int64_t i = 0; i < few; i++) {
            Point *item = point_inner(e, r->point);
            point_set(item, axis, LLVMBuildAdd(e->builder, r->first, emit_i64(e, i), ""));
            spot[i] = (Spot){item, emit_i64(e, 0), LLVMBuildAdd(e->builder, r->at, emit_i64(e, i), "")};
        }
        pack_loops(p, spot, (uint32_t)few, 0, levels, pack_last_together);
        loop_end(e, &once, NULL);
        single = emit_select(e, whole, emit_i64(e, 0), r->n);
    }
    Loop l;
    loop_begin(e, &l, emit_i64(e, 0), single, emit_i64(e, 1), 0, NULL);
    Point *item = point_inner(e, r->point);
    point_set(item, axis, LLVMBuildAdd(e->builder, r->first, l.i, ""));
    pack_loops(p, &(Spot){item, emit_i64(e, 0), LLVMBuildAdd(e->builder, r->at, l.i, "")}, 1, 0, levels, pack_last);
    loop_end(e, &l, NULL);
}

LLVMValueRef emit_pack(Contract *c, bool is_b, bool *by_rows)
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
        pack_run_along_depth(&p, &r, &items, levels);
    }
    runs_end(e, &r);
    LLVMBuildRetVoid(e->builder);
    return f;
}
