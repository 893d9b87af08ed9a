/* program.c - kernels, buffers and steps of a whole module: what artefact.c writes out. */
#include <string.h>

#include "codegen/fuse.h"

/* A result must be a value that some kernel stores, and stores for it alone: arguments, constants and second uses are
 * copied through a reshape to the same type, which becomes a kernel that moves the data. */
static void make_results_stored(Func *f)
{
    for (uint32_t i = 0; i < f->results.n; i++) {
        Result *r = &f->results.at[i];
        bool copy = op_class(r->node->op) == CLASS_SRC && r->node->op != OP_rng && r->node->op != OP_iota;
        copy |= r->node->op == OP_iota;
        for (uint32_t k = 0; k < i; k++) copy |= f->results.at[k].node == r->node;
        if (copy) r->node = ir_reshape(f, r->node, r->node->type, r->node->span);
    }
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
        const Param *p = f->results.at[result].param;
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
static Lowered *lower_all(Arena *a, Func *f, bool fused, Fusion **fusion, const char **error, Span *where)
{
    static const uint32_t limits[] = {FUSE_LIMIT, 12, 3, 0};
    for (uint32_t attempt = fused ? 0 : COUNT(limits) - 1; attempt < COUNT(limits); attempt++) {
        Fusion *fu = *fusion = fuse(a, f, limits[attempt], error, where);
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

static ProgramFunc *build_func(Arena *a, Program *p, Map *by_text, Func *f, const CodegenOptions *o, const char **error, Span *where)
{
    one_get_a_member(f);
    make_results_stored(f);
    *where = f->span;
    Fusion *fu;
    Lowered *lowered = lower_all(a, f, !o->no_fuse, &fu, error, where);
    if (!lowered) return NULL;
    ProgramFunc *pf = arena_new(a, ProgramFunc);
    pf->func = f;
    Map *numbers = map_new(a);
    for (uint32_t i = 0; i < fu->groups.n; i++) {
        const Kernel *own = lowered[i].kernel;
        Step step = {.kernel = shared_kernel(a, p, by_text, lowered[i].kernel), .span = own->span};
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
        vec_push(a, &pf->steps, step);
    }
    for (uint32_t i = 0; i < fu->sites.n; i++) vec_push(a, &pf->sites, fu->sites.at[i]);
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
