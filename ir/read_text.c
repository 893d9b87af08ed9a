/* read_text.c - tokens of IR text: words, numbers, strings, marks. */
#include "ir/read.h"

#include "base/json.h"

#include <ctype.h>
#include <string.h>

Span text_here(const Reader *r)
{
    return (Span){r->file, (uint32_t)r->start, (uint32_t)r->end};
}

bool text_fail_at(Reader *r, Span at, DiagCode code, const char *text)
{
    if (!r->failed) diag_error(r->diags, code, at, "%s", text);
    r->failed = true;
    return false;
}

bool text_fail(Reader *r, DiagCode code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(r->arena, fmt, ap);
    va_end(ap);
    return text_fail_at(r, text_here(r), code, text);
}

void text_next(Reader *r)
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
        static const char *const marks[] = {"//", "->", "..", "==", "!=", "<="};
        r->token = T_MARK;
        size_t len = 1;
        for (size_t k = 0; k < COUNT(marks) && i + 1 < n; k++)
            if (!memcmp(s + i, marks[k], 2)) len = 2;
        i += len;
    }
    r->end = i;
}

bool text_is(const Reader *r, const char *text)
{
    size_t n = strlen(text);
    return (r->token == T_WORD || r->token == T_MARK) && r->end - r->start == n && !memcmp(r->text + r->start, text, n);
}

bool text_accept(Reader *r, const char *text)
{
    if (r->failed || !text_is(r, text)) return false;
    text_next(r);
    return true;
}

const char *text_token(const Reader *r)
{
    if (r->token == T_END) return "the end";
    size_t n = r->end - r->start;
    return arena_strndup(r->arena, r->text + r->start, n > 40 ? 40 : n);
}

bool text_expect(Reader *r, const char *text)
{
    return text_accept(r, text) || text_fail(r, DL_ir_syntax, "expected '%s', found %s", text, text_token(r));
}

const char *text_word(Reader *r)
{
    if (r->failed || r->token != T_WORD) {
        text_fail(r, DL_ir_syntax, "expected a name, found %s", text_token(r));
        return "";
    }
    const char *w = arena_strndup(r->arena, r->text + r->start, r->end - r->start);
    text_next(r);
    return w;
}

bool text_unsigned(Reader *r, uint64_t *v)
{
    if (r->failed || r->token != T_NUMBER)
        return text_fail(r, DL_ir_syntax, "expected a number, found %s", text_token(r));
    *v = 0;
    for (size_t i = r->start; i < r->end; i++) {
        if (!isdigit((unsigned char)r->text[i]))
            return text_fail(r, DL_ir_syntax, "expected an integer, found %s", text_token(r));
        if (__builtin_mul_overflow(*v, 10u, v) || __builtin_add_overflow(*v, (uint64_t)(r->text[i] - '0'), v))
            return text_fail(r, DL_ir_limit, "%s is too large", text_token(r));
    }
    text_next(r);
    return true;
}

bool text_integer(Reader *r, int64_t *v)
{
    bool minus = text_accept(r, "-");
    uint64_t u;
    if (!text_unsigned(r, &u)) return false;
    if (u > (uint64_t)INT64_MAX + minus) return text_fail(r, DL_ir_limit, "an integer is too large");
    *v = minus ? (int64_t)-u : (int64_t)u;
    return true;
}

bool text_small(Reader *r, uint32_t *v)
{
    uint64_t u;
    if (!text_unsigned(r, &u)) return false;
    if (u > UINT32_MAX) return text_fail(r, DL_ir_limit, "%llu is too large here", (unsigned long long)u);
    *v = (uint32_t)u;
    return true;
}

const char *text_string(Reader *r)
{
    if (r->failed || r->token != T_STRING) {
        text_fail(r, DL_ir_syntax, "expected a string, found %s", text_token(r));
        return "";
    }
    Json j;
    size_t n = r->end - r->start;
    json_start(&j, r->text + r->start, n);
    if (json_next(&j) != JSON_STRING) {
        text_fail(r, DL_ir_syntax, "bad string: %s", j.error);
        return "";
    }
    char *s = arena_alloc(r->arena, n + 1);
    int64_t len = json_unescape(j.at, j.len, s, n + 1);
    if (len < 0 || strlen(s) != (size_t)len) {
        text_fail(r, DL_ir_syntax, "a string holds the character 0");
        return "";
    }
    text_next(r);
    return s;
}

const char *text_at_name(Reader *r)
{
    if (!text_expect(r, "@")) return "";
    return r->token == T_STRING ? text_string(r) : text_word(r);
}
