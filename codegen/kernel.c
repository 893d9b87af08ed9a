/* kernel.c - what holds for kernels of every class: merging axes, rows and sweeps, canonical text, strides, costs. */
#include "codegen/kernel.h"

#include <stdlib.h>
#include <string.h>

/* ---- every Dim of a kernel, so that substitutions miss none -------------------------------------------------- */

typedef struct Substitution {
    uint32_t     n;
    const Atom **from;
    Dim        **to;
} Substitution;

static void substitute(Kernel *k, const Substitution *s)
{
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].at) k->body.at[i].at = dim_subst(k->module, k->body.at[i].at, s->n, s->from, s->to);
    for (uint32_t i = 0; i < k->stores.n; i++) k->stores.at[i].at = dim_subst(k->module, k->stores.at[i].at, s->n, s->from, s->to);
}

/* May v (outer) and w (inner, of extent e) be one variable in this address? Then at = c * (v * e + w) + rest. */
static bool merges(Module *m, Dim *at, const Atom *v, const Atom *w, Dim *e)
{
    Dim *cv, *cw, *rest;
    if (!dim_linear(m, at, v, &cv, &rest) || !dim_linear(m, rest, w, &cw, &rest)) return false;
    return cv == dim_mul(m, cw, e);
}

static bool merge_axes(Kernel *k, uint32_t i)
{
    Module *m = k->module;
    KAxis *outer = &k->axes.at[i], *inner = &k->axes.at[i + 1];
    if (outer->role != inner->role) return false;
    const Atom *v = dim_as_sym(outer->var), *w = dim_as_sym(inner->var);
    for (uint32_t j = 0; j < k->body.n; j++) {
        const Inst *in = &k->body.at[j];
        if (in->kind == K_argreduce && outer->role == AXIS_REDUCED) return false;     /* a position needs its own axis */
        if (in->at && !merges(m, in->at, v, w, inner->extent)) return false;
    }
    for (uint32_t j = 0; j < k->stores.n; j++)
        if (!merges(m, k->stores.at[j].at, v, w, inner->extent)) return false;
    Dim *extent = dim_mul(m, outer->extent, inner->extent);
    if (!extent) return false;
    Dim *u = dim_var(m, k, "u", extent);
    const Atom *from[2] = {v, w};
    Dim *to[2] = {dim_const(m, 0), u};
    substitute(k, &(Substitution){2, from, to});
    outer->var = u;
    outer->extent = extent;
    memmove(inner, inner + 1, (k->axes.n - i - 2) * sizeof *inner);
    k->axes.n--;
    return true;
}

/* ---- what depends on the row -------------------------------------------------------------------------------------- */

static bool uses_reduced(const Kernel *k, Dim *at)
{
    for (uint32_t i = 0; i < k->axes.n; i++)
        if (k->axes.at[i].role == AXIS_REDUCED && dim_uses(at, dim_as_sym(k->axes.at[i].var))) return true;
    return false;
}

static void set_rows(Kernel *k)
{
    for (uint32_t i = 0; i < k->body.n; i++) {
        Inst *in = &k->body.at[i];
        in->row = !in->at || !uses_reduced(k, in->at);
        in->sweep = 0;
        for (uint32_t j = 0; j < i; j++) {
            const Inst *on = &k->body.at[j];
            bool used = in->pred == j || (in->at && on->as_index && dim_uses(in->at, on->as_index));
            for (uint32_t a = 0; a < in->nargs; a++) used |= in->arg[a] == j;
            if (!used) continue;
            in->row &= on->row;
            if (on->sweep > in->sweep) in->sweep = on->sweep;
        }
        if (in->kind == K_reduce || in->kind == K_argreduce) in->row = true, in->sweep++;
    }
    for (uint32_t i = 0; i < k->stores.n; i++) k->stores.at[i].row = !uses_reduced(k, k->stores.at[i].at);
}

/* ---- canonical form --------------------------------------------------------------------------------------------------- */

/* A number that the kernel takes as a dim: a symbol to the kernel, to its callers a constant. */
static const char literals[] = "literal";

Dim *kernel_literal(Module *m, uint64_t value)
{
    char name[24];
    snprintf(name, sizeof name, "%llu", (unsigned long long)value);
    return dim_sym(m, literals, name);
}

static Dim *literal_value(Module *m, const Atom *atom)
{
    return atom->scope == literals ? dim_const(m, (int64_t)strtoull(atom->name, NULL, 10)) : dim_sym(m, atom->scope, atom->name);
}

static void add_syms(Arena *a, Kernel *k, Dim *d)
{
    for (uint32_t t = 0; d && t < d->nterms; t++)
        for (uint32_t i = 0; i < d->term[t].natoms; i++) {
            const Atom *atom = d->term[t].atom[i];
            if (atom->kind != ATOM_SYM) {
                add_syms(a, k, atom->a), add_syms(a, k, atom->b);
                continue;
            }
            if (atom->extent) continue;                                 /* a variable */
            bool known = false;
            for (uint32_t s = 0; s < k->syms.n; s++) known |= k->syms.at[s] == atom;
            if (known) continue;
            vec_push(a, &k->syms, atom);
            vec_push(a, &k->bound, literal_value(k->module, atom));
        }
}

const void *kernel_scope(void)
{
    static const char scope[] = "kernel";
    return scope;
}

/* Symbols become s0, s1, ... in order of use, variables i0, i1, ... by axis, index values v0, v1, ...; their names and
 * the function they came from no longer matter, so equal kernels of different layers have equal text. Facts that
 * the addresses needed have done their work by now. The original symbols stay in k->bound for the caller. */
static void canonicalise(Arena *a, Kernel *k)
{
    Module *m = k->module;
    for (uint32_t i = 0; i < k->axes.n; i++) add_syms(a, k, k->axes.at[i].extent);
    for (uint32_t i = 0; i < k->body.n; i++) add_syms(a, k, k->body.at[i].at);
    for (uint32_t i = 0; i < k->stores.n; i++) add_syms(a, k, k->stores.at[i].at);
    uint32_t room = k->syms.n + k->axes.n + k->body.n;
    Substitution s = {0, arena_array(a, const Atom *, room + 1), arena_array(a, Dim *, room + 1)};
    for (uint32_t i = 0; i < k->syms.n; i++) {
        Dim *canonical = dim_sym(m, kernel_scope(), arena_printf(a, "s%u", i));
        s.from[s.n] = k->syms.at[i], s.to[s.n++] = canonical;
        k->syms.at[i] = dim_as_sym(canonical);
    }
    Substitution extents = s;
    for (uint32_t i = 0; i < k->axes.n; i++) {
        KAxis *axis = &k->axes.at[i];
        axis->extent = dim_subst(m, axis->extent, extents.n, extents.from, extents.to);
        Dim *var = dim_var(m, k, arena_printf(a, "i%u", i), axis->extent);
        s.from[s.n] = dim_as_sym(axis->var), s.to[s.n++] = var;
        axis->var = var;
    }
    uint32_t values = 0;
    for (uint32_t i = 0; i < k->body.n; i++) {
        Inst *in = &k->body.at[i];
        if (in->at) in->at = dim_subst(m, in->at, s.n, s.from, s.to);
        if (!in->as_index) continue;
        Dim *extent = dim_subst(m, in->as_index->extent, extents.n, extents.from, extents.to);
        Dim *value = dim_var(m, k, arena_printf(a, "v%u", values++), extent);
        s.from[s.n] = in->as_index, s.to[s.n++] = value;
        in->as_index = dim_as_sym(value);
    }
    for (uint32_t i = 0; i < k->stores.n; i++) k->stores.at[i].at = dim_subst(m, k->stores.at[i].at, s.n, s.from, s.to);
}

/* Draws cost more code than what is done with them: the numbers that scale them become dims too (as the bits of a
 * double), so that one kernel draws all tensors of a distribution. */
static void share_draws(Kernel *k)
{
    bool draws = false;
    for (uint32_t i = 0; i < k->body.n; i++) draws |= k->body.at[i].kind == K_rng;
    for (uint32_t i = 0; i < k->body.n && draws; i++) {
        Inst *in = &k->body.at[i];
        if (in->kind != K_const || !dtype_is_float(in->dtype)) continue;
        uint64_t bits;
        memcpy(&bits, &in->value, sizeof bits);
        in->at = kernel_literal(k->module, bits);
    }
}

void kernel_finish(Arena *a, Kernel *k)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i + 1 < k->axes.n && !again; i++) again = merge_axes(k, i);
    }
    /* How far a single loop runs changes nothing in it: one kernel serves all lengths. */
    int64_t length;
    if (k->class == KERNEL_MAP && k->axes.n == 1 && dim_is_const(k->axes.at[0].extent, &length))
        k->axes.at[0].extent = kernel_literal(k->module, (uint64_t)length);
    share_draws(k);
    canonicalise(a, k);
    set_rows(k);
    Str s = {.arena = a};
    kernel_print(&s, k);
    k->text = s.at;
    k->hash = hash_bytes(s.at, s.n, 0);
}

/* ---- text ----------------------------------------------------------------------------------------------------------------- */

static const char *role_name(AxisRole r)
{
    static const char *const name[] = {"parallel", "reduced", "batch", "row", "column", "depth"};
    return name[r];
}

static void print_inst(Str *s, const Kernel *k, uint32_t i)
{
    const Inst *in = &k->body.at[i];
    str_fmt(s, "  %%%u = ", i);
    switch (in->kind) {
    case K_const:
        str_add(s, "const ");
        if (in->at) str_add(s, "bits ");
        else if (dtype_is_float(in->dtype)) str_double(s, in->value);
        else str_fmt(s, "%lld", (long long)in->ivalue);
        break;
    case K_index: str_add(s, "index "); break;
    case K_load: str_fmt(s, "load o%u", in->operand); break;
    case K_op: str_add(s, op_name(in->op)); break;
    case K_rng: str_add(s, "rng"); break;
    case K_reduce: str_fmt(s, "reduce %s", red_name(in->red)); break;
    case K_argreduce: str_fmt(s, "argreduce %s", red_name(in->red)); break;
    case K_contract: str_add(s, "contract"); break;
    case K_check: str_fmt(s, "check site %u", in->site); break;
    }
    for (uint32_t a = 0; a < in->nargs; a++) str_fmt(s, "%s %%%u", a ? "," : "", in->arg[a]);
    if (in->at) {
        str_add(s, in->kind == K_load ? "[" : in->kind == K_check ? " < " : in->kind == K_rng ? " stream " : "");
        dim_print(s, in->at);
        if (in->kind == K_load) str_char(s, ']');
    }
    if (in->pred != NO_INST) str_fmt(s, " if %%%u", in->pred);
    if (in->as_index) str_fmt(s, " as %s", in->as_index->name);
    str_fmt(s, " : %s\n", dtype_name(in->dtype));
}

void kernel_print(Str *s, const Kernel *k)
{
    static const char *const class_name[] = {"map", "reduce", "routine", "contract"};
    str_fmt(s, "kernel %s", class_name[k->class]);
    if (k->class == KERNEL_ROUTINE) str_fmt(s, " %s:", op_name(k->routine));
    for (uint32_t i = 0; i < k->axes.n; i++) {
        str_fmt(s, "%s %s i%u < ", i ? "," : "", role_name(k->axes.at[i].role), i);
        dim_print(s, k->axes.at[i].extent);
    }
    str_add(s, " (");
    for (uint32_t i = 0; i < k->operands.n; i++) {
        const KOperand *o = &k->operands.at[i];
        str_fmt(s, "%so%u: %s%s%s", i ? ", " : "", i, dtype_name(o->dtype), o->constant ? " constant" : "", o->written ? " written" : "");
    }
    str_add(s, ") {\n");
    for (uint32_t i = 0; i < k->body.n; i++) print_inst(s, k, i);
    for (uint32_t i = 0; i < k->stores.n; i++) {
        str_fmt(s, "  store o%u[", k->stores.at[i].operand);
        dim_print(s, k->stores.at[i].at);
        str_fmt(s, "] = %%%u\n", k->stores.at[i].inst);
    }
    str_add(s, "}\n");
}

/* ---- questions that schedules ask ----------------------------------------------------------------------------------------------- */

Dim *kernel_extent(const Kernel *k, AxisRole role)
{
    Dim *n = dim_const(k->module, 1);
    for (uint32_t i = 0; i < k->axes.n && n; i++)
        if (k->axes.at[i].role == role) n = dim_mul(k->module, n, k->axes.at[i].extent);
    return n;
}

Dim *kernel_flat_stride(const Kernel *k, Dim *at, AxisRole role)
{
    Module *m = k->module;
    Dim *stride = NULL, *inner = dim_const(m, 1);           /* of the last axis; product of the extents after the present one */
    for (uint32_t i = k->axes.n; i-- > 0;) {
        if (k->axes.at[i].role != role) continue;
        Dim *c, *rest;
        if (!dim_linear(m, at, dim_as_sym(k->axes.at[i].var), &c, &rest)) return NULL;
        if (!stride) stride = c;
        else if (c != dim_mul(m, stride, inner)) return NULL;
        inner = dim_mul(m, inner, k->axes.at[i].extent);
        /* The stride itself must not vary within the kernel's space. */
        for (uint32_t j = 0; j < k->axes.n; j++)
            if (dim_uses(stride, dim_as_sym(k->axes.at[j].var))) return NULL;
    }
    return stride ? stride : dim_const(m, 0);
}

static Dim *points(const Kernel *k)
{
    Dim *n = dim_const(k->module, 1);
    for (uint32_t i = 0; i < k->axes.n && n; i++) n = dim_mul(k->module, n, k->axes.at[i].extent);
    return n;
}

Dim *kernel_flops(const Kernel *k)
{
    Module *m = k->module;
    Dim *all = points(k), *sum = dim_const(m, 0);
    Dim *rows = kernel_extent(k, AXIS_PARALLEL);
    if (k->class == KERNEL_ROUTINE)
        return (k->routine == OP_cumulate || k->routine == OP_scatter) && dtype_is_float(k->operands.at[0].dtype) ? all : sum;
    if (k->class == KERNEL_CONTRACT)
        rows = dim_mul(m, kernel_extent(k, AXIS_BATCH), dim_mul(m, kernel_extent(k, AXIS_ROW), kernel_extent(k, AXIS_COLUMN)));
    for (uint32_t i = 0; i < k->body.n && sum; i++) {
        const Inst *in = &k->body.at[i];
        bool is_float = dtype_is_float(in->dtype);
        if (in->kind == K_contract) sum = dim_add(m, sum, dim_mul(m, dim_const(m, 2), all));
        else if (in->kind == K_reduce && is_float) sum = dim_add(m, sum, all);
        else if (in->kind == K_op && is_float && in->op != OP_select && in->op != OP_cast)
            sum = dim_add(m, sum, k->class == KERNEL_CONTRACT || in->row ? rows : all);
    }
    return sum;
}

/* Each operand counts once, by the points that its address can tell apart. */
Dim *kernel_bytes(const Kernel *k)
{
    Module *m = k->module;
    Dim *sum = dim_const(m, 0);
    for (uint32_t o = 0; o < k->operands.n; o++) {
        Dim *most = NULL;
        for (uint32_t i = 0; i < k->body.n + k->stores.n; i++) {
            bool store = i >= k->body.n;
            if (!store && (k->body.at[i].kind != K_load || k->body.at[i].operand != o)) continue;
            if (store && k->stores.at[i - k->body.n].operand != o) continue;
            Dim *at = store ? k->stores.at[i - k->body.n].at : k->body.at[i].at, *n = dim_const(m, 1);
            for (uint32_t x = 0; x < k->axes.n && n; x++)
                if (dim_uses(at, dim_as_sym(k->axes.at[x].var))) n = dim_mul(m, n, k->axes.at[x].extent);
            if (n && (!most || dim_is_le(m, most, n))) most = n;
        }
        if (k->class == KERNEL_ROUTINE) most = k->counts.at[o];
        if (most) sum = dim_add(m, sum, dim_mul(m, dim_const(m, (int64_t)dtype_size(k->operands.at[o].dtype)), most));
    }
    return sum;
}
