/* program.c - kernels, buffers and steps of a whole module: what artefact.c writes out. */
#include <string.h>

#include "codegen/fuse.h"

typedef VEC(Node *) NodeList;

/* A result must be a value that some kernel stores, and stores for it alone: arguments, constants and second uses are
 * copied through a reshape to the same type, which becomes a kernel that moves the data. A param that stays as it is needs
 * nothing. */
static void make_results_stored(Func *f)
{
    for (uint32_t i = 0; i < f->results.n; i++) {
        Result *r = &f->results.at[i];
        if (result_unchanged(f, r)) continue;
        bool copy = op_class(r->node->op) == CLASS_SRC && r->node->op != OP_rng && r->node->op != OP_iota;
        copy |= r->node->op == OP_iota;
        for (uint32_t k = 0; k < i; k++) copy |= f->results.at[k].node == r->node;
        if (copy) r->node = ir_reshape(f, r->node, r->node->type, r->node->span);
    }
}

/* ---- large sums ------------------------------------------------------------------------------------------------------- */

enum { LARGE = 1 << 16, MIN_ROWS = 8, MIN_ROW = 128 };

/* A reduction of a whole tensor has one row, which one thread works on. The first axes that make rows enough for several; 0: it
 * stays as it is. */
static uint32_t row_axes(const Node *n)
{
    if (n->op != OP_reduce || n->type->rank || n->arg[0]->type->rank < 2) return 0;
    const Type *t = n->arg[0]->type;
    int64_t rows = 1, row = 1, d[MAX_RANK];
    uint32_t axes = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dim[i], &d[i]) || d[i] <= 0) return 0;
    while (axes < t->rank && rows < MIN_ROWS) {
        if (__builtin_mul_overflow(rows, d[axes++], &rows)) return 0;
    }
    for (uint32_t i = axes; i < t->rank; i++)
        if (__builtin_mul_overflow(row, d[i], &row)) return 0;
    bool large = row >= MIN_ROW && rows >= MIN_ROWS && row >= LARGE / rows;
    return large ? axes : 0;
}

/* The gradient's norm: first of each row, then of the rows. */
static void split_large_sums(Func *f)
{
    bool any = false;
    for (uint32_t i = 0; i < f->body.nodes.n && !any; i++) any = row_axes(f->body.nodes.at[i]) > 0;
    if (!any) return;
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *old = rw.old[i];
        uint32_t rows = row_axes(old);
        if (!rows) {
            rewrite_copy(&rw, old);
            continue;
        }
        RedKind kind = old->attr.reduce.kind;
        Node *x = rw.map[old->arg[0]->id];
        Node *each = ir_reduce(f, kind, x, ((1u << x->type->rank) - 1) & ~((1u << rows) - 1), old->span);
        rw.map[old->id] = ir_reduce(f, kind, each, (1u << rows) - 1, old->span);
    }
    rewrite_end(&rw);
}

/* ---- names ------------------------------------------------------------------------------------------------------------ */

/* "k3_dot_add_max_f32": up to four different operators in order, without those that only select or convert. */
static const char *kernel_name(Arena *a, const Kernel *k, uint32_t number)
{
    Str s = {.arena = a};
    str_fmt(&s, "k%u", number);
    if (k->class == KERNEL_ROUTINE) {
        str_fmt(&s, "_%s_%s", op_name(k->routine), dtype_name(k->operands.at[0].dtype));
        return s.at;
    }
    const char *seen[4];
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->body.n && n < COUNT(seen); i++) {
        const Inst *in = &k->body.at[i];
        const char *name = NULL;
        if (in->kind == K_contract) name = "contract";
        else if (in->kind == K_reduce || in->kind == K_argreduce) name = red_name(in->red);
        else if (in->kind == K_rng) name = "random";
        else if (in->kind == K_op && in->dtype != DT_bool && in->op != OP_cast && in->op != OP_select) name = op_name(in->op);
        bool known = !name;
        for (uint32_t j = 0; j < n && !known; j++) known = !strcmp(seen[j], name);
        if (known) continue;
        seen[n++] = name;
        str_fmt(&s, "_%s", name);
    }
    if (!n) str_add(&s, "_copy");
    str_fmt(&s, "_%s", dtype_name(k->operands.at[k->operands.n - 1].dtype));
    return s.at;
}

/* The kernel of equal text that the program has already, or this one, new. */
static Kernel *shared_kernel(Arena *a, Program *p, Map *by_text, Kernel *k)
{
    Kernel *known = map_get(by_text, k->text, strlen(k->text));
    if (known) return known;
    k->name = kernel_name(a, k, p->kernels.n);
    map_set(by_text, k->text, strlen(k->text), k);
    vec_push(a, &p->kernels, k);
    return k;
}

/* ---- buffers ------------------------------------------------------------------------------------------------------------- */

static uint32_t find_result(const Func *f, const Node *n)
{
    for (uint32_t i = 0; i < f->results.n; i++)
        if (f->results.at[i].node == n) return i;
    return UINT32_MAX;
}

static Buffer buffer_of(Arena *a, ProgramFunc *pf, const Node *n)
{
    const Func *f = pf->func;
    Buffer b = {.dtype = n->type->dtype, .count = type_count(f->module, n->type), .value = n, .offset = -1, .shares = NO_BUFFER};
    uint32_t result = find_result(f, n);
    if (n->op == OP_arg) {
        const Arg *arg = &f->args.at[n->attr.arg];
        b.kind = arg->role == ARG_PARAM ? BUFFER_PARAM : BUFFER_INPUT;
        b.seed = arg->role == ARG_SEED, b.step = arg->role == ARG_STEP;
        if (arg->role == ARG_PARAM) b.index = arg->param->index;
        for (uint32_t i = 0; arg->role == ARG_INPUT && i < n->attr.arg; i++) b.index += f->args.at[i].role == ARG_INPUT;
    } else if (n->op == OP_const) {
        b.kind = BUFFER_CONST;
        b.data = n->attr.lit.data;
    } else if (result != UINT32_MAX) {
        /* Initial values go where the runtime says: a run of init may keep only some of them. */
        const Param *p = gives_initial_values(f) ? NULL : f->results.at[result].param;
        b.kind = p ? BUFFER_PARAM : BUFFER_OUTPUT;
        b.index = p ? p->index : result;
    } else {
        b.kind = BUFFER_WORK;
    }
    return b;
}

static uint32_t buffer_number(Arena *a, ProgramFunc *pf, Map *numbers, Node *n)
{
    void *known = map_get(numbers, &n, sizeof n);
    if (known) return (uint32_t)(uintptr_t)known - 1;
    Buffer b = buffer_of(a, pf, n);
    vec_push(a, &pf->buffers, b);
    map_set(numbers, &n, sizeof n, (void *)(uintptr_t)pf->buffers.n);
    return pf->buffers.n - 1;
}

/* ---- the program ------------------------------------------------------------------------------------------------------------ */

/* A group and what became of it. */
typedef struct Lowered {
    Kernel *kernel;
    Node  **operands;
} Lowered;

/* Kernels of all groups. Fusion bounds what it counts, nodes; where index arithmetic makes a kernel too large all the
 * same, smaller groups are tried. */
static Lowered *lower_all(Arena *a, Func *f, bool fused, const bool *whole, Fusion **fusion, const char **error, Span *where)
{
    static const uint32_t limits[] = {FUSE_LIMIT, 12, 3, 0};
    for (uint32_t attempt = fused ? 0 : COUNT(limits) - 1; attempt < COUNT(limits); attempt++) {
        Fusion *fu = *fusion = fuse(a, f, limits[attempt], whole, error, where);
        if (!fu) return NULL;
        Lowered *out = arena_array(a, Lowered, fu->groups.n + 1);
        bool ok = true;
        for (uint32_t i = 0; i < fu->groups.n && ok; i++) {
            const char *why = NULL;
            out[i].kernel = lower_group(a, fu, fu->groups.at[i], &out[i].operands, &why);
            ok = out[i].kernel != NULL;
            if (ok) continue;
            const Node *sink = fu->groups.at[i]->sink;
            *error = arena_printf(a, "%s cannot be compiled: %s", op_name(sink->op), why);
            *where = sink->span;
        }
        if (ok) return out;
    }
    return NULL;
}

/* The parts of a contraction go to a buffer of their own; what is left to do, in *step, is to add them up. */
static void add_parts(Arena *a, ProgramFunc *pf, const Kernel *own, Step *step)
{
    uint32_t last = own->operands.n - 1, *sum = arena_array(a, uint32_t, 2);
    Buffer parts = pf->buffers.at[step->buffer[last]];
    parts.kind = BUFFER_WORK;
    parts.index = 0;
    parts.count = own->parts;
    sum[0] = pf->buffers.n;
    sum[1] = step->buffer[last];
    vec_push(a, &pf->buffers, parts);
    step->buffer[last] = sum[0];
    vec_push(a, &pf->steps, *step);
    *step = (Step){.kernel = own->sum, .buffer = sum, .dim = own->sum->bound.at, .span = own->sum->span};
}

/* Buffers and steps, each step with a kernel of its own. */
static ProgramFunc *make_steps(Arena *a, Func *f, bool fused, const bool *whole, Fusion **fusion, const char **error, Span *where)
{
    Lowered *lowered = lower_all(a, f, fused, whole, fusion, error, where);
    if (!lowered) return NULL;
    Fusion *fu = *fusion;
    ProgramFunc *pf = arena_new(a, ProgramFunc);
    pf->func = f;
    Map *numbers = map_new(a);
    for (uint32_t i = 0; i < fu->groups.n; i++) {
        Kernel *own = lowered[i].kernel;
        Step step = {.kernel = own, .span = own->span, .group = fu->groups.at[i], .refused = fu->groups.at[i]->refused};
        step.buffer = arena_array(a, uint32_t, own->operands.n);
        for (uint32_t k = 0; k < own->operands.n; k++) {
            Node *n = lowered[i].operands[k];
            step.buffer[k] = buffer_number(a, pf, numbers, n);
            if (!pf->buffers.at[step.buffer[k]].count) {
                *error = "the number of elements overflows";
                *where = n->span;
                return NULL;
            }
        }
        step.dim = own->bound.at;
        if (own->sum) add_parts(a, pf, own, &step);
        vec_push(a, &pf->steps, step);
    }
    for (uint32_t i = 0; i < f->guards.n; i++) vec_push(a, &pf->guards, buffer_number(a, pf, numbers, f->guards.at[i].ok));
    for (uint32_t i = 0; i < fu->sites.n; i++) vec_push(a, &pf->sites, fu->sites.at[i]);
    return pf;
}

/* Results that cannot be written where they belong get a buffer in the workspace, and are copied from there. */
static void stage_results(Func *f, const bool *stage, NodeList *staged)
{
    for (uint32_t i = 0; i < f->results.n; i++) {
        Result *r = &f->results.at[i];
        if (!stage[i]) continue;
        vec_push(f->module->arena, staged, r->node);
        r->node = ir_reshape(f, r->node, r->node->type, r->node->span);
    }
}

/* Bytes of staged values that have a buffer in the end. Those of params are numbers. */
static int64_t copied_bytes(const ProgramFunc *f, const NodeList *staged)
{
    int64_t sum = 0, n = 0;
    for (uint32_t b = 0; b < f->buffers.n && staged->n; b++) {
        const Buffer *x = &f->buffers.at[b];
        bool is = false;
        for (uint32_t i = 0; i < staged->n && !is; i++) is = staged->at[i] == x->value;
        if (is && dim_is_const(x->count, &n)) sum += n * (int64_t)dtype_size(x->dtype);
    }
    return sum;
}

static ProgramFunc *build_func(Arena *a, Program *p, Map *by_text, Func *f, const CodegenOptions *o, const char **error, Span *where)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->op == OP_loop) {
            *where = f->body.nodes.at[i]->span;
            *error = "loops are not compiled yet";
            return NULL;
        }
    if (!o->no_fuse) split_large_sums(f);
    one_get_a_member(f);
    make_results_stored(f);
    check_starts(f);
    *where = f->span;
    NodeList staged = {0};
    ProgramFunc *pf;
    Fusion *fu;
    for (bool ordered = false; !ordered;) {             /* each round stages one result more, at least */
        bool *stage = arena_array(a, bool, f->results.n + 1), *whole = arena_array(a, bool, f->nodes_made + 1);
        for (uint32_t i = 0; i < staged.n; i++) whole[staged.at[i]->id] = true;
        for (uint32_t i = 0; i < f->body.nodes.n; i++) whole[f->body.nodes.at[i]->id] |= is_checked_start(f->body.nodes.at[i]);
        pf = make_steps(a, f, !o->no_fuse, whole, &fu, error, where);
        if (!pf) return NULL;
        ordered = order_steps(a, pf, stage);
        stage_results(f, stage, &staged);
    }
    if (!o->no_fuse) merge_updates(a, pf, fu);
    pf->copied = copied_bytes(pf, &staged);
    for (uint32_t i = 0; i < pf->steps.n; i++) pf->steps.at[i].kernel = shared_kernel(a, p, by_text, pf->steps.at[i].kernel);
    return plan_memory(a, pf, !o->no_plan, error) ? pf : NULL;
}

Program *program_build(Arena *a, Module *m, const CodegenOptions *o, const char **error)
{
    Program *p = arena_new(a, Program);
    Map *by_text = map_new(a);
    bool any = false;
    p->module = m;
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        Func *f = m->funcs.at[i];
        Span where = {0};
        ProgramFunc *pf = build_func(a, p, by_text, f, o, error, &where);
        if (pf) {
            any |= f->exported;
            vec_push(a, &p->funcs, pf);
        } else if (m->diags && f->exported) {
            Diag *d = diag_warning(m->diags, DL_not_compiled, where, "%s", *error);
            diag_note(m->diags, d, f->span, "'%s' is left out", f->name);
        } else {
            return NULL;
        }
    }
    if (!any) {
        *error = m->diags && m->diags->warnings ? "no export is left to compile" : "nothing is exported";
        return NULL;
    }
    return p;
}
