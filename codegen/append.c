/* append.c - values put into a param or state at a computed place are written there, and nothing else of it is touched:
 *   cache := put(cache, keys, axis = 2, start = length)        one row a token, not the whole cache
 * An update whose start can be wrong could not be in place, for it would fail while it writes (order.c). So the start is
 * looked up in the numbers that it may be, in a step of its own that runs before the commit:
 *   %5 = iota {axis = 0} : i64[extent - T + 1]
 *   %6 = gather %5, %start {axis = 0} : i64[]                   the start, or a fault and 0
 *   %7 = dupdate %cache, %keys, %6 {axis = 2}                   cannot fail
 */
#include "codegen/fuse.h"

bool is_checked_start(const Node *n)
{
    return n->op == OP_gather && n->type->rank == 0 && n->arg[0]->op == OP_iota;
}

bool is_append(const Func *f, const Node *n)
{
    if (n->op != OP_dupdate || n->arg[0]->op != OP_arg || gives_initial_values(f)) return false;
    const Param *p = f->args.at[n->arg[0]->attr.arg].param;
    for (uint32_t i = 0; p && i < f->results.n; i++)
        if (f->results.at[i].node == n) return f->results.at[i].param == p;
    return false;
}

Dim *start_limit(Module *m, const Node *n)
{
    Dim *room = dim_sub(m, n->arg[0]->type->dim[n->attr.axis], n->arg[1]->type->dim[n->attr.axis]);
    return room ? dim_add(m, room, dim_const(m, 1)) : NULL;
}

/* Do the values fit at all? Then 0 is a start. */
static bool fits(const Func *f, const Node *n, const Dim *limit)
{
    for (uint32_t i = 0; i < f->requires.n; i++) {
        const Require *r = &f->requires.at[i];
        if (r->rel == REL_LE && r->a == n->arg[1]->type->dim[n->attr.axis] && r->b == n->arg[0]->type->dim[n->attr.axis]) return true;
    }
    return limit->lo >= 1;
}

static bool to_check(Func *f, const Node *n)
{
    if (!is_append(f, n)) return false;
    const Dim *limit = start_limit(f->module, n);
    return limit && fits(f, n, limit) && !start_is_proven(f, n->arg[2], limit);
}

typedef struct Start { const Node *start; Dim *limit; Node *checked; } Start;

void check_starts(Func *f)
{
    Arena scratch = {0};
    VEC(Start) known = {0};
    bool any = false, *check = arena_array(&scratch, bool, f->body.nodes.n + 1);
    for (uint32_t i = 0; i < f->body.nodes.n; i++) any |= check[i] = to_check(f, f->body.nodes.at[i]);
    Dim **limit = arena_array(&scratch, Dim *, f->body.nodes.n + 1);
    for (uint32_t i = 0; i < f->body.nodes.n && any; i++)
        if (check[i]) limit[i] = start_limit(f->module, f->body.nodes.at[i]);
    Rewrite rw = {0};
    if (any) rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *n = rewrite_copy(&rw, rw.old[i]), *checked = NULL;
        if (!check[i]) continue;
        Node *start = n->arg[2];
        for (uint32_t k = 0; k < known.n && !checked; k++)
            if (known.at[k].start == start && known.at[k].limit == limit[i]) checked = known.at[k].checked;
        if (!checked) {
            Attr axis = {.axis = 0};
            Node *may_be = ir_node(f, OP_iota, 0, NULL, &axis, type_tensor(f->module, DT_i64, 1, &limit[i]), n->span);
            checked = ir_node(f, OP_gather, 2, (Node *[]){may_be, start}, &axis, NULL, n->span);
            vec_push(&scratch, &known, ((Start){start, limit[i], checked}));
        }
        rw.map[rw.old[i]->id] = ir_node(f, OP_dupdate, 3, (Node *[]){n->arg[0], n->arg[1], checked}, &n->attr, NULL, n->span);
    }
    if (any) rewrite_end(&rw);
    arena_free(&scratch);
}
