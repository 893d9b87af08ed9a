/* gradients_custom.c - the gradient that a `custom` node brings along: y, hole, then pairs x, dx.
 *   %1 = hole : f32[]
 *   %2 = neg %1 : f32[]
 *   %3 = custom %0, %1, %0, %2 : f32[]      the value %0; with dy coming in, d %0 = neg dy
 * What dx is computed from and depends on the hole is made again, with dy for the hole; the rest is used as it is. The
 * new nodes are ordinary ones: gradients of gradients need nothing more.
 */
#include "passes/gradients.h"

static void mark(bool *needed, const Node *n, uint32_t first)
{
    if (n->id >= first) needed[n->id - first] = true;
}

void grad_custom(Grad *g)
{
    Arena scratch = {0};
    Func *f = g->f;
    Node *hole = g->y->arg[1];
    uint32_t first = hole->id, n = g->y->id - first;    /* whatever depends on the hole stands between the two */
    bool *depends = arena_array(&scratch, bool, n), *needed = arena_array(&scratch, bool, n);
    Node **map = arena_array(&scratch, Node *, n);
    depends[0] = true;
    for (uint32_t i = 1; i < n; i++) {
        const Node *x = f->body.nodes.at[first + i];
        for (uint32_t k = 0; k < x->nargs; k++)
            if (x->arg[k]->id >= first) depends[i] |= depends[x->arg[k]->id - first];
    }
    for (uint32_t i = 2; i < g->y->nargs; i += 2)
        if (g->wanted[i]) mark(needed, g->y->arg[i + 1], first);
    for (uint32_t i = n; i-- > 1;) {
        const Node *x = f->body.nodes.at[first + i];
        for (uint32_t k = 0; needed[i] && k < x->nargs; k++) mark(needed, x->arg[k], first);
    }
    map[0] = g->dy;
    for (uint32_t i = 1; i < n; i++) {
        Node *x = map[i] = f->body.nodes.at[first + i];
        if (!depends[i] || !needed[i]) continue;
        Node **arg = arena_array(&scratch, Node *, x->nargs);
        for (uint32_t k = 0; k < x->nargs; k++) arg[k] = x->arg[k]->id >= first ? map[x->arg[k]->id - first] : x->arg[k];
        map[i] = ir_node(f, x->op, x->nargs, arg, &x->attr, x->type, x->span);
        if (!map[i]) break;                             /* autodiff.c reports it */
        map[i]->remat = x->remat;
    }
    for (uint32_t i = 2; i < g->y->nargs; i += 2) {
        Node *dx = g->y->arg[i + 1];
        if (g->wanted[i]) g->dx[i] = dx->id >= first ? map[dx->id - first] : dx;
    }
    arena_free(&scratch);
}
