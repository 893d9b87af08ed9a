/* budget.c - keep the workspace within --memory-budget, by computing values again instead of keeping them.
 *
 * The plan says what lives at the step that needs the most memory. A value that is not used there, but before and after, is a
 * candidate: it can be computed again just before the next use, from what is alive by then. The one that saves the most
 * bytes for an operation is taken, values made without a contraction before others; the function is fused and planned anew;
 * and so on, until all fits or nothing helps.
 *   %1 = exp %0                        %1 = exp %0
 *   ... much memory, not %1            ...
 *   %9 = mul %8, %1                    %9 = exp %0 {remat = 1}
 *                                      %10 = mul %8, %9
 */
#include <stdlib.h>
#include <string.h>

#include "base/pack.h"
#include "base/size.h"
#include "codegen/fuse.h"

enum { MAX_TRIES = 12, MAX_ROUNDS = 400, MAX_CLOSURE = 512 };

/* A function, fused and planned, at given sizes. */
typedef struct View {
    const ProgramFunc *pf;
    uint32_t n;                         /* nodes of the function before program_build added its own */
    uint32_t *stored;                   /* by node id: number of its buffer + 1 */
    uint32_t *written;                  /* by buffer: the step that writes it first */
    int64_t  *bytes;                    /* by buffer */
    int64_t  *live;                     /* by step */
    int64_t  total;
} View;

typedef struct Search {
    Arena   *arena;
    const CodegenOptions *options;
    DimLookup *lookup;
    void    *user;
    int64_t  budget;
    const char **error;
} Search;

static bool bytes_of(const Buffer *b, DimLookup *lookup, void *user, int64_t *bytes)
{
    return dim_value(b->count, lookup, user, bytes) && *bytes >= 0 && size_mul(*bytes, (int64_t)dtype_size(b->dtype), bytes);
}

int64_t workspace_at(Arena *a, const ProgramFunc *f, DimLookup *lookup, void *user, int64_t *live)
{
    PackItem *item = arena_array(a, PackItem, f->buffers.n + 1);
    int64_t *offset = arena_array(a, int64_t, f->buffers.n + 1), total, scratch;
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        const Buffer *b = &f->buffers.at[i];
        if (b->kind != BUFFER_WORK || b->shares != NO_BUFFER) continue;
        item[i] = (PackItem){0, b->first, b->last};
        if (!bytes_of(b, lookup, user, &item[i].size)) return -1;
        for (uint32_t s = b->first; live && s <= b->last && s < f->steps.n; s++)
            if (!size_add(live[s], item[i].size, &live[s])) return -1;
    }
    if (!pack_scratch(f->buffers.n, &scratch) || !pack(item, f->buffers.n, offset, &total, arena_alloc(a, (size_t)scratch + 8))) return -1;
    return total;
}

/* Fuse and plan function `which` of a copy of m. false: it does not compile, which program_build will say, or a size is open. */
static bool look(const Search *s, const Module *m, uint32_t which, View *v)
{
    Arena *a = s->arena;
    Module *copy = module_clone(a, m);
    copy->diags = NULL;
    copy->funcs.at[0] = copy->funcs.at[which];
    copy->funcs.n = 1;
    *v = (View){.n = m->funcs.at[which]->body.nodes.n};
    const char *error;
    Program *p = program_build(a, copy, s->options, &error);
    if (!p) return false;
    const ProgramFunc *f = v->pf = p->funcs.at[0];
    v->stored = arena_array(a, uint32_t, f->func->nodes_made + 1);
    v->written = arena_array(a, uint32_t, f->buffers.n + 1);
    v->bytes = arena_array(a, int64_t, f->buffers.n + 1);
    v->live = arena_array(a, int64_t, f->steps.n + 1);
    v->total = workspace_at(a, f, s->lookup, s->user, v->live);
    if (v->total < 0) return false;
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        v->written[i] = UINT32_MAX;
        if (f->buffers.at[i].value) v->stored[f->buffers.at[i].value->id] = i + 1;
        if (!bytes_of(&f->buffers.at[i], s->lookup, s->user, &v->bytes[i])) return false;
    }
    for (uint32_t i = 0; i < f->steps.n; i++) {
        const Step *step = &f->steps.at[i];
        for (uint32_t k = 0; k < step->kernel->operands.n; k++)
            if (step->kernel->operands.at[k].written && v->written[step->buffer[k]] == UINT32_MAX) v->written[step->buffer[k]] = i;
    }
    return true;
}

/* How much the steps are over `target`, in all. */
static double excess(const View *v, int64_t target)
{
    double sum = 0;
    for (uint32_t i = 0; i < v->pf->steps.n; i++)
        if (v->live[i] > target) sum += (double)(v->live[i] - target);
    return sum;
}

static bool reads(const ProgramFunc *f, uint32_t step, uint32_t buffer)
{
    const Step *s = &f->steps.at[step];
    for (uint32_t k = 0; k < s->kernel->operands.n; k++)
        if (s->buffer[k] == buffer && !s->kernel->operands.at[k].written) return true;
    return false;
}

/* The first step from `from` on that reads the buffer; UINT32_MAX: none. */
static uint32_t next_read(const ProgramFunc *f, uint32_t buffer, uint32_t from)
{
    for (uint32_t s = from; s < f->steps.n; s++)
        if (reads(f, s, buffer)) return s;
    return UINT32_MAX;
}

typedef struct Candidate {
    const Node *value;
    uint32_t next;                      /* the step that will read it next */
    bool    *again;                     /* by node id: is computed again */
    bool     contracts;
    double   gain;                      /* bytes saved an operation */
} Candidate;

/* The nodes that make c's value from what lives at its next use. */
static bool close_over(const Search *s, const View *v, uint32_t peak, Candidate *c)
{
    const ProgramFunc *f = v->pf;
    VEC(const Node *) todo = {0};
    double work = 0;
    vec_push(s->arena, &todo, c->value);
    c->again = arena_array(s->arena, bool, f->func->nodes_made + 1);
    c->again[c->value->id] = true;
    for (uint32_t i = 0; i < todo.n; i++) {
        const Node *n = todo.at[i];
        OpClass class = op_class(n->op);
        if (todo.n > MAX_CLOSURE || n->id >= v->n || class == CLASS_ORD || class == CLASS_SCT || class == CLASS_TUP) return false;
        c->contracts |= class == CLASS_DOT;
        uint32_t b = v->stored[n->id];
        if (b) {
            const Step *step = v->written[b - 1] == UINT32_MAX ? NULL : &f->steps.at[v->written[b - 1]];
            Dim *flops = step ? kernel_flops(step->kernel) : NULL;
            int64_t count = 0;
            if (flops) flops = dim_subst(f->func->module, flops, step->kernel->syms.n, step->kernel->syms.at, step->dim);
            if (!flops || !dim_value(flops, s->lookup, s->user, &count)) return false;
            work += (double)count + (double)v->bytes[b - 1] / 4;
        }
        for (uint32_t k = 0; k < n->nargs; k++) {
            const Node *x = n->arg[k];
            uint32_t from = v->stored[x->id];
            if (c->again[x->id] || x->op == OP_arg || x->op == OP_const) continue;
            if (from) {
                BufferKind kind = f->buffers.at[from - 1].kind;
                if (kind == BUFFER_PARAM) return false;                 /* a new value of a param: written when all is done */
                bool lives = v->written[from - 1] <= peak && next_read(f, from - 1, c->next) != UINT32_MAX;
                if (kind != BUFFER_WORK || lives) continue;
            }
            c->again[x->id] = true;
            vec_push(s->arena, &todo, x);
        }
    }
    c->gain = (double)v->bytes[v->stored[c->value->id] - 1] / (work + 1);
    return true;
}

static int better(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->contracts != y->contracts) return x->contracts - y->contracts;
    if (x->gain != y->gain) return x->gain < y->gain ? 1 : -1;
    return x->value->id < y->value->id ? -1 : 1;
}

static uint32_t candidates(const Search *s, const View *v, Candidate *out)
{
    const ProgramFunc *f = v->pf;
    uint32_t peak = 0, n = 0;
    for (uint32_t i = 1; i < f->steps.n; i++)
        if (v->live[i] > v->live[peak]) peak = i;
    for (uint32_t b = 0; b < f->buffers.n; b++) {
        const Buffer *x = &f->buffers.at[b];
        if (x->kind != BUFFER_WORK || !x->value || x->value->id >= v->n || !v->bytes[b]) continue;
        if (v->written[b] >= peak || reads(f, peak, b)) continue;
        uint32_t next = next_read(f, b, peak + 1);
        Candidate c = {.value = x->value, .next = next};
        if (next != UINT32_MAX && close_over(s, v, peak, &c)) out[n++] = c;
    }
    if (n) qsort(out, n, sizeof *out, better);
    return n;
}

/* The first node whose value the step stores: what is computed again for the step goes before it. */
static uint32_t place_of(const View *v, uint32_t step)
{
    const Step *s = &v->pf->steps.at[step];
    uint32_t place = v->n;
    for (uint32_t k = 0; k < s->kernel->operands.n; k++) {
        const Node *n = s->kernel->operands.at[k].written ? v->pf->buffers.at[s->buffer[k]].value : NULL;
        if (n && n->op == OP_get) n = n->arg[0];
        if (n && n->id < place) place = n->id;
    }
    return place;
}

static Node *make_again(Func *f, const Rewrite *rw, Node *const *late, const Node *old, uint32_t tag)
{
    Node **arg = arena_array(f->module->arena, Node *, old->nargs + 1);
    for (uint32_t k = 0; k < old->nargs; k++) arg[k] = late[old->arg[k]->id] ? late[old->arg[k]->id] : rw->map[old->arg[k]->id];
    Node *n = ir_node(f, old->op, old->nargs, arg, &old->attr, old->type, old->span);
    if (n) n->remat = tag, n->made = tag == old->remat ? old->made : MADE_AGAIN;
    return n;
}

/* From the next use on, c's value is another node, and so is what kernels computed of it without storing it. */
static void apply(Func *f, const View *v, const Candidate *c)
{
    uint32_t place = place_of(v, c->next), tag = 0;
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->remat > tag) tag = f->body.nodes.at[i]->remat;
    Rewrite rw = rewrite_begin(f);
    Node **late = arena_array(f->module->arena, Node *, rw.nold + 1);
    for (uint32_t i = 0; i <= rw.nold; i++) {
        for (uint32_t j = 0; i == place && j < place; j++) {
            bool again = c->again[j] && rw.old[j]->op != OP_arg, depends = false;
            for (uint32_t k = 0; k < rw.old[j]->nargs; k++) depends |= late[rw.old[j]->arg[k]->id] != NULL;
            if (again) late[j] = make_again(f, &rw, late, rw.old[j], tag + 1);
            else if (depends && !v->stored[j]) late[j] = make_again(f, &rw, late, rw.old[j], rw.old[j]->remat);
        }
        for (uint32_t j = 0; i == place && j < place; j++)
            if (late[j]) rw.map[j] = late[j];
        if (i < rw.nold) rewrite_copy(&rw, rw.old[i]);
    }
    rewrite_end(&rw);
}

/* One value more that is computed again: a new module, or NULL if nothing helps. */
static Module *improve(const Search *s, Module *m, uint32_t which, View *v)
{
    int64_t near = v->total - v->total / 8, target = near > s->budget ? near : s->budget;   /* one step of the stairs at a time */
    Candidate *c = arena_array(s->arena, Candidate, v->pf->buffers.n + 1);
    uint32_t n = candidates(s, v, c);
    for (uint32_t i = 0; i < n && i < MAX_TRIES; i++) {
        Module *trial = module_clone(s->arena, m);
        View after;
        apply(trial->funcs.at[which], v, &c[i]);
        if (!look(s, trial, which, &after)) continue;
        if (after.total > v->total || (after.total == v->total && excess(&after, target) >= excess(v, target))) continue;
        *v = after;
        return trial;
    }
    return NULL;
}

Module *budget_fit(Arena *a, Module *m, const CodegenOptions *o, int64_t budget, DimLookup *lookup, void *user, const char **error)
{
    Search s = {.arena = a, .options = o, .lookup = lookup, .user = user, .budget = budget, .error = error};
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.at[i];
        int64_t value;
        for (uint32_t k = 0; f->exported && k < f->dims.n; k++) {
            if (dim_value(f->dims.at[k], lookup, user, &value)) continue;
            *error = arena_printf(a, "--memory-budget needs numbers: give --dim %s=N, or an upper bound in the model", dim_as_sym(f->dims.at[k])->name);
            return NULL;
        }
        View v;
        if (!f->exported || !look(&s, m, i, &v)) continue;
        for (uint32_t round = 0; v.total > budget && round < MAX_ROUNDS; round++) {
            Module *better_one = improve(&s, m, i, &v);
            if (!better_one) break;
            m = better_one;
        }
        if (v.total <= budget) continue;
        *error = arena_printf(a, "%s needs %lld bytes between its kernels at the least, over the budget of %lld", f->name, (long long)v.total,
                              (long long)budget);
        return NULL;
    }
    return m;
}
