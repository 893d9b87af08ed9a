/* test_parse.c - golden trees and messages of tests/parse, golden texts of tests/fmt, and limits.
 *
 * NAME.dl has NAME.ast (tree, then diagnostics) or NAME.fmt beside it. DLC_UPDATE=1 writes these anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "frontend/ast.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef struct Test { Arena arena; Strings names; Diags d; } Test;

static Test *begin(void)
{
    Test *t = calloc(1, sizeof *t);
    t->names.arena = t->d.arena = &t->arena;
    return t;
}

static void done(Test *t)
{
    arena_free(&t->arena);
    free(t);
}

static const char *path_of(Test *t, const char *folder, const char *name)
{
    const char *root = getenv("DLC_ROOT");
    return arena_printf(&t->arena, "%s/%s/%s", root ? root : ".", folder, name);
}

static char *read_text(Test *t, const char *path, size_t *n)
{
    char *text;
    const char *why;
    if (!file_read(&t->arena, path, 0, &text, n, &why)) fail_msg("%s", why);
    return text;
}

static uint32_t add_text(Test *t, const char *name, const char *text) { return diag_source(&t->d, name, text, strlen(text)); }

static const char *tree(Test *t, uint32_t source)
{
    Str s = { .arena = &t->arena };
    ast_print(&s, parse_file(&t->arena, &t->names, &t->d, source));
    return s.at;
}

/* Compare with the golden file of a test, or write it. */
static void golden(Test *t, const char *folder, const char *name, const char *ending, const Str *got)
{
    const char *why, *path = path_of(t, folder, arena_printf(&t->arena, "%s%s", path_stem(&t->arena, name), ending));
    size_t n;
    if (getenv("DLC_UPDATE") && !file_write(&t->arena, path, got->at, got->n, &why)) fail_msg("%s", why);
    if (strcmp(read_text(t, path, &n), got->at) != 0) fail_msg("%s differs from:\n%s", path, got->at);
}

static void check_tree(const char *folder, const char *name)
{
    Test *t = begin();
    Str s = { .arena = &t->arena };
    size_t n;
    char *text = read_text(t, path_of(t, folder, name), &n);
    str_add(&s, tree(t, diag_source(&t->d, name, text, n)));
    diag_print(&t->d, &s, false);
    assert_int_equal(t->d.errors > 0, strncmp(name, "errors", 6) == 0);
    golden(t, folder, name, ".ast", &s);
    done(t);
}

/* Formatting: once is enough, and the tree stays. */
static const char *format(Test *t, const char *name, const char *text)
{
    Str once = { .arena = &t->arena }, twice = { .arena = &t->arena };
    uint32_t source = add_text(t, name, text);
    assert_true(format_file(&t->arena, &t->names, &t->d, source, &once));
    uint32_t formatted = add_text(t, name, once.at);
    assert_string_equal(tree(t, source), tree(t, formatted));
    assert_true(format_file(&t->arena, &t->names, &t->d, formatted, &twice));
    assert_string_equal(once.at, twice.at);
    return once.at;
}

static void check_format(const char *folder, const char *name)
{
    Test *t = begin();
    size_t n;
    Str s = { .arena = &t->arena };
    str_add(&s, format(t, name, read_text(t, path_of(t, folder, name), &n)));
    golden(t, folder, name, ".fmt", &s);
    done(t);
}

/* What we ship is formatted. */
static void check_formatted(const char *folder, const char *name)
{
    Test *t = begin();
    size_t n;
    char *text = read_text(t, path_of(t, folder, name), &n);
    assert_string_equal(format(t, name, text), text);
    done(t);
}

static uint32_t each_dl(const char *folder, void (*check)(const char *, const char *))
{
    Test *t = begin();
    DIR *dir = opendir(path_of(t, folder, "."));
    uint32_t count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n < 4 || strcmp(e->d_name + n - 3, ".dl") != 0) continue;
        check(folder, e->d_name);
        count++;
    }
    if (dir) closedir(dir);
    done(t);
    return count;
}

static void test_trees(void **state) { assert_true(each_dl("tests/parse", check_tree) > 5); }
static void test_formats(void **state) { assert_true(each_dl("tests/fmt", check_format) > 3); }
static void test_shipped(void **state)
{
    each_dl("models", check_formatted);
    each_dl("frontend/std", check_formatted);
}

/* One error, with this code, for a text of n times `more` between `first` and `last`. */
static void one_error(DiagCode code, const char *first, const char *more, uint32_t n, const char *last)
{
    Test *t = begin();
    Str s = { .arena = &t->arena };
    str_add(&s, first);
    for (uint32_t i = 0; i < n; i++) str_add(&s, more);
    str_add(&s, last);
    parse_file(&t->arena, &t->names, &t->d, add_text(t, "limit.dl", s.at));
    assert_int_equal(t->d.errors, 1);
    assert_int_equal(t->d.list.at[0]->code, code);
    done(t);
}

static void test_limits(void **state)
{
    one_error(DL_nesting, "x = ", "(", 20000, "1");
    one_error(DL_nesting, "x = ", "[", 20000, "");
    one_error(DL_nesting, "x = ", "f(", 20000, "");
    one_error(DL_nesting, "x = ", "x[", 20000, "");
    one_error(DL_nesting, "x: ", "f32[", 20000, "");
    one_error(DL_nesting, "x = ", "-", 20000, "1");
    one_error(DL_nesting, "x = ", "not ", 20000, "1");
    one_error(DL_nesting, "x = ", "2 ^ ", 20000, "1");
    one_error(DL_nesting, "x = ", "fn(x) = ", 20000, "1");
    one_error(DL_nesting, "x = ", "if a { b } else ", 20000, "{ c }");
    one_error(DL_nesting, "", "fn f() {\n", 20000, "");
    one_error(DL_nesting, "", "if a {\n", 20000, "");
    one_error(DL_nesting, "x = ", "1 + ", 20000, "1");
    one_error(DL_nesting, "x = y", ".z", 20000, "");
    one_error(DL_nesting, "x = y", "(1)", 20000, "");
    one_error(DL_nesting, "x = y", "'", 20000, "");
    one_error(DL_nesting, "x = y", " |> f", 20000, "");
    one_error(DL_syntax, "x y ", "(", 20000, "");
    one_error(DL_unclosed, "x = y\n", "}", 1, "");
}

/* A text made of n times `text`, with this many errors reported. */
static void errors_of(const char *text, uint32_t n, uint32_t errors)
{
    Test *t = begin();
    Str s = { .arena = &t->arena };
    str_add(&s, "");
    for (uint32_t i = 0; i < n; i++) str_add(&s, text);
    parse_file(&t->arena, &t->names, &t->d, add_text(t, "errors.dl", s.at));
    assert_int_equal(t->d.errors, errors);
    done(t);
}

static void test_sizes(void **state)
{
    char name[1002] = "";
    memset(name, 'n', 1000);
    Test *t = begin();
    errors_of(arena_printf(&t->arena, "%s = %s.%s\n", name, name, name), 3, 0);
    errors_of("x = [1, 2]\n", 20000, 0);
    errors_of("x y (\n", 20000, 100);                   /* it gives up */
    errors_of("x = [1,\n", 1, 1);
    done(t);
}

static void bytes(const char *text, size_t n, DiagCode code)
{
    Test *t = begin();
    parse_file(&t->arena, &t->names, &t->d, diag_source(&t->d, "bytes.dl", arena_strndup(&t->arena, text, n), n));
    assert_int_equal(t->d.errors, 1);
    assert_int_equal(t->d.list.at[0]->code, code);
    done(t);
}

static void test_bytes(void **state)
{
    bytes("x = \0", 5, DL_not_utf8);
    bytes("# \xff", 3, DL_not_utf8);
    bytes("x = \"\xc3\"", 7, DL_not_utf8);
    bytes("x = \"\xed\xa0\x80\"", 9, DL_not_utf8);      /* a surrogate */
    bytes("x\x01", 2, DL_bad_character);
    bytes("# \x1b[31m", 7, DL_bad_character);
    bytes("x = \"\x07\"", 7, DL_bad_character);
    bytes("x\r", 2, DL_bad_character);
    bytes("\"", 1, DL_open_string);
    bytes("\"\\", 2, DL_open_string);
    errors_of("", 0, 0);
    errors_of("\xef\xbb\xbfx = 1\r\n", 1, 0);
    errors_of("\xef\xbb\xbf" "dl 1", 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees), cmocka_unit_test(test_formats), cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_sizes), cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
