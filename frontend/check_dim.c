/* check_dim.c - dims and types: when two dims are equal, what must be checked at entry because only the call
 * can tell, types from the tree, and matching values with declared types, where symbolic dims come into being.
 * Nothing is solved for: a dim of a signature is a new name, or an expression whose value must be the actual one.
 */
#include <inttypes.h>
#include <string.h>

#include "frontend/check.h"

Dim *value_dim(Check *c, Value v) { return v.kind == V_DIM ? v.dim : dim_const(c->m, v.i); }

Value dim_value_of(Dim *d)
{
    int64_t v;
    if (dim_is_const(d, &v)) return v_int(v);
    return (Value){.kind = V_DIM, .dim = d};
}

/* ---- what must hold at entry --------------------------------------------------------------------- */

static const char *rel_text(Rel r)
{
    static const char *const text[] = {[REL_EQ] = "==", [REL_NE] = "!=", [REL_LT] = "<", [REL_LE] = "<="};
    return text[r];
}

/* The least and the most of d where no symbol is 0; INT64_MIN and MAX: unknown. */
static void positive_range(Dim *d, int64_t *least, int64_t *most)
{
    *least = *most = 0;
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        int64_t lo = 1, hi = 1, from = 0, to = 0;
        for (uint32_t k = 0; k < t->natoms; k++) {
            const Atom *x = t->atom[k];
            int64_t at_least = x->kind == ATOM_SYM && x->lo < 1 ? 1 : x->lo;
            if (at_least < 0 || (lo != INT64_MAX && !size_mul(lo, at_least, &lo))) { lo = 0; hi = INT64_MAX; break; }
            if (x->hi == INT64_MAX || (hi != INT64_MAX && !size_mul(hi, x->hi, &hi))) hi = INT64_MAX;
        }
        for (uint32_t k = 0; k < t->natoms; k++)
            if (t->atom[k]->lo < 0) lo = INT64_MIN;     /* an atom that may be negative: nothing is known */
        bool known_lo = lo != INT64_MIN && size_mul(lo, t->coef, &from), known_hi = lo != INT64_MIN && hi != INT64_MAX && size_mul(hi, t->coef, &to);
        if (t->coef < 0) {
            bool known = known_lo;
            int64_t value = from;
            known_lo = known_hi, from = to;
            known_hi = known, to = value;
        }
        if (!known_lo || *least == INT64_MIN || !size_add(*least, from, least)) *least = INT64_MIN;
        if (!known_hi || *most == INT64_MAX || !size_add(*most, to, most)) *most = INT64_MAX;
    }
}

/* Equal only if some dim is 0, as 12*B and 10*B are: nobody means that. */
static bool differ_unless_empty(Check *c, Dim *a, Dim *b)
{
    int64_t least, most;
    Dim *d = dim_sub(c->m, a, b);
    if (!d) return false;
    positive_range(d, &least, &most);
    return least > 0 || most < 0;
}

static bool provable(Check *c, Rel rel, Dim *a, Dim *b, bool *result)
{
    bool yes = false, no = false;
    switch (rel) {
    case REL_EQ: yes = a == b;                  no = !yes && (dim_is_ne(c->m, a, b) || differ_unless_empty(c, a, b)); break;
    case REL_NE: no = a == b;                   yes = !no && dim_is_ne(c->m, a, b); break;
    case REL_LT: yes = dim_is_lt(c->m, a, b);   no = !yes && dim_is_le(c->m, b, a); break;
    case REL_LE: yes = dim_is_le(c->m, a, b);   no = !yes && dim_is_lt(c->m, b, a); break;
    }
    *result = yes;
    return yes || no;
}

/* Was it required before, perhaps written another way? Tells requirements apart by what must be >= 0 (or 0). */
static bool first_requirement(Check *c, Rel rel, Dim *a, Dim *b)
{
    Dim *d = dim_sub(c->m, b, a), *other = dim_sub(c->m, a, b);
    if (d && rel == REL_LT) d = dim_sub(c->m, d, dim_const(c->m, 1));
    if (!d || !other) return true;
    bool ordered = rel == REL_LT || rel == REL_LE;
    struct { uint32_t rel, dim; } key = {ordered ? REL_LE : rel, !ordered && other->id < d->id ? other->id : d->id};
    if (map_get(c->required, &key, sizeof key)) return false;
    map_set(c->required, &key, sizeof key, c);
    return true;
}

/* Add a requirement to the function, once. */
static void add_require(Check *c, Rel rel, Dim *a, Dim *b, const char *text, Span at)
{
    if (!first_requirement(c, rel, a, b)) return;
    if (!text) {
        int64_t least;                  /* 0 <= H - 4 reads better as H - 4 >= 0 */
        if ((rel == REL_LE || rel == REL_LT) && dim_is_const(a, &least))
            text = arena_printf(c->a, "%s %s %" PRId64, dim_text(c->a, b), rel == REL_LE ? ">=" : ">", least);
        else
            text = arena_printf(c->a, "%s %s %s", dim_text(c->a, a), rel_text(rel), dim_text(c->a, b));
    }
    Require r = {.rel = rel, .a = a, .b = b, .text = text, .span = user_place(c, at)};
    vec_push(c->a, &func_outermost(c->func)->requires, r);
}

bool require(Check *c, Rel rel, Dim *a, Dim *b, Span at)
{
    bool result;
    if (provable(c, rel, a, b, &result)) return result;
    add_require(c, rel, a, b, NULL, at);
    return true;
}

void require_fact(Check *c, Rel rel, Dim *a, Dim *b, const char *text, Span at) { add_require(c, rel, a, b, text, at); }

Same same_dim(Check *c, Dim *a, Dim *b, Span at)
{
    bool result;
    if (a == b) return SAME_yes;
    if (provable(c, REL_EQ, a, b, &result)) return result ? SAME_yes : SAME_no;
    add_require(c, REL_EQ, a, b, NULL, at);
    return SAME_required;
}

/* ---- types ------------------------------------------------------------------------------------------ */

bool nonnegative(Check *c, Type *t, Span at)
{
    if (t->kind == TYPE_TUPLE) {
        for (uint32_t i = 0; i < t->rank; i++)
            if (!nonnegative(c, t->member[i], at)) return false;
        return true;
    }
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dim[i]->lo >= 0) continue;
        if (!require(c, REL_LE, dim_const(c->m, 0), t->dim[i], at)) {
            fail(c, DL_bad_dim, at, "axis %u would have the length %s", i, dim_text(c->a, t->dim[i]));
            return false;
        }
    }
    return true;
}

bool make_type(Check *c, DType t, uint32_t rank, Dim *const *dim, Span at, Type **out)
{
    if (rank > MAX_RANK) {
        fail(c, DL_rank, at, "a tensor of rank %u; the limit is %d", rank, MAX_RANK);
        return false;
    }
    Type *type = type_tensor(c->m, t, rank, dim);
    if (!nonnegative(c, type, at)) return false;
    Dim *count = type_count(c->m, type);
    int64_t n, bytes;
    if (!count || (dim_is_const(count, &n) && !size_mul(n, (int64_t)dtype_size(t), &bytes))) {
        fail(c, DL_overflow, at, "a tensor %s has too many elements", type_text(c->a, type));
        return false;
    }
    *out = type;
    return true;
}

bool product(Check *c, Dim *const *dim, uint32_t n, Span at, Dim **out)
{
    Dim *p = dim_const(c->m, 1);
    for (uint32_t i = 0; i < n; i++) {
        p = dim_mul(c->m, p, dim[i]);
        if (!p) {
            fail(c, DL_overflow, at, "the product of these dims is too large");
            return false;
        }
    }
    *out = p;
    return true;
}

Node *retype(Check *c, Node *n, Type *t, Span at)
{
    if (!n || n->type == t) return n;
    return node(c, OP_reshape, 1, &n, NULL, t, at);
}

/* ---- dims of the tree ---------------------------------------------------------------------------------- */

static const char *const kinds[] = {"int", "float", "bool", "string", "list", "type", "dim", "fn", "module"};

static bool is_kind(const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (!strcmp(kinds[i], name)) return true;
    return false;
}

bool fresh_dim(Check *c, const Expr *e)
{
    return e && e->kind == EX_name && e->name[0] >= 'A' && e->name[0] <= 'Z' && !scope_lookup(c->scope, e->name);
}

static bool dim_of_value(Check *c, Value v, const Expr *e, Dim **out)
{
    if (is_poison(v)) return false;
    if (v.kind == V_FLOAT && v.f == (double)(int64_t)v.f && v.f < 1e15 && v.f > -1e15) {
        Diag *d = problem(c, DL_bad_dim, e->span, "a dim must be an int; `%s` is %s", text_of(c, e->span), kind_text(c, v));
        note(c, d, (Span){0}, "`/` always gives a number that is no int; use `//`");
        return false;
    }
    if (!is_whole(v)) {
        fail(c, DL_bad_dim, e->span, "a dim must be an int; `%s` is %s", text_of(c, e->span), kind_text(c, v));
        return false;
    }
    *out = value_dim(c, v);
    if ((*out)->hi < 0) {
        fail(c, DL_bad_dim, e->span, "a dim cannot be negative; `%s` is %s", text_of(c, e->span), dim_text(c->a, *out));
        return false;
    }
    return true;
}

static void notes_of_names(Check *c, Diag *to, const Expr *e, int *left)
{
    if (!e || *left <= 0) return;
    if (e->kind == EX_name) {
        Entry *en = scope_lookup(c->scope, e->name);
        if (!en || !is_whole(en->value) || !en->span.file) return;
        --*left;
        note(c, to, en->span, "`%s` is %s here", e->name, value_text(c, en->value));
    } else if (e->kind == EX_binary) {
        --*left;                        /* also bounds the walk */
        notes_of_names(c, to, e->bin.a, left);
        notes_of_names(c, to, e->bin.b, left);
    }
}

void dim_origins(Check *c, Diag *to, const Expr *e)
{
    int left = 4;
    notes_of_names(c, to, e, &left);
}

/* A dim of a signature. FRESH becomes a symbol or takes the actual value; ANY is `_`; LATER is an expression
 * that may use names that are fresh in the same type. */
typedef enum PatternKind { PAT_DIM, PAT_FRESH, PAT_ANY, PAT_LATER } PatternKind;
typedef struct Pattern { PatternKind kind; Dim *dim; const Expr *e; } Pattern;
typedef struct Patterns { Pattern at[MAX_RANK]; uint32_t n; bool rest; uint32_t rest_at; } Patterns;

static bool push(Check *c, Patterns *p, Pattern x, Span at)
{
    if (p->n == MAX_RANK) {
        fail(c, DL_rank, at, "a type of more than %d dims", MAX_RANK);
        return false;
    }
    p->at[p->n++] = x;
    return true;
}

static bool may_be_list(const Expr *e)
{
    return e->kind == EX_name || e->kind == EX_member || e->kind == EX_index || e->kind == EX_list || e->kind == EX_call;
}

static bool read_patterns(Check *c, const TypeExpr *t, bool result, Patterns *p)
{
    const char *fresh[MAX_RANK];
    uint32_t nfresh = 0;
    p->n = 0;
    p->rest = false;
    for (uint32_t i = 0; i < t->ndims; i++) {
        const Expr *e = t->dim[i];
        if (!e) {
            if (p->rest) {
                fail(c, DL_bad_dim, t->span, "`...` stands once in a type");
                return false;
            }
            p->rest = true;
            p->rest_at = p->n;
            continue;
        }
        bool seen = false;
        for (uint32_t k = 0; k < nfresh && e->kind == EX_name; k++) seen |= fresh[k] == e->name;
        Pattern x = {PAT_LATER, NULL, e};
        if (e->kind == EX_name && e->name == c->n_underscore) {
            if (!result) {
                fail(c, DL_bad_dim, e->span, "`_` stands for an inferred dim in results only; give the dim a name");
                return false;
            }
            x.kind = PAT_ANY;
        } else if (fresh_dim(c, e) && !seen) {
            if (result) {
                Diag *d = problem(c, DL_bad_dim, e->span, "no parameter has a dim `%s`", e->name);
                note(c, d, (Span){0}, "make it a parameter, `%s: dim`, or write `_` to have it inferred", e->name);
                return false;
            }
            x.kind = PAT_FRESH;
            if (nfresh < MAX_RANK) fresh[nfresh++] = e->name;
        } else if (e->kind == EX_name && !seen && !scope_lookup(c->scope, e->name)) {
            const char **names;
            Diag *d = problem(c, DL_unknown_name, e->span, "unknown name `%s`", e->name);
            uint32_t count = scope_names(c, c->scope, true, &names);
            suggest(c, d, e->name, names, count);
            note(c, d, (Span){0}, "a new symbolic dim starts with a capital letter");
            return false;
        } else if (!seen && may_be_list(e)) {
            Value v = eval(c, e);
            if (is_list(v)) {
                for (uint32_t k = 0; k < v.list->n; k++) {
                    Dim *d;
                    if (!dim_of_value(c, v.list->at[k], e, &d) || !push(c, p, (Pattern){PAT_DIM, d, e}, e->span)) return false;
                }
                continue;
            }
            x.kind = PAT_DIM;
            if (!dim_of_value(c, v, e, &x.dim)) return false;
        }
        if (!push(c, p, x, e->span)) return false;
    }
    return true;
}

/* "f32[B,784]": what the patterns say so far. */
static const char *patterns_text(Check *c, const TypeExpr *t, const Patterns *p, const Rest *rest)
{
    Str s = {.arena = c->a};
    str_add(&s, t->name);
    if (!p->n && !p->rest) return s.at;
    str_char(&s, '[');
    for (uint32_t i = 0; i <= p->n; i++) {
        if (p->rest && p->rest_at == i) {
            if (i) str_char(&s, ',');
            if (rest && rest->bound) {
                for (uint32_t k = 0; k < rest->n; k++) {
                    if (k) str_char(&s, ',');
                    dim_print(&s, rest->dim[k]);
                }
            } else {
                str_add(&s, "...");
            }
        }
        if (i == p->n) break;
        if (s.at[s.n - 1] != '[') str_char(&s, ',');
        if (p->at[i].dim) dim_print(&s, p->at[i].dim);
        else str_add(&s, text_of(c, p->at[i].e->span));
    }
    str_char(&s, ']');
    return s.at;
}

/* Who made the tensor, when that is another line than where it is used. */
static void note_value(Check *c, Diag *d, const Node *n, Span at)
{
    if (n && n->span.file && (n->span.start != at.start || n->span.file != at.file) && n->op != OP_arg)
        note(c, d, n->span, "the value %s comes from here", type_text(c->a, n->type));
}

static bool match_tensor(Check *c, const TypeExpr *t, DType want, Value *v, Rest *rest, bool result, Span at, const char *what)
{
    Patterns p;
    if (!read_patterns(c, t, result, &p)) return false;
    if (v->kind != V_TENSOR && v->kind != V_PLACE) {
        if ((is_number(*v) || v->kind == V_BOOL || v->kind == V_REL) && !p.n && !p.rest) {
            Node *n = number_as(c, *v, want, at);
            if (!n) return false;
            *v = tensor_value(c, n);
            return true;
        }
        Diag *d = problem(c, DL_type_mismatch, at, "%s: expected %s, got %s", what, patterns_text(c, t, &p, rest), kind_text(c, *v));
        note(c, d, t->span, "it is declared here");
        if (v->kind == V_LIST) note(c, d, (Span){0}, "make a tensor of a list with `stack`, `concat` or, of numbers, `%s(...)`", t->name);
        return false;
    }
    Node *n = as_node(c, *v);
    if (!n) return false;
    Type *actual = n->type;
    if (actual->dtype != want) {
        Diag *d = problem(c, DL_dtype_mismatch, at, "%s: expected %s, got %s", what, patterns_text(c, t, &p, rest), type_text(c->a, actual));
        note(c, d, t->span, "it is declared here");
        note(c, d, (Span){0}, "cast it: `%s(...)`", t->name);
        return false;
    }
    uint32_t extra = 0;
    if (actual->rank < p.n || (!p.rest && actual->rank != p.n)) {
        Diag *d = problem(c, DL_rank, at, "%s: expected %s, got %s", what, patterns_text(c, t, &p, rest), type_text(c->a, actual));
        note(c, d, t->span, "it is declared here, with %u %s", p.n, p.n == 1 ? "dim" : p.rest ? "dims or more" : "dims");
        note_value(c, d, n, at);
        return false;
    }
    if (p.rest) extra = actual->rank - p.n;
    Dim *dims[MAX_RANK];
    bool changed = false;
    for (uint32_t i = 0; i < actual->rank; i++) dims[i] = actual->dim[i];
    if (p.rest && rest) {
        if (!rest->bound) {
            rest->bound = true;
            rest->n = extra;
            rest->dim = arena_array(c->a, Dim *, extra + 1);
            memcpy(rest->dim, actual->dim + p.rest_at, extra * sizeof *rest->dim);
        } else {
            bool differs = rest->n != extra;
            for (uint32_t i = 0; i < extra && !differs; i++) {
                Same s = same_dim(c, rest->dim[i], actual->dim[p.rest_at + i], at);
                differs = s == SAME_no;
                dims[p.rest_at + i] = rest->dim[i];
            }
            if (differs) {
                Diag *d = problem(c, DL_shape_mismatch, at, "%s: expected %s, got %s", what, patterns_text(c, t, &p, rest), type_text(c->a, actual));
                note(c, d, t->span, "`...` stands for the same dims throughout the signature");
                note_value(c, d, n, at);
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < p.n; i++) {
        Pattern *x = &p.at[i];
        uint32_t axis = p.rest && i >= p.rest_at ? i + extra : i;
        Dim *have = actual->dim[axis];
        if (x->kind == PAT_ANY) continue;
        if (x->kind == PAT_FRESH) {
            scope_set(c, c->scope, x->e->name, dim_value_of(have), at);
            x->dim = have;
            continue;
        }
        if (x->kind == PAT_LATER && !dim_of_value(c, eval(c, x->e), x->e, &x->dim)) return false;
        if (same_dim(c, x->dim, have, at) != SAME_no) {
            dims[axis] = x->dim;
            continue;
        }
        for (uint32_t k = i + 1; k < p.n; k++)          /* so that the message shows what can be shown */
            if (p.at[k].kind == PAT_LATER && p.at[k].e->kind != EX_name) p.at[k].dim = NULL;
        Diag *d = problem(c, DL_shape_mismatch, at, "%s: expected %s, got %s: axis %u is %s, not %s", what, patterns_text(c, t, &p, rest),
                          type_text(c->a, actual), axis, dim_text(c->a, have), dim_text(c->a, x->dim));
        note(c, d, x->e->span, "axis %u is declared here", axis);
        dim_origins(c, d, x->e);
        note_value(c, d, n, at);
        return false;
    }
    for (uint32_t i = 0; i < actual->rank; i++) changed |= dims[i] != actual->dim[i];
    if (changed) {                      /* required to be equal: from here on one dim stands for both */
        Type *as;
        if (!make_type(c, want, actual->rank, dims, at, &as)) return false;
        n = retype(c, n, as, at);
        if (!n) return false;
        *v = tensor_value(c, n);
    }
    return true;
}

/* ---- values against declared types ------------------------------------------------------------------------ */

/* An instance, or a list of layers: instances and functions, nested; *found: there is an instance. */
static bool is_layers(Check *c, Value v, int depth, bool *found)
{
    if (v.kind == V_INSTANCE) *found = true;
    if (v.kind == V_INSTANCE || (depth && is_callable(c, v) && !is_list(v))) return true;
    if (!is_list(v) || depth > MAX_LIST_DEPTH) return false;
    for (uint32_t i = 0; i < v.list->n; i++)
        if (!step(c, 1, (Span){0}) || !is_layers(c, v.list->at[i], depth + 1, found)) return false;
    return true;
}

bool is_module_tree(Check *c, Value v)
{
    bool found = false;
    return is_layers(c, v, 0, &found) && (found || !v.list->n);
}

static bool fits_kind(Check *c, const char *kind, Value v)
{
    if (!strcmp(kind, "int"))    return is_whole(v);
    if (!strcmp(kind, "float"))  return is_number(v);
    if (!strcmp(kind, "string")) return v.kind == V_STRING;
    if (!strcmp(kind, "list"))   return is_list(v);
    if (!strcmp(kind, "type"))   return v.kind == V_TYPE;
    if (!strcmp(kind, "fn"))     return is_callable(c, v);
    if (!strcmp(kind, "module")) return is_module_tree(c, v);
    if (!strcmp(kind, "dim"))    return is_whole(v) && value_dim(c, v)->hi >= 0;
    return v.kind == V_BOOL || v.kind == V_REL || (is_tensor(v) && v.kind == V_TENSOR && v.node->type->dtype == DT_bool && !v.node->type->rank);
}

static Value unknown_type(Check *c, const TypeExpr *t)
{
    const char *candidates[COUNT(kinds) + DT_COUNT];
    uint32_t n = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) candidates[n++] = kinds[i];
    for (int i = DT_none + 1; i < DT_COUNT; i++) candidates[n++] = dtype_name((DType)i);
    Diag *d = problem(c, DL_unknown_type, t->name_span, "unknown type `%s`", t->name);
    suggest(c, d, t->name, candidates, n);
    return v_error();
}

/* The dtype that a type's name means: a dtype, or a name bound to a scalar type. */
static bool type_dtype(Check *c, const TypeExpr *t, DType *out)
{
    if (dtype_find(t->name, out)) return true;
    Entry *e = scope_lookup(c->scope, t->name);
    if (!e) {
        unknown_type(c, t);
        return false;
    }
    if (is_poison(e->value)) return false;
    if (e->value.kind == V_TYPE && !e->value.type->rank) {
        *out = e->value.type->dtype;
        return true;
    }
    fail(c, DL_unknown_type, t->name_span, "`%s` is %s, not a dtype", t->name, kind_text(c, e->value));
    return false;
}

bool match_value(Check *c, const TypeExpr *t, Value *v, Rest *rest, bool result, Span at, const char *what)
{
    if (!t || is_poison(*v)) return true;
    if (result && t->name == c->n_underscore && !t->brackets) return true;
    bool kind = is_kind(t->name) && (strcmp(t->name, "bool") || (!t->brackets && !is_tensor(*v)));
    if (kind) {
        if (t->brackets) {
            fail(c, DL_unknown_type, t->span, "`%s` takes no dims", t->name);
            return false;
        }
        if (fits_kind(c, t->name, *v)) return true;
        Diag *d = problem(c, DL_type_mismatch, at, "%s: expected %s %s, got %s", what, t->name[0] == 'i' ? "an" : "a", t->name, kind_text(c, *v));
        note(c, d, t->span, "it is declared here");
        return false;
    }
    DType dtype;
    if (!dtype_find(t->name, &dtype)) {
        Entry *e = scope_lookup(c->scope, t->name);
        if (e && e->value.kind == V_TYPE && !t->brackets) {         /* x: T, for a parameter T: type */
            Node *n = is_tensor(*v) ? as_node(c, *v) : NULL;
            if (n && n->type == e->value.type) return true;
            Diag *d = problem(c, DL_type_mismatch, at, "%s: expected %s, got %s", what, type_text(c->a, e->value.type), kind_text(c, *v));
            note(c, d, t->span, "it is declared here");
            return false;
        }
        if (!type_dtype(c, t, &dtype)) return false;
    }
    return match_tensor(c, t, dtype, v, rest, result, at, what);
}

/* ---- types as expressions, and of the parameters of exports --------------------------------------------------- */

Value eval_type(Check *c, const TypeExpr *t)
{
    DType dtype;
    if (!type_dtype(c, t, &dtype)) return v_error();
    Dim *dims[MAX_RANK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->ndims; i++) {
        const Expr *e = t->dim[i];
        if (!e) return fail(c, DL_bad_dim, t->span, "`...` stands for dims in signatures only; splice a list instead, as in `%s[x.shape]`", t->name);
        Value v = eval(c, e);
        if (is_poison(v)) return v;
        uint32_t count = is_list(v) ? v.list->n : 1;
        for (uint32_t k = 0; k < count; k++) {
            if (n == MAX_RANK) return fail(c, DL_rank, t->span, "a type of more than %d dims", MAX_RANK);
            if (!dim_of_value(c, is_list(v) ? v.list->at[k] : v, e, &dims[n])) return v_error();
            n++;
        }
    }
    Type *out;
    return make_type(c, dtype, n, dims, t->span, &out) ? v_type(out) : v_error();
}

bool declare_type(Check *c, const TypeExpr *t, Func *f, const char *what, Type **out)
{
    DType dtype;
    Patterns p;
    if (!t || (is_kind(t->name) && strcmp(t->name, "bool")) || t->name == c->n_underscore) {
        Diag *d = problem(c, DL_export_param, t ? t->span : f->span, "%s: a parameter of an exported function needs a complete type", what);
        note(c, d, (Span){0}, "such as `f32[B, 64]`, `i32` or `dim`");
        return false;
    }
    if (!type_dtype(c, t, &dtype) || !read_patterns(c, t, false, &p)) return false;
    if (p.rest) {
        fail(c, DL_export_param, t->span, "%s: `...` leaves the type open; a parameter of an exported function needs a complete type", what);
        return false;
    }
    Dim *dims[MAX_RANK];
    for (uint32_t i = 0; i < p.n; i++) {
        Pattern *x = &p.at[i];
        if (x->kind == PAT_FRESH) {
            x->dim = dim_sym(c->m, f, x->e->name);
            vec_push(c->a, &f->dims, x->dim);
            scope_set(c, c->scope, x->e->name, dim_value_of(x->dim), x->e->span);
        } else if (x->kind == PAT_LATER && !dim_of_value(c, eval(c, x->e), x->e, &x->dim)) {
            return false;
        }
        dims[i] = x->dim;
    }
    return make_type(c, dtype, p.n, dims, t->span, out);
}
