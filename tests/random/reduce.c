/* reduce.c - a smaller program that fails too. Steps are tried in turn, the coarse ones first, and kept where the program still
 * fails; it ends when a whole round takes nothing away. The caller's test decides what "fails in the same way" means. Each
 * candidate is a clone, changed by ordinary rewriting, that the verifier accepts. */
#include "tests/random/random.h"

#include <string.h>

typedef struct Reducer {
    Arena        *arena;
    RandomProgram best;
    StillFails   *fails;
    void         *user;
    bool          progress;
} Reducer;

/* Arguments that nothing uses, and their params, go. */
static void drop_unused(Arena *a, Module *m)
{
    Func *f = m->funcs.at[0];
    rewrite_end(&(Rewrite){.f = f});
    uint32_t *uses = use_counts(a, f), kept = 0;
    for (uint32_t i = 0; i < f->args.n; i++)
        if (uses[f->args.at[i].node->id]) f->args.at[kept++] = f->args.at[i];
    if (kept == f->args.n) return;
    f->args.n = kept;
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        Node *n = f->body.nodes.at[i];
        if (n->op != OP_arg || uses[n->id]) f->body.nodes.at[nodes++] = n;
    }
    f->body.nodes.n = f->nodes_made = nodes;
    for (uint32_t i = 0; i < nodes; i++) f->body.nodes.at[i]->id = i;
    for (uint32_t i = 0; i < kept; i++) f->args.at[i].node->attr.arg = i;
    uint32_t params = 0;
    for (uint32_t i = 0; i < m->params.n; i++) {
        bool used = false;
        for (uint32_t k = 0; k < kept; k++) used |= f->args.at[k].param == m->params.at[i];
        for (uint32_t k = 0; k < f->results.n; k++) used |= f->results.at[k].param == m->params.at[i];
        if (used) m->params.at[params++] = m->params.at[i];
    }
    m->params.n = params;
    for (uint32_t i = 0; i < params; i++) m->params.at[i]->index = i;
}

/* Take the candidate where it is valid and fails. */
static bool attempt(Reducer *r, RandomProgram *p)
{
    const char *error = NULL;
    drop_unused(r->arena, p->m);
    if (!ir_verify(r->arena, p->m, "reducing", &error) || !r->fails(r->user, p)) return false;
    r->best = *p;
    return r->progress = true;
}

static RandomProgram copy_best(const Reducer *r)
{
    RandomProgram p = r->best;
    p.m = module_clone(r->arena, r->best.m);
    return p;
}

static void remove_result(Func *f, uint32_t i)
{
    memmove(&f->results.at[i], &f->results.at[i + 1], (f->results.n - i - 1) * sizeof f->results.at[0]);
    f->results.n--;
}

/* One binding, one result, no guards, no requirements. */
static void drop_parts(Reducer *r)
{
    for (uint32_t b = 0; b < r->best.nbindings && r->best.nbindings > 1; b++) {
        RandomProgram p = copy_best(r);
        memcpy(p.dims[0], p.dims[b], sizeof p.dims[0]);
        p.nbindings = 1;
        attempt(r, &p);
    }
    for (uint32_t i = r->best.m->funcs.at[0]->results.n; i-- > 0;) {
        if (r->best.m->funcs.at[0]->results.n == 1) break;
        RandomProgram p = copy_best(r);
        remove_result(p.m->funcs.at[0], i);
        attempt(r, &p);
    }
    if (r->best.m->funcs.at[0]->guards.n) {
        RandomProgram p = copy_best(r);
        p.m->funcs.at[0]->guards.n = 0;
        attempt(r, &p);
    }
    for (uint32_t i = 0; i < r->best.m->funcs.at[0]->results.n; i++) {  /* a new value becomes a plain result */
        if (!r->best.m->funcs.at[0]->results.at[i].param) continue;
        RandomProgram p = copy_best(r);
        p.m->funcs.at[0]->results.at[i].param = NULL;
        attempt(r, &p);
    }
    for (uint32_t i = 0; i < r->best.m->funcs.at[0]->args.n; i++) {
        if (!r->best.m->funcs.at[0]->args.at[i].is_index) continue;
        RandomProgram p = copy_best(r);
        p.m->funcs.at[0]->args.at[i].is_index = false;
        attempt(r, &p);
    }
}

/* Results become what they are computed from. */
static void cut_tail(Reducer *r)
{
    for (uint32_t i = 0; i < r->best.m->funcs.at[0]->results.n; i++) {
        for (uint32_t k = 0;; k++) {
            const Result *result = &r->best.m->funcs.at[0]->results.at[i];
            if (result->param || k >= result->node->nargs) break;
            const Node *from = result->node->arg[k];
            if (from->type->kind != TYPE_TENSOR && !from->nargs) continue;
            RandomProgram p = copy_best(r);
            Result *cut = &p.m->funcs.at[0]->results.at[i];
            uint32_t member = cut->node->op == OP_get ? cut->node->attr.axis : 0;
            cut->node = cut->node->arg[k];
            if (cut->node->op == OP_tuple) cut->node = cut->node->arg[member];
            else if (cut->node->type->kind != TYPE_TENSOR) cut->node = cut->node->arg[0];      /* of a sort: what is sorted */
            if (attempt(r, &p)) k = (uint32_t)-1;
        }
    }
}

/* What may stand for a node. */
typedef enum Stand { STAND_OPERAND, STAND_ZERO, STAND_ONE, STAND_INPUT, STAND_COUNT } Stand;

static Node *stand_in(RandomProgram *p, Node *n, Stand how, uint32_t operand)
{
    Func *f = n->func;
    if (how == STAND_OPERAND) return operand < n->nargs && n->arg[operand]->type == n->type ? n->arg[operand] : NULL;
    if (n->op == OP_arg ? how == STAND_INPUT : how != STAND_INPUT && n->op == OP_broadcast && n->arg[0]->op == OP_const) return NULL;
    if (n->op == OP_const && !n->type->rank) return NULL;
    if (how == STAND_INPUT) {
        for (uint32_t i = 0;; i++) {                    /* a name that is free */
            const char *name = arena_printf(p->m->arena, "r%u", i);
            bool taken = false;
            for (uint32_t k = 0; k < f->args.n; k++) taken |= f->args.at[k].name && !strcmp(f->args.at[k].name, name);
            if (!taken) return func_arg(f, ARG_INPUT, name, n->type, NULL, (Span){0});
        }
    }
    DType t = n->type->dtype;
    Node *v = dtype_is_float(t) ? ir_scalar(f, t, how == STAND_ONE, (Span){0}) : ir_scalar_int(f, t, how == STAND_ONE, (Span){0});
    return n->type->rank ? ir_splat(f, v, n->type, (Span){0}) : v;
}

static bool replace(Reducer *r, uint32_t id, Stand how, uint32_t operand)
{
    RandomProgram p = copy_best(r);
    Func *f = p.m->funcs.at[0];
    Node *n = f->body.nodes.at[id];
    if (n->type->kind != TYPE_TENSOR || f->args.n + 1 > RANDOM_ARGS) return false;
    Node *by = NULL;
    if (how == STAND_OPERAND) {
        by = stand_in(&p, n, how, operand);
        if (!by) return false;
    }
    if (how == STAND_INPUT) {                           /* an argument must be there before rewriting begins */
        by = stand_in(&p, n, how, 0);
        if (!by) return false;
    }
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        if (rw.old[i] != n) {
            rewrite_copy(&rw, rw.old[i]);
            continue;
        }
        if (by) {
            rw.map[i] = rw.map[by->id];
        } else {
            Node *made = stand_in(&p, n, how, 0);
            if (made) rw.map[i] = made;
            else rewrite_copy(&rw, rw.old[i]), by = n;
        }
    }
    if (by == n) return false;
    rewrite_end(&rw);
    return attempt(r, &p);
}

static void replace_nodes(Reducer *r)
{
    for (int how = 0; how < STAND_COUNT; how++) {
        for (uint32_t id = r->best.m->funcs.at[0]->body.nodes.n; id-- > 0;) {
            const Func *f = r->best.m->funcs.at[0];
            if (id >= f->body.nodes.n) continue;
            uint32_t operands = how == STAND_OPERAND ? f->body.nodes.at[id]->nargs : 1;
            for (uint32_t k = 0; k < operands; k++)
                if (replace(r, id, (Stand)how, k)) break;
        }
    }
}

/* ---- dims -------------------------------------------------------------------------------------------------- */

typedef struct DimChange { Dim *from, *to; } DimChange;

static Type *change_type(Module *m, Type *t, DimChange c)
{
    if (t->kind == TYPE_TUPLE) {
        Type *member[MAX_RANK];
        if (t->rank > MAX_RANK) return t;
        for (uint32_t i = 0; i < t->rank; i++) member[i] = change_type(m, t->member[i], c);
        return type_tuple(m, t->rank, member);
    }
    Dim *dim[MAX_RANK];
    const Atom *sym = dim_as_sym(c.from);
    for (uint32_t i = 0; i < t->rank; i++) dim[i] = sym ? dim_subst(m, t->dim[i], 1, &sym, &c.to) : t->dim[i] == c.from ? c.to : t->dim[i];
    return type_tensor(m, t->dtype, t->rank, dim);
}

/* The function made again with `to` for every dim `from`: every type is inferred anew, so what does not fit is found. */
static bool change_dims(Reducer *r, DimChange c)
{
    RandomProgram p = copy_best(r);
    Module *m = p.m;
    Func *f = m->funcs.at[0];
    int64_t v;
    c.from = dim_is_const(c.from, &v) ? dim_const(m, v) : dim_sym(m, f, dim_as_sym(c.from)->name);
    c.to = dim_const(m, (dim_is_const(c.to, &v), v));
    for (uint32_t i = 0; i < m->params.n; i++) m->params.at[i]->type = change_type(m, m->params.at[i]->type, c);
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < f->args.n; i++) f->args.at[i].node->type = change_type(m, f->args.at[i].node->type, c);
    bool ok = true;
    for (uint32_t i = 0; ok && i < rw.nold; i++) {
        Node *old = rw.old[i];
        if (old->op == OP_arg) continue;
        Type *t = change_type(m, old->type, c);
        Attr attr = old->attr;
        if (old->op == OP_const && t != old->type) {    /* its first elements */
            int64_t from = 0, to = 0;
            dim_is_const(type_count(m, old->type), &from), dim_is_const(type_count(m, t), &to);
            if (to > from) ok = false;
        }
        Node **arg = arena_array(m->arena, Node *, old->nargs + 1);
        for (uint32_t k = 0; k < old->nargs; k++) arg[k] = rw.map[old->arg[k]->id];
        bool inferred = op_class(old->op) == CLASS_MAP || op_class(old->op) == CLASS_RED || op_class(old->op) == CLASS_DOT;
        rw.map[i] = ok ? ir_node(f, old->op, old->nargs, arg, &attr, inferred ? NULL : t, old->span) : NULL;
        ok = rw.map[i] != NULL && (rw.map[i]->type == t || inferred);
    }
    if (!ok) return false;
    rewrite_end(&rw);
    return attempt(r, &p);
}

static void shrink_dims(Reducer *r)
{
    for (uint32_t i = 0; i < r->best.m->funcs.at[0]->args.n; i++) {
        for (uint32_t k = 0; i < r->best.m->funcs.at[0]->args.n && k < r->best.m->funcs.at[0]->args.at[i].node->type->rank; k++) {
            Module *m = r->best.m;
            Dim *d = m->funcs.at[0]->args.at[i].node->type->dim[k];
            int64_t v;
            if (dim_is_const(d, &v)) {
                static const int64_t smaller[] = {1, 2, 3, 4};
                for (size_t s = 0; s < COUNT(smaller); s++)
                    if (smaller[s] < v && change_dims(r, (DimChange){d, dim_const(m, smaller[s])})) break;
            } else if (dim_as_sym(d)) {                 /* a symbol becomes its value */
                const Func *f = m->funcs.at[0];
                for (uint32_t s = 0; s < f->dims.n && r->best.nbindings == 1; s++)
                    if (f->dims.at[s] == d && change_dims(r, (DimChange){d, dim_const(m, r->best.dims[0][s])})) break;
            }
        }
    }
    for (uint32_t s = 0; s < r->best.m->funcs.at[0]->dims.n; s++) {
        static const int64_t smaller[] = {1, 2, 3, 5, 9, 17};
        for (size_t k = 0; k < COUNT(smaller) && r->best.nbindings == 1; k++) {
            if (smaller[k] >= r->best.dims[0][s]) break;
            RandomProgram p = copy_best(r);
            p.dims[0][s] = smaller[k];
            if (attempt(r, &p)) break;
        }
    }
}

RandomProgram reduce(Arena *a, const RandomProgram *p, StillFails *fails, void *user)
{
    Reducer r = {.arena = a, .best = *p, .fails = fails, .user = user};
    for (int round = 0; round < 8; round++) {
        r.progress = false;
        drop_parts(&r);
        cut_tail(&r);
        replace_nodes(&r);
        shrink_dims(&r);
        if (!r.progress) break;
    }
    return r.best;
}
