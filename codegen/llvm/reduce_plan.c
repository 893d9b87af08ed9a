/* reduce_plan.c - how a reduction kernel is computed: along which axis the lanes run, how many sweeps over the reduced
 * axes it takes, and which values are kept from one sweep for the next.
 */
#include "codegen/llvm/reduce.h"

static bool is_reduction(const Inst *in)
{
    return in->kind == K_reduce || in->kind == K_argreduce;
}

static void find_sweeps(Emit *e, ReducePlan *p)
{
    const Kernel *k = p->kernel;
    p->sweep = arena_array(e->arena, uint32_t, k->body.n + 1);
    p->nsweeps = 1;
    for (uint32_t i = 0; i < k->body.n; i++) {
        uint32_t s = 0;
        for (uint32_t j = 0; j < p->info->needs[i].n; j++) {
            uint32_t n = p->sweep[p->info->needs[i].at[j]];
            if (n > s) s = n;
        }
        if (is_reduction(&k->body.at[i]) && s + 1 > p->nsweeps) p->nsweeps = s + 1;
        p->sweep[i] = s + is_reduction(&k->body.at[i]);
    }
    for (uint32_t i = 0; i < k->stores.n; i++) {
        if (k->stores.at[i].row) continue;
        uint32_t s = reduce_store_sweep(p, &k->stores.at[i]);
        if (s + 1 > p->nsweeps) p->nsweeps = s + 1;
    }
}

uint32_t reduce_store_sweep(const ReducePlan *p, const KStore *s)
{
    uint32_t sweep = p->sweep[s->inst];
    for (uint32_t i = 0; i < p->kernel->body.n; i++) {
        const Atom *a = p->kernel->body.at[i].as_index;
        if (a && dim_uses(s->at, a) && p->sweep[i] > sweep) sweep = p->sweep[i];
    }
    return sweep;
}

/* ---- along which axis the lanes run ---------------------------------------------------------------------- */

/* The constant number of points of axes [from, end), or -1. */
static int64_t constant_points(const Kernel *k, uint32_t from)
{
    int64_t n = 1, x;
    for (uint32_t i = from; i < k->axes.n; i++) {
        if (!dim_is_const(k->axes.at[i].extent, &x) || x > 1 << 20) return -1;
        n *= x;
        if (n > 1 << 20) return -1;
    }
    return n;
}

/* The share of a vector's lanes that an axis of this extent fills; unknown extents are taken for long. */
static double filled(const Kernel *k, uint32_t axis, uint32_t lanes)
{
    int64_t n;
    if (!dim_is_const(k->axes.at[axis].extent, &n)) return 1;
    return n == 0 ? 1 : (double)n / (double)((n + lanes - 1) / lanes * lanes);
}

/* How well loads go along an axis: 1 contiguous, less for strides, averaged over what depends on reduced axes. */
static double load_speed(const ReducePlan *p, uint32_t axis)
{
    const Kernel *k = p->kernel;
    double sum = 0, weights = 0;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (in->kind != K_load || !(p->info->axes[i] & p->reduced)) continue;
        double weight = __builtin_popcountll(p->info->axes[i]);     /* what has more axes is the larger operand */
        int64_t step = kernel_step(k, in->at, axis);
        bool still = !dim_uses(in->at, dim_as_sym(k->axes.at[axis].var));
        sum += weight * (step == 1 || still ? 1 : step == 2 || step == -1 ? 0.5 : step > 0 && step < 8 ? 0.06 : 0.04);
        weights += weight;
    }
    return weights > 0 ? sum / weights : 1;
}

static bool choose_column(const ReducePlan *p)
{
    const Kernel *k = p->kernel;
    if (p->nparallel == k->axes.n) return true;
    if (p->nparallel == 0) return false;
    double row = load_speed(p, k->axes.n - 1) * filled(k, k->axes.n - 1, p->lanes);
    double column = load_speed(p, p->nparallel - 1) * filled(k, p->nparallel - 1, p->lanes);
    /* Each row ends with a tree over the lanes. */
    int64_t points = constant_points(k, p->nparallel);
    if (points >= 0) row *= (double)points / (double)(points + p->lanes);
    return column > row;
}

/* ---- what is kept from sweep to sweep ------------------------------------------------------------------------- */

/* What a sweep must evaluate at each point. */
static void sweep_roots(const ReducePlan *p, uint32_t s, bool *root)
{
    const Kernel *k = p->kernel;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        root[i] = in->kind == K_check && p->sweep[i] == s;
        if (is_reduction(in) && p->sweep[i] == s + 1) root[in->arg[0]] = true;
    }
    for (uint32_t i = 0; i < k->stores.n; i++) {
        if (!k->stores.at[i].row && reduce_store_sweep(p, &k->stores.at[i]) == s) root[k->stores.at[i].inst] = true;
    }
}

static Saved *saved_of(ReducePlan *p, uint32_t inst)
{
    for (uint32_t i = 0; i < p->saved.n; i++) {
        if (p->saved.at[i].inst == inst) return &p->saved.at[i];
    }
    return NULL;
}

static void find_saved(Emit *e, ReducePlan *p)
{
    const Kernel *k = p->kernel;
    uint32_t n = k->body.n;
    bool *costly = arena_array(e->arena, bool, n + 1);      /* it, or what it is made of at each point */
    for (uint32_t i = 0; i < n; i++) {
        if (!(p->info->axes[i] & p->reduced)) continue;
        costly[i] = kernel_is_costly(&k->body.at[i]);
        for (uint32_t j = 0; j < p->info->needs[i].n; j++) costly[i] = costly[i] || costly[p->info->needs[i].at[j]];
    }
    uint32_t *first = arena_array(e->arena, uint32_t, n + 1);   /* 1 + the sweep that computes it first */
    for (uint32_t s = 0; s < p->nsweeps; s++) {
        bool *root = arena_array(e->arena, bool, n + 1), *need = arena_array(e->arena, bool, n + 1);
        sweep_roots(p, s, root);
        for (uint32_t i = n; i-- > 0;) {
            if (!root[i] && !need[i]) continue;
            if (is_reduction(&k->body.at[i])) continue;
            if (first[i] && costly[i]) {
                Saved *old = saved_of(p, i);
                if (!old) {
                    vec_push(e->arena, &p->saved, ((Saved){.inst = i, .sweep = first[i] - 1}));
                    old = &p->saved.at[p->saved.n - 1];
                }
                old->readers |= UINT64_C(1) << s;
                continue;                                   /* what it is made of is not needed for it */
            }
            need[i] = true;
            for (uint32_t j = 0; j < p->info->needs[i].n; j++) need[p->info->needs[i].at[j]] = true;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (!root[i] && !need[i]) continue;
            if (!first[i]) first[i] = s + 1;
        }
    }
}

/* ---- the plan ------------------------------------------------------------------------------------------------------ */

static bool has_float_sum(const Kernel *k)
{
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (in->kind == K_reduce && dtype_is_float(in->dtype) && (in->red == RED_sum || in->red == RED_prod)) return true;
    }
    return false;
}

bool reduce_is_long(const ReducePlan *p, uint32_t axis, int64_t limit)
{
    if (!has_float_sum(p->kernel)) return false;
    int64_t n = constant_points(p->kernel, axis);
    return n < 0 || n > limit;
}

/* Instructions a visit of one point takes, roughly; *slots: its accumulators. */
static uint32_t visit_cost(const ReducePlan *p, uint32_t *slots)
{
    const Kernel *k = p->kernel;
    uint32_t cost = 0, axis = p->column ? p->nparallel - 1 : k->axes.n - 1;
    *slots = 0;
    for (uint32_t i = 0; i < k->body.n; i++) {
        const Inst *in = &k->body.at[i];
        if (is_reduction(in)) *slots += in->kind == K_reduce ? 1 : 2;
        if (!(p->info->axes[i] & p->reduced)) continue;
        bool strided = in->kind == K_load && dim_uses(in->at, dim_as_sym(k->axes.at[axis].var)) && kernel_step(k, in->at, axis) != 1;
        cost += kernel_is_costly(in) ? 8 : strided ? p->lanes / 2 : 1;
    }
    return cost;
}

/* Vectors at a time: enough independent accumulators to hide the latency of an addition, fewer for long bodies and where
 * the axis has no room for them. */
static uint32_t choose_copies(const ReducePlan *p)
{
    const Kernel *k = p->kernel;
    if (p->column && p->nparallel == 0) return 1;
    uint32_t slots, cost = visit_cost(p, &slots), axis = p->column ? p->nparallel - 1 : k->axes.n - 1;
    uint32_t copies = cost <= 4 ? 8 : cost <= 8 ? 4 : cost <= 20 ? 2 : 1;
    while (copies > 1 && copies * slots > 8) copies /= 2;
    int64_t n;
    while (copies > 1 && dim_is_const(k->axes.at[axis].extent, &n) && n < (int64_t)copies * p->lanes) copies /= 2;
    return copies;
}

/* Few enough points for straight code instead of loops? */
static bool choose_unrolled(const ReducePlan *p)
{
    int64_t points = constant_points(p->kernel, p->nparallel);
    uint32_t slots;
    if (!p->column || p->nparallel == 0 || points < 0 || points > 16) return false;
    return (uint32_t)points * visit_cost(p, &slots) * p->copies <= 200;
}

static bool fail(Emit *e, const Kernel *k, const char *why)
{
    e->error = arena_printf(e->arena, "%s: %s", k->name, why);
    return false;
}

/* Accumulators of a sweep are the values its loops carry, twice where scalars go beside vectors. */
static bool too_many(const ReducePlan *p)
{
    uint32_t slots[SWEEPS] = {0};
    for (uint32_t i = 0; i < p->kernel->body.n; i++) {
        const Inst *in = &p->kernel->body.at[i];
        if (!is_reduction(in)) continue;
        slots[p->sweep[i] - 1] += in->kind == K_reduce ? 1 : 2;
        if (2 * slots[p->sweep[i] - 1] > LOOP_CARRIED) return true;
    }
    return false;
}

bool reduce_plan(Emit *e, const Kernel *k, ReducePlan *p)
{
    Module *m = k->module;
    p->kernel = k;
    p->info = kernel_info(e->arena, k);
    p->lanes = kernel_lanes(e->target, k);
    while (p->nparallel < k->axes.n && k->axes.at[p->nparallel].role == AXIS_PARALLEL) p->nparallel++;
    for (uint32_t i = p->nparallel; i < k->axes.n; i++) p->reduced |= UINT64_C(1) << i;
    find_sweeps(e, p);
    p->column = choose_column(p);
    if (p->nsweeps > SWEEPS || too_many(p)) return fail(e, k, "more reductions than one kernel can hold");
    find_saved(e, p);
    p->copies = choose_copies(p);
    p->unrolled = choose_unrolled(p);

    /* Position among the reduced points, row-major. */
    p->flat = p->scratch = dim_const(m, 0);
    p->count = dim_const(m, 1);
    for (uint32_t i = p->nparallel; i < k->axes.n; i++) {
        p->flat = dim_mul(m, p->flat, k->axes.at[i].extent);
        if (p->flat) p->flat = dim_add(m, p->flat, k->axes.at[i].var);
        p->count = p->flat ? dim_mul(m, p->count, k->axes.at[i].extent) : NULL;
        if (!p->count) return fail(e, k, "sizes overflow");
    }
    for (uint32_t i = 0; i < p->saved.n; i++) {
        Saved *s = &p->saved.at[i];
        int64_t each = (int64_t)dtype_size(k->body.at[s->inst].dtype) * (p->column ? p->lanes * p->copies : 1);
        Dim *size = dim_mul(m, p->count, dim_const(m, each));
        s->offset = p->scratch;
        p->scratch = size ? dim_add(m, p->scratch, size) : NULL;
        p->scratch = p->scratch ? dim_add(m, p->scratch, dim_const(m, 64)) : NULL;
        if (!p->scratch) return fail(e, k, "sizes overflow");
    }
    return true;
}
