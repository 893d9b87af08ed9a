/* Loading and saving: safetensors files of every broken kind, what a load needs, and that a failure changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toy_model.h"

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/dlc-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
    return 0;
}

/* Everything that is still there, then the folder. */
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

static int count_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void write_raw(const char *to, const void *data, size_t n)
{
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file of this header and n bytes of data. */
static void write_file(const char *header, const void *data, size_t n)
{
    size_t len = strlen(header);
    char *all = calloc(1, 8 + len + n);
    for (int i = 0; i < 8; i++) all[i] = (char)(len >> 8 * i);
    memcpy(all + 8, header, len);
    if (data) memcpy(all + 8 + len, data, n);
    write_raw(path, all, 8 + len + n);
    free(all);
}

static RtInstance *create(int map)
{
    dlc_options o = {.size = sizeof o, .threads = 1, .seed = 10, .map = map};
    RtInstance *m = dlc_rt_create(&toy_model, &o);
    assert_non_null(m);
    return m;
}

/* ---- files that are not what they say ------------------------------------------------------------------------------------ */

#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void broken_files(void **state)
{
    static const struct { const char *header; size_t data; const char *says; } c[] = {
        {"", 0, "the header is not a JSON object"},
        {"[]", 0, "the header is not a JSON object"},
        {" {}", 0, "the header is not a JSON object"},
        {"{", 0, "the text ends too early"},
        {"{}x", 0, "something follows the value"},
        {"{\"a\":1}", 0, "a tensor is an object"},
        {"{\"a\":{}}", 0, "a tensor needs dtype, shape and data_offsets"},
        {"{" T("a", "F32", "[1]", 0, 4) "}", 3, "outside of the file"},
        {"{" T("a", "F32", "[1]", 0, 4) "}", 5, "it has 5 bytes of data, its header describes 4"},
        {"{" T("a", "F32", "[2]", 0, 4) "}", 4, "do not agree"},
        {"{" T("a", "F33", "[1]", 0, 4) "}", 4, "unknown dtype"},
        {"{" T("a", "F32", "[1]", 4, 0) "}", 4, "outside of the file"},
        {"{" T("a", "F32", "[-1]", 0, 4) "}", 4, "not a whole number"},
        {"{" T("a", "F32", "[1.0]", 0, 4) "}", 4, "not a whole number"},
        {"{" T("a", "F32", "1", 0, 4) "}", 4, "a list of numbers"},
        {"{" T("a", "F32", "[4611686018427387904,4611686018427387904]", 0, 4) "}", 4, "overflows"},
        {"{" T("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, "not a whole number"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, "a hole before the data of b"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 0, 4) "}", 4, "something overlaps"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, "a is there twice"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("\\u0061", "F32", "[1]", 4, 8) "}", 8, "a is there twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a field is there twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "too many numbers"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "strings only"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
        {"{\"__metadata__\":{\"dlc.calls\":\"1\",\"dlc.calls\":\"2\"}}", 0, "dlc.calls is there twice"},
        {"{\"__metadata__\":{\"dlc.calls\":\"-1\"}}", 0, "dlc.calls is not a number"},
        {"{\"__metadata__\":{\"dlc.calls\":\"\"}}", 0, "dlc.calls is not a number"},
        {"{\"__metadata__\":{\"dlc.calls\":\"9223372036854775808\"}}", 0, "dlc.calls is not a number"},
        {"{\"__metadata__\":{\"dlc.seed\":\"18446744073709551616\"}}", 0, "dlc.seed is not a number"},
        {"{\"__metadata__\":{\"dlc.seed\":\"1\\u0031\"}}", 0, "dlc.seed is not a number"},
        {"{\"__metadata__\":{\"dlc.seed\":[]}}", 0, "strings only"},
        {"{" T("a\xff", "F32", "[1]", 0, 4) "}", 4, "UTF-8"},
        {"{" T("a", "F4", "[3]", 0, 1) "}", 1, "do not agree"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        RtInstance *m = create(0);
        write_file(c[i].header, NULL, c[i].data);
        assert_int_equal(dlc_rt_load(m, path), DLC_BAD_FILE);
        if (!strstr(dlc_rt_error(m), c[i].says)) fail_msg("%s: %s", c[i].header, dlc_rt_error(m));
        dlc_rt_destroy(m);
    }
}

static void lying_lengths(void **state)
{
    (void)state;
    RtInstance *m = create(0);
    static const unsigned char huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, longer[10] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    write_raw(path, "", 0);
    assert_int_equal(dlc_rt_load(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "it has only 0 bytes"));
    write_raw(path, huge, 8);
    assert_int_equal(dlc_rt_load(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "larger than 100 MB"));
    write_raw(path, longer, sizeof longer);
    assert_int_equal(dlc_rt_load(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "truncated"));
    assert_int_equal(dlc_rt_load(m, folder), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "not a regular file"));
    assert_int_equal(dlc_rt_load(m, "/nonexistent/w"), DLC_NOT_FOUND);
    assert_string_equal(dlc_rt_error(m), "cannot open /nonexistent/w: No such file or directory");
    assert_int_equal(dlc_rt_load(m, NULL), DLC_BAD_ARGUMENT);
    char fifo[160];
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(dlc_rt_load(m, fifo), DLC_BAD_FILE);       /* and does not wait for a writer */
    unlink(fifo);
    dlc_rt_destroy(m);
}

/* Every truncation of a good file is refused, and the values stay. */
static void truncated_files(void **state)
{
    (void)state;
    RtInstance *m = create(0);
    float bias[3] = {1, 2, 3}, got[3];
    char *good = malloc(4096);
    assert_int_equal(dlc_rt_set(m, "bias", bias, sizeof bias), DLC_OK);
    assert_int_equal(dlc_rt_save(m, path), DLC_OK);
    FILE *f = fopen(path, "rb");
    size_t n = fread(good, 1, 4096, f);
    fclose(f);
    for (size_t k = 0; k < n; k++) {
        write_raw(path, good, k);
        assert_int_equal(dlc_rt_load(m, path), DLC_BAD_FILE);
    }
    assert_int_equal(dlc_rt_get(m, "bias", got, sizeof got), DLC_OK);
    assert_memory_equal(got, bias, sizeof got);
    free(good);
    dlc_rt_destroy(m);
}

/* ---- what a load needs ---------------------------------------------------------------------------------------------------------- */

static const float values[7] = {20, 21, 30, 31, 40, 41, 42};
#define W T("net.w", "F32", "[2]", 0, 8)
#define S T("net.s", "F32", "[2]", 8, 16)
#define BIAS T("bias", "F32", "[3]", 16, 28)

static void get3(RtInstance *m, float w[2], float s[2], float b[3])
{
    assert_int_equal(dlc_rt_get(m, "net.w", w, 8), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "net.s", s, 8), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "bias", b, 12), DLC_OK);
}

static void a_whole_file(void **state)
{
    (void)state;
    float w[2], s[2], b[3];
    for (int map = 0; map < 2; map++) {
        RtInstance *m = create(map);
        write_file("{" W "," S "," BIAS "}   ", values, sizeof values);
        assert_int_equal(dlc_rt_load(m, path), DLC_OK);
        assert_string_equal(dlc_rt_load_report(m), "loaded net.w\nloaded net.s\nloaded bias\n");
        get3(m, w, s, b);
        assert_true(w[0] == 20 && s[1] == 31 && b[2] == 42);
        float one[2] = {1, 1};                          /* setting one does not write to the file */
        assert_int_equal(dlc_rt_set(m, "net.w", one, 8), DLC_OK);
        assert_int_equal(dlc_rt_load(m, path), DLC_OK);
        get3(m, w, s, b);
        assert_true(w[0] == 20);
        assert_int_equal(dlc_rt_init(m, 5), DLC_OK);    /* what has no initial value stays */
        get3(m, w, s, b);
        assert_true(w[0] == 5 && s[0] == 5 && b[2] == 42);
        dlc_rt_destroy(m);
    }
}

static void missing_and_extra(void **state)
{
    (void)state;
    RtInstance *m = create(0);
    float w[2], s[2], b[3];
    write_file("{" W "}", values, 8);
    assert_int_equal(dlc_rt_load(m, path), DLC_NOT_FOUND);
    assert_non_null(strstr(dlc_rt_error(m), "lacks the parameter bias"));
    assert_string_equal(dlc_rt_load_report(m), "loaded net.w\nmissing net.s\nmissing bias\n");
    assert_int_equal(dlc_rt_get(m, "bias", b, sizeof b), DLC_NOT_LOADED);

    /* A missing state takes its initial value, computed from the loaded w; a tensor too many is listed; aliases count. */
    write_file("{" T("tied.w", "F32", "[2]", 0, 8) "," T("bias", "F32", "[3]", 8, 20) "," T("other", "I64", "[1]", 20, 28) "}", values, 28);
    assert_int_equal(dlc_rt_load(m, path), DLC_OK);
    assert_string_equal(dlc_rt_load_report(m), "loaded net.w\nmissing net.s\nloaded bias\nextra other\n");
    get3(m, w, s, b);
    assert_true(w[0] == 20 && s[0] == 20 && s[1] == 21 && b[0] == 30);

    /* A partial load keeps what the file does not have. */
    float fresh[2] = {7, 8};
    assert_int_equal(dlc_rt_set(m, "net.s", fresh, 8), DLC_OK);
    write_file("{" T("bias", "F32", "[3]", 0, 12) "}", values, 12);
    assert_int_equal(dlc_rt_load(m, path), DLC_NOT_FOUND);
    assert_non_null(strstr(dlc_rt_error(m), "lacks the parameter net.w"));
    assert_int_equal(dlc_rt_load_partial(m, path), DLC_OK);
    get3(m, w, s, b);
    assert_true(w[0] == 20 && s[0] == 7 && b[0] == 20);
    write_file("{" T("bios", "F32", "[3]", 0, 12) "}", values, 12);
    assert_int_equal(dlc_rt_load_partial(m, path), DLC_NOT_FOUND);
    dlc_rt_destroy(m);
}

static void types_and_shapes(void **state)
{
    (void)state;
    RtInstance *m = create(0);
    write_file("{" T("bias", "F32", "[1,3]", 0, 12) "}", values, 12);
    assert_int_equal(dlc_rt_load_partial(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "bias is f32[1,3], the model's is f32[3]"));
    write_file("{" T("bias", "F64", "[3]", 0, 24) "}", values, 24);
    assert_int_equal(dlc_rt_load_partial(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "bias is f64[3], the model's is f32[3]"));
    write_file("{" T("bias", "U16", "[3]", 0, 6) "}", values, 6);
    assert_int_equal(dlc_rt_load_partial(m, path), DLC_BAD_FILE);
    assert_non_null(strstr(dlc_rt_error(m), "bias is U16[3]"));
    dlc_rt_destroy(m);
}

/* Narrow floats are widened exactly, in place or out of a mapping. */
static void narrow_floats(void **state)
{
    (void)state;
    static const uint16_t half[3] = {0x3c00, 0x8001, 0xfc00}, brain[3] = {0x3f80, 0xc2f7, 0x7f80};
    for (int map = 0; map < 2; map++) {
        float b[3];
        RtInstance *m = create(map);
        write_file("{" T("bias", "F16", "[3]", 0, 6) "}", half, 6);
        assert_int_equal(dlc_rt_load_partial(m, path), DLC_OK);
        assert_int_equal(dlc_rt_get(m, "bias", b, sizeof b), DLC_OK);
        assert_true(b[0] == 1 && b[1] == -0x1p-24f && b[2] == -INFINITY);
        write_file("{" T("bias", "BF16", "[3]", 0, 6) "}", brain, 6);
        assert_int_equal(dlc_rt_load_partial(m, path), DLC_OK);
        assert_int_equal(dlc_rt_get(m, "bias", b, sizeof b), DLC_OK);
        assert_true(b[0] == 1 && b[1] == -123.5f && b[2] == INFINITY);
        dlc_rt_destroy(m);
    }
}

/* ---- saving -------------------------------------------------------------------------------------------------------------------------- */

static void saved_files_load_again(void **state)
{
    (void)state;
    RtInstance *m = create(0), *other = create(0);
    float bias[3] = {1, 2, 3}, w[2], s[2], b[3];
    assert_int_equal(dlc_rt_save(m, path), DLC_NOT_LOADED);
    assert_non_null(strstr(dlc_rt_error(m), "bias has no value yet"));
    assert_int_equal(count_files(), 0);
    assert_int_equal(dlc_rt_set(m, "bias", bias, sizeof bias), DLC_OK);
    assert_int_equal(dlc_rt_save(m, path), DLC_OK);
    assert_int_equal(count_files(), 1);
    assert_int_equal(dlc_rt_load(other, path), DLC_OK);
    get3(other, w, s, b);
    assert_true(w[0] == 10 && s[1] == 11 && b[2] == 3);

    struct stat st;
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(dlc_rt_save(m, path), DLC_OK);     /* over an old one, whose mode stays */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_size % 4, 0);
    dlc_rt_destroy(m), dlc_rt_destroy(other);
}

static void a_failed_save_leaves_the_old_file(void **state)
{
    (void)state;
    RtInstance *m = create(0);
    float bias[3] = {1, 2, 3}, b[3];
    assert_int_equal(dlc_rt_set(m, "bias", bias, sizeof bias), DLC_OK);
    assert_int_equal(dlc_rt_save(m, path), DLC_OK);
    /* No room: files may not grow beyond 100 bytes. */
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){100, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bias[0] = 9;
    int set = dlc_rt_set(m, "bias", bias, sizeof bias), status = dlc_rt_save(m, path);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(set, DLC_OK);
    assert_int_equal(status, DLC_IO);
    assert_non_null(strstr(dlc_rt_error(m), "File too large"));
    assert_int_equal(count_files(), 1);
    assert_int_equal(dlc_rt_load(m, path), DLC_OK);
    assert_int_equal(dlc_rt_get(m, "bias", b, sizeof b), DLC_OK);
    assert_true(b[0] == 1);

    assert_int_equal(dlc_rt_save(m, "/nonexistent/w"), DLC_IO);
    assert_int_equal(dlc_rt_save(m, "/dev/full"), DLC_IO);
    assert_non_null(strstr(dlc_rt_error(m), "not a regular file"));
    assert_int_equal(dlc_rt_save(m, folder), DLC_IO);
    assert_int_equal(dlc_rt_save(m, NULL), DLC_BAD_ARGUMENT);
    dlc_rt_destroy(m);
}

/* Allocations that fail anywhere in a load or save: the old values are there. */
static long left;
static void *sparse_allocate(void *user, size_t bytes, size_t align)
{
    void *p = NULL;
    (void)user;
    return left == 0 || (left > 0 && left-- == 0) || posix_memalign(&p, align, bytes) ? NULL : p;
}

static void sparse_release(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

static void memory_runs_out(void **state)
{
    (void)state;
    int failures = 0;
    write_file("{" W "," S "," BIAS "}", values, sizeof values);
    for (int save = 0; save < 2; save++)
        for (long n = 0;; n++) {
            dlc_options o = {.size = sizeof o, .threads = 1, .allocate = sparse_allocate, .release = sparse_release};
            float bias[3] = {1, 2, 3}, b[3];
            left = -1;
            RtInstance *m = dlc_rt_create(&toy_model, &o);
            assert_int_equal(dlc_rt_set(m, "bias", bias, sizeof bias), DLC_OK);
            left = n;
            int status = save ? dlc_rt_save(m, path) : dlc_rt_load(m, path);
            left = -1;
            if (status) assert_int_equal(status, DLC_NO_MEMORY), failures++;
            assert_int_equal(dlc_rt_get(m, "bias", b, sizeof b), DLC_OK);
            assert_true(b[0] == (status || save ? 1 : 40));
            assert_int_equal(count_files(), 1);
            dlc_rt_destroy(m);
            if (!status) break;
        }
    assert_true(failures >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(broken_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(lying_lengths, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(truncated_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_whole_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(missing_and_extra, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(types_and_shapes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(narrow_floats, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(saved_files_load_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_failed_save_leaves_the_old_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(memory_runs_out, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
