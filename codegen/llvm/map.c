/* map.c - kernels without reductions: every point of the iteration space stores.
 *
 * The flat index is cut into runs along the last axis. A run is a loop over whole vectors, then one masked
 * vector (on targets without masks: scalars); the outer axes move on by carries between runs.
 *
 *   for (flat = lo; flat < hi; flat += n)
 *       n = min(extent - j, hi - flat)                      the run: j .. j + n along the last axis
 *       for (i = j; i < j + n / lanes * lanes; i += lanes)  body on a vector
 *       for (; i < j + n; i += lanes)                       body on a masked vector, or i += 1 on scalars
 *       j = 0, outer axes + 1
 */
#include "codegen/llvm/schedule.h"

/* ---- a last axis too short for a vector ---------------------------------------------------------------------- */

/* Instructions for one vector (not one point) when its lanes run along `axis`, roughly. */
static uint32_t vector_cost(const Kernel *k, uint32_t axis, uint32_t lanes)
{
    const Atom *var = dim_as_sym(k->axes.at[axis].var);
    uint32_t cost = 8;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (in->kind == K_load && dim_uses(in->at, var)) {
            int64_t step = kernel_step(k, in->at, axis);
            cost += step == 1 ? 1 : step == 2 || step == -1 ? 4 : 3 * lanes;    /* lane by lane */
        } else {
            cost += kernel_is_costly(in) ? 16 : in->kind != K_const;
        }
    }
    for (uint32_t i = 0; i < k->stores.n; i++) cost += kernel_step(k, k->stores.at[i].at, axis) == 1 ? 1 : 2 * lanes;
    return cost;
}

/* The same kernel with its last two axes as one, a = f // n, b = f % n, where the last is much shorter than a vector and
 * that pays: addresses row-major in both become linear in f, others are computed lane by lane. Else k itself. */
static const Kernel *flatten(Emit *e, const Kernel *k, uint32_t lanes)
{
    Module *m = k->module;
    int64_t n;
    uint32_t last = k->axes.n - 1;
    if (k->axes.n < 2 || !dim_is_const(k->axes.at[last].extent, &n) || n <= 0) return k;
    if (n > (e->target->has_mask ? (int64_t)lanes / 2 : (int64_t)lanes - 1)) return k;
    Dim *extent = dim_mul(m, k->axes.at[last - 1].extent, k->axes.at[last].extent);
    if (!extent) return k;
    Kernel *flat = arena_copy(e->arena, k, sizeof *k);
    flat->axes.at = arena_copy(e->arena, k->axes.at, k->axes.n * sizeof *k->axes.at);
    flat->body.at = arena_copy(e->arena, k->body.at, k->body.n * sizeof *k->body.at);
    flat->stores.at = arena_copy(e->arena, k->stores.at, k->stores.n * sizeof *k->stores.at);
    flat->axes.n = last;
    KAxis *axis = &flat->axes.at[last - 1];
    axis->var = dim_var(m, flat, "f", extent);
    axis->extent = extent;
    const Atom *from[2] = {dim_as_sym(k->axes.at[last - 1].var), dim_as_sym(k->axes.at[last].var)};
    Dim *to[2] = {dim_floordiv(m, axis->var, dim_const(m, n)), dim_mod(m, axis->var, dim_const(m, n))};
    for (uint32_t i = 0; i < k->body.n; i++) {
        Dim **at = &flat->body.at[i].at;
        if (*at && !(*at = dim_subst(m, *at, 2, from, to))) return k;
    }
    for (uint32_t i = 0; i < k->stores.n; i++) {
        Dim **at = &flat->stores.at[i].at;
        if (!(*at = dim_subst(m, *at, 2, from, to))) return k;
    }
    /* For lanes * n points: along the short axis a masked vector holds n of them, or a scalar one. */
    uint64_t points = (uint64_t)n, before = e->target->has_mask ? (uint64_t)vector_cost(k, last, lanes) * lanes
                                                                : (uint64_t)vector_cost(k, last, 1) * lanes * points;
    uint64_t after = (uint64_t)vector_cost(flat, last - 1, lanes) * points;
    return after < before ? flat : k;
}

/* ---- the schedule ----------------------------------------------------------------------------------------------- */

static void stores(Emit *e, Point *p)
{
    emit_checks(e, p);
    /* All values first: a store may lie where another's value is read from. */
    for (uint32_t i = 0; i < p->kernel->stores.n; i++) (void)emit_inst(e, p, p->kernel->stores.at[i].inst);
    for (uint32_t i = 0; i < p->kernel->stores.n; i++) emit_kstore(e, p, &p->kernel->stores.at[i]);
}

/* How many vectors a trip of the main loop does: more for short bodies, whose loop would cost as much as they do. */
static uint32_t vectors_a_trip(const Kernel *k, uint32_t lanes)
{
    uint32_t cost = 0, last = k->axes.n - 1;
    int64_t n;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        cost += kernel_is_costly(in) ? 8 : in->kind != K_const;
        bool strided = in->kind == K_load && kernel_step(k, in->at, last) != 1 && dim_uses(in->at, dim_as_sym(k->axes.at[last].var));
        if (strided) cost += lanes / 2;
    }
    uint32_t vectors = cost <= 4 ? 4 : cost <= 10 ? 2 : 1;
    while (vectors > 1 && dim_is_const(k->axes.at[last].extent, &n) && n < (int64_t)vectors * lanes) vectors /= 2;
    return vectors;
}

/* Values [from, from + n) of the last axis, at least one of them. */
static void run(Emit *e, Point *row, uint32_t axis, LLVMValueRef from, LLVMValueRef n, uint32_t lanes, uint32_t vectors)
{
    LLVMValueRef to = LLVMBuildAdd(e->builder, from, n, ""), at = from;
    int64_t extent;
    bool no_vector = dim_is_const(row->kernel->axes.at[axis].extent, &extent) && extent < (int64_t)lanes;
    for (uint32_t v = vectors; lanes > 1 && !no_vector && v > 0; v = v > 1 ? 1 : 0) {
        /* Whole trips of v vectors; on targets without masks, after those of several, single ones. */
        LLVMValueRef step = emit_i64(e, (int64_t)v * lanes), left = LLVMBuildSub(e->builder, to, at, "");
        LLVMValueRef whole = LLVMBuildAnd(e->builder, left, emit_i64(e, -(int64_t)(v * lanes)), "");
        LLVMValueRef end = LLVMBuildAdd(e->builder, at, whole, "");
        Loop l;
        loop_begin(e, &l, at, end, step, 0, NULL);
        for (uint32_t i = 0; i < v; i++) {
            Point *p = point_inner(e, row);
            point_set_vector(p, axis, i ? LLVMBuildAdd(e->builder, l.i, emit_i64(e, (int64_t)i * lanes), "") : l.i, lanes, NULL);
            stores(e, p);
        }
        loop_end(e, &l, NULL);
        at = end;
        if (e->target->has_mask) break;
    }
    bool masked = lanes > 1 && e->target->has_mask;
    Loop l;
    loop_begin(e, &l, at, to, emit_i64(e, masked ? lanes : 1), 0, NULL);
    Point *p = point_inner(e, row);
    if (masked) point_set_vector(p, axis, l.i, lanes, emit_mask(e, LLVMBuildSub(e->builder, to, l.i, ""), lanes));
    else        point_set_vector(p, axis, l.i, 1, NULL);
    stores(e, p);
    loop_end(e, &l, NULL);
}

LLVMValueRef emit_map(Emit *e, const Kernel *k, uint32_t *split)
{
    uint32_t lanes = kernel_lanes(e->target, k);
    if (k->axes.n) k = flatten(e, k, lanes);
    Rows r;
    rows_begin(e, &r, k, k->axes.n, true);
    if (k->axes.n == 0) stores(e, r.point);
    else run(e, r.point, k->axes.n - 1, r.first, r.n, lanes, vectors_a_trip(k, lanes));
    rows_end(e, &r);
    *split = k->axes.n ? lanes * 4 : 1;
    return r.function;
}
