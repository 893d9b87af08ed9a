/* raise - attention gets its own gradient: one that computes the scores again instead of keeping the probabilities.
 * In:  any verified graph before autodiff.
 * Out: where a function has a `grad`, each softmax(s) v with s made from a product (q k^T, scaled, masked, biased) is wrapped in
 *      a `custom`, whose gradient needs the row's logsumexp and the output of the forward pass, and no matrix of scores:
 *        p = exp(s - L)    dv = p^T do    ds = p (do v^T - rowsum(do o))
 *      What leads from the product to s and p has a remat tag, so autodiff makes it anew when it needs it. From s the
 *      gradient goes on to q and k by the ordinary rules. (Dao et al. 2022, "FlashAttention", section 3.1.)
 *   %9 = div %6, %8 : f32[T,T]           softmax of %3 along the last axis, %6 = exp(%3 - max)
 *   %10 = dot %9, %2 {..} : f32[T,D]     ->   %10, then   %20 = custom %10, %11, %3, %19, %2, %15
 *
 * The matched nodes stay as they are: who has a schedule for attention finds them, others compile primitives.
 */
#include "passes/passes.h"

enum { MAX_CHAIN = 64 };

/* The matched values: o = softmax(s) v. */
typedef struct Attention {
    Node *o, *s, *v, *max, *sum;
    bool  stopped;                      /* no gradient passes to the max: it cancels */
} Attention;

/* The reduction over the last axis of `of` whose results n repeats along that axis; else NULL. *stopped: there is a `stop` between. */
static Node *row_value(Node *n, const Node *of, RedKind kind, bool *stopped)
{
    uint32_t rank = of->type->rank;
    *stopped = n->op == OP_stop;
    if (*stopped) n = n->arg[0];
    if (n->type != of->type || n->op != OP_broadcast) return NULL;
    for (uint32_t i = 0; i < n->arg[0]->type->rank; i++)
        if (n->attr.perm[i] != i) return NULL;
    n = n->arg[0];
    if (n->type->rank == rank && !dim_equals(n->type->dim[rank - 1], 1)) return NULL;
    if (n->type->rank + 1 < rank) return NULL;
    while (n->op == OP_reshape || n->op == OP_stop) {           /* [..., Q] to [..., Q, 1] */
        const Type *to = n->type, *from = n->arg[0]->type;
        for (uint32_t i = 0; i < rank - 1; i++)
            if (i >= to->rank || i >= from->rank || to->dim[i] != from->dim[i]) return NULL;
        *stopped |= n->op == OP_stop;
        n = n->arg[0];
    }
    if (n->op != OP_reduce || n->arg[0] != of || n->attr.reduce.kind != kind || n->attr.reduce.axes != 1u << (rank - 1)) return NULL;
    return n;
}

/* [..., Q, K] by [..., K, E] -> [..., Q, E] */
static bool is_product(const Node *n)
{
    uint32_t rank = n->type->rank;
    if (n->op != OP_dot || rank < 2 || n->arg[0]->type->rank != rank || n->arg[1]->type->rank != rank) return false;
    if (n->attr.dot.nbatch != rank - 2 || n->attr.dot.ncontract != 1) return false;
    for (uint32_t i = 0; i < rank - 2; i++)
        if (n->attr.dot.lbatch[i] != i || n->attr.dot.rbatch[i] != i) return false;
    return n->attr.dot.lcontract[0] == rank - 1 && n->attr.dot.rcontract[0] == rank - 2;
}

static bool match(Node *o, Attention *a)
{
    if (!is_product(o) || !dtype_is_float(o->type->dtype)) return false;
    Node *p = o->arg[0], *e = p->op == OP_div ? p->arg[0] : NULL;
    if (!e || e->op != OP_exp || e->arg[0]->op != OP_sub) return false;
    *a = (Attention){.o = o, .s = e->arg[0]->arg[0], .v = o->arg[1]};
    bool cut;
    a->sum = row_value(p->arg[1], e, RED_sum, &cut);
    a->max = row_value(e->arg[0]->arg[1], a->s, RED_max, &a->stopped);
    return a->sum && !cut && a->max && !o->remat;
}

static bool same_dims(const Type *a, const Type *b)
{
    for (uint32_t i = 0; a->rank == b->rank && i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return a->rank == b->rank;
}

/* The elementwise nodes that make the scores of a product, and the product: at least one. false: not so, or some are
 * computed again already. */
static bool chain_of(Node *s, Node **chain, uint32_t *n)
{
    bool product = false;
    chain[(*n)++] = s;
    for (uint32_t i = 0; i < *n; i++) {
        Node *x = chain[i];
        product |= x->op == OP_dot;
        if (x->remat) return false;
        for (uint32_t k = 0; k < x->nargs && op_class(x->op) == CLASS_MAP; k++) {
            Node *y = x->arg[k];
            bool known = !same_dims(y->type, s->type) || (op_class(y->op) != CLASS_MAP && y->op != OP_dot);
            for (uint32_t j = 0; j < *n && !known; j++) known = chain[j] == y;
            if (known) continue;
            if (*n == MAX_CHAIN) return false;
            chain[(*n)++] = y;
        }
    }
    return product && (op_class(s->op) == CLASS_MAP || s->op == OP_dot);
}

static Node *dot_of(Func *f, Node *a, Node *b, uint32_t axis, Span span)
{
    Attr attr = {.dot = {.nbatch = (uint8_t)(a->type->rank - 2), .ncontract = 1}};
    for (uint8_t i = 0; i < attr.dot.nbatch; i++) attr.dot.lbatch[i] = attr.dot.rbatch[i] = i;
    attr.dot.lcontract[0] = attr.dot.rcontract[0] = (uint8_t)axis;
    return ir_node(f, OP_dot, 2, (Node *[]){a, b}, &attr, NULL, span);
}

/* A value of the rows of t, repeated along its last axis. */
static Node *repeat(Func *f, Node *row, Type *t, Span span)
{
    uint8_t axes[MAX_RANK];
    for (uint8_t i = 0; i < MAX_RANK; i++) axes[i] = i;
    return ir_broadcast(f, row, t, axes, span);
}

static Node *wrap(Func *f, const Attention *a, uint32_t tag)
{
    Span span = a->o->span;
    uint32_t last = a->o->type->rank - 1;
    Node *chain[MAX_CHAIN];
    uint32_t n = 0;
    if (!chain_of(a->s, chain, &n)) return a->o;
    Node *max = a->stopped ? ir_unary(f, OP_stop, a->max, span) : a->max;
    Node *rows = ir_binary(f, OP_add, max, ir_unary(f, OP_log, a->sum, span), span);         /* saved: the logsumexp */
    Node *repeated = repeat(f, rows, a->s->type, span);
    uint32_t first = f->body.nodes.n;
    Node *p = ir_unary(f, OP_exp, ir_binary(f, OP_sub, a->s, repeated, span), span);
    Node *d = ir_node(f, OP_hole, 0, NULL, NULL, a->o->type, span);
    Node *dv = dot_of(f, p, d, last - 1, span);
    Node *dp = dot_of(f, d, a->v, last, span);
    Node *sum = ir_reduce(f, RED_sum, ir_binary(f, OP_mul, d, a->o, span), 1u << last, span);
    Node *ds = ir_binary(f, OP_mul, p, ir_binary(f, OP_sub, dp, repeat(f, sum, a->s->type, span), span), span);
    Node *y = ir_node(f, OP_custom, 6, (Node *[]){a->o, d, a->s, ds, a->v, dv}, NULL, NULL, span);
    if (!y) return a->o;
    for (uint32_t i = 0; i < n; i++) chain[i]->remat = tag;
    for (uint32_t i = first; i < f->body.nodes.n; i++) f->body.nodes.at[i]->remat = tag;
    return y;
}

void pass_raise(Module *m)
{
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) {
        Func *f = all.at[i];
        bool grad = false;
        uint32_t tag = 0;
        for (uint32_t n = 0; n < f->body.nodes.n; n++) {
            grad |= f->body.nodes.at[n]->op == OP_grad;
            if (f->body.nodes.at[n]->remat > tag) tag = f->body.nodes.at[n]->remat;
        }
        if (!grad) continue;
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Attention a;
            Node *x = rewrite_copy(&rw, rw.old[n]);
            if (match(x, &a) && tag < UINT32_MAX) rw.map[rw.old[n]->id] = wrap(f, &a, ++tag);
        }
        rewrite_end(&rw);
    }
}
