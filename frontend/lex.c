/* lex.c - text to tokens. The whole source at once; mistakes become TOK_error and are reported here. */
#include "frontend/parse.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_LIMIT (16u << 20)

typedef struct Lexer {
    Arena   *a;
    Strings *names;
    Diags   *d;
    uint32_t file;
    const char *text;
    uint32_t n, pos;
    VEC(Token) out;
} Lexer;

static const char *const mark_text[] = {
#define M(name, text) text,
    MARKS(M)
#undef M
};
static const char *const keyword_text[] = {
#define K(name) #name,
    KEYWORDS(K)
#undef K
};
static const char *const dtype_names[] = { "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool" };

const char *token_text(TokenKind k)
{
    if (k >= TOK_dots && k < KW_and) return mark_text[k - TOK_dots];
    if (k >= KW_and && k < TOK_COUNT) return keyword_text[k - KW_and];
    return NULL;
}

bool token_ends(TokenKind k)
{
    switch (k) {
    case TOK_name: case TOK_int: case TOK_float: case TOK_string: case TOK_error:
    case TOK_rparen: case TOK_rsquare: case TOK_rbrace: case TOK_quote: case TOK_dots:
    case KW_true: case KW_false: case KW_none: case KW_self: case KW_return:
        return true;
    default:
        return false;
    }
}

bool token_continues(TokenKind k)
{
    return k == TOK_pipe || k == TOK_dot || k == TOK_arrow || k == KW_with || k == KW_else;
}

bool is_dtype(const char *name)
{
    for (size_t i = 0; i < COUNT(dtype_names); i++)
        if (strcmp(name, dtype_names[i]) == 0) return true;
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_word(char c) { return is_letter(c) || is_digit(c); }

/* The code of a valid UTF-8 character of n bytes. */
static uint32_t utf8_code(const char *s, uint32_t n)
{
    uint32_t code = (unsigned char)s[0];
    if (n > 1) code &= 0xffu >> (n + 1);
    for (uint32_t i = 1; i < n; i++) code = code << 6 | ((unsigned char)s[i] & 0x3f);
    return code;
}

/* A file that is no text at all gets one message. */
static bool check_text(Lexer *l)
{
    if (l->n > SOURCE_LIMIT) {
        diag_error(l->d, DL_source_size, (Span){ l->file, 0, 0 }, "this text has %u bytes; %u is the limit", l->n, SOURCE_LIMIT);
        return false;
    }
    for (uint32_t i = 0, len; i < l->n; i += len) {
        len = json_utf8(l->text + i, l->n - i);
        if (len && l->text[i]) continue;
        diag_error(l->d, DL_not_utf8, (Span){ l->file, i, i + 1 }, len ? "a zero byte: this is not a text" : "byte 0x%02x: this is not UTF-8 text",
                   (unsigned char)l->text[i]);
        return false;
    }
    return true;
}

static Span span(const Lexer *l, uint32_t start, uint32_t end) { return (Span){ l->file, start, end }; }

/* Control characters inside comments and strings would end up in headers and on terminals. */
static bool is_control(char c) { return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f; }

/* The end of the line that holds pos; a '\r' before the '\n' is not part of it. */
static uint32_t line_end(const Lexer *l, uint32_t pos)
{
    while (pos < l->n && l->text[pos] != '\n') pos++;
    return pos;
}

static void lex_comment(Lexer *l, Token *t)
{
    uint32_t end = line_end(l, l->pos);
    l->pos = end;
    while (end > t->start && (l->text[end - 1] == '\r' || l->text[end - 1] == ' ' || l->text[end - 1] == '\t')) end--;
    t->kind = TOK_comment;
    t->end = end;
    for (uint32_t i = t->start; i < end; i++)
        if (is_control(l->text[i])) {
            diag_error(l->d, DL_bad_character, span(l, i, i + 1), "a control character (0x%02x) in a comment", l->text[i]);
            return;
        }
}

static void lex_string(Lexer *l, Token *t)
{
    uint32_t end = line_end(l, l->pos);
    Str s = { .arena = l->a };
    str_add(&s, "");
    t->kind = TOK_string;
    for (l->pos++; l->pos < end; l->pos++) {
        char c = l->text[l->pos];
        if (c == '"') {
            l->pos++;
            t->name = intern(l->names, s.at, s.n);
            return;
        }
        if (c == '\\') {
            char e = l->pos + 1 < end ? l->text[l->pos + 1] : '\n';
            if (e == '\n' || e == '\r') continue;       /* the string does not end either: that message is enough */
            l->pos++;
            if (e == 'n') c = '\n';
            else if (e == '"' || e == '\\') c = e;
            else {
                diag_error(l->d, DL_bad_escape, span(l, l->pos - 1, l->pos + 1), "'\\%s' is no escape; a string has \\\" \\\\ and \\n",
                           is_word(e) ? (char[]){ e, 0 } : "");
                t->kind = TOK_error;
            }
        } else if (is_control(c) && !(c == '\r' && l->pos + 1 == end)) {
            diag_error(l->d, DL_bad_character, span(l, l->pos, l->pos + 1), "a control character (0x%02x) in a string", c);
            t->kind = TOK_error;
        }
        str_char(&s, c);
    }
    diag_error(l->d, DL_open_string, span(l, t->start, end), "this string has no closing '\"' on its line");
    t->kind = TOK_error;
}

/* Digits with single underscores between them, into buf without these. false: a '_' where none may be. */
static bool digits(Lexer *l, Str *buf)
{
    bool ok = true;
    while (is_digit(l->text[l->pos]) || l->text[l->pos] == '_') {
        if (l->text[l->pos] != '_') str_char(buf, l->text[l->pos]);
        else ok &= is_digit(l->text[l->pos - 1]) && is_digit(l->text[l->pos + 1]);
        l->pos++;
    }
    return ok;
}

static void lex_number(Lexer *l, Token *t)
{
    Str buf = { .arena = l->a };
    bool real = false, ok = digits(l, &buf);
    const char *why = ok ? NULL : "a '_' in a number stands between two digits";
    if (l->text[l->pos] == '.' && l->text[l->pos + 1] != '.') {
        real = true;
        str_char(&buf, '.');
        l->pos++;
        if (!is_digit(l->text[l->pos])) why = "a number has a digit after its point, as in 1.0";
        else if (!digits(l, &buf)) why = "a '_' in a number stands between two digits";
    }
    if (!why && (l->text[l->pos] == 'e' || l->text[l->pos] == 'E')) {
        real = true;
        str_char(&buf, 'e');
        l->pos++;
        if (l->text[l->pos] == '-' || l->text[l->pos] == '+') str_char(&buf, l->text[l->pos++]);
        if (!is_digit(l->text[l->pos])) why = "an exponent has digits, as in 1e-3";
        else if (!digits(l, &buf)) why = "a '_' in a number stands between two digits";
    }
    if (!why && is_letter(l->text[l->pos])) why = "a number ends before a letter; names start with a letter, and numbers are decimal";
    if (why && l->out.n && l->out.at[l->out.n - 1].kind == TOK_dot) why = "an item of a list or tuple is x[0]";
    if (why) {
        while (is_word(l->text[l->pos])) l->pos++;
        diag_error(l->d, DL_bad_number, span(l, t->start, l->pos), "%s", why);
        t->kind = TOK_error;
        return;
    }
    if (!real) {
        t->kind = TOK_int;
        for (size_t i = 0; i < buf.n; i++)
            if (__builtin_mul_overflow(t->i, 10, &t->i) || __builtin_add_overflow(t->i, buf.at[i] - '0', &t->i)) {
                diag_error(l->d, DL_number_range, span(l, t->start, l->pos), "this number does not fit 64 bits; the largest is 9223372036854775807");
                t->kind = TOK_error;
                return;
            }
        return;
    }
    t->kind = TOK_float;
    t->f = strtod(buf.at, NULL);
    bool zero = strspn(buf.at, "0.") >= strcspn(buf.at, "e");
    if (t->f > 1.7976931348623157e308 || (t->f == 0 && !zero)) {
        diag_error(l->d, DL_number_range, span(l, t->start, l->pos), "this number is too %s for a 64-bit float", t->f == 0 ? "small" : "large");
        t->kind = TOK_error;
    }
}

static void lex_word(Lexer *l, Token *t)
{
    while (is_word(l->text[l->pos])) l->pos++;
    uint32_t n = l->pos - t->start;
    t->kind = TOK_name;
    t->name = intern(l->names, l->text + t->start, n);
    if (l->out.n && l->out.at[l->out.n - 1].kind == TOK_dot) return;        /* any word may follow a point */
    for (size_t i = 0; i < COUNT(keyword_text); i++)
        if (strcmp(keyword_text[i], t->name) == 0) t->kind = (uint8_t)(KW_and + i);
}

/* What somebody who writes this character from habit should write instead. */
static const char *habit(char c)
{
    switch (c) {
    case '!': return "; the negation is 'not'";
    case '&': return "; write 'and'";
    case '|': return "; write 'or', or '|>' for a pipe";
    case '\\': return "; a line goes on inside ( ) and [ ], and after an operator";
    case '?': return "; choose with 'if c { a } else { b }'";
    case '`': return "; strings stand in double quotes";
    default: return "";
    }
}

static void lex_mark(Lexer *l, Token *t)
{
    for (size_t i = 0; i < COUNT(mark_text); i++) {
        size_t n = strlen(mark_text[i]);
        if (strncmp(l->text + l->pos, mark_text[i], n) != 0) continue;
        t->kind = (uint8_t)(TOK_dots + i);
        l->pos += (uint32_t)n;
        return;
    }
    /* One message for a run of characters from outside ASCII, or of one character: `&&`. */
    uint32_t n = json_utf8(l->text + l->pos, l->n - l->pos), code = utf8_code(l->text + l->pos, n);
    l->pos += n;
    while (l->pos < l->n && (code < 0x80 ? (uint32_t)l->text[l->pos] == code : (unsigned char)l->text[l->pos] >= 0x80)) l->pos++;
    t->kind = TOK_error;
    if (code < 0x20 || code == 0x7f)
        diag_error(l->d, DL_bad_character, span(l, t->start, l->pos), "a control character (0x%02x) means nothing here", code);
    else if (code < 0x80)
        diag_error(l->d, DL_bad_character, span(l, t->start, l->pos), "'%c' means nothing here%s", (char)code, habit((char)code));
    else
        diag_error(l->d, DL_bad_character, span(l, t->start, l->pos), "'%.*s' (U+%04X) means nothing here; names are ASCII letters, digits and '_'",
                   (int)n, l->text + t->start, code);
}

Tokens lex(Arena *a, Strings *names, Diags *d, uint32_t source, bool comments)
{
    const Source *s = &d->sources.at[source - 1];
    Lexer l = { .a = a, .names = names, .d = d, .file = source, .text = s->text, .n = s->n > UINT32_MAX ? UINT32_MAX : (uint32_t)s->n };
    if (!check_text(&l)) l.n = 0, l.text = "";
    if (strncmp(l.text, "\xef\xbb\xbf", 3) == 0) l.pos = 3;         /* byte order mark */

    uint32_t newlines = 1;                              /* the first token starts a line */
    while (l.pos < l.n) {
        char c = l.text[l.pos];
        if (c == '\n') newlines++;
        if (c == '\n' || c == ' ' || c == '\t' || (c == '\r' && l.text[l.pos + 1] == '\n')) {
            l.pos++;
            continue;
        }
        Token t = { .start = l.pos, .newline = newlines > 0, .blank = newlines > 1 };
        if (c == '#') lex_comment(&l, &t);
        else if (c == '"') lex_string(&l, &t);
        else if (is_digit(c)) lex_number(&l, &t);
        else if (is_letter(c)) lex_word(&l, &t);
        else lex_mark(&l, &t);
        if (t.kind != TOK_comment) t.end = l.pos;
        if (t.kind == TOK_comment && !comments) continue;           /* the newline after it makes the next token start a line */
        newlines = 0;
        vec_push(a, &l.out, t);
    }
    Token end = { .kind = TOK_eof, .newline = true, .blank = newlines > 1, .start = l.n, .end = l.n };
    vec_push(a, &l.out, end);
    return (Tokens){ l.out.at, l.out.n };
}
