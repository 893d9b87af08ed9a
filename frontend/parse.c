/* parse.c - the parser's view of tokens, recovery after mistakes, blocks and files.
 *
 * A mistake is reported where it is met; the functions return until the statement is given up, and recover() looks
 * for the next one. So independent mistakes are all reported, each once.
 */
#include "frontend/parse.h"

/* ---- tokens ------------------------------------------------------------------------------------------------ */

TokenKind peek(Parser *p)
{
    const Token *t = &p->tok[p->pos];
    if (t->newline && t->kind != TOK_eof && p->bracket == '{' && p->ended != p->pos && token_ends(t[-1].kind) && !token_continues(t->kind))
        return TOK_newline;
    return t->kind;
}

TokenKind peek_next(Parser *p) { return p->pos + 1 < p->ntok ? p->tok[p->pos + 1].kind : TOK_eof; }

Token *take(Parser *p)
{
    Token *t = &p->tok[p->pos];
    if (t->kind != TOK_eof) p->pos++;
    return t;
}

bool accept(Parser *p, TokenKind k)
{
    if (peek(p) != k) return false;
    take(p);
    return true;
}

bool at_end(Parser *p)
{
    TokenKind k = peek(p);
    return k == TOK_newline || k == TOK_semicolon || k == TOK_eof;
}

Span span_here(Parser *p)
{
    const Token *t = &p->tok[p->pos];
    if (peek(p) == TOK_newline) return (Span){ p->file, t[-1].end, t[-1].end };
    return (Span){ p->file, t->start, t->end };
}

Span span_from(Parser *p, uint32_t start)
{
    uint32_t end = p->pos ? p->tok[p->pos - 1].end : 0;
    return (Span){ p->file, start, end > start ? end : start };
}

static void stop(Parser *p)
{
    p->pos = p->ntok - 1;
    p->error_at = p->ntok;                              /* whatever is missing at the end of the file now is no news */
}

Diag *error_here(Parser *p, DiagCode code, const char *fmt, ...)
{
    if (p->tok[p->pos].kind == TOK_error && peek(p) != TOK_newline) p->error_at = p->pos + 1;
    if (p->error_at == p->pos + 1) return NULL;
    p->error_at = p->pos + 1;
    va_list ap;
    va_start(ap, fmt);
    Diag *d = diag_error(p->d, code, span_here(p), "%s", arena_vprintf(p->a, fmt, ap));
    va_end(ap);
    if (++p->errors >= ERROR_LIMIT) stop(p);
    return d;
}

static const char *describe(Parser *p)
{
    const Token *t = &p->tok[p->pos];
    TokenKind k = peek(p);
    int n = t->end - t->start > 40 ? 40 : (int)(t->end - t->start);
    if (k == TOK_newline) return "the end of the line";
    if (k == TOK_eof) return "the end of the file";
    if (k == TOK_string) return "a string";
    return arena_printf(p->a, k >= KW_and ? "the keyword '%.*s'" : "'%.*s'%s", n, p->text + t->start, t->end - t->start > 40 ? "..." : "");
}

Diag *expected(Parser *p, const char *what) { return error_here(p, DL_syntax, "expected %s, found %s", what, describe(p)); }

bool expect(Parser *p, TokenKind k, const char *what)
{
    if (accept(p, k)) return true;
    expected(p, what);
    return false;
}

const char *expect_name(Parser *p, const char *what, Span *span)
{
    TokenKind k = peek(p);
    *span = span_here(p);
    if (k == TOK_name) return take(p)->name;
    if (k >= KW_and) error_here(p, DL_keyword_name, "'%s' is a keyword and cannot be a name", token_text(k));
    else expected(p, what);
    return NULL;
}

Opened bracket_open(Parser *p)
{
    Opened o = { p->pos, p->open, p->bracket };
    if (!p->open) p->open = p->pos + 1;
    p->bracket = peek(p) == TOK_lparen ? '(' : '[';
    take(p);
    return o;
}

bool bracket_close(Parser *p, Opened o, const char *what)
{
    const Token *t = &p->tok[o.token];
    if (!accept(p, t->kind == TOK_lparen ? TOK_rparen : TOK_rsquare)) {
        Diag *d = expected(p, what);
        if (d) diag_note(p->d, d, (Span){ p->file, t->start, t->end }, "the '%s' opened here", token_text(t->kind));
        return false;
    }
    p->bracket = o.bracket;
    p->open = o.open;
    return true;
}

bool nest(Parser *p)
{
    if (++p->depth <= NEST_LIMIT) return true;
    error_here(p, DL_nesting, "more than %d levels of nesting", NEST_LIMIT);
    stop(p);
    return false;
}

bool grow(Parser *p)
{
    if (++p->height <= HEIGHT_LIMIT) return true;
    error_here(p, DL_nesting, "this expression is a chain of more than %d steps; give parts of it names", HEIGHT_LIMIT);
    stop(p);
    return false;
}

/* Let brackets know their partners. A '}' closes the nearest '{' and gives up what was opened since. */
static void match_brackets(Parser *p)
{
    VEC(uint32_t) open = { 0 };
    for (uint32_t i = 0; i < p->ntok; i++) {
        TokenKind k = p->tok[i].kind, opener = k == TOK_rparen ? TOK_lparen : k == TOK_rsquare ? TOK_lsquare : k == TOK_rbrace ? TOK_lbrace : TOK_eof;
        if (k == TOK_lparen || k == TOK_lsquare || k == TOK_lbrace) vec_push(p->a, &open, i);
        if (opener == TOK_eof) continue;
        uint32_t n = open.n;
        if (k == TOK_rbrace) while (n && p->tok[open.at[n - 1]].kind != TOK_lbrace) n--;
        if (!n || p->tok[open.at[n - 1]].kind != opener) continue;
        open.n = n - 1;
        p->tok[i].match = open.at[open.n];
        p->tok[open.at[open.n]].match = i;
    }
}

/* ---- recovery ------------------------------------------------------------------------------------------------- */

/* Columns before the first character of the line of token i. */
static uint32_t indent(const Parser *p, uint32_t i)
{
    uint32_t line = p->tok[i].start, n = 0;
    while (line && p->text[line - 1] != '\n') line--;
    while (p->text[line + n] == ' ' || p->text[line + n] == '\t') n++;
    return n;
}

/* Does a line among the tokens from..to look like a new statement: one as far left as the statement that starts with `first`? */
static bool statement_between(const Parser *p, uint32_t first, uint32_t from, uint32_t to)
{
    uint32_t left = indent(p, first);
    for (uint32_t i = from > first ? from : first + 1; i < to; i++) {
        TokenKind k = p->tok[i].kind;
        if (p->tok[i].newline && k != TOK_rparen && k != TOK_rsquare && k != TOK_rbrace && !token_continues(k) && indent(p, i) <= left) return true;
    }
    return false;
}

/* Go to the end of the broken statement that starts with token `first`. Blocks met on the way are parsed for their own mistakes. */
static void recover(Parser *p, uint32_t first)
{
    bool jump = true;                                   /* over brackets; until one seems never to be closed */
    uint32_t left = indent(p, first), close = p->open ? p->tok[p->open - 1].match : 0;
    bool braces = p->braces;
    p->bracket = '{';
    p->open = 0;
    p->braces = false;
    if (p->tok[p->pos].kind == TOK_eof) return;
    if (close >= p->pos) {
        jump = !statement_between(p, first, p->pos, close);
        if (jump) p->pos = close + 1, braces = false;
    }
    for (;;) {
        const Token *t = &p->tok[p->pos];
        if (t->kind == TOK_eof || t->kind == TOK_semicolon || t->kind == TOK_rbrace) return;
        if (t->newline && p->pos > first && !token_continues(t->kind) && (token_ends(t[-1].kind) || indent(p, p->pos) <= left)) return;
        if (t->kind == TOK_lbrace && !(braces && t->match)) {
            bool outer = p->recovering;
            Body ignored;
            p->recovering = true;
            parse_body(p, &ignored);
            p->recovering = outer;
            continue;
        }
        if ((t->kind == TOK_lparen || t->kind == TOK_lsquare || t->kind == TOK_lbrace) && t->match && jump)
            jump = !statement_between(p, first, p->pos, t->match);
        if (t->match > p->pos && jump) p->pos = t->match;
        p->pos++;
    }
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

bool file_level_only(TokenKind k) { return k == KW_import || k == KW_arg || k == KW_export || k == KW_module; }

/* Is the next token, in the block opened by token `open`, so clearly of the file's level that a '}' must be missing? */
static bool outside(const Parser *p, uint32_t open)
{
    const Token *t = &p->tok[p->pos];
    return file_level_only(t->kind) && t->newline && indent(p, p->pos) <= indent(p, open);
}

/* A '}' that is missing somewhere is noticed late; a '}' in an odd column shows where. */
static void note_odd_brace(Parser *p, Diag *d, uint32_t open)
{
    for (uint32_t i = open + 1; i < p->ntok; i++) {
        const Token *t = &p->tok[i];
        if (t->kind != TOK_rbrace || !t->newline || !t->match || indent(p, i) >= indent(p, t->match)) continue;
        diag_note(p->d, d, (Span){ p->file, t->start, t->end }, "this '}' closes a '{' that is further to the right");
        const Token *o = &p->tok[t->match];
        diag_note(p->d, d, (Span){ p->file, o->start, o->end }, "namely this one");
        return;
    }
}

/* Statements up to the '}' of the block opened by token `open`, or the end of the file (open: UINT32_MAX). */
static void parse_statements(Parser *p, uint32_t open, Body *out)
{
    VEC(Stmt *) list = { 0 };
    bool file = open == UINT32_MAX;
    for (;;) {
        TokenKind k = peek(p);
        if (k == TOK_newline) p->ended = p->pos;
        else if (k == TOK_semicolon) take(p);
        else if (k == TOK_rbrace && file) {
            error_here(p, DL_unclosed, "this '}' closes nothing");
            take(p);
        } else if (k == TOK_eof || k == TOK_rbrace || (!file && outside(p, open))) {
            break;
        } else {
            uint32_t first = p->pos;
            Stmt *s = parse_statement(p);
            bool ended = at_end(p) || p->ended == p->pos;       /* the latter: its block has no '}', and says so */
            if (s && !ended && (file || peek(p) != TOK_rbrace)) {
                expected(p, "the end of the statement");
                s = NULL;
            }
            if (!s) {
                recover(p, first);
                if (p->pos == first) take(p);
                continue;
            }
            if (p->loop && list.n && list.at[list.n - 1]->kind == ST_yield)
                diag_error(p->d, DL_misplaced, list.at[list.n - 1]->span, "'yield' is the last statement of a scan's block");
            vec_push(p->a, &list, s);
        }
    }
    out->at = list.at;
    out->n = list.n;
}

/* "{" statements "}"; the '{' is next. */
void parse_body(Parser *p, Body *out)
{
    Opened o = { p->pos, p->open, p->bracket };
    uint32_t outer = p->height;
    take(p);
    p->bracket = '{';
    p->open = p->height = 0;
    if (nest(p)) parse_statements(p, o.token, out);
    p->depth--;
    p->bracket = o.bracket;
    p->open = o.open;
    if (!accept(p, TOK_rbrace)) {
        const Token *t = &p->tok[o.token];
        Diag *d = error_here(p, DL_unclosed, "expected '}', found %s", describe(p));
        if (d) diag_note(p->d, d, (Span){ p->file, t->start, t->end }, "the '{' opened here");
        if (d) note_odd_brace(p, d, o.token);
    }
    out->span = span_from(p, p->tok[o.token].start);
    grow(p);
    if (p->height < outer) p->height = outer;
}

bool at_block(Parser *p, const char *what)
{
    if (peek(p) == TOK_lbrace) return true;
    bool below = peek(p) == TOK_newline && p->tok[p->pos].kind == TOK_lbrace;
    Diag *d = expected(p, what);
    if (d && below) diag_note(p->d, d, d->span, "the '{' stands on the same line as what it belongs to");
    if (d && peek(p) == TOK_assign) diag_note(p->d, d, d->span, "'==' compares");
    return false;
}

bool parse_block(Parser *p, const char *of, bool loop, Body *out)
{
    bool nested = p->nested, outer_loop = p->loop;
    if (!at_block(p, arena_printf(p->a, "'{' and the block of %s", of))) return false;
    p->nested = true;
    p->loop = loop;
    parse_body(p, out);
    p->nested = nested;
    p->loop = outer_loop;
    return true;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static void parse_version(Parser *p, File *f)
{
    f->version = LANGUAGE_VERSION;
    if (!accept(p, KW_dl)) return;
    if (peek(p) != TOK_int) {
        expected(p, "the version of the language, as in 'dl 1',");
        recover(p, 0);
        return;
    }
    int64_t version = p->tok[p->pos].i;
    if (version < 1 || version > LANGUAGE_VERSION)
        error_here(p, DL_version, "this dlc reads 'dl %d'; the file is written in 'dl %lld'", LANGUAGE_VERSION, (long long)version);
    f->version = version;
    take(p);
    if (at_end(p)) return;
    expected(p, "the end of the line");
    recover(p, 0);
}

File *parse_file(Arena *a, Strings *names, Diags *d, uint32_t source)
{
    File *f = arena_new(a, File);
    Tokens t = lex(a, names, d, source, false);
    Parser p = { .a = a, .names = names, .d = d, .file = source, .text = d->sources.at[source - 1].text, .tok = t.at, .ntok = t.n, .bracket = '{' };
    f->path = d->sources.at[source - 1].path;
    f->source = source;
    match_brackets(&p);
    parse_version(&p, f);
    parse_statements(&p, UINT32_MAX, &f->body);
    f->body.span = (Span){ source, 0, t.at[t.n - 1].end };
    return f;
}
