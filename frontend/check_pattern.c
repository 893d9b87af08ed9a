/* check_pattern.c - rearrange, reduce, repeat and einsum: axes named in a string, as in einops (Rogozhnikov 2022).
 * A pattern becomes at most one reshape, one transpose (reduction, broadcast) and one reshape.
 */
#include <string.h>

#include "frontend/check.h"

enum { MAX_AXES = 2 * MAX_RANK };

/* One side: groups of axes; "(h d)" is a group of two, "1" one of none. name[i] is the axis; groups end at end[g]. */
typedef struct Side {
    const char *name[MAX_AXES];
    uint32_t    n;                      /* names */
    uint32_t    end[MAX_AXES];          /* of each group: index into name */
    uint32_t    ngroups;
    uint32_t    dots;                   /* the group that is "...", or MAX_AXES */
} Side;

typedef struct Pattern {
    Check *c;
    Call  *k;
    Span   at;
    const char *p;                      /* what is left to read */
    const char *dots;                   /* the name of "..." */
    const char *axis[MAX_AXES];         /* names of the axes met */
    Dim   *size[MAX_AXES];              /* NULL: not known yet */
    uint32_t naxes;
} Pattern;

static bool bad(Pattern *p, const char *fmt, ...) PRINTF(2, 3);
static bool bad(Pattern *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(p->c, DL_pattern, p->at, "`%s`: %s", p->k->builtin->name, arena_vprintf(p->c->a, fmt, ap));
    va_end(ap);
    return false;
}

static bool is_letter(char ch) { return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_'; }
static bool is_digit(char ch) { return ch >= '0' && ch <= '9'; }
static void skip_spaces(Pattern *p) { while (*p->p == ' ') p->p++; }

static uint32_t find_name(const Side *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->name[i] == name) return i;
    return MAX_AXES;
}

static uint32_t axis_of(Pattern *p, const char *name)
{
    for (uint32_t i = 0; i < p->naxes; i++)
        if (p->axis[i] == name) return i;
    if (p->naxes == MAX_AXES) return MAX_AXES;
    p->axis[p->naxes] = name;
    p->size[p->naxes] = NULL;
    return p->naxes++;
}

/* Groups up to "->", "," or the end. */
static bool read_side(Pattern *p, Side *s, bool unique)
{
    bool inside = false;
    memset(s, 0, sizeof *s);
    s->dots = MAX_AXES;
    for (;;) {
        skip_spaces(p);
        char ch = *p->p;
        if (!ch || ch == ',' || (ch == '-' && p->p[1] == '>')) break;
        if (s->ngroups == MAX_RANK || s->n == MAX_RANK) return bad(p, "more than %d axes", MAX_RANK);
        if (ch == '(' && !inside) {
            inside = true;
            p->p++;
        } else if (ch == ')' && inside) {
            inside = false;
            p->p++;
            s->end[s->ngroups++] = s->n;
        } else if (!strncmp(p->p, "...", 3)) {
            if (find_name(s, p->dots) != MAX_AXES) return bad(p, "`...` stands twice on one side");
            p->p += 3;
            if (!inside) s->dots = s->ngroups;
            s->name[s->n++] = p->dots;
            if (!inside) s->end[s->ngroups++] = s->n;
        } else if (is_digit(ch)) {
            const char *start = p->p;
            while (is_digit(*p->p)) p->p++;
            if (p->p - start != 1 || ch != '1') return bad(p, "the only number in a pattern is 1, not %.*s; name the axis and give its size", (int)(p->p - start), start);
            if (!inside) s->end[s->ngroups++] = s->n;
        } else if (is_letter(ch)) {
            const char *start = p->p;
            while (is_letter(*p->p) || is_digit(*p->p)) p->p++;
            const char *name = intern(&p->c->names, start, (size_t)(p->p - start));
            if (unique && find_name(s, name) != MAX_AXES) return bad(p, "the axis `%s` stands twice on one side", name);
            s->name[s->n++] = name;
            if (!inside) s->end[s->ngroups++] = s->n;
        } else {
            return bad(p, "`%c` means nothing in a pattern", ch);
        }
    }
    return inside ? bad(p, "a `(` without its `)`") : true;
}

static bool read_arrow(Pattern *p)
{
    if (p->p[0] != '-' || p->p[1] != '>') return bad(p, "a pattern has two sides with `->` between them");
    p->p += 2;
    return true;
}

static bool start_pattern(Check *c, Call *k, uint32_t i, Pattern *p)
{
    memset(p, 0, sizeof *p);
    p->c = c;
    p->k = k;
    p->at = k->at[i];
    p->dots = intern(&c->names, "...", 3);
    if (k->arg[i].kind != V_STRING) {
        bad_arg(c, k, i, "a pattern, such as \"b t d -> t b d\"");
        return false;
    }
    p->p = k->arg[i].s;
    return true;
}

/* Sizes that are given by keyword: h = heads. */
static bool read_sizes(Pattern *p, const Side *left, const Side *right, uint32_t first)
{
    const Arguments *a = p->k->args;
    for (uint32_t i = 0; i < a->n; i++) {
        const char *name = a->name[i];
        bool parameter = false;
        if (!name) continue;
        for (uint32_t j = 0; j < first; j++) parameter |= arg_name(p->c, p->k, j) == name;
        if (parameter) continue;
        if (find_name(left, name) == MAX_AXES && find_name(right, name) == MAX_AXES) {
            Diag *d = problem(p->c, DL_unknown_keyword, a->name_at[i], "`%s`: the pattern has no axis `%s`", p->k->builtin->name, name);
            suggest(p->c, d, name, p->axis, p->naxes);
            return false;
        }
        if (!is_whole(a->value[i])) {
            fail(p->c, DL_pattern, a->at[i], "the size of the axis `%s` is an int, not %s", name, kind_text(p->c, a->value[i]));
            return false;
        }
        p->size[axis_of(p, name)] = value_dim(p->c, a->value[i]);
    }
    return true;
}

/* "..." as as many axes of its own as x has left; their names count them. */
static bool expand_dots(Pattern *p, Side *s, uint32_t count)
{
    uint32_t at = find_name(s, p->dots);
    if (at == MAX_AXES) return true;
    if (s->n - 1 + count > MAX_RANK) return bad(p, "more than %d axes", MAX_RANK);
    memmove(&s->name[at + count], &s->name[at + 1], (s->n - at - 1) * sizeof *s->name);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = arena_printf(p->c->a, "...%u", i);
        s->name[at + i] = intern(&p->c->names, name, strlen(name));
    }
    s->n = s->n - 1 + count;
    if (s->dots == MAX_AXES) {          /* inside of a group: the group grows */
        for (uint32_t g = 0; g < s->ngroups; g++)
            if (s->end[g] > at) s->end[g] = s->end[g] - 1 + count;
        return true;
    }
    uint32_t g = s->dots;               /* groups of their own */
    if (s->ngroups - 1 + count > MAX_RANK) return bad(p, "more than %d axes", MAX_RANK);
    memmove(&s->end[g + count], &s->end[g + 1], (s->ngroups - g - 1) * sizeof *s->end);
    for (uint32_t i = 0; i < count; i++) s->end[g + i] = at + i + 1;
    for (uint32_t i = g + count; i < s->ngroups - 1 + count; i++) s->end[i] = s->end[i] - 1 + count;
    s->ngroups = s->ngroups - 1 + count;
    return true;
}

/* Sizes of the axes of the left side from the tensor's dims. */
static bool match_left(Pattern *p, const Side *s, Type *t)
{
    Check *c = p->c;
    if (t->rank != s->ngroups)
        return bad(p, "the pattern names %u ax%s, the tensor %s has %u", s->ngroups, s->ngroups == 1 ? "is" : "es", type_text(c->a, t), t->rank);
    for (uint32_t g = 0, i = 0; g < s->ngroups; g++) {
        Dim *known = dim_const(c->m, 1);
        uint32_t unknown = MAX_AXES, first = i;
        for (; i < s->end[g]; i++) {
            uint32_t a = axis_of(p, s->name[i]);
            if (p->size[a]) {
                known = dim_mul(c->m, known, p->size[a]);
                if (!known) return bad(p, "the sizes are too large");
            } else if (unknown != MAX_AXES) {
                return bad(p, "give the size of `%s` or of `%s`, as in `%s = 8`", p->axis[unknown], s->name[i], p->axis[unknown]);
            } else {
                unknown = a;
            }
        }
        if (unknown != MAX_AXES) {
            if (dim_equals(known, 0)) return bad(p, "the size of `%s` cannot be found beside an axis of 0", p->axis[unknown]);
            p->size[unknown] = dim_equals(known, 1) ? t->dim[g] : dim_floordiv(c->m, t->dim[g], known);
            known = p->size[unknown] ? dim_mul(c->m, known, p->size[unknown]) : NULL;
            if (!known) return bad(p, "the size of `%s` becomes too complicated", p->axis[unknown]);
            if (same_dim(c, known, t->dim[g], p->at) == SAME_no)
                return bad(p, "axis %u of %s, %s, cannot be divided as the pattern says", g, type_text(c->a, t), dim_text(c->a, t->dim[g]));
        } else if (same_dim(c, known, t->dim[g], p->at) == SAME_no) {
            if (first == s->end[g]) return bad(p, "the pattern says that axis %u is 1; it is %s in %s", g, dim_text(c->a, t->dim[g]), type_text(c->a, t));
            return bad(p, "the pattern gives axis %u of %s the size %s; it is %s", g, type_text(c->a, t), dim_text(c->a, known), dim_text(c->a, t->dim[g]));
        }
    }
    return true;
}

static Node *permute(Check *c, Node *x, const uint32_t *perm, uint32_t n, Span at)
{
    Attr attr = {0};
    bool moves = false;
    for (uint32_t i = 0; i < n; i++) {
        attr.perm[i] = (uint8_t)perm[i];
        moves |= perm[i] != i;
    }
    return moves ? node(c, OP_transpose, 1, &x, &attr, NULL, at) : x;
}

static Node *sizes_reshape(Pattern *p, Node *x, const Side *s)
{
    Dim *dim[MAX_RANK];
    for (uint32_t i = 0; i < s->n; i++) dim[i] = p->size[axis_of(p, s->name[i])];
    return reshape_to(p->c, x, s->n, dim, p->k->span);
}

static Node *merge_right(Pattern *p, Node *x, const Side *s)
{
    Dim *dim[MAX_RANK];
    for (uint32_t g = 0, i = 0; g < s->ngroups; g++) {
        Dim *d = dim_const(p->c->m, 1);
        for (; i < s->end[g]; i++) {
            d = dim_mul(p->c->m, d, p->size[axis_of(p, s->name[i])]);
            if (!d) {
                bad(p, "the sizes are too large");
                return NULL;
            }
        }
        dim[g] = d;
    }
    return reshape_to(p->c, x, s->ngroups, dim, p->k->span);
}

/* Both sides read and matched with x; x with an axis for each name of the left side. */
static Node *split_left(Pattern *p, Side *left, Side *right, uint32_t first_size)
{
    Check *c = p->c;
    Node *x = arg_tensor(c, p->k, 0);
    if (!x || !read_side(p, left, true) || !read_arrow(p) || !read_side(p, right, true)) return NULL;
    if (*p->p) {
        bad(p, "one tensor, so no `,`");
        return NULL;
    }
    if (find_name(left, p->dots) != MAX_AXES && left->dots == MAX_AXES) {
        bad(p, "`...` stands by itself on the left");
        return NULL;
    }
    if (left->dots != MAX_AXES && x->type->rank + 1 < left->ngroups) {
        bad(p, "the pattern names at least %u axes, the tensor %s has %u", left->ngroups - 1, type_text(c->a, x->type), x->type->rank);
        return NULL;
    }
    if (find_name(left, p->dots) == MAX_AXES && find_name(right, p->dots) != MAX_AXES) {
        bad(p, "`...` stands on the right only");
        return NULL;
    }
    uint32_t count = left->dots != MAX_AXES ? x->type->rank - (left->ngroups - 1) : 0;
    if (!expand_dots(p, left, count) || !expand_dots(p, right, count)) return NULL;
    for (uint32_t i = 0; i < left->n; i++) axis_of(p, left->name[i]);
    for (uint32_t i = 0; i < right->n; i++) axis_of(p, right->name[i]);
    if (!read_sizes(p, left, right, first_size) || !match_left(p, left, x->type)) return NULL;
    return sizes_reshape(p, x, left);
}

static bool names_missing(Pattern *p, const Side *from, const Side *in, const char *which)
{
    for (uint32_t i = 0; i < from->n; i++) {
        if (find_name(in, from->name[i]) != MAX_AXES) continue;
        bad(p, "the axis `%s` is missing on the %s", from->name[i], which);
        return true;
    }
    return false;
}

Value bi_rearrange(Check *c, Call *k)
{
    Pattern p;
    Side left, right;
    uint32_t perm[MAX_RANK];
    if (!start_pattern(c, k, 1, &p)) return v_error();
    Node *x = split_left(&p, &left, &right, 2);
    if (!x || names_missing(&p, &left, &right, "right") || names_missing(&p, &right, &left, "left")) return v_error();
    for (uint32_t i = 0; i < right.n; i++) perm[i] = find_name(&left, right.name[i]);
    x = permute(c, x, perm, right.n, k->span);
    return tensor_value(c, x ? merge_right(&p, x, &right) : NULL);
}

/* The axes that are missing on the right go, by f(x, axis = ...). */
Value bi_reduce_pattern(Check *c, Call *k)
{
    Pattern p;
    Side left, right;
    uint32_t perm[MAX_RANK], n = 0;
    if (!start_pattern(c, k, 1, &p)) return v_error();
    Node *x = split_left(&p, &left, &right, 3);
    if (!x || names_missing(&p, &right, &left, "left")) return v_error();
    const char *kept[MAX_RANK];
    List *axes = list_new(c, left.n - right.n, k->span);
    for (uint32_t i = 0, j = 0; axes && i < left.n; i++) {
        if (find_name(&right, left.name[i]) == MAX_AXES) axes->at[j++] = v_int(i);
        else kept[n++] = left.name[i];
    }
    if (!axes) return v_error();
    if (axes->n) {
        Value value[2] = {tensor_value(c, x), v_tuple(axes)};
        const char *name[2] = {NULL, intern(&c->names, "axis", 4)};
        Span at[2] = {k->at[0], k->at[1]}, name_at[2] = {k->at[1], k->at[1]};
        Arguments a = {.span = k->span, .value = value, .name = name, .at = at, .name_at = name_at, .n = 2};
        Value r = call_value(c, k->arg[2], &a, false);
        if (is_poison(r)) return r;
        x = is_tensor(r) ? as_node(c, r) : NULL;
        if (!x || x->type->rank != n) return is_tensor(r) && !x ? v_error() : fail(c, DL_pattern, k->at[2], "`reduce`: this function gives %s where axes should go", kind_text(c, r));
    }
    for (uint32_t i = 0; i < right.n; i++)
        for (uint32_t j = 0; j < n; j++)
            if (kept[j] == right.name[i]) perm[i] = j;
    x = permute(c, x, perm, right.n, k->span);
    return tensor_value(c, x ? merge_right(&p, x, &right) : NULL);
}

/* The axes that are new on the right repeat what there is. */
Value bi_repeat(Check *c, Call *k)
{
    Pattern p;
    Side left, right;
    uint32_t perm[MAX_RANK], n = 0;
    Dim *dim[MAX_RANK];
    Attr attr = {0};
    Type *t;
    if (!start_pattern(c, k, 1, &p)) return v_error();
    Node *x = split_left(&p, &left, &right, 2);
    if (!x || names_missing(&p, &left, &right, "right")) return v_error();
    for (uint32_t i = 0; i < right.n; i++) {
        uint32_t from = find_name(&left, right.name[i]);
        dim[i] = p.size[axis_of(&p, right.name[i])];
        if (!dim[i]) {
            bad(&p, "give the size of the new axis `%s`, as in `%s = 2`", right.name[i], right.name[i]);
            return v_error();
        }
        if (from == MAX_AXES) continue;
        attr.perm[n] = (uint8_t)i;
        perm[n++] = from;
    }
    x = permute(c, x, perm, n, k->span);
    if (!x || !make_type(c, x->type->dtype, right.n, dim, k->span, &t)) return v_error();
    if (t != x->type) x = node(c, OP_broadcast, 1, &x, &attr, t, k->span);
    return tensor_value(c, x ? merge_right(&p, x, &right) : NULL);
}

/* ---- einsum ------------------------------------------------------------------------------------------------- */

typedef struct Labelled { Node *x; const char *label[MAX_RANK]; uint32_t n; } Labelled;

static bool has_label(const Labelled *t, const char *label)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->label[i] == label) return true;
    return false;
}

/* Sum over the axes for which nobody asks any more. */
static bool sum_unneeded(Check *c, Labelled *t, const Side *out, const Labelled *later, uint32_t nlater, Span at)
{
    uint32_t axes = 0, n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        bool needed = find_name(out, t->label[i]) != MAX_AXES;
        for (uint32_t j = 0; j < nlater && !needed; j++) needed = has_label(&later[j], t->label[i]);
        if (needed) t->label[n++] = t->label[i];
        else axes |= 1u << i;
    }
    t->n = n;
    t->x = reduce_axes(c, RED_sum, t->x, axes, false, at);
    return t->x != NULL;
}

/* Nothing to contract: both stretched to (batch, left, right) and multiplied. */
static Node *outer(Check *c, Node *a, Node *b, const Attr *dot, Span at)
{
    uint32_t nb = dot->dot.nbatch, la = a->type->rank - nb, lb = b->type->rank - nb, rank = nb + la + lb, used, n;
    Dim *dim[MAX_RANK];
    uint32_t perm[MAX_RANK];
    Attr pa = {0}, pb = {0};
    if (rank > MAX_RANK) {
        fail(c, DL_rank, at, "a tensor of rank %u; the limit is %d", rank, MAX_RANK);
        return NULL;
    }
    for (int side = 0; side < 2; side++) {
        Node **x = side ? &b : &a;
        const uint8_t *batch = side ? dot->dot.rbatch : dot->dot.lbatch;
        Attr *to = side ? &pb : &pa;
        used = n = 0;
        for (uint32_t i = 0; i < nb; i++) {
            used |= 1u << batch[i];
            perm[n++] = batch[i];
        }
        for (uint32_t i = 0; i < (*x)->type->rank; i++)
            if (!(used >> i & 1)) perm[n++] = i;
        *x = permute(c, *x, perm, n, at);
        if (!*x) return NULL;
        for (uint32_t i = 0; i < n; i++) {
            to->perm[i] = (uint8_t)(i < nb || !side ? i : i + la);
            dim[to->perm[i]] = (*x)->type->dim[i];
        }
    }
    Type *t = type_tensor(c->m, a->type->dtype, rank, dim);
    if (a->type != t) a = node(c, OP_broadcast, 1, &a, &pa, t, at);
    if (b->type != t) b = node(c, OP_broadcast, 1, &b, &pb, t, at);
    return node2(c, OP_mul, a, b, at);
}

/* a := a contracted with b. later: the operands that are still to come. */
static bool contract(Check *c, Labelled *a, const Labelled *b, const Side *out, const Labelled *later, uint32_t nlater, Span at)
{
    Attr attr = {0};
    Labelled r = {0};
    const char *label[2 * MAX_RANK];
    uint32_t lused = 0, rused = 0, n = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        for (uint32_t j = 0; j < b->n; j++) {
            if (a->label[i] != b->label[j]) continue;
            bool needed = find_name(out, a->label[i]) != MAX_AXES;
            for (uint32_t k = 0; k < nlater && !needed; k++) needed = has_label(&later[k], a->label[i]);
            if (needed) {
                attr.dot.lbatch[attr.dot.nbatch] = (uint8_t)i;
                attr.dot.rbatch[attr.dot.nbatch++] = (uint8_t)j;
                label[n++] = a->label[i];
            } else {
                attr.dot.lcontract[attr.dot.ncontract] = (uint8_t)i;
                attr.dot.rcontract[attr.dot.ncontract++] = (uint8_t)j;
            }
            lused |= 1u << i;
            rused |= 1u << j;
        }
    }
    for (uint32_t i = 0; i < a->n; i++)
        if (!(lused >> i & 1)) label[n++] = a->label[i];
    for (uint32_t i = 0; i < b->n; i++)
        if (!(rused >> i & 1)) label[n++] = b->label[i];
    if (n > MAX_RANK) {
        fail(c, DL_rank, at, "a tensor of rank %u; the limit is %d", n, MAX_RANK);
        return false;
    }
    r.x = attr.dot.ncontract ? node(c, OP_dot, 2, (Node *[]){a->x, b->x}, &attr, NULL, at) : outer(c, a->x, b->x, &attr, at);
    r.n = n;
    memcpy(r.label, label, n * sizeof *label);
    *a = r;
    return r.x != NULL;
}

/* An operand with its labels; its dims become the sizes of the labels. */
static bool read_operand(Pattern *p, Value v, Span at, DType *dtype, Labelled *out)
{
    Check *c = p->c;
    Side s;
    Dim *dim[MAX_RANK];
    if (!read_side(p, &s, false)) return false;
    if (!is_tensor(v)) {
        fail(c, DL_bad_argument, at, "`einsum` contracts tensors, not %s", kind_text(c, v));
        return false;
    }
    Node *x = as_node(c, v);
    if (!x) return false;
    if (s.n != s.ngroups || find_name(&s, p->dots) != MAX_AXES) return bad(p, "names alone: no brackets, no `...`, no 1");
    if (s.n != x->type->rank) {
        Diag *d = problem(c, DL_pattern, p->at, "`einsum`: the pattern names %u ax%s, the tensor %s has %u", s.n, s.n == 1 ? "is" : "es", type_text(c->a, x->type), x->type->rank);
        if (s.n == 1 && x->type->rank > 1) note(c, d, (Span){0}, "names are separated by spaces: \"b i, o i -> b o\"");
        note(c, d, at, "this operand");
        return false;
    }
    if (*dtype == DT_none) *dtype = x->type->dtype;
    if (x->type->dtype != *dtype || !dtype_is_number(*dtype)) {
        fail(c, DL_dtype_mismatch, at, "`einsum`: dtypes differ or are no numbers: %s beside %s", type_text(c->a, x->type), dtype_name(*dtype));
        return false;
    }
    out->n = s.n;
    for (uint32_t i = 0; i < s.n; i++) {
        out->label[i] = s.name[i];
        for (uint32_t j = 0; j < i; j++)
            if (s.name[j] == s.name[i]) return bad(p, "the axis `%s` stands twice in one operand", s.name[i]);
        uint32_t a = axis_of(p, s.name[i]);
        if (a == MAX_AXES) return bad(p, "more than %d axes", MAX_AXES);
        if (!p->size[a]) p->size[a] = x->type->dim[i];
        if (same_dim(c, p->size[a], x->type->dim[i], at) == SAME_no) {
            Diag *d = problem(c, DL_shape_mismatch, at, "`einsum`: the axis `%s` is %s in one operand and %s in %s", s.name[i], dim_text(c->a, p->size[a]),
                              dim_text(c->a, x->type->dim[i]), type_text(c->a, x->type));
            note(c, d, p->at, "the pattern");
            return false;
        }
        dim[i] = p->size[a];
    }
    out->x = retype(c, x, type_tensor(c->m, *dtype, s.n, dim), at);
    return out->x != NULL;
}

Value bi_einsum(Check *c, Call *k)
{
    Pattern p;
    Side out;
    const Arguments *a = k->args;
    DType dtype = DT_none;
    if (!start_pattern(c, k, 0, &p)) return v_error();
    uint32_t n = a->n - 1;
    if (!n || a->name[0]) return fail(c, DL_missing_argument, k->span, "`einsum` takes a pattern, then the tensors");
    Labelled *t = arena_array(c->a, Labelled, n);
    for (uint32_t i = 0; i < n; i++) {
        if (a->name[i + 1]) return fail(c, DL_unknown_keyword, a->name_at[i + 1], "`einsum` has no argument `%s`", a->name[i + 1]);
        if (!read_operand(&p, a->value[i + 1], a->at[i + 1], &dtype, &t[i])) return v_error();
        if (i + 1 < n && *p.p != ',') return fail(c, DL_pattern, p.at, "`einsum`: the pattern has %u operands, the call %u", i + 1, n);
        if (i + 1 < n) p.p++;
    }
    if (*p.p == ',') return fail(c, DL_pattern, p.at, "`einsum`: the pattern has more operands than the call, which has %u", n);
    if (!read_arrow(&p) || !read_side(&p, &out, true)) return v_error();
    if (*p.p || out.n != out.ngroups) return bad(&p, "names alone on the right"), v_error();
    for (uint32_t i = 0; i < out.n; i++) {
        bool found = false;
        for (uint32_t j = 0; j < n && !found; j++) found = has_label(&t[j], out.name[i]);
        if (!found) return bad(&p, "the axis `%s` stands on the right only", out.name[i]), v_error();
    }
    Labelled r = t[0];
    for (uint32_t i = 1; i < n; i++) {
        if (!sum_unneeded(c, &r, &out, t + i, n - i, k->span)) return v_error();
        if (!contract(c, &r, &t[i], &out, t + i + 1, n - i - 1, k->span)) return v_error();
    }
    if (!sum_unneeded(c, &r, &out, NULL, 0, k->span)) return v_error();
    uint32_t perm[MAX_RANK];
    for (uint32_t i = 0; i < out.n; i++)
        for (uint32_t j = 0; j < r.n; j++)
            if (r.label[j] == out.name[i]) perm[i] = j;
    return tensor_value(c, permute(c, r.x, perm, out.n, k->span));
}
