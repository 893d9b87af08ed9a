/* read.c - the text form of a module, read back. Line ends mean nothing; `#` starts a comment.
 *
 *   ir 1
 *   module "mlp"
 *   param "l1.weight" : f32[512,784] load alias "tied"      # or state; load: must be loaded
 *
 *   doc "Class probabilities."
 *   func export @infer(B in 0..64, T % 8) {                 # symbols with their facts
 *     require T <= 1024 "T <= 1024"                         # == != < <=
 *     %0 = input "x" : f32[B,784]                           # input, param, seed, step
 *     %1 = input "ids" index 5000 : i32[B]                  # checked at entry: 0 <= ids < 5000
 *     %2 = param "l1.weight" : f32[512,784]
 *     %3 = transpose %2 {perm = [1, 0]} : f32[784,512]
 *     %4 = dot %0, %3 {contract = [1]x[0]} : f32[B,512]
 *     %5 = const 0.5 : f32[4]                               # every element; else [1.0, 2.0], hex "...", hex splat
 *     %6 = loop %0, %5 {length = B, sequences = 1, carries = 1} do {      # a function with values of its own
 *       %0 = input "iteration" : i64[]                      # ...
 *       return "yield" %3, "carry" %2
 *     } : (f32[B,512], f32[512])
 *     guard %7 "the loss"                                   # bool[]: false: the call fails, "the loss is not finite"
 *     return "prob" %4, "weight" %2 -> "l1.weight"          # -> the result is the param's new value
 *   }
 *
 * Values are numbered from 0 without gaps. Keys of an attribute stand in the order in which print.c writes them. The
 * text may be hostile: everything is checked, and the first error ends the reading.
 */
#include "ir/read.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 64, MAX_LOOPS = 32, MAX_SYMBOLS = 256, MAX_SPLAT = 1 << 26 };

/* ---- dims and types ---- */

static Dim *dim_sum(Reader *r, int depth);

static Dim *dim_factor(Reader *r, int depth)
{
    Module *m = r->m;
    if (depth > MAX_NESTING) {
        text_fail(r, DL_ir_limit, "a dim is nested too deep");
    } else if (text_accept(r, "-")) {
        return dim_sub(m, dim_const(m, 0), dim_factor(r, depth + 1));
    } else if (text_accept(r, "(")) {
        Dim *d = dim_sum(r, depth + 1);
        return text_expect(r, ")") ? d : NULL;
    } else if (!r->failed && r->token == T_NUMBER) {
        int64_t v;
        return text_integer(r, &v) ? dim_const(m, v) : NULL;
    } else {
        Span at = text_here(r);
        const char *name = text_word(r);
        bool least = !strcmp(name, "min");
        if ((least || !strcmp(name, "max")) && text_accept(r, "(")) {
            Dim *a = dim_sum(r, depth + 1), *b = text_expect(r, ",") ? dim_sum(r, depth + 1) : NULL;
            if (!text_expect(r, ")")) return NULL;
            return least ? dim_min(m, a, b) : dim_max(m, a, b);
        }
        for (uint32_t i = 0; r->f && i < r->f->dims.n; i++)
            if (!strcmp(dim_as_sym(r->f->dims.at[i])->name, name)) return r->f->dims.at[i];
        text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no symbol %s here", name));
    }
    return NULL;
}

static Dim *dim_product(Reader *r, int depth)
{
    Dim *d = dim_factor(r, depth);
    while (!r->failed) {
        if (text_accept(r, "*")) d = dim_mul(r->m, d, dim_factor(r, depth));
        else if (text_accept(r, "//")) d = dim_floordiv(r->m, d, dim_factor(r, depth));
        else if (text_accept(r, "%")) d = dim_mod(r->m, d, dim_factor(r, depth));
        else return d;
    }
    return NULL;
}

static Dim *dim_sum(Reader *r, int depth)
{
    Dim *d = dim_product(r, depth);
    while (!r->failed) {
        if (text_accept(r, "+")) d = dim_add(r->m, d, dim_product(r, depth));
        else if (text_accept(r, "-")) d = dim_sub(r->m, d, dim_product(r, depth));
        else return d;
    }
    return NULL;
}

static Dim *dim(Reader *r)
{
    Span at = text_here(r);
    Dim *d = dim_sum(r, 0);
    at.end = (uint32_t)r->start;
    if (!d) text_fail_at(r, at, DL_ir_limit, "a dim overflows, is too large, or divides by 0");
    return d;
}

static Type *tensor_type(Reader *r)
{
    DType t;
    Dim *d[MAX_RANK];
    uint32_t n = 0;
    Span at = text_here(r);
    const char *name = text_word(r);
    if (!r->failed && !dtype_find(name, &t))
        text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no dtype %s", name));
    if (!text_expect(r, "[")) return NULL;
    while (!r->failed && !text_is(r, "]")) {
        if (n == MAX_RANK) text_fail(r, DL_ir_limit, "a rank over %d", MAX_RANK);
        else if (!n || text_expect(r, ",")) d[n++] = dim(r);
    }
    if (!text_expect(r, "]")) return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (d[i]->hi < 0) text_fail_at(r, at, DL_ir_type, "a dim below 0");
    return r->failed ? NULL : type_tensor(r->m, t, n, d);
}

static Type *type(Reader *r)
{
    if (!text_accept(r, "(")) return tensor_type(r);
    VEC(Type *) member = {0};
    while (!r->failed && !text_is(r, ")"))
        if (!member.n || text_expect(r, ",")) vec_push(r->arena, &member, tensor_type(r));
    return text_expect(r, ")") ? type_tuple(r->m, member.n, member.at) : NULL;
}

/* ---- constants ---- */

static void element(Reader *r, DType t, void *data, int64_t i)
{
    if (t == DT_bool) {
        bool yes = text_accept(r, "true");
        if (yes || text_expect(r, "false")) data_set_int(t, data, i, yes);
        return;
    }
    if (!dtype_is_float(t)) {
        int64_t v = 0;
        if (!text_integer(r, &v)) return;
        if (v < int_lowest(t) || v > int_highest(t))
            text_fail(r, DL_ir_type, "%lld does not fit %s", (long long)v, dtype_name(t));
        else data_set_int(t, data, i, v);
        return;
    }
    bool minus = text_accept(r, "-");
    double v = 0;
    if (text_accept(r, "inf")) {
        v = strtod("inf", NULL);
    } else if (text_accept(r, "nan")) {
        v = strtod("nan", NULL);
    } else if (r->token != T_NUMBER) {
        text_fail(r, DL_ir_syntax, "expected a number, found %s", text_token(r));
    } else {                                    /* the shortest form of an f32 or less is one of an f32 */
        const char *s = arena_strndup(r->arena, r->text + r->start, r->end - r->start);
        v = t == DT_f64 ? strtod(s, NULL) : (double)strtof(s, NULL);
        text_next(r);
    }
    data_set(t, data, i, minus ? -v : v);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The literal of a constant stands before its type, so it is skipped first and read when the type is known. */
static void skip_literal(Reader *r)
{
    if (text_accept(r, "hex")) {
        text_accept(r, "splat");
        text_string(r);
    } else if (text_accept(r, "[")) {
        while (!r->failed && !text_is(r, "]")) {
            if (r->token == T_END) text_fail(r, DL_ir_syntax, "a list without its end");
            text_next(r);
        }
        text_expect(r, "]");
    } else {
        text_accept(r, "-");
        if (r->token == T_WORD || r->token == T_NUMBER) text_next(r);
        else text_fail(r, DL_ir_syntax, "expected a constant, found %s", text_token(r));
    }
}

static const void *literal(Reader *r, Type *t)
{
    int64_t count = 0, bytes, size = (int64_t)dtype_size(t->dtype), shown, i = 0;
    Dim *elements = type_count(r->m, t);
    if (t->kind != TYPE_TENSOR || !elements || !dim_is_const(elements, &count) || !size_mul(count, size, &bytes) ||
        count < 0) {
        text_fail(r, DL_ir_type, "no type of a constant");
        return NULL;
    }
    bool hex = text_accept(r, "hex"), list = !hex && text_is(r, "["), splat = hex ? text_accept(r, "splat") : !list;
    if (splat && (count == 0 || bytes > r->splat_left)) {
        text_fail(r, DL_ir_limit, "a constant of %lld bytes from one element", (long long)bytes);
        return NULL;
    }
    if (count > (int64_t)r->n && !splat) {      /* before anything is allocated */
        text_fail(r, DL_ir_type, "fewer than %lld elements", (long long)count);
        return NULL;
    }
    char *data = arena_alloc(r->arena, (size_t)bytes + 8);
    shown = splat ? 1 : count;
    if (hex) {
        const char *s = text_string(r);
        if (!r->failed && strlen(s) != (size_t)(shown * size) * 2)
            text_fail(r, DL_ir_type, "%lld bytes are needed", (long long)(shown * size));
        for (i = 0; !r->failed && i < shown * size; i++) {
            int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);
            if (hi < 0 || lo < 0) text_fail(r, DL_ir_syntax, "no hexadecimal digit");
            else data[i] = (char)(hi << 4 | lo);
        }
    } else if (list) {
        text_expect(r, "[");
        for (i = 0; !r->failed && !text_is(r, "]"); i++) {
            if (i == count) text_fail(r, DL_ir_type, "more than %lld elements", (long long)count);
            else if (!i || text_expect(r, ",")) element(r, t->dtype, data, i);
        }
        if (text_expect(r, "]") && i != count)
            text_fail(r, DL_ir_type, "%lld elements, not %lld", (long long)i, (long long)count);
    } else {
        element(r, t->dtype, data, 0);
    }
    if (splat) r->splat_left -= bytes;
    for (i = 1; splat && i < count; i++) memcpy(data + i * size, data, (size_t)size);
    return r->failed ? NULL : data;
}

/* ---- attributes ---- */

/* "{key =" for the first, ", key =" for others. */
static bool key(Reader *r, bool *open, const char *name)
{
    bool ok = text_expect(r, *open ? "," : "{") && text_expect(r, name) && text_expect(r, "=");
    *open = true;
    return ok;
}

/* An optional key: only if it is there. */
static bool maybe_key(Reader *r, bool *open, const char *name)
{
    Reader before = *r;
    if (r->failed || !(*open ? text_accept(r, ",") : text_accept(r, "{")) || !text_is(r, name)) {
        *r = before;
        return false;
    }
    *open = true;
    text_next(r);
    return text_expect(r, "=");
}

static uint32_t ints(Reader *r, int64_t *v)
{
    uint32_t n = 0;
    text_expect(r, "[");
    while (!r->failed && !text_is(r, "]")) {
        if (n == MAX_RANK) text_fail(r, DL_ir_limit, "a list longer than %d", MAX_RANK);
        else if (!n || text_expect(r, ",")) text_integer(r, &v[n++]);
    }
    text_expect(r, "]");
    return n;
}

static int64_t *key_ints(Reader *r, bool *open, const char *name, uint32_t n)
{
    int64_t *v = arena_array(r->arena, int64_t, MAX_RANK);
    if (key(r, open, name) && ints(r, v) != n) text_fail(r, DL_ir_type, "%s needs %u entries", name, n);
    return v;
}

static Dim **key_dims(Reader *r, bool *open, const char *name, uint32_t n)
{
    Dim **v = arena_array(r->arena, Dim *, MAX_RANK);
    uint32_t k = 0;
    key(r, open, name);
    text_expect(r, "[");
    while (!r->failed && !text_is(r, "]")) {
        if (k == n) text_fail(r, DL_ir_type, "%s needs %u entries", name, n);
        else if (!k || text_expect(r, ",")) v[k++] = dim(r);
    }
    if (text_expect(r, "]") && k != n) text_fail(r, DL_ir_type, "%s needs %u entries", name, n);
    return v;
}

static uint32_t bytes(Reader *r, uint8_t *v)
{
    int64_t list[MAX_RANK];
    uint32_t n = ints(r, list);
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        if (list[i] < 0 || list[i] >= MAX_RANK) text_fail(r, DL_ir_type, "axis %lld", (long long)list[i]);
        else v[i] = (uint8_t)list[i];
    }
    return n;
}

static uint32_t key_axes(Reader *r, bool *open, const char *name)
{
    uint8_t list[MAX_RANK];
    uint32_t n = key(r, open, name) ? bytes(r, list) : 0, axes = 0;
    for (uint32_t i = 0; i < n && !r->failed; i++) axes |= 1u << list[i];
    return axes;
}

static uint8_t pairs(Reader *r, uint8_t *left, uint8_t *right)
{
    uint32_t n = bytes(r, left);
    if (text_expect(r, "x") && bytes(r, right) != n) text_fail(r, DL_ir_type, "axes do not pair up");
    return (uint8_t)n;
}

static RedKind key_kind(Reader *r, bool *open)
{
    RedKind k = RED_none;
    if (!key(r, open, "kind")) return k;
    Span at = text_here(r);
    const char *name = text_word(r);
    if (!r->failed && !red_find(name, &k))
        text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no kind of reduction %s", name));
    return k;
}

static bool flag(Reader *r, bool *open, const char *name)
{
    return maybe_key(r, open, name) && text_expect(r, "true");
}

static void attribute(Reader *r, Op op, uint32_t rank, Attr *a, bool *open)
{
    switch (op_attr(op)) {
    case ATTR_none: case ATTR_arg: case ATTR_lit: case ATTR_dim: case ATTR_dtype:
        break;
    case ATTR_axis:
        if (key(r, open, op == OP_get ? "member" : "axis")) text_small(r, &a->axis);
        break;
    case ATTR_rng:
        if (key(r, open, "stream")) text_unsigned(r, &a->rng.stream);
        break;
    case ATTR_perm:
        if (key(r, open, op == OP_broadcast ? "axes" : "perm") && bytes(r, a->perm) != rank)
            text_fail(r, DL_ir_type, "an entry an axis is needed");
        break;
    case ATTR_axes:
        a->axes = key_axes(r, open, "axes");
        break;
    case ATTR_slice:
        a->slice.start = key_dims(r, open, "start", rank);
        a->slice.step = key_ints(r, open, "step", rank);
        break;
    case ATTR_pad:
        a->pad.lo = key_dims(r, open, "lo", rank);
        a->pad.hi = key_dims(r, open, "hi", rank);
        break;
    case ATTR_reduce:
        a->reduce.kind = key_kind(r, open);
        if (op != OP_scatter) a->reduce.axes = key_axes(r, open, "axes");
        if (op == OP_cumulate) a->reduce.reverse = flag(r, open, "reverse");
        break;
    case ATTR_window:
        a->window.kind = key_kind(r, open);
        a->window.size = key_ints(r, open, "size", rank);
        a->window.stride = key_ints(r, open, "stride", rank);
        a->window.lo = key_dims(r, open, "lo", rank);
        a->window.hi = key_dims(r, open, "hi", rank);
        break;
    case ATTR_dot:
        if (key(r, open, "contract")) a->dot.ncontract = pairs(r, a->dot.lcontract, a->dot.rcontract);
        if (maybe_key(r, open, "batch")) a->dot.nbatch = pairs(r, a->dot.lbatch, a->dot.rbatch);
        break;
    case ATTR_conv: {
        uint32_t n = rank >= 2 ? rank - 2 : 0;
        if (key(r, open, "groups")) text_integer(r, &a->conv.groups);
        a->conv.stride = key_ints(r, open, "stride", n);
        a->conv.dilation = key_ints(r, open, "dilation", n);
        a->conv.spread = key_ints(r, open, "spread", n);
        a->conv.lo = key_dims(r, open, "lo", n);
        a->conv.hi = key_dims(r, open, "hi", n);
        break;
    }
    case ATTR_order:
        if (key(r, open, "axis")) text_small(r, &a->order.axis);
        if (op == OP_sort) a->order.descending = flag(r, open, "descending");
        break;
    case ATTR_callee: {
        if (!key(r, open, "callee")) break;
        const char *name = text_at_name(r);
        a->callee = func_find(r->m, name);
        if (!r->failed && (!a->callee || a->callee == func_outermost(r->f))) text_fail(r, DL_ir_name, "no function %s above", name);
        break;
    }
    case ATTR_loop:
        if (maybe_key(r, open, "length")) a->loop.length = dim(r);
        if (key(r, open, "sequences")) text_small(r, &a->loop.sequences);
        if (key(r, open, "carries")) text_small(r, &a->loop.carries);
        a->loop.condition = flag(r, open, "condition");
        break;
    }
}

/* ---- statements ---- */

static Node *value(Reader *r)
{
    uint32_t id = 0;
    if (!text_expect(r, "%")) return NULL;
    Span at = text_here(r);
    if (!text_small(r, &id)) return NULL;
    if (id < r->f->body.nodes.n) return r->f->body.nodes.at[id];
    text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no value %%%u above", id));
    return NULL;
}

static Param *param_named(Reader *r)
{
    Span at = text_here(r);
    const char *path = text_string(r);
    Param *p = r->failed ? NULL : map_get(r->params, path, strlen(path));
    if (!p) text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no param or state \"%s\"", path));
    return p;
}

static bool argument(Reader *r, Span at)
{
    static const char *const role[] = {
        [ARG_INPUT] = "input", [ARG_PARAM] = "param", [ARG_SEED] = "seed", [ARG_STEP] = "step"};
    for (int i = ARG_INPUT; i <= (r->depth ? ARG_INPUT : ARG_STEP); i++) {          /* a body has plain values only */
        if (!text_accept(r, role[i])) continue;
        Param *p = i == ARG_PARAM ? param_named(r) : NULL;
        const char *name = p ? p->path : i == ARG_PARAM ? "" : text_string(r);
        Dim *limit = !r->depth && text_accept(r, "index") ? dim(r) : NULL;
        Type *t = text_expect(r, ":") ? type(r) : NULL;
        Node *n = r->failed ? NULL : func_arg(r->f, (ArgRole)i, name, t, p, at);
        if (!n) {
            text_fail_at(r, at, DL_ir_type, ir_error(r->m));
            return true;
        }
        r->f->args.at[n->attr.arg].is_index = limit != NULL;
        r->f->args.at[n->attr.arg].limit = limit;
        return true;
    }
    return false;
}

static Func *loop_body(Reader *r, Span at);

static void node(Reader *r, Span at)
{
    Module *m = r->m;
    Span op_at = text_here(r);
    const char *name = text_word(r);
    Op op = OP_arg;
    VEC(Node *) args = {0};
    Attr a;
    memset(&a, 0, sizeof a);
    if (!r->failed && (!op_find(name, &op) || op == OP_arg))
        text_fail_at(r, op_at, DL_ir_name, arena_printf(r->arena, "no operator %s", name));
    Reader before = *r;
    if (op == OP_const) skip_literal(r);
    if (op == OP_dim) a.dim = dim(r);
    if (text_is(r, "%")) {
        do vec_push(r->arena, &args, value(r));
        while (text_accept(r, ","));
    }
    if (r->failed) return;
    bool open = false;
    uint32_t remat = 0;
    attribute(r, op, args.n ? args.at[0]->type->rank : 0, &a, &open);
    if (maybe_key(r, &open, "remat")) text_small(r, &remat);
    if (open) text_expect(r, "}");
    if (op == OP_loop) a.loop.body = loop_body(r, at);
    Type *t = text_expect(r, ":") ? type(r) : NULL;
    if (!t || r->failed) return;
    if (op == OP_const) {
        Reader after = *r;
        *r = before;
        a.lit.data = literal(r, t);
        if (r->failed) return;
        after.splat_left = r->splat_left;
        *r = after;
    }
    if (op == OP_cast) a.dtype = t->kind == TYPE_TENSOR ? t->dtype : DT_none;
    Node *n = ir_node(r->f, op, args.n, args.at, &a, op_needs_type(op) ? t : NULL, at);
    if (!n) text_fail_at(r, at, DL_ir_type, ir_error(m));
    else if (n->type != t)
        text_fail_at(r, at, DL_ir_type, arena_printf(r->arena, "%s gives %s", name, type_text(r->arena, n->type)));
    else n->remat = remat;
}

static void statement(Reader *r)
{
    Span at = text_here(r);
    uint32_t id = 0;
    if (!text_expect(r, "%") || !text_small(r, &id)) return;
    at.end = (uint32_t)r->start;
    if (id != r->f->nodes_made) {
        text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "the next value is %%%u", r->f->nodes_made));
    } else if (text_expect(r, "=")) {
        at.end = (uint32_t)r->end;
        if (!argument(r, at)) node(r, at);
    }
}

static void requirement(Reader *r)
{
    static const char *const rel[] = {[REL_EQ] = "==", [REL_NE] = "!=", [REL_LT] = "<", [REL_LE] = "<="};
    Require q = {.span = text_here(r)};
    q.a = dim(r);
    int k = REL_EQ;
    while (k <= REL_LE && !text_is(r, rel[k])) k++;
    if (k > REL_LE) text_fail(r, DL_ir_syntax, "expected ==, !=, < or <=, found %s", text_token(r));
    if (r->failed) return;
    text_next(r);
    q.rel = (Rel)k;
    q.b = dim(r);
    q.text = text_string(r);
    vec_push(r->arena, &r->f->requires, q);
}

static void guard(Reader *r)
{
    Span at = text_here(r);
    Node *ok = value(r);
    const char *what = text_string(r);
    if (r->failed) return;
    if (ok->type != type_scalar(r->m, DT_bool)) text_fail_at(r, at, DL_ir_type, "a guard must be bool[]");
    else func_guard(r->f, ok, what, at);
}

static void results(Reader *r)
{
    if (r->token != T_STRING) return;
    do {
        const char *name = text_string(r);
        Node *n = r->failed ? NULL : value(r);
        Param *p = text_accept(r, "->") ? param_named(r) : NULL;
        if (!r->failed) func_result(r->f, name, n, p);
    } while (text_accept(r, ","));
}

static void symbol(Reader *r)
{
    Func *f = r->f;
    const char *name = text_word(r);
    int64_t lo = 0, hi = INT64_MAX, multiple = 1;
    for (uint32_t i = 0; i < f->dims.n; i++)
        if (!strcmp(dim_as_sym(f->dims.at[i])->name, name)) text_fail(r, DL_ir_name, "%s twice", name);
    if (f->dims.n == MAX_SYMBOLS) text_fail(r, DL_ir_limit, "over %d symbols", MAX_SYMBOLS);
    if (text_accept(r, "in")) {
        text_integer(r, &lo);
        text_expect(r, "..");
        if (!r->failed && r->token == T_NUMBER) text_integer(r, &hi);
    }
    if (text_accept(r, "%")) text_integer(r, &multiple);
    if (!r->failed && (lo < 0 || hi < lo || multiple < 1)) text_fail(r, DL_ir_type, "no such dim");
    if (r->failed) return;
    Dim *d = dim_sym(r->m, f, name);
    dim_bound(r->m, d, lo, hi);
    vec_push(r->arena, &f->dims, d);
    vec_push(r->arena, &r->multiples, multiple);
}

/* Statements to the closing brace. */
static void block(Reader *r)
{
    while (!r->failed && text_is(r, "%")) statement(r);
    while (text_accept(r, "guard")) guard(r);
    if (text_expect(r, "return")) results(r);
    text_expect(r, "}");
}

static Func *loop_body(Reader *r, Span at)
{
    Func *outer = r->f;
    if (r->depth == MAX_LOOPS) text_fail(r, DL_ir_limit, "over %d loops in loops", MAX_LOOPS);
    if (!text_expect(r, "do") || !text_expect(r, "{")) return NULL;
    r->f = func_body(outer, at);
    r->f->args.n = r->f->body.nodes.n = r->f->nodes_made = 0;           /* the text gives all of them */
    r->depth++;
    block(r);
    r->depth--;
    Func *body = r->f;
    r->f = outer;
    return r->failed ? NULL : body;
}

static void function(Reader *r, const char *doc)
{
    Span at = text_here(r);
    bool exported = text_accept(r, "export"), train = text_accept(r, "train");
    const char *name = text_at_name(r);
    if (!r->failed && func_find(r->m, name)) text_fail(r, DL_ir_name, "function %s twice", name);
    if (r->failed) return;
    at.end = (uint32_t)r->start;
    Func *f = r->f = func_new(r->m, name, at);
    f->doc = doc;
    f->exported = exported;
    f->train = train;
    r->multiples.n = 0;
    text_expect(r, "(");
    while (!r->failed && !text_is(r, ")"))
        if (!f->dims.n || text_expect(r, ",")) symbol(r);
    text_expect(r, ")");
    text_expect(r, "{");
    while (text_accept(r, "require")) requirement(r);
    for (uint32_t i = 0; i < f->dims.n; i++)            /* after what requires it, which it would fold: H % 8 == 0 */
        dim_multiple(r->m, f->dims.at[i], r->multiples.at[i]);
    block(r);
    r->f = NULL;
}

static void param(Reader *r, bool state)
{
    Span at = text_here(r);
    const char *path = text_string(r);
    Type *t = text_expect(r, ":") ? tensor_type(r) : NULL;
    if (r->failed) return;
    if (map_get(r->params, path, strlen(path))) {
        text_fail_at(r, at, DL_ir_name, arena_printf(r->arena, "\"%s\" twice", path));
        return;
    }
    Param *p = module_param(r->m, path, state, t, at);
    map_set(r->params, path, strlen(path), p);
    p->must_load = text_accept(r, "load");
    while (text_accept(r, "alias")) vec_push(r->arena, &p->aliases, text_string(r));
}

Module *ir_read(Arena *a, Diags *d, uint32_t file)
{
    const Source *source = &d->sources.at[file - 1];
    Reader r = { .arena = a, .diags = d, .text = source->text, .n = source->n, .file = file, .params = map_new(a),
                 .splat_left = MAX_SPLAT };
    if (r.n > UINT32_MAX) {
        text_fail(&r, DL_ir_limit, "over 4 GiB of text");
        return NULL;
    }
    text_next(&r);
    int64_t version = 0;
    if (text_expect(&r, "ir") && text_integer(&r, &version) && version != 1)
        text_fail(&r, DL_ir_syntax, "ir %lld; this is ir 1", (long long)version);
    text_expect(&r, "module");
    r.m = module_new(a, d, text_string(&r));
    while (!r.failed) {
        if (text_accept(&r, "param")) param(&r, false);
        else if (text_accept(&r, "state")) param(&r, true);
        else break;
    }
    while (!r.failed && r.token != T_END) {
        const char *doc = text_accept(&r, "doc") ? text_string(&r) : NULL;
        if (text_expect(&r, "func")) function(&r, doc);
    }
    return r.failed ? NULL : r.m;
}
