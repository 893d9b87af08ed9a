/* fmt.c - `dlc fmt`: the same tokens on the same lines, with canonical spaces between them.
 *
 * Blocks are indented by four, and so are lists in brackets whose '[' or '(' ends its line. Another line inside a
 * statement keeps its place relative to what it was aligned with (the first thing in an open bracket, what follows an
 * '=', the continued line above) or to the statement. Comments stay, those behind code in their column where it is free.
 * Of several empty lines one stays. The tree does not change.
 */
#include "frontend/parse.h"

#include <string.h>

#define INDENT 4

/* A place where a later line may be aligned: its column in the source and in the output. NO_COLUMN: none yet. */
typedef struct Anchor { uint32_t from, to; } Anchor;
#define NO_COLUMN UINT32_MAX

/* An open bracket; the bottom one stands for the file. */
typedef struct Open {
    char     bracket;
    uint32_t base;                                      /* of a block: the column of its '}' */
    Anchor   statement;                                 /* of a block: the statement now in it */
    Anchor   above;                                     /* of a block: the last continued line of that statement */
    Anchor   first, equals;                             /* first token inside; the token after the last '=' or return */
} Open;

typedef struct Line {
    size_t   start, end;                                /* code, in Formatter.code */
    Anchor   indent;
    uint32_t width;                                     /* of the code, in characters */
    bool     blank;                                     /* an empty line above */
    const Token *comment;                               /* or NULL */
    bool     trailing;                                  /* the comment stands behind code, in this column */
    uint32_t column;
} Line;

typedef struct Formatter {
    Arena   *a;
    const char *text;
    Tokens   tok;
    uint32_t *column;                                   /* of each token, in the source */
    Str      code;
    VEC(Line) lines;
    VEC(Open) open;
    const Token *before;                                /* the last token but comments and ';' */
} Formatter;

static Line *line_now(Formatter *f) { return &f->lines.at[f->lines.n - 1]; }
static Open *innermost(Formatter *f) { return &f->open.at[f->open.n - 1]; }

/* Characters up to each token from the start of its line; a tab goes to the next multiple of four. */
static void find_columns(Formatter *f)
{
    uint32_t at = 0, column = 0;
    f->column = arena_array(f->a, uint32_t, f->tok.n);
    for (uint32_t i = 0; i < f->tok.n; i++) {
        for (; at < f->tok.at[i].start; at++) {
            char c = f->text[at];
            if (c == '\n') column = 0;
            else if (c == '\t') column = (column / INDENT + 1) * INDENT;
            else if (((unsigned char)c & 0xc0) != 0x80) column++;
        }
        f->column[i] = column;
    }
}

/* ---- spaces ---------------------------------------------------------------------------------------------- */

/* Is the token at hand behind a value, so that '(' calls, '[' indexes and '-' subtracts? */
static bool after_value(const Token *before) { return before && token_ends(before->kind) && before->kind != KW_return; }

static bool space_between(const Formatter *f, const Token *b, const Token *t, bool sign_before)
{
    char bracket = f->open.at[f->open.n - 1].bracket;
    switch (b->kind) {
    case TOK_lparen: case TOK_lsquare: case TOK_dot: return false;
    case TOK_lbrace: return t->kind != TOK_rbrace;
    case TOK_colon: if (bracket == '[') return false; break;
    case TOK_minus: if (sign_before) return false; break;
    default: break;
    }
    switch (t->kind) {
    case TOK_rparen: case TOK_rsquare: case TOK_comma: case TOK_semicolon: case TOK_quote: return false;
    case TOK_dot: return b->kind == TOK_int;            /* 1.x would be a malformed number */
    case TOK_colon: return bracket == '[' && b->kind == TOK_comma;
    case TOK_lparen: return !after_value(b) && b->kind != KW_fn;
    case TOK_lsquare: return !after_value(b) && b->kind != KW_fn && b->kind != KW_module;
    default: return true;
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------- */

static void add(Formatter *f, const char *s, uint32_t n)
{
    str_addn(&f->code, s, n);
    for (uint32_t i = 0; i < n; i++) line_now(f)->width += ((unsigned char)s[i] & 0xc0) != 0x80;
}

static void start_line(Formatter *f, bool blank, uint32_t from, uint32_t to)
{
    Line l = { .start = f->code.n, .blank = blank, .indent = { from, to } };
    vec_push(f->a, &f->lines, l);
    for (uint32_t i = 0; i < to; i++) add(f, " ", 1);
}

/* The open block that the statement at hand belongs to. */
static Open *block_now(Formatter *f)
{
    uint32_t i = f->open.n - 1;
    while (f->open.at[i].bracket != '{') i--;
    return &f->open.at[i];
}

static uint32_t inside(const Open *block) { return block->base == NO_COLUMN ? 0 : block->base + INDENT; }

/* Column of a line that goes on with a statement; `from` is its column in the source. */
static uint32_t continued(Formatter *f, uint32_t from, TokenKind kind)
{
    Open *block = block_now(f), *inner = innermost(f);
    bool closer = kind == TOK_rparen || kind == TOK_rsquare;
    bool item = inner != block && !closer && (f->before->kind == TOK_comma || f->before->kind == TOK_lparen || f->before->kind == TOK_lsquare);
    uint32_t least = block->statement.to + (closer || kind == KW_else ? 0 : INDENT), to = NO_COLUMN;
    int64_t moved = (int64_t)from - block->statement.from + block->statement.to;
    if (closer) to = inner->statement.to;
    if (item && inner->first.from == NO_COLUMN) to = inner->statement.to + INDENT;
    for (const Open *o = inner; to == NO_COLUMN; o--) {
        if (o->first.from == from) to = o->first.to;
        else if (o->equals.from == from) to = o->equals.to;
        if (o == block) break;
    }
    if (to == NO_COLUMN && block->above.from == from) to = block->above.to;
    if (to == NO_COLUMN && item && moved != least) to = inner->first.to;
    if (to == NO_COLUMN) to = moved < 0 ? 0 : (uint32_t)moved;
    if (to < least) to = least;
    block->above = (Anchor){ from, to };
    return to;
}

/* Start the line of token i. */
static void break_line(Formatter *f, uint32_t i, bool ended, bool blank)
{
    const Token *t = &f->tok.at[i], *b = f->before;
    Open *o = innermost(f);
    uint32_t from = f->column[i];
    if (!f->lines.n || (b && b->kind == TOK_lbrace && !line_now(f)->comment)) blank = false;
    if (t->kind == TOK_rbrace) {
        start_line(f, false, from, o->base);
    } else if (o->bracket != '{' || (b && !ended && b->kind != TOK_lbrace && (!token_ends(b->kind) || token_continues(t->kind)))) {
        start_line(f, blank, from, continued(f, from, t->kind));
    } else {
        start_line(f, blank, from, inside(o));
        if (t->kind == TOK_comment) return;
        o->statement = line_now(f)->indent;
        o->above.from = o->first.from = o->equals.from = NO_COLUMN;
    }
}

static void open_bracket(Formatter *f, char bracket)
{
    Open *outer = innermost(f);
    Open o = { .bracket = bracket, .base = outer->bracket == '{' ? outer->statement.to : line_now(f)->indent.to };
    o.statement = line_now(f)->indent;
    o.above.from = o.first.from = o.equals.from = NO_COLUMN;
    vec_push(f->a, &f->open, o);
}

static void add_tokens(Formatter *f)
{
    bool newline = true, blank = false, ended = false, sign = false;
    for (uint32_t i = 0; f->tok.at[i].kind != TOK_eof; i++) {
        const Token *t = &f->tok.at[i], *b = f->before;
        newline |= t->newline;
        blank |= t->blank;
        if (t->kind == TOK_semicolon) {
            ended = true;
            continue;
        }
        if (t->kind == KW_else && newline && t[-1].kind == TOK_rbrace) newline = false;
        if (newline) break_line(f, i, ended, blank);
        newline = blank = false;
        if (t->kind == TOK_comment) {
            Line *l = line_now(f);
            l->comment = t;
            l->trailing = l->width > l->indent.to;
            l->column = f->column[i];
            continue;
        }
        bool starts = line_now(f)->width == line_now(f)->indent.to;
        if (!starts && ended && b->kind != TOK_lbrace && t->kind != TOK_rbrace) add(f, ";", 1);
        if (!starts && ((ended && b->kind != TOK_lbrace) || space_between(f, b, t, sign))) add(f, " ", 1);
        sign = t->kind == TOK_minus && (ended || !after_value(b) || (starts && innermost(f)->bracket == '{'));
        ended = false;

        Open *o = innermost(f);
        Anchor here = { f->column[i], line_now(f)->width };
        if (!starts && (b->kind == TOK_lparen || b->kind == TOK_lsquare)) o->first = here;
        if (!starts && (b->kind == TOK_assign || b->kind == TOK_becomes || b->kind == KW_return)) o->equals = here;
        if (t->kind == TOK_rparen || t->kind == TOK_rsquare || t->kind == TOK_rbrace) f->open.n--;
        add(f, f->text + t->start, t->end - t->start);
        if (t->kind == TOK_lparen || t->kind == TOK_lsquare || t->kind == TOK_lbrace) open_bracket(f, f->text[t->start]);
        f->before = t;
    }
}

/* ---- output ------------------------------------------------------------------------------------------------ */

/* Comments behind code keep their column; where that is taken, they and their neighbours of the same column move right together. */
static void place_comments(Formatter *f)
{
    for (uint32_t i = 0, end; i < f->lines.n; i = end) {
        Line *l = &f->lines.at[i];
        end = i + 1;
        if (!l->trailing) continue;
        uint32_t column = l->column, to = column;
        for (end = i; end < f->lines.n && f->lines.at[end].trailing && f->lines.at[end].column == column; end++)
            if (to < f->lines.at[end].width + 2) to = f->lines.at[end].width + 2;
        for (uint32_t k = i; k < end; k++) f->lines.at[k].column = to;
    }
}

static void write_lines(const Formatter *f, Str *out)
{
    for (uint32_t i = 0; i < f->lines.n; i++) {
        const Line *l = &f->lines.at[i];
        if (l->blank) str_char(out, '\n');
        str_addn(out, f->code.at + l->start, l->end - l->start);
        if (l->comment) {
            const char *text = f->text + l->comment->start;
            uint32_t n = l->comment->end - l->comment->start;
            for (uint32_t w = l->width; l->trailing && w < l->column; w++) str_char(out, ' ');
            unsigned char c = n > 1 ? (unsigned char)text[1] : ' ';
            bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
            str_add(out, word ? "# " : "#");            /* a word is not glued to the '#' */
            str_addn(out, text + 1, n - 1);
        }
        str_char(out, '\n');
    }
}

bool format_file(Arena *a, Strings *names, Diags *d, uint32_t source, Str *out)
{
    uint32_t errors = d->errors;
    parse_file(a, names, d, source);
    if (d->errors > errors) return false;

    Formatter f = { .a = a, .text = d->sources.at[source - 1].text, .tok = lex(a, names, d, source, true), .code.arena = a };
    Open file = { .bracket = '{', .base = NO_COLUMN };
    file.above.from = file.first.from = file.equals.from = NO_COLUMN;
    vec_push(a, &f.open, file);
    str_add(&f.code, "");
    str_add(out, "");
    find_columns(&f);
    add_tokens(&f);
    for (uint32_t i = 0; i < f.lines.n; i++) f.lines.at[i].end = i + 1 < f.lines.n ? f.lines.at[i + 1].start : f.code.n;
    place_comments(&f);
    write_lines(&f, out);
    return true;
}
