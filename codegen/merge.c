/* merge.c - one sweep over memory for an update. Elementwise steps that give params and states their new values join where
 * they read the same tensors: Adam's moments and weights become one kernel with three stores.
 *   m := 0.9 * m + 0.1 * g             one kernel reads m, v, p, g once,
 *   v := 0.99 * v + 0.01 * g * g       and stores m, v, p
 *   p := p - m / sqrt(v)
 * What was computed for them alone (a clipped gradient) is computed inside, and needs no buffer.
 */
#include "codegen/fuse.h"

#include <string.h>

enum { WINDOW = 32, MAX_MERGED = 96, MAX_OPERANDS = 24 };      /* steps looked back; insts and operands of a merged kernel */

typedef struct Merge {
    Arena       *arena, scratch;
    ProgramFunc *f;
    Fusion      *fu;
    uint32_t    *of_node;               /* by node id: its buffer */
    bool        *gone;                  /* by step */
} Merge;

/* ---- questions about steps ------------------------------------------------------------------------------------------ */

/* Do two buffers share storage? The old and the new value of a param do. */
static bool same_place(const ProgramFunc *f, uint32_t a, uint32_t b)
{
    const Buffer *x = &f->buffers.at[a], *y = &f->buffers.at[b];
    return a == b || (x->kind == BUFFER_PARAM && y->kind == BUFFER_PARAM && x->index == y->index);
}

/* Does one write what the other reads or writes? */
static bool conflict(const ProgramFunc *f, const Step *x, const Step *y)
{
    for (uint32_t i = 0; i < x->kernel->operands.n; i++)
        for (uint32_t k = 0; k < y->kernel->operands.n; k++)
            if ((x->kernel->operands.at[i].written || y->kernel->operands.at[k].written) && same_place(f, x->buffer[i], y->buffer[k])) return true;
    return false;
}

/* Elementwise, and all it writes are params. */
static bool is_update(const ProgramFunc *f, const Step *s)
{
    if (!s->group || s->kernel->class != KERNEL_MAP || kernel_can_fail(s->kernel)) return false;
    for (uint32_t i = 0; i < s->kernel->operands.n; i++)
        if (s->kernel->operands.at[i].written && f->buffers.at[s->buffer[i]].kind != BUFFER_PARAM) return false;
    return true;
}

/* Do they run over the same elements, and touch a tensor both? */
static bool belong_together(const ProgramFunc *f, const Step *x, const Step *y)
{
    const Type *s = x->group->sink->type, *t = y->group->sink->type;
    if (s->rank != t->rank || (s->rank && memcmp(s->dim, t->dim, s->rank * sizeof *s->dim))) return false;
    for (uint32_t i = 0; i < x->kernel->operands.n; i++)
        for (uint32_t k = 0; k < y->kernel->operands.n; k++)
            if (same_place(f, x->buffer[i], y->buffer[k]) && f->buffers.at[x->buffer[i]].count == type_count(f->func->module, (Type *)s)) return true;
    return false;
}

/* ---- merging ----------------------------------------------------------------------------------------------------------- */

/* Every old element must be read where, and only where, the new one is stored. */
static bool all_in_place(const Merge *m, const Step *s)
{
    const Kernel *k = s->kernel;
    for (uint32_t st = 0; st < k->stores.n; st++)
        for (uint32_t o = 0; o < k->operands.n; o++)
            if (!k->operands.at[o].written && same_place(m->f, s->buffer[o], s->buffer[k->stores.at[st].operand]) &&
                !kernel_reads_in_place(k, o, &k->stores.at[st]))
                return false;
    return true;
}

/* The step of a group; false: it cannot be. */
static bool make_step(Merge *m, Group *g, Step *out)
{
    Node **operands;
    const char *why = NULL;
    Kernel *k = lower_group(m->arena, m->fu, g, &operands, &why);
    if (!k || k->class != KERNEL_MAP || k->body.n > MAX_MERGED || k->operands.n > MAX_OPERANDS) return false;
    *out = (Step){.kernel = k, .dim = k->bound.at, .span = k->span, .group = g};
    out->buffer = arena_array(m->arena, uint32_t, k->operands.n);
    for (uint32_t i = 0; i < k->operands.n; i++) {
        out->buffer[i] = m->of_node[operands[i]->id];
        if (out->buffer[i] == NO_BUFFER) return false;
    }
    return all_in_place(m, out);
}

/* Step i joins the earlier step j. */
static bool join(Merge *m, uint32_t j, uint32_t i)
{
    Step *to = &m->f->steps.at[j], both;
    const Group *with = m->f->steps.at[i].group;
    Group *g = arena_new(m->arena, Group);
    *g = *to->group;
    g->more.at = NULL, g->more.n = g->more.cap = 0;
    for (uint32_t k = 0; k < to->group->more.n; k++) vec_push(m->arena, &g->more, to->group->more.at[k]);
    vec_push(m->arena, &g->more, with->sink);
    if (!make_step(m, g, &both)) return false;
    *to = both;
    return true;
}

static void join_updates(Merge *m)
{
    ProgramFunc *f = m->f;
    for (uint32_t i = f->commit; i < f->steps.n; i++) {
        Step *s = &f->steps.at[i];
        if (!is_update(f, s)) continue;
        for (uint32_t j = i; j-- > f->commit && i - j <= WINDOW;) {
            Step *before = &f->steps.at[j];
            if (m->gone[j]) continue;
            if (is_update(f, before) && belong_together(f, before, s) && join(m, j, i)) {
                m->gone[i] = true;
                break;
            }
            if (conflict(f, before, s)) break;
        }
    }
}

/* ---- absorbing what is computed for an update alone -------------------------------------------------------------------- */

static uint32_t producer_of(const Merge *m, uint32_t step, uint32_t buffer)
{
    for (uint32_t i = step; i-- > 0 && step - i <= 8 * WINDOW;) {
        const Step *s = &m->f->steps.at[i];
        for (uint32_t k = 0; k < s->kernel->operands.n && !m->gone[i]; k++)
            if (s->kernel->operands.at[k].written && s->buffer[k] == buffer) return i;
    }
    return UINT32_MAX;
}

/* Is the buffer read by that step alone, and is it no guard? */
static bool read_by_one(const Merge *m, const uint32_t *readers, uint32_t buffer)
{
    for (uint32_t i = 0; i < m->f->guards.n; i++)
        if (m->f->guards.at[i] == buffer) return false;
    return readers[buffer] == 1;
}

static bool may_move(const Merge *m, uint32_t from, uint32_t to)
{
    const ProgramFunc *f = m->f;
    const Step *x = &f->steps.at[from];
    for (uint32_t i = from + 1; i < to; i++) {
        const Step *s = &f->steps.at[i];
        for (uint32_t k = 0; k < s->kernel->operands.n && !m->gone[i]; k++)
            for (uint32_t o = 0; o < x->kernel->operands.n && s->kernel->operands.at[k].written; o++)
                if (same_place(f, s->buffer[k], x->buffer[o])) return false;
    }
    return true;
}

/* Compute operand o of step i inside it. */
static bool absorb(Merge *m, uint32_t i, uint32_t o, uint32_t *readers)
{
    ProgramFunc *f = m->f;
    Step *s = &f->steps.at[i], one;
    uint32_t buffer = s->buffer[o];
    const Node *value = f->buffers.at[buffer].value;
    if (s->kernel->operands.at[o].written || f->buffers.at[buffer].kind != BUFFER_WORK || !read_by_one(m, readers, buffer)) return false;
    if (!kernel_reads_in_place(s->kernel, o, &s->kernel->stores.at[0])) return false;
    uint32_t p = producer_of(m, i, buffer);
    if (p == UINT32_MAX || !f->steps.at[p].group || f->steps.at[p].kernel->class != KERNEL_MAP || kernel_can_fail(f->steps.at[p].kernel) ||
        f->steps.at[p].kernel->stores.n != 1 || !may_move(m, p, i))
        return false;
    m->fu->stored[value->id] = false;
    if (!make_step(m, s->group, &one)) {
        m->fu->stored[value->id] = true;
        return false;
    }
    const Step *was = &f->steps.at[p];
    for (uint32_t k = 0; k < was->kernel->operands.n; k++) readers[was->buffer[k]] -= !was->kernel->operands.at[k].written;
    for (uint32_t k = 0; k < s->kernel->operands.n; k++) readers[s->buffer[k]] -= !s->kernel->operands.at[k].written;
    for (uint32_t k = 0; k < one.kernel->operands.n; k++) readers[one.buffer[k]] += !one.kernel->operands.at[k].written;
    *s = one;
    m->gone[p] = true;
    return true;
}

static void absorb_operands(Merge *m)
{
    ProgramFunc *f = m->f;
    uint32_t *readers = arena_array(&m->scratch, uint32_t, f->buffers.n + 1);
    for (uint32_t i = 0; i < f->steps.n; i++)
        for (uint32_t k = 0; k < f->steps.at[i].kernel->operands.n && !m->gone[i]; k++)
            readers[f->steps.at[i].buffer[k]] += !f->steps.at[i].kernel->operands.at[k].written;
    for (uint32_t i = f->commit; i < f->steps.n; i++) {
        Step *s = &f->steps.at[i];
        if (m->gone[i] || !s->group || !s->group->more.n) continue;
        for (uint32_t o = 0; o < s->kernel->operands.n;) o = absorb(m, i, o, readers) ? 0 : o + 1;
    }
}

/* ---- what is left -------------------------------------------------------------------------------------------------------- */

static void drop_steps(Merge *m)
{
    ProgramFunc *f = m->f;
    uint32_t kept = 0, commit = f->commit;
    for (uint32_t i = 0; i < f->steps.n; i++) {
        if (m->gone[i] && i < f->commit) commit--;
        if (!m->gone[i]) f->steps.at[kept++] = f->steps.at[i];
    }
    f->steps.n = kept;
    f->commit = commit;
}

static void drop_buffers(Merge *m)
{
    ProgramFunc *f = m->f;
    uint32_t *number = arena_array(&m->scratch, uint32_t, f->buffers.n + 1), kept = 0;
    for (uint32_t i = 0; i < f->steps.n; i++)
        for (uint32_t k = 0; k < f->steps.at[i].kernel->operands.n; k++) number[f->steps.at[i].buffer[k]] = 1;
    for (uint32_t i = 0; i < f->guards.n; i++) number[f->guards.at[i]] = 1;
    for (uint32_t b = 0; b < f->buffers.n; b++) {
        if (!number[b]) continue;
        number[b] = kept;
        f->buffers.at[kept++] = f->buffers.at[b];
    }
    f->buffers.n = kept;
    for (uint32_t i = 0; i < f->steps.n; i++) {         /* kernels are each step's own as yet, and so are their buffers */
        Step *s = &f->steps.at[i];
        for (uint32_t k = 0; k < s->kernel->operands.n; k++) s->buffer[k] = number[s->buffer[k]];
    }
    for (uint32_t i = 0; i < f->guards.n; i++) f->guards.at[i] = number[f->guards.at[i]];
}

void merge_updates(Arena *a, ProgramFunc *f, Fusion *fu)
{
    Merge m = {.arena = a, .f = f, .fu = fu};
    uint32_t nodes = f->func->nodes_made;
    m.of_node = arena_array(&m.scratch, uint32_t, nodes + 1);
    memset(m.of_node, 0xff, (nodes + 1) * sizeof *m.of_node);
    for (uint32_t b = f->buffers.n; b-- > 0;) m.of_node[f->buffers.at[b].value->id] = b;
    m.gone = arena_array(&m.scratch, bool, f->steps.n + 1);
    join_updates(&m);
    absorb_operands(&m);
    drop_steps(&m);
    drop_buffers(&m);
    arena_free(&m.scratch);
}
