/* print.c - the text form of a module. read.c reads it back; its comment holds the grammar. Spans are not printed. */
#include "ir/internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { LONG_CONSTANT = 64 };            /* from here on, elements that differ are written in hexadecimal */

static void quoted(Str *s, const char *text)
{
    str_json(s, text ? text : "", text ? strlen(text) : 0);
}

static void name_print(Str *s, const char *name)
{
    bool word = isalpha((unsigned char)*name) || *name == '_';
    for (const char *p = name; *p && word; p++) word = isalnum((unsigned char)*p) || *p == '_';
    str_char(s, '@');
    if (word) str_add(s, name);
    else quoted(s, name);
}

/* ---- constants ---- */

static void element_print(Str *s, DType t, const void *data, int64_t i)
{
    if (t == DT_f64) str_double(s, data_get(t, data, i));
    else if (dtype_is_float(t)) str_float(s, (float)data_get(t, data, i));
    else if (t == DT_bool) str_add(s, data_get_int(t, data, i) ? "true" : "false");
    else str_fmt(s, "%lld", (long long)data_get_int(t, data, i));
}

/* Does the decimal form of every element read back as the same bytes? A NaN with another payload does not. */
static bool is_decimal(DType t, const unsigned char *data, int64_t n)
{
    size_t size = dtype_size(t);
    uint64_t plain = 0;
    if (t == DT_bool) {
        for (int64_t i = 0; i < n; i++)
            if (data[i] > 1) return false;
        return true;
    }
    if (!dtype_is_float(t)) return true;
    data_set(t, &plain, 0, (double)NAN);
    for (int64_t i = 0; i < n; i++)
        if (isnan(data_get(t, data, i)) && memcmp(data + (size_t)i * size, &plain, size)) return false;
    return true;
}

static void const_print(Str *s, const Node *n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *data = n->attr.lit.data;
    DType t = n->type->dtype;
    size_t size = dtype_size(t);
    int64_t count = 1, d = 0, i = 1;
    for (uint32_t k = 0; k < n->type->rank; k++) {
        (void)dim_is_const(n->type->dim[k], &d);
        count *= d;
    }
    while (i < count && !memcmp(data, data + (size_t)i * size, size)) i++;
    bool splat = count > 0 && i == count;
    int64_t shown = splat ? 1 : count;
    if (!is_decimal(t, data, shown) || shown >= LONG_CONSTANT) {
        str_add(s, splat ? "hex splat \"" : "hex \"");
        for (size_t b = 0; b < (size_t)shown * size; b++) {
            str_char(s, digits[data[b] >> 4]);
            str_char(s, digits[data[b] & 15]);
        }
        str_char(s, '"');
    } else if (splat) {
        element_print(s, t, data, 0);
    } else {
        str_char(s, '[');
        for (i = 0; i < count; i++) {
            if (i) str_add(s, ", ");
            element_print(s, t, data, i);
        }
        str_char(s, ']');
    }
}

/* ---- attributes: {key = value, ...} ---- */

typedef struct Keys { Str *s; bool any; } Keys;

static Str *key(Keys *k, const char *name)
{
    str_add(k->s, k->any ? ", " : " {");
    k->any = true;
    str_add(k->s, name);
    str_add(k->s, " = ");
    return k->s;
}

static void ints_print(Str *s, const int64_t *v, uint32_t n)
{
    str_char(s, '[');
    for (uint32_t i = 0; i < n; i++) str_fmt(s, "%s%lld", i ? ", " : "", (long long)v[i]);
    str_char(s, ']');
}

static void bytes_print(Str *s, const uint8_t *v, uint32_t n)
{
    int64_t list[MAX_RANK] = {0};
    for (uint32_t i = 0; i < n; i++) list[i] = v[i];
    ints_print(s, list, n);
}

static void key_int(Keys *k, const char *name, int64_t v)
{
    str_fmt(key(k, name), "%lld", (long long)v);
}

static void key_ints(Keys *k, const char *name, const int64_t *v, uint32_t n)
{
    ints_print(key(k, name), v, n);
}

static void key_dims(Keys *k, const char *name, Dim **v, uint32_t n)
{
    Str *s = key(k, name);
    str_char(s, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i) str_add(s, ", ");
        dim_print(s, v[i]);
    }
    str_char(s, ']');
}

static void key_axes(Keys *k, const char *name, uint32_t axes)
{
    int64_t list[32];
    uint32_t n = 0;
    for (uint32_t i = 0; i < 32; i++)
        if (axes >> i & 1) list[n++] = i;
    key_ints(k, name, list, n);
}

/* [1]x[0] */
static void key_pairs(Keys *k, const char *name, const uint8_t *l, const uint8_t *r, uint32_t n)
{
    Str *s = key(k, name);
    bytes_print(s, l, n);
    str_char(s, 'x');
    bytes_print(s, r, n);
}

static void attr_print(Keys *k, const Node *n)
{
    const Attr *a = &n->attr;
    uint32_t rank = n->nargs ? n->arg[0]->type->rank : 0;
    switch (op_attr(n->op)) {
    case ATTR_none: case ATTR_arg: case ATTR_lit: case ATTR_dim: case ATTR_dtype:
        break;                                  /* elsewhere in the line */
    case ATTR_axis:
        key_int(k, n->op == OP_get ? "member" : "axis", a->axis);
        break;
    case ATTR_rng:
        str_fmt(key(k, "stream"), "%llu", (unsigned long long)a->rng.stream);
        break;
    case ATTR_perm:
        bytes_print(key(k, n->op == OP_broadcast ? "axes" : "perm"), a->perm, rank);
        break;
    case ATTR_axes:
        key_axes(k, "axes", a->axes);
        break;
    case ATTR_slice:
        key_dims(k, "start", a->slice.start, rank);
        key_ints(k, "step", a->slice.step, rank);
        break;
    case ATTR_pad:
        key_dims(k, "lo", a->pad.lo, rank);
        key_dims(k, "hi", a->pad.hi, rank);
        break;
    case ATTR_reduce:
        str_add(key(k, "kind"), red_name(a->reduce.kind));
        if (n->op != OP_scatter) key_axes(k, "axes", a->reduce.axes);
        if (a->reduce.reverse) str_add(key(k, "reverse"), "true");
        break;
    case ATTR_window:
        str_add(key(k, "kind"), red_name(a->window.kind));
        key_ints(k, "size", a->window.size, rank);
        key_ints(k, "stride", a->window.stride, rank);
        key_dims(k, "lo", a->window.lo, rank);
        key_dims(k, "hi", a->window.hi, rank);
        break;
    case ATTR_dot:
        key_pairs(k, "contract", a->dot.lcontract, a->dot.rcontract, a->dot.ncontract);
        if (a->dot.nbatch) key_pairs(k, "batch", a->dot.lbatch, a->dot.rbatch, a->dot.nbatch);
        break;
    case ATTR_conv:
        key_int(k, "groups", a->conv.groups);
        key_ints(k, "stride", a->conv.stride, rank - 2);
        key_ints(k, "dilation", a->conv.dilation, rank - 2);
        key_ints(k, "spread", a->conv.spread, rank - 2);
        key_dims(k, "lo", a->conv.lo, rank - 2);
        key_dims(k, "hi", a->conv.hi, rank - 2);
        break;
    case ATTR_order:
        key_int(k, "axis", a->order.axis);
        if (n->op == OP_sort && a->order.descending) str_add(key(k, "descending"), "true");
        break;
    case ATTR_callee:
        name_print(key(k, "callee"), a->callee->name);
        break;
    case ATTR_loop:
        if (a->loop.length) dim_print(key(k, "length"), a->loop.length);
        key_int(k, "sequences", a->loop.sequences);
        key_int(k, "carries", a->loop.carries);
        if (a->loop.condition) str_add(key(k, "condition"), "true");
        break;
    }
}

/* ---- lines ---- */

static void indented(Str *s, uint32_t depth)
{
    for (uint32_t i = 0; i <= depth; i++) str_add(s, "  ");
}

/* Lines of a function stand two blanks in; those of a loop's body two more. */
static void body_print(Str *s, const Func *f, uint32_t depth);

static void arg_print(Str *s, const Arg *a, uint32_t depth)
{
    static const char *const role[] = {
        [ARG_INPUT] = "input", [ARG_PARAM] = "param", [ARG_SEED] = "seed", [ARG_STEP] = "step"};
    indented(s, depth);
    str_fmt(s, "%%%u = %s ", a->node->id, role[a->role]);
    quoted(s, a->name);
    if (a->is_index) {
        str_add(s, " index ");
        dim_print(s, a->limit);
    }
    str_add(s, " : ");
    type_print(s, a->node->type);
    str_char(s, '\n');
}

static void node_print(Str *s, const Func *f, const Node *n, uint32_t depth)
{
    if (n->op == OP_arg) {
        arg_print(s, &f->args.at[n->attr.arg], depth);
        return;
    }
    indented(s, depth);
    str_fmt(s, "%%%u = %s", n->id, op_name(n->op));
    if (n->op == OP_const) {
        str_char(s, ' ');
        const_print(s, n);
    } else if (n->op == OP_dim) {
        str_char(s, ' ');
        dim_print(s, n->attr.dim);
    }
    for (uint32_t i = 0; i < n->nargs; i++) str_fmt(s, "%s%%%u", i ? ", " : " ", n->arg[i]->id);
    Keys k = {.s = s};
    attr_print(&k, n);
    if (n->remat) key_int(&k, "remat", n->remat);
    if (k.any) str_char(s, '}');
    if (n->op == OP_loop) {
        str_add(s, " do {\n");
        body_print(s, n->attr.loop.body, depth + 1);
        indented(s, depth);
        str_char(s, '}');
    }
    str_add(s, " : ");
    type_print(s, n->type);
    str_char(s, '\n');
}

static void body_print(Str *s, const Func *f, uint32_t depth)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++) node_print(s, f, f->body.nodes.at[i], depth);
    for (uint32_t i = 0; i < f->guards.n; i++) {
        indented(s, depth);
        str_fmt(s, "guard %%%u ", f->guards.at[i].ok->id);
        quoted(s, f->guards.at[i].what);
        str_char(s, '\n');
    }
    indented(s, depth);
    str_add(s, "return");
    for (uint32_t i = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        str_add(s, i ? ", " : " ");
        quoted(s, r->name);
        str_fmt(s, " %%%u", r->node->id);
        if (!r->param) continue;
        str_add(s, " -> ");
        quoted(s, r->param->path);
    }
    str_char(s, '\n');
}

static void symbol_print(Str *s, const Atom *x)
{
    str_add(s, x->name);
    if (x->lo != 0 || x->hi != INT64_MAX) {
        str_fmt(s, " in %lld..", (long long)x->lo);
        if (x->hi != INT64_MAX) str_fmt(s, "%lld", (long long)x->hi);
    }
    if (x->multiple != 1) str_fmt(s, " %% %lld", (long long)x->multiple);
}

void ir_print_func(Str *s, const Func *f)
{
    static const char *const rel[] = {[REL_EQ] = "==", [REL_NE] = "!=", [REL_LT] = "<", [REL_LE] = "<="};
    if (f->doc) {
        str_add(s, "doc ");
        quoted(s, f->doc);
        str_char(s, '\n');
    }
    str_add(s, "func ");
    if (f->exported) str_add(s, "export ");
    if (f->train) str_add(s, "train ");
    name_print(s, f->name);
    str_char(s, '(');
    for (uint32_t i = 0; i < f->dims.n; i++) {
        if (i) str_add(s, ", ");
        symbol_print(s, dim_as_sym(f->dims.at[i]));
    }
    str_add(s, ") {\n");
    for (uint32_t i = 0; i < f->requires.n; i++) {
        const Require *r = &f->requires.at[i];
        str_add(s, "  require ");
        dim_print(s, r->a);
        str_fmt(s, " %s ", rel[r->rel]);
        dim_print(s, r->b);
        str_char(s, ' ');
        quoted(s, r->text);
        str_char(s, '\n');
    }
    body_print(s, f, 0);
    str_add(s, "}\n");
}

void ir_print(Str *s, const Module *m)
{
    str_add(s, "ir 1\nmodule ");
    quoted(s, m->name);
    str_char(s, '\n');
    for (uint32_t i = 0; i < m->params.n; i++) {
        const Param *p = m->params.at[i];
        str_add(s, p->state ? "state " : "param ");
        quoted(s, p->path);
        str_add(s, " : ");
        type_print(s, p->type);
        if (p->must_load) str_add(s, " load");
        for (uint32_t k = 0; k < p->aliases.n; k++) {
            str_add(s, " alias ");
            quoted(s, p->aliases.at[k]);
        }
        str_char(s, '\n');
    }
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        str_char(s, '\n');
        ir_print_func(s, m->funcs.at[i]);
    }
}
