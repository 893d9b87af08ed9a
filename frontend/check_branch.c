/* check_branch.c - an `if` that is decided at run time. Both branches are computed and each name, param and state takes
 * the value of one, by `select`: there is no jump. So an index out of range fails the call in either branch, and a
 * gradient that is infinite in the branch not taken is still NaN, as with `where`.
 */
#include <string.h>

#include "frontend/check.h"

typedef struct Branch {
    Scope *scope;                       /* what it bound */
    Value  value;
    VEC(Node *) places;                 /* of c->changed, at its end */
} Branch;

typedef struct Merge { Check *c; Node *condition; Span at; } Merge;

static Value merge(Merge *m, Value a, Value b, const char *what, int depth);

static Value differ(Merge *m, Value a, Value b, const char *what)
{
    return fail(m->c, DL_branches, m->at, "%s is %s in one branch and %s in the other", what, kind_text(m->c, a), kind_text(m->c, b));
}

static Node *select_node(Merge *m, Node *a, Node *b)
{
    Node *yes = splat(m->c, m->condition, type_with_dtype(m->c->m, a->type, DT_bool), m->at);
    return yes ? node(m->c, OP_select, 3, (Node *[]){yes, a, b}, NULL, NULL, m->at) : NULL;
}

static Value merge_lists(Merge *m, Value a, Value b, const char *what, int depth)
{
    if (a.list->n != b.list->n || depth > MAX_LIST_DEPTH) return differ(m, a, b, what);
    List *l = list_new(m->c, a.list->n, m->at);
    for (uint32_t i = 0; l && i < l->n; i++) l->at[i] = merge(m, a.list->at[i], b.list->at[i], what, depth + 1);
    if (!l) return v_error();
    l->name = a.list->name;
    return a.kind == V_TUPLE ? v_tuple(l) : v_list(l);
}

static Value merge(Merge *m, Value a, Value b, const char *what, int depth)
{
    Check *c = m->c;
    bool undecided = false, number_a = is_number(a) || a.kind == V_BOOL, number_b = is_number(b) || b.kind == V_BOOL;
    if (is_poison(a) || is_poison(b)) return is_poison(a) ? a : b;
    if (values_equal(c, a, b, &undecided) && !undecided) return a;
    if (is_list(a) && is_list(b)) return merge_lists(m, a, b, what, depth);
    if ((!is_tensor(a) && !number_a) || (!is_tensor(b) && !number_b)) return differ(m, a, b, what);
    Node *x, *y;
    if (is_tensor(a) || is_tensor(b) || a.kind == V_BOOL) {
        DType t = is_tensor(a) ? as_node(c, a)->type->dtype : is_tensor(b) ? as_node(c, b)->type->dtype : DT_bool;
        x = is_tensor(a) ? as_node(c, a) : number_as(c, a, t, m->at);
        y = is_tensor(b) ? as_node(c, b) : number_as(c, b, t, m->at);
    } else {                            /* two numbers: one that the call knows */
        x = weak_node(c, a, m->at);
        y = weak_node(c, b, m->at);
        if (!x || !y) return v_error();
        Node *n = select_node(m, x, y);
        return n ? (Value){.kind = V_WEAK, .node = n, .whole = is_whole(a) && is_whole(b)} : v_error();
    }
    if (!x || !y) return v_error();
    if (x->type == y->type) return tensor_value(c, select_node(m, x, y));
    return differ(m, tensor_value(c, x), tensor_value(c, y), what);
}

Node *branch_condition(Check *c)
{
    if (!c->condition && c->loop) c->condition = capture_made(c, branch_condition);
    return c->condition;
}

/* Run one branch with names of its own; places go back to what they were. */
static Branch run_branch(Check *c, const Body *body, Node *condition, bool want_value, Span at)
{
    Branch b = {.scope = scope_new(c, c->scope)};
    b.scope->block = BLOCK_branch;
    Scope *scope = c->scope, *define = c->define;
    Node *outer = branch_condition(c);
    uint32_t known = c->changed.n;
    VEC(Node *) before = {0};
    for (uint32_t i = 0; i < known; i++) vec_push(c->a, &before, c->changed.at[i]->node);
    c->scope = c->define = b.scope;
    c->condition = outer ? node2(c, OP_and, outer, condition, at) : condition;
    b.value = run_block(c, body, want_value);
    c->condition = outer;
    c->scope = scope;
    c->define = define;
    if (c->frame && c->frame->done && !is_poison(c->frame->result)) {
        Diag *d = problem(c, DL_branches, c->frame->result_at, "`return` in a branch that is decided at run time");
        note(c, d, (Span){0}, "give a name its value in both branches, and return it after them");
        c->frame->result = v_error();
    }
    for (uint32_t i = 0; i < c->changed.n; i++) {
        Place *p = c->changed.at[i];
        vec_push(c->a, &b.places, p->node);
        p->node = i < known ? before.at[i] : p->earlier.at[0];
    }
    return b;
}

static Node *place_after(const Check *c, const Branch *b, uint32_t i)
{
    return i < b->places.n ? b->places.at[i] : c->changed.at[i]->node;
}

Value eval_branches(Check *c, const Expr *e, Node *condition, bool want_value)
{
    Merge m = {c, condition, e->span};
    static const Body nothing;
    Node *otherwise = node1(c, OP_not, condition, e->span);
    if (!otherwise) return v_error();
    Branch yes = run_branch(c, &e->cond.then, condition, want_value, e->span);
    if (c->frame && c->frame->done) return v_none();
    Branch no = run_branch(c, e->cond.has_else ? &e->cond.other : &nothing, otherwise, want_value, e->span);
    if (c->frame && c->frame->done) return v_none();
    if (want_value && !e->cond.has_else) return fail(c, DL_no_value, e->span, "an `if` used as a value needs its `else`");
    for (uint32_t i = 0; i < c->changed.n; i++) {
        Place *p = c->changed.at[i];
        Node *a = place_after(c, &yes, i), *b = place_after(c, &no, i);
        if (a == b) {
            p->node = a;
            continue;
        }
        Node *n = select_node(&m, a, b);
        if (!n) return v_error();
        p->node = n;
        vec_push(c->a, &p->earlier, a);
        vec_push(c->a, &p->earlier, b);
    }
    for (uint32_t i = 0; i < yes.scope->entry.n + no.scope->entry.n; i++) {
        bool first = i < yes.scope->entry.n;
        Entry *x = first ? &yes.scope->entry.at[i] : &no.scope->entry.at[i - yes.scope->entry.n];
        Entry *other = scope_find(first ? no.scope : yes.scope, x->name);
        if (!first && other) continue;
        bool lost;
        if (!other) other = scope_bound(c->define, x->name, &lost);     /* bound before: it may keep its value */
        if (!other && !x->loop) vec_push(c->a, &c->branch_names, *x);
        if (!other || x->loop) continue;                        /* a branch's own */
        const char *what = arena_printf(c->a, "`%s`", x->name);
        Value v = first ? merge(&m, snapshot(c, x->value), snapshot(c, other->value), what, 0)
                        : merge(&m, snapshot(c, other->value), snapshot(c, x->value), what, 0);
        scope_set(c, c->define, x->name, v, x->span);
    }
    return want_value ? merge(&m, yes.value, no.value, "the value", 0) : v_none();
}
