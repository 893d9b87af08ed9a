/* fuse.c - decide which values are stored and which are computed inside the kernels that read them.
 *
 * Nodes are visited from the last to the first, so that everything that reads a value has been decided before it is. A
 * value that one kernel reads may join that kernel:
 *   views          become index maps, in every kernel that reads them
 *   elementwise    join their one reader, unless that means computing an element again and again: a contraction's operand,
 *                  an overlapping window, an expensive value of few elements that is stretched over many
 *   reductions     join where the reader runs over the same rows (softmax and norms are one kernel each)
 *   dot and conv   take the elementwise kernel that reads them as their epilogue
 * Whether a reduction or a contraction fits is not pattern-matched: lower.c is asked to make the kernel, and says why not.
 */
#include "codegen/fuse.h"

#include <stdlib.h>

enum { MAX_LIGHT = 24 };                /* depth of light work */

/* What the readers of a value, all decided, want of it. */
typedef struct Want {
    Group *group;                       /* a kernel that reads it; NULL: nobody */
    bool   many;                        /* and others do */
    bool   contracted;                  /* through an operand of a contraction: read many times */
    bool   windowed;                    /* through a window */
    bool   stretched;                   /* every reader sees it repeated */
    bool   whole;                       /* as a whole buffer, by a routine */
    bool   result;
} Want;

typedef struct Fuser {
    Arena  *arena;
    Fusion *fu;
    Want   *want;                       /* by node id */
    uint8_t *light;                     /* cheap to compute anywhere: arithmetic on positions and scalars; its depth, or 0 */
    bool   *after_reduction;            /* elementwise work on a reduction's results */
    uint32_t limit;                     /* nodes in a kernel; 0: no fusion */
} Fuser;

static bool is_expensive(Op op)
{
    switch (op) {
    case OP_exp: case OP_expm1: case OP_log: case OP_log1p: case OP_sin: case OP_cos: case OP_tanh: case OP_erf: case OP_sigmoid:
    case OP_sqrt: case OP_rsqrt: case OP_div: case OP_pow: case OP_floordiv: case OP_mod: case OP_rng:
        return true;
    default: return false;
    }
}

/* Forward: what is light, what follows a reduction. */
static void classify(Fuser *fz)
{
    const Func *f = fz->fu->func;
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        const Node *n = f->body.nodes.at[i];
        OpClass c = op_class(n->op);
        bool scalar_arg = n->op == OP_arg && n->type->rank == 0;
        bool moves = n->op == OP_reshape || n->op == OP_transpose || n->op == OP_broadcast || n->op == OP_slice || n->op == OP_reverse;
        uint32_t light = n->op == OP_dim || n->op == OP_iota || scalar_arg || (n->op == OP_const && n->type->rank == 0);
        bool after = c == CLASS_RED;
        if ((c == CLASS_MAP && !is_expensive(n->op)) || moves) {
            light = 1;
            for (uint32_t a = 0; a < n->nargs && light; a++) {
                uint32_t depth = fz->light[n->arg[a]->id];
                light = !depth || depth >= MAX_LIGHT ? 0 : depth >= light ? depth + 1 : light;
            }
        }
        if (c == CLASS_MAP || moves)
            for (uint32_t a = 0; a < n->nargs; a++) after |= fz->after_reduction[n->arg[a]->id];
        fz->light[n->id] = (uint8_t)light;
        fz->after_reduction[n->id] = after;
    }
}

static void ask(Fuser *fz, const Node *n, const Want *by)
{
    Want *w = &fz->want[n->id];
    if (!w->group) {
        bool result = w->result;
        *w = *by;
        w->result = result;
        return;
    }
    w->many |= by->many || w->group != by->group;
    w->contracted |= by->contracted;
    w->windowed |= by->windowed;
    w->stretched &= by->stretched;
    w->whole |= by->whole;
}

static bool stretches(const Node *n)
{
    if (n->op != OP_broadcast) return false;
    for (uint32_t i = 0, k = 0; i < n->type->rank; i++) {
        bool from_operand = k < n->arg[0]->type->rank && n->attr.perm[k] == i;
        bool same = from_operand && n->arg[0]->type->dim[k] == n->type->dim[i];
        k += from_operand;
        if (!same && !dim_equals(n->type->dim[i], 1)) return true;
    }
    return false;
}

/* n is computed inside its readers' kernels: they read its operands. */
static void inline_node(Fuser *fz, Node *n)
{
    Want w = fz->want[n->id];
    w.result = false;
    fz->fu->stored[n->id] = false;
    if (w.group && !w.many) w.group->size++;
    for (uint32_t a = 0; a < n->nargs; a++) {
        Want by = w;
        if (stretches(n)) by.stretched = true;
        if (op_class(n->op) == CLASS_DOT) by.contracted = true, by.stretched = false;
        if (n->op == OP_window) by.windowed = true, by.stretched = false;
        if (n->op == OP_reduce || n->op == OP_argreduce) by.stretched = false;
        ask(fz, n->arg[a], &by);
    }
}

static Group *new_group(Fuser *fz, Node *sink)
{
    Group *g = arena_new(fz->fu->arena, Group);
    g->sink = sink;
    g->size = 1;
    vec_push(fz->fu->arena, &fz->fu->groups, g);
    fz->fu->group[sink->id] = g;
    return g;
}

/* n gets a buffer and a kernel of its own, which others may join. */
static Group *store_node(Fuser *fz, Node *n)
{
    Group *g = fz->fu->group[n->id];            /* a tuple's: made for its members */
    if (!g) g = new_group(fz, n);
    if (op_class(n->op) == CLASS_DOT) g->core = n;
    if (op_class(n->op) == CLASS_RED) g->reduction = n;
    fz->fu->stored[n->id] = true;
    fz->want[n->id] = (Want){.group = g};
    Want w = {.group = g};
    for (uint32_t a = 0; a < n->nargs; a++) {
        Want by = w;
        by.contracted = op_class(n->op) == CLASS_DOT;
        by.windowed = n->op == OP_window;
        by.stretched = stretches(n);
        by.whole = is_routine(n);
        ask(fz, n->arg[a], &by);
    }
    return g;
}

/* n is a member of the tuple that a routine stores. */
static void store_member(Fuser *fz, Node *n)
{
    Node *tuple = n->arg[0];
    Group *g = fz->fu->group[tuple->id];
    if (!g) g = new_group(fz, tuple);
    ask(fz, tuple, &(Want){.group = g});
}

/* Would the group with n inside be one kernel? NULL if so, else why not. Values further down count as stored: they are decided
 * later. */
static const char *fits(Fuser *fz, Group *g, Node *n)
{
    Arena scratch = {0};
    Node **operands;
    const char *why = NULL;
    Group trial = *g;
    if (op_class(n->op) == CLASS_DOT) trial.core = n;
    else if (!trial.reduction) trial.reduction = n;
    fz->fu->stored[n->id] = false;
    uint32_t sites = fz->fu->sites.n;
    bool ok = lower_group(&scratch, fz->fu, &trial, &operands, &why);
    fz->fu->sites.n = sites;
    fz->fu->stored[n->id] = true;
    if (ok) g->core = trial.core, g->reduction = trial.reduction;
    else why = arena_printf(fz->fu->arena, "it does not fit its reader: %s", why);
    arena_free(&scratch);
    return ok ? NULL : why;
}

/* NULL: n is computed inside its readers. Else why it is stored. */
static const char *why_stored(Fuser *fz, Node *n)
{
    const Want *w = &fz->want[n->id];
    if (w->result || !w->group) return "a result";
    if (w->whole) return "a routine reads it whole";
    if (is_routine(n)) return "a routine makes it";
    OpClass c = op_class(n->op);
    bool room = w->group->size < fz->limit;
    if (fz->light[n->id] && (c == CLASS_MAP || c == CLASS_VIEW)) return NULL;
    const char *many = w->many ? "several kernels read it" : NULL, *full = room ? NULL : "the kernel is full";
    if (c == CLASS_VIEW) {
        const char *again = w->contracted || w->windowed ? "it would be read again and again" : NULL;
        switch (n->op) {
        case OP_concat: return many ? many : full ? full : w->contracted ? again : n->nargs > 3 ? "more than three parts" : NULL;
        case OP_gather: case OP_take_along: case OP_dupdate: return many ? many : full ? full : again;
        case OP_pad: case OP_dslice: return many ? many : full;
        default: return w->group->size < (fz->limit ? fz->limit : FUSE_LIMIT) ? NULL : "the kernel is full";
        }
    }
    if (many || full) return many ? many : full;
    if (w->contracted) return "a contraction would compute it again and again";
    if (w->windowed) return "overlapping windows would compute it again and again";
    if (c == CLASS_MAP || n->op == OP_rng)
        return !w->stretched || fz->after_reduction[n->id] || n->type->rank == 0 ? NULL : "it is stretched, and would be computed for every element";
    if (c != CLASS_RED && c != CLASS_DOT) return "it has its own kernel";
    if (w->group->core) return "its reader contracts already";
    if (c == CLASS_DOT && w->group->reduction) return "its reader reduces";
    return fits(fz, w->group, n);
}

static bool has_kernel(const Node *n)
{
    OpClass c = op_class(n->op);
    return c != CLASS_TUP || (n->op == OP_get && is_routine(n->arg[0]));
}

static int by_sink(const void *a, const void *b)
{
    uint32_t x = (*(Group *const *)a)->sink->id, y = (*(Group *const *)b)->sink->id;
    return (x > y) - (x < y);
}

Fusion *fuse(Arena *a, Func *f, uint32_t limit, const bool *whole, const char **error, Span *where)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->id >= count) count = f->body.nodes.at[i]->id + 1;
    Fuser fz = {.arena = a, .limit = limit};
    fz.fu = arena_new(a, Fusion);
    *fz.fu = (Fusion){.func = f, .arena = a, .stored = arena_array(a, bool, count), .group = arena_array(a, Group *, count)};
    fz.want = arena_array(a, Want, count);
    fz.light = arena_array(a, uint8_t, count);
    fz.after_reduction = arena_array(a, bool, count);
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        Node *n = f->body.nodes.at[i];
        fz.fu->stored[n->id] = op_class(n->op) != CLASS_SRC || n->op == OP_rng;
    }
    classify(&fz);
    for (uint32_t i = 0; i < f->results.n; i++)
        if (!result_unchanged(f, &f->results.at[i])) fz.want[f->results.at[i].node->id].result = true;
    for (uint32_t i = 0; i < f->guards.n; i++) {
        Node *ok = f->guards.at[i].ok;                  /* sources have a buffer anyway */
        if (op_class(ok->op) != CLASS_SRC) fz.want[ok->id].result = true;
    }
    for (uint32_t i = 0; whole && i < count; i++) fz.want[i].result |= whole[i];
    for (uint32_t i = f->body.nodes.n; i-- > 0;) {
        Node *n = f->body.nodes.at[i];
        const Want *w = &fz.want[n->id];
        if (!w->group && !w->result) continue;
        if (op_class(n->op) == CLASS_SRC && n->op != OP_rng) {
            bool made = n->op == OP_iota || n->op == OP_dim;
            if (!w->result && !(w->whole && made)) continue;
        }
        if (!has_kernel(n)) {
            *error = arena_printf(a, "%s is not supported in compiled code yet", op_name(n->op));
            *where = n->span;
            return NULL;
        }
        if (n->op == OP_get) store_member(&fz, n);
        else {
            const char *why = why_stored(&fz, n);
            if (!why) inline_node(&fz, n);
            else store_node(&fz, n)->refused = why;
        }
    }
    if (fz.fu->groups.n) qsort(fz.fu->groups.at, fz.fu->groups.n, sizeof *fz.fu->groups.at, by_sink);
    for (uint32_t i = 0; i < fz.fu->groups.n; i++) fz.fu->groups.at[i]->index = i;
    return fz.fu;
}
