/* ast_print.c - the tree as text: one s-expression a statement, blocks indented. For `dlc inspect --ast` and golden tests.
 *
 *   fn f(x: f32[B, 64]) = x |> relu         (fn f ((x (type f32 B 64))) = (|> x relu))
 */
#include "frontend/ast.h"

typedef struct Printer { Str *s; int indent; } Printer;

static void print_expr(Printer *p, const Expr *e);
static void print_stmt(Printer *p, const Stmt *s);

static void line(Printer *p)
{
    str_char(p->s, '\n');
    for (int i = 0; i < p->indent; i++) str_add(p->s, "  ");
}

/* A block that is just a plain value stays on the line, in braces. */
static void print_body(Printer *p, const Body *b)
{
    if (b->n == 1 && b->at[0]->kind == ST_expr && b->at[0]->values.n == 1 && b->at[0]->values.at[0]->kind < EX_if) {
        str_add(p->s, " {");
        print_expr(p, b->at[0]->values.at[0]);
        str_char(p->s, '}');
        return;
    }
    p->indent++;
    for (uint32_t i = 0; i < b->n; i++) {
        line(p);
        print_stmt(p, b->at[i]);
    }
    p->indent--;
}

static void print_string(Printer *p, const char *text)
{
    size_t n = 0;
    while (text[n]) n++;
    str_json(p->s, text, n);
}

/* Each with a space before it; the end of a form closes it. */
static void print_more(Printer *p, const Expr *e)
{
    str_char(p->s, ' ');
    print_expr(p, e);
}
static void print_list(Printer *p, Expr *const *at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) print_more(p, at[i]);
    str_char(p->s, ')');
}

static void print_type(Printer *p, const TypeExpr *t)
{
    if (!t->brackets) {
        str_add(p->s, t->name);
        return;
    }
    str_fmt(p->s, "(type %s", t->name);
    for (uint32_t i = 0; i < t->ndims; i++)
        if (t->dim[i]) print_more(p, t->dim[i]);
        else str_add(p->s, " ...");
    str_char(p->s, ')');
}

static void print_names(Printer *p, const char **names, uint32_t n)
{
    str_add(p->s, " (");
    for (uint32_t i = 0; i < n; i++) str_fmt(p->s, i ? " %s" : "%s", names[i]);
    str_char(p->s, ')');
}

static void print_params(Printer *p, const FnParam *at, uint32_t n)
{
    str_char(p->s, '(');
    for (uint32_t i = 0; i < n; i++) {
        str_fmt(p->s, i ? " (%s" : "(%s", at[i].name);
        if (at[i].type) {
            str_char(p->s, ' ');
            print_type(p, at[i].type);
        }
        if (at[i].value) {
            str_add(p->s, " =");
            print_more(p, at[i].value);
        }
        str_char(p->s, ')');
    }
    str_char(p->s, ')');
}

static void print_doc(Printer *p, const char *doc)
{
    if (!doc) return;
    str_add(p->s, " (doc ");
    print_string(p, doc);
    str_char(p->s, ')');
}

static void print_fn(Printer *p, const Fn *f)
{
    str_add(p->s, "(fn ");
    if (f->name) str_fmt(p->s, "%s ", f->name);
    print_params(p, f->param, f->nparams);
    if (f->has_results) {
        str_add(p->s, f->results_in_brackets ? " (-> (" : " (-> ");
        for (uint32_t i = 0; i < f->nresults; i++) {
            if (i) str_char(p->s, ' ');
            if (f->result[i].name) str_fmt(p->s, "%s: ", f->result[i].name);
            print_type(p, f->result[i].type);
        }
        str_add(p->s, f->results_in_brackets ? "))" : ")");
    }
    if (f->nfacts) {
        str_add(p->s, " (with");
        print_list(p, f->fact, f->nfacts);
    }
    if (f->exported) str_add(p->s, f->train ? " export train" : " export");
    print_doc(p, f->doc);
    if (f->is_expr) {
        str_add(p->s, " =");
        print_list(p, f->body.at[0]->values.at, f->body.at[0]->values.n);
    } else {
        print_body(p, &f->body);
        str_char(p->s, ')');
    }
}

static void print_index(Printer *p, const Index *x)
{
    if (x->kind == INDEX_ellipsis) {
        str_add(p->s, " ...");
        return;
    }
    if (x->kind == INDEX_one) {
        print_more(p, x->one);
        return;
    }
    const Expr *part[3] = { x->from, x->to, x->step };
    str_add(p->s, " (:");
    for (int i = 0; i < 3; i++)
        if (part[i]) print_more(p, part[i]);
        else str_add(p->s, " *");
    str_char(p->s, ')');
}

/* ` (h = h0) (i in range ...)` */
static void print_binds(Printer *p, const Bind *at, uint32_t n, const char *between)
{
    for (uint32_t i = 0; i < n; i++) {
        str_fmt(p->s, " (%s %s", at[i].name, between);
        print_more(p, at[i].value);
        str_char(p->s, ')');
    }
}

static void print_loop(Printer *p, const Expr *e)
{
    str_add(p->s, e->kind == EX_scan ? "(scan" : "(while");
    print_binds(p, e->loop.in, e->loop.nin, "in");
    if (e->kind == EX_scan && e->loop.cond) str_add(p->s, " while");
    if (e->loop.cond) print_more(p, e->loop.cond);
    if (e->loop.nwith) str_add(p->s, " with");
    print_binds(p, e->loop.with, e->loop.nwith, "=");
    print_body(p, &e->loop.body);
    str_char(p->s, ')');
}

static void print_if(Printer *p, const Expr *e)
{
    str_add(p->s, "(if");
    print_more(p, e->cond.cond);
    print_body(p, &e->cond.then);
    if (e->cond.has_else) {
        str_add(p->s, " else");
        print_body(p, &e->cond.other);
    }
    str_char(p->s, ')');
}

static void print_expr(Printer *p, const Expr *e)
{
    Str *s = p->s;
    switch (e->kind) {
    case EX_int:    str_fmt(s, "%lld", (long long)e->i); break;
    case EX_float:  str_double(s, e->f); break;
    case EX_string: print_string(p, e->name); break;
    case EX_true:   str_add(s, "true"); break;
    case EX_false:  str_add(s, "false"); break;
    case EX_none:   str_add(s, "none"); break;
    case EX_self:   str_add(s, "self"); break;
    case EX_name:   str_add(s, e->name); break;
    case EX_tuple:  str_add(s, "(tuple"); print_list(p, e->items.at, e->items.n); break;
    case EX_list:   str_add(s, "(list"); print_list(p, e->items.at, e->items.n); break;
    case EX_comprehension:
        str_add(s, "(for");
        print_names(p, e->comp.names, e->comp.nnames);
        print_more(p, e->comp.in);
        if (e->comp.cond) {
            str_add(s, " if");
            print_more(p, e->comp.cond);
        }
        print_list(p, &e->comp.value, 1);
        break;
    case EX_type:   print_type(p, e->type); break;
    case EX_unary:  str_add(s, e->un.op == UN_neg ? "(-" : e->un.op == UN_not ? "(not" : "('"); print_list(p, &e->un.x, 1); break;
    case EX_binary:
        str_fmt(s, "(%s", binop_text(e->bin.op));
        print_more(p, e->bin.a);
        print_list(p, &e->bin.b, 1);
        break;
    case EX_pipe:                                       /* brackets around what is called make a difference here */
        str_add(s, "(|>");
        print_more(p, e->bin.a);
        str_add(s, e->bin.b->brackets ? " (group" : "");
        print_list(p, &e->bin.b, 1);
        str_add(s, e->bin.b->brackets ? ")" : "");
        break;
    case EX_call:
        str_add(s, "(call");
        print_more(p, e->call.fn);
        for (uint32_t i = 0; i < e->call.nargs; i++) {
            const Argument *g = &e->call.arg[i];
            if (g->name) str_fmt(s, " (%s =", g->name);
            print_more(p, g->value);
            if (g->name) str_char(s, ')');
        }
        str_char(s, ')');
        break;
    case EX_index:
        str_add(s, "(index");
        print_more(p, e->index.x);
        for (uint32_t i = 0; i < e->index.n; i++) print_index(p, &e->index.at[i]);
        str_char(s, ')');
        break;
    case EX_member: str_add(s, "(."); print_more(p, e->member.x); str_fmt(s, " %s)", e->member.name); break;
    case EX_if:     print_if(p, e); break;
    case EX_scan: case EX_while: print_loop(p, e); break;
    case EX_fn:     print_fn(p, e->fn); break;
    }
}

/* ` name : type = value as "text"` and the closing bracket. */
static void print_decl(Printer *p, const char *word, const Stmt *s)
{
    str_fmt(p->s, "(%s %s", word, s->decl.name);
    if (s->decl.type) {
        str_add(p->s, " : ");
        print_type(p, s->decl.type);
    }
    if (s->decl.value) {
        str_add(p->s, " =");
        print_more(p, s->decl.value);
    }
    if (s->decl.as) {
        str_add(p->s, " as ");
        print_string(p, s->decl.as);
    }
    str_char(p->s, ')');
}

static void print_assign(Printer *p, const Stmt *s)
{
    str_add(p->s, s->kind == ST_update ? "(:=" : "(=");
    str_add(p->s, s->assign.ntargets == 1 ? "" : " (");
    for (uint32_t i = 0; i < s->assign.ntargets; i++) {
        if (i || s->assign.ntargets == 1) str_char(p->s, ' ');
        print_expr(p, s->assign.target[i]);
    }
    str_add(p->s, s->assign.ntargets == 1 ? "" : ")");
    if (s->assign.type) {
        str_add(p->s, " : ");
        print_type(p, s->assign.type);
    }
    for (uint32_t i = 0; i < s->assign.nvalues; i++) print_more(p, s->assign.value[i]);
    if (s->assign.as) {
        str_add(p->s, " as ");
        print_string(p, s->assign.as);
    }
    str_char(p->s, ')');
}

static void print_stmt(Printer *p, const Stmt *s)
{
    switch (s->kind) {
    case ST_import:
        str_add(p->s, "(import ");
        print_string(p, s->import.path);
        str_fmt(p->s, s->import.as ? " as %s)" : ")", s->import.as);
        break;
    case ST_arg:   print_decl(p, "arg", s); break;
    case ST_param: print_decl(p, "param", s); break;
    case ST_state: print_decl(p, "state", s); break;
    case ST_fn:    print_fn(p, s->fn); break;
    case ST_module:
        str_fmt(p->s, "(module %s ", s->module->name);
        print_params(p, s->module->param, s->module->nparams);
        print_doc(p, s->module->doc);
        print_body(p, &s->module->body);
        str_char(p->s, ')');
        break;
    case ST_for:
        str_add(p->s, "(for");
        print_names(p, s->loop.names, s->loop.nnames);
        print_more(p, s->loop.in);
        print_body(p, &s->loop.body);
        str_char(p->s, ')');
        break;
    case ST_return: str_add(p->s, "(return"); print_list(p, s->values.at, s->values.n); break;
    case ST_yield:  str_add(p->s, "(yield"); print_list(p, s->values.at, s->values.n); break;
    case ST_assign: case ST_update: print_assign(p, s); break;
    case ST_expr:
        if (s->values.n == 1) {
            print_expr(p, s->values.at[0]);
        } else {
            str_add(p->s, "(values");
            print_list(p, s->values.at, s->values.n);
        }
        break;
    }
}

void ast_print(Str *s, const File *f)
{
    Printer p = { s, 0 };
    str_fmt(s, "(dl %lld)\n", (long long)f->version);
    for (uint32_t i = 0; i < f->body.n; i++) {
        print_stmt(&p, f->body.at[i]);
        str_char(s, '\n');
    }
}
