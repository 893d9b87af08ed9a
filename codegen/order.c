/* order.c - the order in which a function's steps run, so that params and states are written in place.
 *
 * A step that gives a param its new value writes into the param's own storage. Before it must run
 *   every step that reads the old value (itself it may, at the very element that it stores), and
 *   every step that can fail (an index out of range) or computes a guard: a call that fails has changed nothing.
 * Steps stay in the order they came in as far as these and the data allow. Where they form a circle (two params change
 * places; an index that can be wrong is computed from a new value), results in it are staged: the kernel writes to the
 * workspace and a step at the end copies. A copy has no readers, so it closes no circle.
 */
#include "codegen/fuse.h"

#include <string.h>

bool result_unchanged(const Func *f, const Result *r)
{
    return r->param && r->node->op == OP_arg && f->args.at[r->node->attr.arg].param == r->param;
}

bool gives_initial_values(const Func *f)
{
    return !f->exported && !strcmp(f->name, "init");
}

bool kernel_can_fail(const Kernel *k)
{
    if (k->class == KERNEL_ROUTINE) return k->routine == OP_scatter || k->routine == OP_top_k;
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].kind == K_check) return true;
    return false;
}

/* ---- the graph of steps ------------------------------------------------------------------------------------------ */

enum { NONE = UINT32_MAX };

/* `to` runs after `from`. Writing in place is what `free` edges are for: staging the result that `to` writes drops them. */
typedef struct Edge {
    uint32_t from, to, next_out, next_in;
    bool     free;
} Edge;

typedef struct Order {
    Arena        scratch;
    ProgramFunc *f;
    uint32_t     n;                     /* steps; node n is the commit: what can fail before it, writes after it */
    VEC(Edge)    edges;
    uint32_t    *out, *in;              /* first edge of each node */
    uint32_t    *waits;                 /* edges from nodes that are not placed */
    bool        *placed;
    bool        *early;
    uint32_t    *producer;              /* by buffer: the step that writes it */
    uint32_t    *writes;                /* by step: the result that it writes in place */
    VEC(uint32_t) heap;                 /* ready nodes, the lowest key first */
} Order;

static void edge(Order *o, uint32_t from, uint32_t to, bool free)
{
    Edge e = {from, to, o->out[from], o->in[to], free};
    vec_push(&o->scratch, &o->edges, e);
    o->out[from] = o->in[to] = o->edges.n - 1;
    o->waits[to]++;
}

static uint32_t *no_numbers(Order *o, uint32_t n)
{
    uint32_t *x = arena_array(&o->scratch, uint32_t, n + 1);
    memset(x, 0xff, (n + 1) * sizeof *x);
    return x;
}

/* Must a result be staged whatever the order? Its kernel can fail or gives a guard, or reads old elements over which it
 * may have stored new ones. */
static bool needs_stage(const Order *o, uint32_t step, uint32_t old, uint32_t new, const bool *guards)
{
    const Step *s = &o->f->steps.at[step];
    const Kernel *k = s->kernel;
    if (kernel_can_fail(k) || guards[step]) return true;
    for (uint32_t i = 0; i < k->operands.n; i++) {
        if (s->buffer[i] != old) continue;
        for (uint32_t st = 0; st < k->stores.n; st++)
            if (s->buffer[k->stores.at[st].operand] == new && !kernel_reads_in_place(k, i, &k->stores.at[st])) return true;
        if (!k->stores.n) return true;                  /* a routine */
    }
    return false;
}

/* false: some result must be staged at once. */
static bool build_graph(Order *o, bool *stage)
{
    ProgramFunc *f = o->f;
    uint32_t commit = o->n;
    bool *guards = arena_array(&o->scratch, bool, o->n + 1), ok = true;
    for (uint32_t s = 0; s < o->n; s++)
        for (uint32_t k = 0; k < f->steps.at[s].kernel->operands.n; k++)
            if (f->steps.at[s].kernel->operands.at[k].written) o->producer[f->steps.at[s].buffer[k]] = s;
    for (uint32_t i = 0; i < f->guards.n; i++)
        if (o->producer[f->guards.at[i]] != NONE) guards[o->producer[f->guards.at[i]]] = true;
    uint32_t *of_node = no_numbers(o, f->func->nodes_made), *old_of = no_numbers(o, f->func->module->params.n);   /* buffers */
    uint32_t *replaces = no_numbers(o, f->buffers.n);   /* buffer of an old value -> the step that writes the new one */
    for (uint32_t b = 0; b < f->buffers.n; b++) {
        const Buffer *x = &f->buffers.at[b];
        if (x->kind != BUFFER_WORK) of_node[x->value->id] = b;
        if (x->kind == BUFFER_PARAM && x->value->op == OP_arg) old_of[x->index] = b;
    }
    for (uint32_t r = 0; r < f->func->results.n && !gives_initial_values(f->func); r++) {
        const Result *x = &f->func->results.at[r];
        if (!x->param || result_unchanged(f->func, x)) continue;
        uint32_t step = o->producer[of_node[x->node->id]], old = old_of[x->param->index];
        o->writes[step] = r;
        if (needs_stage(o, step, old, of_node[x->node->id], guards)) stage[r] = true, ok = false;
        if (old != NONE) replaces[old] = step;
        edge(o, commit, step, true);
    }
    for (uint32_t s = 0; s < o->n && ok; s++) {
        const Step *x = &f->steps.at[s];
        for (uint32_t k = 0; k < x->kernel->operands.n; k++) {
            if (x->kernel->operands.at[k].written) continue;
            uint32_t before = o->producer[x->buffer[k]], after = replaces[x->buffer[k]];
            if (before != NONE) edge(o, before, s, false);
            if (after != NONE && after != s) edge(o, s, after, true);
        }
        if (kernel_can_fail(x->kernel) || guards[s]) edge(o, s, commit, false);
    }
    return ok;
}

/* ---- a heap of ready nodes ------------------------------------------------------------------------------------------ */

/* The commit comes as soon as it can, then numbers computed from new values (a step count, a learning rate), so that they do
 * not stand between updates of tensors that belong together (merge.c); all else in the order it came in. */
static uint64_t key_of(const Order *o, uint32_t node)
{
    return node == o->n ? 0 : o->early[node] ? 1 + (uint64_t)node : 1 + (uint64_t)o->n + node;
}

/* Steps after the commit that compute one number. */
static void mark_early(Order *o)
{
    bool *late = arena_array(&o->scratch, bool, o->n + 1);
    VEC(uint32_t) stack = {0};
    vec_push(&o->scratch, &stack, o->n);
    while (stack.n) {
        uint32_t node = stack.at[--stack.n];
        for (uint32_t e = o->out[node]; e != NONE; e = o->edges.at[e].next_out) {
            uint32_t to = o->edges.at[e].to;
            if (late[to]) continue;
            late[to] = true;
            vec_push(&o->scratch, &stack, to);
        }
    }
    for (uint32_t i = 0; i < o->n; i++) {
        const Kernel *k = o->f->steps.at[i].kernel;
        o->early[i] = late[i] && k->class == KERNEL_MAP && k->axes.n == 0;
    }
}

static void swap(Order *o, uint32_t i, uint32_t k)
{
    uint32_t t = o->heap.at[i];
    o->heap.at[i] = o->heap.at[k];
    o->heap.at[k] = t;
}

static void push(Order *o, uint32_t node)
{
    vec_push(&o->scratch, &o->heap, node);
    for (uint32_t i = o->heap.n - 1; i && key_of(o, o->heap.at[i]) < key_of(o, o->heap.at[(i - 1) / 2]); i = (i - 1) / 2) swap(o, i, (i - 1) / 2);
}

static uint32_t pop(Order *o)
{
    uint32_t first = o->heap.at[0], n = --o->heap.n;
    o->heap.at[0] = o->heap.at[n];
    for (uint32_t i = 0;;) {
        uint32_t least = i;
        for (uint32_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
            if (key_of(o, o->heap.at[c]) < key_of(o, o->heap.at[least])) least = c;
        if (least == i) return first;
        swap(o, i, least);
        i = least;
    }
}

/* ---- circles --------------------------------------------------------------------------------------------------------- */

static int64_t elements(const Param *p)
{
    int64_t n = 1, d;
    for (uint32_t i = 0; i < p->type->rank; i++)
        if (dim_is_const(p->type->dim[i], &d) && __builtin_mul_overflow(n, d, &n)) return INT64_MAX;
    return n;
}

static uint32_t waits_for(const Order *o, uint32_t node)
{
    for (uint32_t e = o->in[node]; e != NONE; e = o->edges.at[e].next_in)
        if (!o->placed[o->edges.at[e].from]) return o->edges.at[e].from;
    return NONE;
}

/* Nothing is ready: a circle is among what is not placed. The step in it whose result is staged: the smallest one. */
static uint32_t cheapest_of_circle(Order *o)
{
    bool *seen = arena_array(&o->scratch, bool, o->n + 1);
    uint32_t node = 0, best = NONE;
    while (o->placed[node]) node++;
    for (; !seen[node]; node = waits_for(o, node)) seen[node] = true;
    uint32_t end = node;
    do {
        if (node < o->n && o->writes[node] != NONE) {
            const Func *f = o->f->func;
            if (best == NONE || elements(f->results.at[o->writes[node]].param) < elements(f->results.at[o->writes[best]].param)) best = node;
        }
        node = waits_for(o, node);
    } while (node != end);
    return best;
}

/* The step no longer writes in place: what it waited for on that account it does not wait for. */
static void release(Order *o, uint32_t step)
{
    uint32_t *link = &o->in[step];
    while (*link != NONE) {
        Edge *e = &o->edges.at[*link];
        if (!e->free) {
            link = &e->next_in;
            continue;
        }
        if (!o->placed[e->from]) o->waits[step]--;
        *link = e->next_in;
        e->to = NONE;
    }
    o->writes[step] = NONE;
    if (!o->waits[step]) push(o, step);
}

static void place(Order *o, uint32_t node)
{
    o->placed[node] = true;
    for (uint32_t e = o->out[node]; e != NONE; e = o->edges.at[e].next_out) {
        uint32_t to = o->edges.at[e].to;
        if (to != NONE && --o->waits[to] == 0) push(o, to);
    }
}

bool order_steps(Arena *a, ProgramFunc *f, bool *stage)
{
    Order o = {.f = f, .n = f->steps.n};
    o.out = no_numbers(&o, o.n);
    o.in = no_numbers(&o, o.n);
    o.writes = no_numbers(&o, o.n);
    o.producer = no_numbers(&o, f->buffers.n);
    o.waits = arena_array(&o.scratch, uint32_t, o.n + 1);
    o.placed = arena_array(&o.scratch, bool, o.n + 1);
    o.early = arena_array(&o.scratch, bool, o.n + 1);
    Step *order = arena_array(a, Step, o.n + 1);
    uint32_t done = 0;
    bool ok = build_graph(&o, stage);
    mark_early(&o);
    for (uint32_t i = 0; i <= o.n && ok; i++)
        if (!o.waits[i]) push(&o, i);
    bool graph = ok;                                    /* even where something is staged: to find all that has to be */
    for (uint32_t nodes = 0; graph && nodes <= o.n; nodes++) {
        while (!o.heap.n) {
            uint32_t step = cheapest_of_circle(&o);
            stage[o.writes[step]] = true, ok = false;
            release(&o, step);
        }
        uint32_t node = pop(&o);
        place(&o, node);
        if (node == o.n) f->commit = done;
        else order[done++] = f->steps.at[node];
    }
    if (ok) f->steps.at = order, f->steps.cap = o.n + 1;
    arena_free(&o.scratch);
    return ok;
}
