/* Data files: .npy, idx, .gz, safetensors; how they are named on the command line; exact conversions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/data.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/dlc-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        unlink(name);
    }
    if (d) closedir(d);
    return rmdir(folder);
}

static const char *file(Arena *a, const char *name, const void *data, size_t n)
{
    const char *path = arena_printf(a, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (n) assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    return path;
}

/* A version 1 .npy file of this header and data. */
static const char *npy(Arena *a, const char *header, const void *data, size_t n)
{
    Str s = {.arena = a};
    str_addn(&s, "\x93NUMPY\x01\x00", 8);
    str_char(&s, (char)strlen(header));
    str_char(&s, 0);
    str_add(&s, header);
    str_addn(&s, data, n);
    return file(a, "x.npy", s.at, s.n);
}

static dlc_tensor must_read(Arena *a, const char *path, const char *key)
{
    dlc_tensor t;
    const char *error = NULL;
    if (!data_read(a, path, key, &t, &error)) fail_msg("%s", error);
    return t;
}

static void must_fail(Arena *a, const char *path, const char *key, const char *says)
{
    dlc_tensor t;
    const char *error = "";
    assert_false(data_read(a, path, key, &t, &error));
    if (!error || !strstr(error, says)) fail_msg("%s", error ? error : "no message");
}

static void npy_files(void **state)
{
    (void)state;
    Arena a = {0};
    const float f[6] = {1, 2, 3, 4, 5, 6};
    dlc_tensor t = must_read(&a, npy(&a, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n", f, sizeof f), NULL);
    assert_true(t.dtype == DLC_F32 && t.rank == 2 && t.dim[0] == 2 && t.dim[1] == 3);
    assert_memory_equal(t.data, f, sizeof f);
    t = must_read(&a, npy(&a, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", f, sizeof f), NULL);
    const float rows[6] = {1, 3, 5, 2, 4, 6};
    assert_memory_equal(t.data, rows, sizeof rows);
    const unsigned char big[4] = {1, 2, 255, 254};
    t = must_read(&a, npy(&a, "{\"shape\": (2,), 'fortran_order': False, 'descr': '>u2'}", big, sizeof big), NULL);
    assert_int_equal(t.dtype, DLC_I32);
    assert_true(((int32_t *)t.data)[0] == 258 && ((int32_t *)t.data)[1] == 65534);
    t = must_read(&a, npy(&a, "{'descr': '|b1', 'fortran_order': False, 'shape': ()}", "\x02", 1), NULL);
    assert_true(t.dtype == DLC_BOOL && t.rank == 0 && *(uint8_t *)t.data == 1);

    static const char *const broken[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}",  "{'descr': '<f4', 'shape': (2, 3)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}", "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "", "{", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2,3)}",
    };
    for (size_t i = 0; i < COUNT(broken); i++) must_fail(&a, npy(&a, broken[i], f, sizeof f), NULL, "not a .npy file that can be read");
    must_fail(&a, file(&a, "short.npy", "\x93NUMPY\x01\x00\xff\x00", 10), NULL, "truncated");
    must_fail(&a, file(&a, "short.npy", "\x93NUMPY\x02\x00\xff\x00", 10), NULL, "truncated");

    dlc_tensor again = {.data = (void *)(uintptr_t)f, .dtype = DLC_F32, .rank = 1, .dim = {6}};
    const char *error, *path = arena_printf(&a, "%s/out.npy", folder);
    assert_true(data_write_npy(&a, path, &again, &error));
    t = must_read(&a, path, NULL);
    assert_true(t.rank == 1 && t.dim[0] == 6 && !memcmp(t.data, f, sizeof f));
    arena_free(&a);
}

static void idx_files(void **state)
{
    (void)state;
    Arena a = {0};
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40};
    static const unsigned char shorts[] = {0, 0, 11, 1, 0, 0, 0, 2, 1, 2, 0xff, 0xfe};
    static const unsigned char gz[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x63, 0x60, 0xe0, 0x66, 0x64, 0x60, 0x60, 0x60, 0x62, 0x64, 0xfa, 0xf7, 0x1f, 0};
    dlc_tensor t = must_read(&a, file(&a, "images", images, sizeof images), NULL);
    assert_true(t.dtype == DLC_U8 && t.rank == 3 && t.dim[0] == 2 && t.dim[2] == 2 && ((uint8_t *)t.data)[3] == 40);
    t = must_read(&a, file(&a, "shorts", shorts, sizeof shorts), NULL);
    assert_true(t.dtype == DLC_I16 && ((int16_t *)t.data)[0] == 258 && ((int16_t *)t.data)[1] == -2);
    must_fail(&a, file(&a, "images", images, sizeof images - 1), NULL, "does not fit its shape");
    must_fail(&a, file(&a, "images", images, 9), NULL, "header is broken");
    must_fail(&a, file(&a, "gz", gz, sizeof gz), NULL, "gz");   /* cut off: broken, or not supported */
    must_fail(&a, file(&a, "empty", "", 0), NULL, "too short");
    must_fail(&a, folder, NULL, "");
    must_fail(&a, "/nonexistent/x", NULL, "No such file");
    must_fail(&a, "/dev/zero", NULL, "not a regular file");
    arena_free(&a);
}

static void safetensors_files(void **state)
{
    (void)state;
    Arena a = {0};
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"y\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]}}";
    char all[8 + sizeof header - 1 + 9] = {(char)(sizeof header - 1)};
    float x[2] = {5, 6};
    memcpy(all + 8, header, sizeof header - 1);
    memcpy(all + 8 + sizeof header - 1, x, 8);
    const char *path = file(&a, "w.safetensors", all, sizeof all);
    dlc_tensor t = must_read(&a, path, "x");
    assert_true(t.dtype == DLC_F32 && t.dim[0] == 2 && ((float *)t.data)[1] == 6);
    must_fail(&a, path, NULL, "it holds 2 tensors; name one");
    must_fail(&a, path, "z", "no tensor \"z\"; it has x, y");
    must_fail(&a, file(&a, "junk", "0123456789", 10), NULL, "not a safetensors file");
    arena_free(&a);
}

static void specs(void **state)
{
    (void)state;
    Arena a = {0};
    DataSpec s;
    const char *error;
    assert_true(data_spec(&a, "x=a/b.npy", &s, &error));
    assert_true(!strcmp(s.argument, "x") && !strcmp(s.path, "a/b.npy") && !s.key && s.scale == 1);
    assert_true(data_spec(&a, "x=w.safetensors:net.x,scale=1/4", &s, &error));
    assert_true(!strcmp(s.path, "w.safetensors") && !strcmp(s.key, "net.x") && s.scale == 0.25);
    const char *odd = file(&a, "a:b,scale=3", "", 0);
    assert_true(data_spec(&a, arena_printf(&a, "x=%s", odd), &s, &error));
    assert_true(!strcmp(s.path, odd) && !s.key && s.scale == 1);
    assert_false(data_spec(&a, "x", &s, &error));
    assert_false(data_spec(&a, "=f", &s, &error));
    assert_false(data_spec(&a, "x=f,scale=1/0", &s, &error));
    assert_false(data_spec(&a, "x=f,scale=a", &s, &error));
    assert_false(data_spec(&a, "x=f,scale=inf", &s, &error));
    arena_free(&a);
}

static bool to(Arena *a, dlc_tensor from, int dtype, double scale, dlc_tensor *t)
{
    const char *error = NULL;
    bool ok = data_convert(a, &from, "x", dtype, from.rank, scale, t, &error);
    return ok;
}

static void conversions(void **state)
{
    (void)state;
    Arena a = {0};
    dlc_tensor t;
    const char *error = NULL;
    uint8_t u[3] = {0, 1, 255};
    dlc_tensor bytes = {.data = u, .dtype = DLC_U8, .rank = 1, .dim = {3}};
    assert_true(to(&a, bytes, DLC_F32, 1, &t) && ((float *)t.data)[2] == 255);
    assert_true(to(&a, bytes, DLC_F32, 1.0 / 255, &t) && ((float *)t.data)[1] == 1.0f / 255);
    assert_true(to(&a, bytes, DLC_I32, 1, &t) && ((int32_t *)t.data)[2] == 255);
    assert_false(to(&a, bytes, DLC_I8, 1, &t));
    assert_false(to(&a, bytes, DLC_BOOL, 1, &t));
    assert_false(to(&a, bytes, DLC_I32, 0.5, &t));
    double d[3] = {1.5, 0.1, NAN};
    dlc_tensor doubles = {.data = d, .dtype = DLC_F64, .rank = 1, .dim = {1}};
    assert_true(to(&a, doubles, DLC_F32, 1, &t) && ((float *)t.data)[0] == 1.5f);
    assert_false(to(&a, doubles, DLC_I32, 1, &t));
    doubles.dim[0] = 2;
    assert_false(to(&a, doubles, DLC_F32, 1, &t));
    assert_false(data_convert(&a, &doubles, "x", DLC_F32, 1, 1, &t, &error));
    assert_string_equal(error, "x: the data is f64[2], the argument is f32 with 1 dim: element 1, which is 0.10000000000000001, would change");
    doubles.data = d + 2, doubles.dim[0] = 1;
    assert_true(to(&a, doubles, DLC_F32, 1, &t) && isnan(((float *)t.data)[0]));
    int64_t l[1] = {(INT64_C(1) << 53) + 1};
    dlc_tensor longs = {.data = l, .dtype = DLC_I64, .rank = 1, .dim = {1}};
    assert_false(to(&a, longs, DLC_F64, 1, &t));
    l[0] = INT64_MAX;
    assert_false(to(&a, longs, DLC_F64, 1, &t));
    assert_true(to(&a, longs, DLC_I64, 1, &t));

    /* 1-dims: behind the shape, or where the argument says 1. */
    assert_true(data_convert(&a, &bytes, "x", DLC_U8, 3, 1, &t, &error));
    assert_true(t.rank == 3 && t.dim[0] == 3 && t.dim[1] == 1 && t.dim[2] == 1);
    assert_false(data_convert(&a, &bytes, "x", DLC_U8, 0, 1, &t, &error));
    dlc_tensor images = {.data = u, .dtype = DLC_U8, .rank = 3, .dim = {1000, 28, 28}};
    assert_true(data_fit(&images, 4, (int64_t[]){-1, 1, 28, 28}));
    assert_true(images.rank == 4 && images.dim[1] == 1 && images.dim[3] == 28);
    assert_true(data_fit(&images, 4, (int64_t[]){-1, 1, 28, 28}));
    assert_false(data_fit(&images, 4, (int64_t[]){-1, 3, 28, 28}));
    assert_false(data_fit(&images, 3, (int64_t[]){-1, 28, 28}));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(npy_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(idx_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(safetensors_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(specs, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(conversions, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
