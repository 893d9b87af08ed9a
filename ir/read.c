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
 *     %5 = const 0.5 : f32[4]                               # every element; else [1.0, 2.0], hex "...", hex splat "..."
 *     return "prob" %4, "weight" %2 -> "l1.weight"          # -> the result is the param's new value
 *   }
 *
 * Values are numbered from 0 without gaps. Keys of an attribute stand in the order in which print.c writes them. The
 * text may be hostile: everything is checked, and the first error ends the reading.
 */
#include "ir/internal.h"

#include "base/json.h"
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 64, MAX_SYMBOLS = 256, MAX_SPLAT = 1 << 26 };

typedef enum Token { T_END, T_WORD, T_NUMBER, T_STRING, T_MARK } Token;

typedef struct Reader {
    Arena   *arena;
    Diags   *diags;
    Module  *m;
    Func    *f;
    const char *text;
    size_t   n;
    uint32_t file;
    Map     *params;
    bool     failed;
    int64_t  splat_left;                /* bytes that splats may still make out of nothing */
    Token    token;                     /* the current token is text[start, end) */
    size_t   start, end;
} Reader;

/* ---- tokens ---- */

static Span here(const Reader *r)
{
    return (Span){ r->file, (uint32_t)r->start, (uint32_t)r->end };
}

static bool fail_at(Reader *r, Span at, DiagCode code, const char *text)
{
    if (!r->failed) diag_error(r->diags, code, at, "%s", text);
    r->failed = true;
    return false;
}

/* The first error counts; later ones follow from it. */
static bool fail(Reader *r, DiagCode code, const char *fmt, ...) PRINTF(3, 4);
static bool fail(Reader *r, DiagCode code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(r->arena, fmt, ap);
    va_end(ap);
    return fail_at(r, here(r), code, text);
}

static void next(Reader *r)
{
    const char *s = r->text;
    size_t i = r->end, n = r->n;
    for (; i < n && (isspace((unsigned char)s[i]) || s[i] == '#'); i++)
        if (s[i] == '#')
            while (i + 1 < n && s[i + 1] != '\n') i++;
    r->start = i;
    unsigned char c = i < n ? (unsigned char)s[i] : 0;
    if (i == n) {
        r->token = T_END;
    } else if (isalpha(c) || c == '_') {
        r->token = T_WORD;
        while (i < n && (isalnum((unsigned char)s[i]) || s[i] == '_')) i++;
    } else if (isdigit(c)) {
        r->token = T_NUMBER;
        while (i < n && isdigit((unsigned char)s[i])) i++;
        if (i + 1 < n && s[i] == '.' && isdigit((unsigned char)s[i + 1]))
            for (i++; i < n && isdigit((unsigned char)s[i]);) i++;
        if (i + 1 < n && s[i] == 'e') {
            size_t k = i + 1 + (s[i + 1] == '-' || s[i + 1] == '+');
            if (k < n && isdigit((unsigned char)s[k]))
                for (i = k; i < n && isdigit((unsigned char)s[i]);) i++;
        }
    } else if (c == '"') {
        r->token = T_STRING;
        for (i++; i < n && s[i] != '"'; i++)
            if (s[i] == '\\' && i + 1 < n) i++;
        i += i < n;
    } else {
        static const char *const marks[] = { "//", "->", "..", "==", "!=", "<=" };
        r->token = T_MARK;
        size_t len = 1;
        for (size_t k = 0; k < COUNT(marks) && i + 1 < n; k++)
            if (!memcmp(s + i, marks[k], 2)) len = 2;
        i += len;
    }
    r->end = i;
}

static bool is(const Reader *r, const char *text)
{
    size_t n = strlen(text);
    return (r->token == T_WORD || r->token == T_MARK) && r->end - r->start == n && !memcmp(r->text + r->start, text, n);
}

static bool accept(Reader *r, const char *text)
{
    if (r->failed || !is(r, text)) return false;
    next(r);
    return true;
}

static const char *token_text(const Reader *r)
{
    if (r->token == T_END) return "the end";
    size_t n = r->end - r->start;
    return arena_strndup(r->arena, r->text + r->start, n > 40 ? 40 : n);
}

static bool expect(Reader *r, const char *text)
{
    return accept(r, text) || fail(r, DL_ir_syntax, "expected '%s', found %s", text, token_text(r));
}

static const char *word(Reader *r)
{
    if (r->failed || r->token != T_WORD) {
        fail(r, DL_ir_syntax, "expected a name, found %s", token_text(r));
        return "";
    }
    const char *w = arena_strndup(r->arena, r->text + r->start, r->end - r->start);
    next(r);
    return w;
}

static bool unsigned_number(Reader *r, uint64_t *v)
{
    if (r->failed || r->token != T_NUMBER) return fail(r, DL_ir_syntax, "expected a number, found %s", token_text(r));
    *v = 0;
    for (size_t i = r->start; i < r->end; i++) {
        if (!isdigit((unsigned char)r->text[i])) return fail(r, DL_ir_syntax, "expected an integer, found %s", token_text(r));
        if (__builtin_mul_overflow(*v, 10u, v) || __builtin_add_overflow(*v, (uint64_t)(r->text[i] - '0'), v))
            return fail(r, DL_ir_limit, "%s is too large", token_text(r));
    }
    next(r);
    return true;
}

static bool integer(Reader *r, int64_t *v)
{
    bool minus = accept(r, "-");
    uint64_t u;
    if (!unsigned_number(r, &u)) return false;
    if (u > (uint64_t)INT64_MAX + minus) return fail(r, DL_ir_limit, "an integer is too large");
    *v = minus ? (int64_t)-u : (int64_t)u;
    return true;
}

static bool small(Reader *r, uint32_t *v)
{
    uint64_t u;
    if (!unsigned_number(r, &u)) return false;
    if (u > UINT32_MAX) return fail(r, DL_ir_limit, "%llu is too large here", (unsigned long long)u);
    *v = (uint32_t)u;
    return true;
}

static const char *string(Reader *r)
{
    if (r->failed || r->token != T_STRING) {
        fail(r, DL_ir_syntax, "expected a string, found %s", token_text(r));
        return "";
    }
    Json j;
    size_t n = r->end - r->start;
    json_start(&j, r->text + r->start, n);
    if (json_next(&j) != JSON_STRING) {
        fail(r, DL_ir_syntax, "bad string: %s", j.error);
        return "";
    }
    char *s = arena_alloc(r->arena, n + 1);
    int64_t len = json_unescape(j.at, j.len, s, n + 1);
    if (len < 0 || strlen(s) != (size_t)len) {
        fail(r, DL_ir_syntax, "a string holds the character 0");
        return "";
    }
    next(r);
    return s;
}

/* @name or @"any text" */
static const char *at_name(Reader *r)
{
    if (!expect(r, "@")) return "";
    return r->token == T_STRING ? string(r) : word(r);
}

/* ---- dims and types ---- */

static Dim *dim_sum(Reader *r, int depth);

static Dim *dim_factor(Reader *r, int depth)
{
    Module *m = r->m;
    if (depth > MAX_NESTING) {
        fail(r, DL_ir_limit, "a dim is nested too deep");
    } else if (accept(r, "-")) {
        return dim_sub(m, dim_const(m, 0), dim_factor(r, depth + 1));
    } else if (accept(r, "(")) {
        Dim *d = dim_sum(r, depth + 1);
        return expect(r, ")") ? d : NULL;
    } else if (!r->failed && r->token == T_NUMBER) {
        int64_t v;
        return integer(r, &v) ? dim_const(m, v) : NULL;
    } else {
        Span at = here(r);
        const char *name = word(r);
        bool least = !strcmp(name, "min");
        if ((least || !strcmp(name, "max")) && accept(r, "(")) {
            Dim *a = dim_sum(r, depth + 1), *b = expect(r, ",") ? dim_sum(r, depth + 1) : NULL;
            if (!expect(r, ")")) return NULL;
            return least ? dim_min(m, a, b) : dim_max(m, a, b);
        }
        for (uint32_t i = 0; r->f && i < r->f->dims.n; i++)
            if (!strcmp(dim_as_sym(r->f->dims.at[i])->name, name)) return r->f->dims.at[i];
        fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no symbol %s here", name));
    }
    return NULL;
}

static Dim *dim_product(Reader *r, int depth)
{
    Dim *d = dim_factor(r, depth);
    while (!r->failed) {
        if (accept(r, "*")) d = dim_mul(r->m, d, dim_factor(r, depth));
        else if (accept(r, "//")) d = dim_floordiv(r->m, d, dim_factor(r, depth));
        else if (accept(r, "%")) d = dim_mod(r->m, d, dim_factor(r, depth));
        else return d;
    }
    return NULL;
}

static Dim *dim_sum(Reader *r, int depth)
{
    Dim *d = dim_product(r, depth);
    while (!r->failed) {
        if (accept(r, "+")) d = dim_add(r->m, d, dim_product(r, depth));
        else if (accept(r, "-")) d = dim_sub(r->m, d, dim_product(r, depth));
        else return d;
    }
    return NULL;
}

static Dim *dim(Reader *r)
{
    Span at = here(r);
    Dim *d = dim_sum(r, 0);
    at.end = (uint32_t)r->start;
    if (!d) fail_at(r, at, DL_ir_limit, "a dim overflows, is too large, or divides by 0");
    return d;
}

static Type *tensor_type(Reader *r)
{
    DType t;
    Dim *d[MAX_RANK];
    uint32_t n = 0;
    Span at = here(r);
    const char *name = word(r);
    if (!r->failed && !dtype_find(name, &t)) fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no dtype %s", name));
    if (!expect(r, "[")) return NULL;
    while (!r->failed && !is(r, "]")) {
        if (n == MAX_RANK) fail(r, DL_ir_limit, "a rank over %d", MAX_RANK);
        else if (!n || expect(r, ",")) d[n++] = dim(r);
    }
    if (!expect(r, "]")) return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (d[i]->hi < 0) fail_at(r, at, DL_ir_type, "a dim below 0");
    return r->failed ? NULL : type_tensor(r->m, t, n, d);
}

static Type *type(Reader *r)
{
    if (!accept(r, "(")) return tensor_type(r);
    VEC(Type *) member = { 0 };
    while (!r->failed && !is(r, ")"))
        if (!member.n || expect(r, ",")) vec_push(r->arena, &member, tensor_type(r));
    return expect(r, ")") ? type_tuple(r->m, member.n, member.at) : NULL;
}

/* ---- constants ---- */

static void element(Reader *r, DType t, void *data, int64_t i)
{
    if (t == DT_bool) {
        bool yes = accept(r, "true");
        if (yes || expect(r, "false")) data_set_int(t, data, i, yes);
        return;
    }
    if (!dtype_is_float(t)) {
        int64_t v = 0;
        if (!integer(r, &v)) return;
        if (v < int_lowest(t) || v > int_highest(t)) fail(r, DL_ir_type, "%lld does not fit %s", (long long)v, dtype_name(t));
        else data_set_int(t, data, i, v);
        return;
    }
    bool minus = accept(r, "-");
    double v = 0;
    if (accept(r, "inf")) {
        v = strtod("inf", NULL);
    } else if (accept(r, "nan")) {
        v = strtod("nan", NULL);
    } else if (r->token != T_NUMBER) {
        fail(r, DL_ir_syntax, "expected a number, found %s", token_text(r));
    } else {                                    /* the shortest form of an f32 or less is one of an f32 */
        const char *s = arena_strndup(r->arena, r->text + r->start, r->end - r->start);
        v = t == DT_f64 ? strtod(s, NULL) : (double)strtof(s, NULL);
        next(r);
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
    if (accept(r, "hex")) {
        accept(r, "splat");
        string(r);
    } else if (accept(r, "[")) {
        while (!r->failed && !is(r, "]")) {
            if (r->token == T_END) fail(r, DL_ir_syntax, "a list without its end");
            next(r);
        }
        expect(r, "]");
    } else {
        accept(r, "-");
        if (r->token == T_WORD || r->token == T_NUMBER) next(r);
        else fail(r, DL_ir_syntax, "expected a constant, found %s", token_text(r));
    }
}

static const void *literal(Reader *r, Type *t)
{
    int64_t count = 0, bytes, size = (int64_t)dtype_size(t->dtype), shown, i = 0;
    Dim *elements = type_count(r->m, t);
    if (t->kind != TYPE_TENSOR || !elements || !dim_is_const(elements, &count) || !size_mul(count, size, &bytes) || count < 0) {
        fail(r, DL_ir_type, "no type of a constant");
        return NULL;
    }
    bool hex = accept(r, "hex"), list = !hex && is(r, "["), splat = hex ? accept(r, "splat") : !list;
    if (splat && (count == 0 || bytes > r->splat_left)) {
        fail(r, DL_ir_limit, "a constant of %lld bytes from one element", (long long)bytes);
        return NULL;
    }
    if (count > (int64_t)r->n && !splat) {      /* before anything is allocated */
        fail(r, DL_ir_type, "fewer than %lld elements", (long long)count);
        return NULL;
    }
    char *data = arena_alloc(r->arena, (size_t)bytes + 8);
    shown = splat ? 1 : count;
    if (hex) {
        const char *s = string(r);
        if (!r->failed && strlen(s) != (size_t)(shown * size) * 2) fail(r, DL_ir_type, "%lld bytes are needed", (long long)(shown * size));
        for (i = 0; !r->failed && i < shown * size; i++) {
            int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);
            if (hi < 0 || lo < 0) fail(r, DL_ir_syntax, "no hexadecimal digit");
            else data[i] = (char)(hi << 4 | lo);
        }
    } else if (list) {
        expect(r, "[");
        for (i = 0; !r->failed && !is(r, "]"); i++) {
            if (i == count) fail(r, DL_ir_type, "more than %lld elements", (long long)count);
            else if (!i || expect(r, ",")) element(r, t->dtype, data, i);
        }
        if (expect(r, "]") && i != count) fail(r, DL_ir_type, "%lld elements, not %lld", (long long)i, (long long)count);
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
    bool ok = expect(r, *open ? "," : "{") && expect(r, name) && expect(r, "=");
    *open = true;
    return ok;
}

/* An optional key: only if it is there. */
static bool maybe_key(Reader *r, bool *open, const char *name)
{
    Reader before = *r;
    if (r->failed || !(*open ? accept(r, ",") : accept(r, "{")) || !is(r, name)) {
        *r = before;
        return false;
    }
    *open = true;
    next(r);
    return expect(r, "=");
}

static uint32_t ints(Reader *r, int64_t *v)
{
    uint32_t n = 0;
    expect(r, "[");
    while (!r->failed && !is(r, "]")) {
        if (n == MAX_RANK) fail(r, DL_ir_limit, "a list longer than %d", MAX_RANK);
        else if (!n || expect(r, ",")) integer(r, &v[n++]);
    }
    expect(r, "]");
    return n;
}

static int64_t *key_ints(Reader *r, bool *open, const char *name, uint32_t n)
{
    int64_t *v = arena_array(r->arena, int64_t, MAX_RANK);
    if (key(r, open, name) && ints(r, v) != n) fail(r, DL_ir_type, "%s needs %u entries", name, n);
    return v;
}

static Dim **key_dims(Reader *r, bool *open, const char *name, uint32_t n)
{
    Dim **v = arena_array(r->arena, Dim *, MAX_RANK);
    uint32_t k = 0;
    key(r, open, name);
    expect(r, "[");
    while (!r->failed && !is(r, "]")) {
        if (k == n) fail(r, DL_ir_type, "%s needs %u entries", name, n);
        else if (!k || expect(r, ",")) v[k++] = dim(r);
    }
    if (expect(r, "]") && k != n) fail(r, DL_ir_type, "%s needs %u entries", name, n);
    return v;
}

static uint32_t bytes(Reader *r, uint8_t *v)
{
    int64_t list[MAX_RANK];
    uint32_t n = ints(r, list);
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        if (list[i] < 0 || list[i] >= MAX_RANK) fail(r, DL_ir_type, "axis %lld", (long long)list[i]);
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
    if (expect(r, "x") && bytes(r, right) != n) fail(r, DL_ir_type, "axes do not pair up");
    return (uint8_t)n;
}

static RedKind key_kind(Reader *r, bool *open)
{
    RedKind k = RED_none;
    if (!key(r, open, "kind")) return k;
    Span at = here(r);
    const char *name = word(r);
    if (!r->failed && !red_find(name, &k)) fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no kind of reduction %s", name));
    return k;
}

static void attribute(Reader *r, Op op, uint32_t rank, Attr *a, bool *open)
{
    switch (op_attr(op)) {
    case ATTR_none: case ATTR_arg: case ATTR_lit: case ATTR_dim: case ATTR_dtype:
        break;
    case ATTR_axis:
        if (key(r, open, op == OP_get ? "member" : "axis")) small(r, &a->axis);
        break;
    case ATTR_rng:
        if (key(r, open, "stream")) unsigned_number(r, &a->rng.stream);
        break;
    case ATTR_perm:
        if (key(r, open, op == OP_broadcast ? "axes" : "perm") && bytes(r, a->perm) != rank) fail(r, DL_ir_type, "an entry an axis is needed");
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
        if (op == OP_cumulate && maybe_key(r, open, "reverse")) a->reduce.reverse = expect(r, "true");
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
        if (key(r, open, "groups")) integer(r, &a->conv.groups);
        a->conv.stride = key_ints(r, open, "stride", n);
        a->conv.dilation = key_ints(r, open, "dilation", n);
        a->conv.spread = key_ints(r, open, "spread", n);
        a->conv.lo = key_dims(r, open, "lo", n);
        a->conv.hi = key_dims(r, open, "hi", n);
        break;
    }
    case ATTR_order:
        if (key(r, open, "axis")) small(r, &a->order.axis);
        if (op == OP_sort && maybe_key(r, open, "descending")) a->order.descending = expect(r, "true");
        break;
    case ATTR_callee: {
        if (!key(r, open, "callee")) break;
        const char *name = at_name(r);
        a->callee = func_find(r->m, name);
        if (!r->failed && (!a->callee || a->callee == r->f)) fail(r, DL_ir_name, "no function %s above", name);
        break;
    }
    }
}

/* ---- statements ---- */

static Node *value(Reader *r)
{
    uint32_t id = 0;
    if (!expect(r, "%")) return NULL;
    Span at = here(r);
    if (!small(r, &id)) return NULL;
    if (id < r->f->body.nodes.n) return r->f->body.nodes.at[id];
    fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no value %%%u above", id));
    return NULL;
}

static Param *param_named(Reader *r)
{
    Span at = here(r);
    const char *path = string(r);
    Param *p = r->failed ? NULL : map_get(r->params, path, strlen(path));
    if (!p) fail_at(r, at, DL_ir_name, arena_printf(r->arena, "no param or state \"%s\"", path));
    return p;
}

static bool argument(Reader *r, Span at)
{
    static const char *const role[] = { [ARG_INPUT] = "input", [ARG_PARAM] = "param", [ARG_SEED] = "seed", [ARG_STEP] = "step" };
    for (int i = ARG_INPUT; i <= ARG_STEP; i++) {
        if (!accept(r, role[i])) continue;
        Param *p = i == ARG_PARAM ? param_named(r) : NULL;
        const char *name = p ? p->path : i == ARG_PARAM ? "" : string(r);
        Dim *limit = accept(r, "index") ? dim(r) : NULL;
        Type *t = expect(r, ":") ? type(r) : NULL;
        Node *n = r->failed ? NULL : func_arg(r->f, (ArgRole)i, name, t, p, at);
        if (!n) {
            fail_at(r, at, DL_ir_type, ir_error(r->m));
            return true;
        }
        r->f->args.at[n->attr.arg].is_index = limit != NULL;
        r->f->args.at[n->attr.arg].limit = limit;
        return true;
    }
    return false;
}

static void node(Reader *r, Span at)
{
    Module *m = r->m;
    Span op_at = here(r);
    const char *name = word(r);
    Op op = OP_arg;
    VEC(Node *) args = { 0 };
    Attr a;
    memset(&a, 0, sizeof a);
    if (!r->failed && (!op_find(name, &op) || op == OP_arg)) fail_at(r, op_at, DL_ir_name, arena_printf(r->arena, "no operator %s", name));
    Reader before = *r;
    if (op == OP_const) skip_literal(r);
    if (op == OP_dim) a.dim = dim(r);
    if (is(r, "%")) {
        do vec_push(r->arena, &args, value(r));
        while (accept(r, ","));
    }
    if (r->failed) return;
    bool open = false;
    uint32_t remat = 0;
    attribute(r, op, args.n ? args.at[0]->type->rank : 0, &a, &open);
    if (maybe_key(r, &open, "remat")) small(r, &remat);
    if (open) expect(r, "}");
    Type *t = expect(r, ":") ? type(r) : NULL;
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
    if (!n) fail_at(r, at, DL_ir_type, ir_error(m));
    else if (n->type != t) fail_at(r, at, DL_ir_type, arena_printf(r->arena, "%s gives %s", name, type_text(r->arena, n->type)));
    else n->remat = remat;
}

static void statement(Reader *r)
{
    Span at = here(r);
    uint32_t id = 0;
    if (!expect(r, "%") || !small(r, &id)) return;
    at.end = (uint32_t)r->start;
    if (id != r->f->nodes_made) {
        fail_at(r, at, DL_ir_name, arena_printf(r->arena, "the next value is %%%u", r->f->nodes_made));
    } else if (expect(r, "=")) {
        at.end = (uint32_t)r->end;
        if (!argument(r, at)) node(r, at);
    }
}

static void requirement(Reader *r)
{
    static const char *const rel[] = { [REL_EQ] = "==", [REL_NE] = "!=", [REL_LT] = "<", [REL_LE] = "<=" };
    Require q = { .span = here(r) };
    q.a = dim(r);
    int k = REL_EQ;
    while (k <= REL_LE && !is(r, rel[k])) k++;
    if (k > REL_LE) fail(r, DL_ir_syntax, "expected ==, !=, < or <=, found %s", token_text(r));
    if (r->failed) return;
    next(r);
    q.rel = (Rel)k;
    q.b = dim(r);
    q.text = string(r);
    vec_push(r->arena, &r->f->requires, q);
}

static void results(Reader *r)
{
    if (r->token != T_STRING) return;
    do {
        const char *name = string(r);
        Node *n = r->failed ? NULL : value(r);
        Param *p = accept(r, "->") ? param_named(r) : NULL;
        if (!r->failed) func_result(r->f, name, n, p);
    } while (accept(r, ","));
}

static void symbol(Reader *r)
{
    Func *f = r->f;
    const char *name = word(r);
    int64_t lo = 0, hi = INT64_MAX, multiple = 1;
    for (uint32_t i = 0; i < f->dims.n; i++)
        if (!strcmp(dim_as_sym(f->dims.at[i])->name, name)) fail(r, DL_ir_name, "%s twice", name);
    if (f->dims.n == MAX_SYMBOLS) fail(r, DL_ir_limit, "over %d symbols", MAX_SYMBOLS);
    if (accept(r, "in")) {
        integer(r, &lo);
        expect(r, "..");
        if (!r->failed && r->token == T_NUMBER) integer(r, &hi);
    }
    if (accept(r, "%")) integer(r, &multiple);
    if (!r->failed && (lo < 0 || hi < lo || multiple < 1)) fail(r, DL_ir_type, "no such dim");
    if (r->failed) return;
    Dim *d = dim_sym(r->m, f, name);
    dim_bound(r->m, d, lo, hi);
    dim_multiple(r->m, d, multiple);
    vec_push(r->arena, &f->dims, d);
}

static void function(Reader *r, const char *doc)
{
    Span at = here(r);
    bool exported = accept(r, "export"), train = accept(r, "train");
    const char *name = at_name(r);
    if (!r->failed && func_find(r->m, name)) fail(r, DL_ir_name, "function %s twice", name);
    if (r->failed) return;
    at.end = (uint32_t)r->start;
    Func *f = r->f = func_new(r->m, name, at);
    f->doc = doc;
    f->exported = exported;
    f->train = train;
    expect(r, "(");
    while (!r->failed && !is(r, ")"))
        if (!f->dims.n || expect(r, ",")) symbol(r);
    expect(r, ")");
    expect(r, "{");
    while (accept(r, "require")) requirement(r);
    while (!r->failed && is(r, "%")) statement(r);
    if (expect(r, "return")) results(r);
    expect(r, "}");
    r->f = NULL;
}

static void param(Reader *r, bool state)
{
    Span at = here(r);
    const char *path = string(r);
    Type *t = expect(r, ":") ? tensor_type(r) : NULL;
    if (r->failed) return;
    if (map_get(r->params, path, strlen(path))) {
        fail_at(r, at, DL_ir_name, arena_printf(r->arena, "\"%s\" twice", path));
        return;
    }
    Param *p = module_param(r->m, path, state, t, at);
    map_set(r->params, path, strlen(path), p);
    p->must_load = accept(r, "load");
    while (accept(r, "alias")) vec_push(r->arena, &p->aliases, string(r));
}

Module *ir_read(Arena *a, Diags *d, uint32_t file)
{
    const Source *source = &d->sources.at[file - 1];
    Reader r = { .arena = a, .diags = d, .text = source->text, .n = source->n, .file = file, .params = map_new(a),
                 .splat_left = MAX_SPLAT };
    if (r.n > UINT32_MAX) {
        fail(&r, DL_ir_limit, "over 4 GiB of text");
        return NULL;
    }
    next(&r);
    int64_t version = 0;
    if (expect(&r, "ir") && integer(&r, &version) && version != 1) fail(&r, DL_ir_syntax, "ir %lld; this is ir 1", (long long)version);
    expect(&r, "module");
    r.m = module_new(a, d, string(&r));
    while (!r.failed) {
        if (accept(&r, "param")) param(&r, false);
        else if (accept(&r, "state")) param(&r, true);
        else break;
    }
    while (!r.failed && r.token != T_END) {
        const char *doc = accept(&r, "doc") ? string(&r) : NULL;
        if (expect(&r, "func")) function(&r, doc);
    }
    return r.failed ? NULL : r.m;
}
