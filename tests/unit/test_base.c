/* test_base.c - arenas, vectors, strings, maps and files of base/. Diagnostics are in test_diag.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/size.h"

/* Every piece is zeroed, aligned, and shares no byte with another. */
static void test_arena(void **state)
{
    Arena a = {0};
    unsigned char *piece[500];
    size_t size[500];
    for (uint32_t i = 0; i < 500; i++) {
        size[i] = i % 50 == 49 ? 100000 : i * 7 % 300;
        piece[i] = arena_alloc(&a, size[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        for (size_t k = 0; k < size[i]; k++) assert_int_equal(piece[i][k], 0);
        memset(piece[i], (int)(i % 255 + 1), size[i]);
    }
    for (uint32_t i = 0; i < 500; i++)
        for (size_t k = 0; k < size[i]; k++) assert_int_equal(piece[i][k], i % 255 + 1);
    assert_true(a.used >= 1000000);
    arena_free(&a);
    assert_null(a.last);
    assert_string_equal(arena_strndup(&a, "again", 3), "aga");
    arena_free(&a);
}

static void test_vector(void **state)
{
    Arena a = {0};
    VEC(uint32_t) v = {0};
    for (uint32_t i = 0; i < 1000; i++) vec_push(&a, &v, i * i);
    assert_int_equal(v.n, 1000);
    for (uint32_t i = 0; i < 1000; i++) assert_int_equal(v.at[i], i * i);
    arena_free(&a);
}

static const char *double_text(Arena *a, double v)
{
    Str s = {.arena = a};
    str_double(&s, v);
    return s.at;
}

static const char *float_text(Arena *a, float v)
{
    Str s = {.arena = a};
    str_float(&s, v);
    return s.at;
}

static void test_numbers(void **state)
{
    Arena a = {0};
    assert_string_equal(double_text(&a, 0), "0.0");
    assert_string_equal(double_text(&a, -0.0), "-0.0");
    assert_string_equal(double_text(&a, 1), "1.0");
    assert_string_equal(double_text(&a, -12), "-12.0");
    assert_string_equal(double_text(&a, 0.1), "0.1");
    assert_string_equal(double_text(&a, 1.0 / 3), "0.3333333333333333");
    assert_string_equal(double_text(&a, 1e300), "1e+300");
    assert_string_equal(double_text(&a, 5e-324), "5e-324");
    assert_string_equal(double_text(&a, INFINITY), "inf");
    assert_string_equal(double_text(&a, -INFINITY), "-inf");
    assert_string_equal(double_text(&a, -NAN), "nan");
    assert_string_equal(float_text(&a, 0.1f), "0.1");
    assert_string_equal(float_text(&a, 1.0f / 3), "0.33333334");
    assert_string_equal(float_text(&a, 16777216.0f), "16777216.0");
    assert_string_equal(float_text(&a, FLT_MAX), "3.4028235e+38");
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        double v;
        float f;
        uint32_t low = (uint32_t)(bits >> 32);
        memcpy(&v, &bits, sizeof v);
        memcpy(&f, &low, sizeof f);
        if (isfinite(v)) assert_true(strtod(double_text(&a, v), NULL) == v);
        if (isfinite(f)) assert_true(strtof(float_text(&a, f), NULL) == f);
    }
    arena_free(&a);
}

static void test_strings(void **state)
{
    Arena a = {0};
    Str s = {.arena = &a};
    for (int i = 0; i < 300; i++) str_fmt(&s, "%d,", i);
    assert_int_equal(s.n, 10 * 2 + 90 * 3 + 200 * 4);
    assert_int_equal(strlen(s.at), s.n);
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_string_equal(arena_printf(&a, "%s", ""), "");

    Str j = {.arena = &a};
    str_json(&j, "a\"b\\\n\t\r\x01\x7f\xc3\xa9\xff\xed\xa0\x80", 15);
    assert_string_equal(j.at, "\"a\\\"b\\\\\\n\\t\\r\\u0001\\u007f\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\"");

    Strings names = {.arena = &a};
    const char *x = intern(&names, "alpha beta", 5), *y = intern(&names, "alphabet", 5);
    assert_ptr_equal(x, y);
    assert_string_equal(x, "alpha");
    assert_ptr_not_equal(x, intern(&names, "alph", 4));
    assert_string_equal(intern(&names, "", 0), "");
    arena_free(&a);
}

static void test_words(void **state)
{
    assert_int_equal(edit_distance("relu", "relu"), 0);
    assert_int_equal(edit_distance("relu", "rleu"), 1);
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
    assert_int_equal(edit_distance("", "abc"), 3);
    char longer[200];
    memset(longer, 'x', 199);
    longer[199] = 0;
    assert_int_equal(edit_distance(longer, longer), 0);
    assert_int_equal(edit_distance(longer, "x"), 199);

    const char *known[] = {"softmax", "relu", "gelu", NULL, "matmul", "T"};
    assert_string_equal(nearest("sofmtax", known, COUNT(known)), "softmax");
    assert_string_equal(nearest("rellu", known, COUNT(known)), "relu");
    assert_string_equal(nearest("MATMUL", known, COUNT(known)), "matmul");
    assert_string_equal(nearest("t", known, COUNT(known)), "T");
    assert_null(nearest("x", known, COUNT(known)));
    assert_null(nearest("convolution", known, COUNT(known)));

    assert_true(glob_match("*", ""));
    assert_true(glob_match("layer.*.weight", "layer.0.attn.weight"));
    assert_false(glob_match("layer.*.weight", "layer.0.bias"));
    assert_true(glob_match("a*b*c", "aXbbYc"));
    assert_false(glob_match("a*b", "ab."));
    assert_true(glob_match("exact", "exact"));
    assert_false(glob_match("", "x"));
}

static void test_map(void **state)
{
    Arena a = {0};
    Map *m = map_new(&a);
    assert_null(map_get(m, "none", 4));
    int value[5000];
    for (uint32_t i = 0; i < 5000; i++) map_set(m, &i, sizeof i, &value[i]);
    for (uint32_t i = 0; i < 5000; i += 2) map_set(m, &i, sizeof i, &value[0]);
    assert_int_equal(map_count(m), 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        const void *key;
        size_t n;
        assert_ptr_equal(map_get(m, &i, sizeof i), &value[i % 2 ? i : 0]);
        assert_ptr_equal(map_at(m, i, &key, &n), &value[i % 2 ? i : 0]);    /* insertion order */
        assert_int_equal(n, sizeof i);
        assert_memory_equal(key, &i, sizeof i);
    }
    map_set(m, "", 0, value);
    assert_ptr_equal(map_get(m, NULL, 0), value);
    arena_free(&a);
}

static void test_sizes(void **state)
{
    int64_t r = 7;
    assert_true(size_add(1, 2, &r) && r == 3);
    assert_false(size_add(INT64_MAX, 1, &r));
    assert_int_equal(r, 3);
    assert_false(size_mul((int64_t)1 << 32, (int64_t)1 << 31, &r));
    assert_true(size_floordiv(-7, 2, &r) && r == -4);
    assert_true(size_mod(-7, 2, &r) && r == 1);
    assert_true(size_mod(7, -2, &r) && r == -1);
    assert_false(size_floordiv(1, 0, &r));
    assert_false(size_floordiv(INT64_MIN, -1, &r));
    assert_true(size_mod(INT64_MIN, -1, &r) && r == 0);
    assert_true(size_align(65, 64, &r) && r == 128);
    assert_true(size_align(0, 64, &r) && r == 0);
    assert_false(size_align(INT64_MAX, 64, &r));
    assert_false(size_align(-1, 64, &r));
}

static void test_files(void **state)
{
    Arena a = {0};
    char folder[] = "/tmp/dlc test XXXXXX";             /* with spaces */
    assert_non_null(mkdtemp(folder));
    const char *path = path_join(&a, folder, "a file"), *link_path = path_join(&a, folder, "link");
    const char *error = NULL;
    char *text;
    size_t n;

    assert_false(file_read(&a, path, 0, &text, &n, &error));
    assert_string_equal(error, arena_printf(&a, "cannot open %s: No such file or directory", path));
    assert_true(file_write(&a, path, "one", 3, &error));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("a file", link_path), 0);
    assert_true(file_write(&a, link_path, "two\0two", 7, &error));  /* through the link, which stays */
    struct stat st;
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_true(file_read(&a, path, 0, &text, &n, &error));
    assert_int_equal(n, 7);
    assert_memory_equal(text, "two\0two", 8);
    assert_true(file_read(&a, path, 7, &text, &n, &error));
    assert_false(file_read(&a, path, 6, &text, &n, &error));
    assert_non_null(strstr(error, "larger than the limit of 6 bytes"));

    assert_false(file_read(&a, folder, 0, &text, &n, &error));
    assert_non_null(strstr(error, "Is a directory"));
    assert_false(file_write(&a, folder, "x", 1, &error));
    assert_false(file_write(&a, path_join(&a, folder, "none/x"), "x", 1, &error));
    assert_true(file_write(&a, "/dev/null", "x", 1, &error));
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    assert_false(file_write(&a, "/dev/full", "x", 1, &error));
    assert_string_equal(error, "cannot write /dev/full: No space left on device");

    unlink(path);
    unlink(link_path);
    assert_int_equal(rmdir(folder), 0);                 /* no temporary file is left */
    arena_free(&a);
}

static void test_paths(void **state)
{
    Arena a = {0};
    assert_string_equal(path_stem(&a, "a/b.c.dl"), "b.c");
    assert_string_equal(path_stem(&a, "mlp"), "mlp");
    assert_string_equal(path_stem(&a, "a.b/.hidden"), ".hidden");
    assert_string_equal(path_dir(&a, "a/b.dl"), "a");
    assert_string_equal(path_dir(&a, "b.dl"), ".");
    assert_string_equal(path_dir(&a, "/b.dl"), "/");
    assert_string_equal(path_join(&a, "a", "b"), "a/b");
    assert_string_equal(path_join(&a, "a/", "b"), "a/b");
    assert_string_equal(path_join(&a, ".", "b"), "b");
    assert_string_equal(path_join(&a, "a", "/b"), "/b");
    assert_string_equal(path_identifier(&a, "my-net v2"), "my_net_v2");
    assert_string_equal(path_identifier(&a, "3d"), "_3d");
    assert_string_equal(path_identifier(&a, ""), "_");
    assert_string_equal(path_identifier(&a, "int"), "int_");
    assert_string_equal(path_identifier(&a, "\xc3\xa9t\xc3\xa9"), "__t__");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),   cmocka_unit_test(test_vector), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_words),  cmocka_unit_test(test_map),
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_files),  cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
