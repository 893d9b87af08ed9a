/* Artefacts: headers that every compiler takes, arguments of every kind through the typed functions, two models in one
 * program, and what happens when one cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/kernel.h"
#include "host/dlc.h"
#include "passes/passes.h"
#include "support.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/dlc test-XXXXXX");             /* a space in every path */
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

static int count_files(const char *in)
{
    int n = 0;
    DIR *d = opendir(in);
    for (struct dirent *e; d && (e = readdir(d));) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static const char *in_folder(Arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", folder, name);
}

static Program *program(Arena *a, const char *text)
{
    Module *m = must_read_ir(a, text);
    const char *error = NULL;
    CodegenOptions o = {.level = 2};
    PassOptions passes = {.level = 2, .verify = true};
    Program *p = passes_run(m, &passes, NULL, &error) ? program_build(a, m, &o, &error) : NULL;
    if (!p) fail_msg("%s", error);
    return p;
}

static bool build(Arena *a, const char *text, ArtefactKind kind, const char *out, const char *header, const char **error)
{
    ArtefactInfo info;
    CodegenOptions o = {.level = 2};
    *error = "";
    return artefact_write(a, program(a, text), &o, kind, out, header, &info, error);
}

static void must_build(Arena *a, const char *text, ArtefactKind kind, const char *out, const char *header)
{
    const char *error;
    if (!build(a, text, kind, out, header, &error)) fail_msg("%s", error);
}

/* Run a command in the folder; it must succeed. */
static void shell(Arena *a, const char *command)
{
    int status = system(arena_printf(a, "cd '%s' && %s", folder, command));
    if (status) fail_msg("status %d: %s", status, command);
}

static bool has_program(Arena *a, const char *name)
{
    return system(arena_printf(a, "command -v %s >/dev/null 2>&1", name)) == 0;
}

static void write_text(Arena *a, const char *name, const char *text)
{
    FILE *f = fopen(in_folder(a, name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* Names that are keywords, comments that try to end the comment, scalars of every type. */
static const char awkward[] =
    "ir 1\nmodule \"awkward\"\n"
    "param \"a \\\"quoted\\\" path\" : f32[2] load\n"
    "doc \"Ends */ here, or /* begins.\\nSecond line\"\n"
    "func export @all(B, T) {\n"
    "  require T <= 9 \"T <= 9\"\n"
    "  %0 = input \"class\" : f32[B,T]\n"
    "  %1 = input \"B\" : f64[]\n"
    "  %2 = input \"m\" : f32[]\n"
    "  %3 = input \"int\" : i64[]\n"
    "  %4 = input \"new\" : i32[]\n"
    "  %5 = input \"_u\" : u8[]\n"
    "  %6 = input \"linux\" : bool[]\n"
    "  %7 = param \"a \\\"quoted\\\" path\" : f32[2]\n"
    "  %8 = broadcast %2 {axes = []} : f32[B,T]\n"
    "  %9 = mul %0, %8 : f32[B,T]\n"
    "  %10 = add %1, %1 : f64[]\n"
    "  %11 = add %3, %3 : i64[]\n"
    "  %12 = add %4, %4 : i32[]\n"
    "  %13 = add %5, %5 : u8[]\n"
    "  %14 = not %6 : bool[]\n"
    "  %15 = add %7, %7 : f32[2]\n"
    "  return \"double\" %9, \"out\" %10, \"int\" %11, \"i\" %12, \"u\" %13, \"b\" %14, \"p\" %15\n"
    "}\n"
    "func export @nothing() {\n"
    "  %0 = const 3.0 : f32[]\n"
    "  return \"out\" %0\n"
    "}\n";

static void headers_are_clean(void **state)
{
    static const char *const compilers[] = {
        "gcc -std=c11", "g++ -std=c++17 -x c++", "clang-19 -std=c11", "clang-19 -std=c++17 -x c++",
    };
    (void)state;
    Arena a = {0};
    Str s = {.arena = &a};
    artefact_header(&s, program(&a, awkward)->module);
    write_text(&a, "awkward.h", s.at);
    /* Twice, and beside another model's, whose shared block is the same. */
    write_text(&a, "use.c", "#include \"awkward.h\"\n#include \"awkward.h\"\nint use(void);\nint use(void) { return DLC_OK; }\n");
    for (size_t i = 0; i < COUNT(compilers); i++) {
        const char *end = strchr(compilers[i], ' ');
        if (!has_program(&a, arena_strndup(&a, compilers[i], (size_t)(end - compilers[i])))) continue;
        shell(&a, arena_printf(&a, "%s -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -c use.c -o use.o 2>messages || "
                                   "%s -Wall -Wextra -Wpedantic -Werror -c use.c -o use.o", compilers[i], compilers[i]));
    }
    arena_free(&a);
}

static void arguments_of_every_kind(void **state)
{
    (void)state;
    Arena a = {0};
    must_build(&a, awkward, ARTEFACT_SO, in_folder(&a, "awkward.so"), in_folder(&a, "awkward.h"));
    write_text(&a, "main.c",
               "#include \"awkward.h\"\n#include <stdio.h>\n#include <string.h>\n"
               "int main(void) {\n"
               "    awkward *m = awkward_create(NULL);\n"
               "    float x[6] = {1, 2, 3, 4, 5, 6}, y[6], p[2] = {7, 8}, q[2], out;\n"
               "    double d; int64_t l; int32_t i; uint8_t u, b;\n"
               "    if (awkward_all(m, 2, 3, x, 1.5, 2, INT64_C(1) << 40, -5, 200, 7, y, &d, &l, &i, &u, &b, q) != DLC_NOT_LOADED) return 1;\n"
               "    if (awkward_set(m, \"a \\\"quoted\\\" path\", p, sizeof p)) return 2;\n"
               "    if (awkward_all(m, 2, 3, x, 1.5, 2, INT64_C(1) << 40, -5, 200, 7, y, &d, &l, &i, &u, &b, q)) { puts(awkward_error(m)); return 3; }\n"
               "    if (y[5] != 12 || d != 3 || l != INT64_C(1) << 41 || i != -10 || u != 144 || b != 0 || q[1] != 16) return 4;\n"
               "    if (awkward_nothing(m, &out) || out != 3) return 5;\n"
               "    if (awkward_all(m, 2, 10, x, 1, 2, 3, 4, 5, 0, y, &d, &l, &i, &u, &b, q) != DLC_BAD_DIM) return 6;\n"
               "    if (!strstr(awkward_error(m), \"T <= 9 does not hold: T is 10\")) return 7;\n"
               "    if (awkward_workspace_all(1000, 9) < 0 || awkward_reserve_all(m, 2, 3) || awkward_param_count() != 1) return 8;\n"
               "    awkward_destroy(m);\n"
               "    return 0;\n"
               "}\n");
    if (has_program(&a, "cc")) shell(&a, "cc -Wall -Wextra main.c ./awkward.so -o main && ./main");
    arena_free(&a);
}

static const char one[] = "ir 1\nmodule \"one\"\nfunc export @f(B) {\n  %0 = input \"x\" : f32[B]\n  %1 = add %0, %0 : f32[B]\n  return \"out\" %1\n}\n";
static const char two[] = "ir 1\nmodule \"two\"\nfunc export @f(B) {\n  %0 = input \"x\" : f32[B]\n  %1 = mul %0, %0 : f32[B]\n  return \"out\" %1\n}\n";

static void two_models_in_one_program(void **state)
{
    (void)state;
    Arena a = {0};
    write_text(&a, "main.c",
               "#include \"one.h\"\n#include \"two.h\"\n"
               "int main(void) {\n"
               "    dlc_pool *pool = one_pool_create(2);\n"
               "    one *m = one_create(&(one_options){.size = sizeof(one_options), .pool = pool});\n"
               "    two *n = two_create(&(two_options){.size = sizeof(two_options), .pool = pool});\n"
               "    float x[2] = {3, 4}, y[2], z[2];\n"
               "    int bad = one_f(m, 2, x, y) || two_f(n, 2, x, z) || y[1] != 8 || z[1] != 16;\n"
               "    one_destroy(m), two_destroy(n), one_pool_destroy(pool);\n"
               "    return bad;\n"
               "}\n");
    for (ArtefactKind kind = ARTEFACT_SO; kind <= ARTEFACT_A; kind++) {
        static const char *const end[] = {[ARTEFACT_SO] = "so", [ARTEFACT_O] = "o", [ARTEFACT_A] = "a"};
        for (int again = 0; again < 2; again++) {       /* over what is there */
            must_build(&a, one, kind, in_folder(&a, arena_printf(&a, "one.%s", end[kind])), in_folder(&a, "one.h"));
            must_build(&a, two, kind, in_folder(&a, arena_printf(&a, "two.%s", end[kind])), in_folder(&a, "two.h"));
        }
        if (has_program(&a, "cc")) shell(&a, arena_printf(&a, "cc -Wall -Wextra main.c ./one.%s ./two.%s -o main && ./main", end[kind], end[kind]));
    }
    shell(&a, "nm -D --defined-only one.so | awk '$3 !~ /^one_/ { print; bad = 1 } END { exit bad }'");
    shell(&a, "nm -g --defined-only one.o | awk '$3 !~ /^one_/ { print; bad = 1 } END { exit bad }'");
    arena_free(&a);
}

static void found_by_path(void **state)
{
    (void)state;
    Arena a = {0};
    char error[400];
    must_build(&a, two, ARTEFACT_SO, in_folder(&a, "x.so"), NULL);
    dlc_artefact *artefact = dlc_open(in_folder(&a, "x.so"), error, sizeof error);
    assert_non_null(artefact);
    assert_string_equal(dlc_name(artefact), "two");
    assert_int_equal(dlc_function_count(artefact), 1);
    assert_int_equal(dlc_find(artefact, "f"), 0);
    assert_int_equal(dlc_find(artefact, "g"), -1);
    float x[3] = {1, 2, 3}, y[3];
    dlc_tensor in = {.data = x, .dtype = DLC_F32, .rank = 1, .dim = {3}};
    int64_t dims[1] = {-1}, shape[DLC_MAX_RANK];
    assert_int_equal(dlc_bind(artefact, 0, &in, dims, error, sizeof error), DLC_OK);
    assert_int_equal(dims[0], 3);
    assert_int_equal(dlc_shape(artefact, 0, DLC_OUTPUT, 0, dims, shape), DLC_OK);
    assert_int_equal(shape[0], 3);
    in.dtype = DLC_F64;
    assert_int_equal(dlc_bind(artefact, 0, &in, dims, error, sizeof error), DLC_BAD_ARGUMENT);
    assert_string_equal(error, "f: x is f32, not f64");
    dlc_instance *m = dlc_create(artefact, NULL, error, sizeof error);
    assert_int_equal(dlc_call(m, 0, dims, (const void *[]){x}, (void *[]){y}), DLC_OK);
    assert_true(y[2] == 9);
    dlc_destroy(m);
    dlc_close(artefact);
    assert_null(dlc_open("/lib/x86_64-linux-gnu/libm.so.6", error, sizeof error));
    assert_null(dlc_open(in_folder(&a, "none.so"), error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
    arena_free(&a);
}

/* --blas: products of both layouts, with and without an epilogue, agree with our own up to rounding. */
static const char products[] =
    "ir 1\nmodule \"products\"\n"
    "func export @f(M) {\n"
    "  %0 = input \"x\" : f32[M,200]\n"
    "  %1 = input \"w\" : f32[150,200]\n"
    "  %2 = input \"v\" : f32[200,150]\n"
    "  %3 = input \"bias\" : f32[150]\n"
    "  %4 = dot %0, %1 {contract = [1]x[1]} : f32[M,150]\n"
    "  %5 = broadcast %3 {axes = [1]} : f32[M,150]\n"
    "  %6 = add %4, %5 : f32[M,150]\n"
    "  %7 = dot %0, %2 {contract = [1]x[0]} : f32[M,150]\n"
    "  %8 = dot %0, %7 {contract = [0]x[0]} : f32[200,150]\n"
    "  return \"a\" %6, \"b\" %7, \"c\" %8\n"
    "}\n";

static void blas_agrees(void **state)
{
    enum { M = 300, IN = 200, OUT = 150, ALL = M * OUT * 2 + IN * OUT };
    (void)state;
    Arena a = {0};
    char error[400];
    const char *why;
    ArtefactInfo info;
    float *x = arena_array(&a, float, M * IN), *w = arena_array(&a, float, OUT * IN), *bias = arena_array(&a, float, OUT), *y[2];
    for (int i = 0; i < M * IN; i++) x[i] = (float)(i * INT64_C(7919) % 2001 - 1000) / 1000;
    for (int i = 0; i < OUT * IN; i++) w[i] = (float)(i * INT64_C(104729) % 2003 - 1001) / 1000;
    for (int i = 0; i < OUT; i++) bias[i] = (float)i;
    for (int blas = 0; blas < 2; blas++) {
        CodegenOptions o = {.level = 2, .blas = blas};
        const char *out = in_folder(&a, blas ? "blas.so" : "own.so");
        y[blas] = arena_array(&a, float, ALL);
        if (!artefact_write(&a, program(&a, products), &o, ARTEFACT_SO, out, NULL, &info, &why)) {
            if (blas && strstr(why, "cannot find libopenblas")) skip();
            fail_msg("%s", why);
        }
        dlc_artefact *artefact = dlc_open(out, error, sizeof error);
        if (!artefact) fail_msg("%s", error);
        dlc_instance *m = dlc_create(artefact, NULL, error, sizeof error);
        int64_t dims[1] = {M};
        assert_int_equal(dlc_call(m, 0, dims, (const void *[]){x, w, w, bias}, (void *[]){y[blas], y[blas] + M * OUT, y[blas] + 2 * M * OUT}), DLC_OK);
        dlc_destroy(m);
        dlc_close(artefact);
    }
    for (int i = 0; i < ALL; i++)
        if (!(y[0][i] - y[1][i] < 1e-2f && y[1][i] - y[0][i] < 1e-2f)) fail_msg("element %d: %g and %g", i, y[0][i], y[1][i]);
    assert_true(memcmp(y[0], y[1], ALL * sizeof(float)) != 0);     /* another order of summation: BLAS did run */
    arena_free(&a);
}

/* ---- when it cannot be written: a clear message, and nothing left behind --------------------------------------------------- */

static void failures_leave_nothing(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error, *out = in_folder(&a, "one.so"), *header = in_folder(&a, "one.h");
    char *temporary = arena_printf(&a, "%s/tmp", folder), *path = getenv("PATH");
    path = arena_strndup(&a, path, strlen(path));
    assert_int_equal(mkdir(temporary, 0700), 0);
    setenv("TMPDIR", temporary, 1);

    assert_false(build(&a, one, ARTEFACT_SO, in_folder(&a, "none/one.so"), header, &error));
    assert_non_null(strstr(error, "No such file or directory"));
    assert_false(build(&a, one, ARTEFACT_SO, out, in_folder(&a, "none/one.h"), &error));
    assert_false(build(&a, one, ARTEFACT_SO, folder, NULL, &error));
    assert_non_null(strstr(error, "not a regular file"));
    assert_false(build(&a, one, ARTEFACT_SO, "/dev/full", NULL, &error));

    setenv("PATH", "/nonexistent", 1);
    for (ArtefactKind kind = ARTEFACT_SO; kind <= ARTEFACT_A; kind++) {
        assert_false(build(&a, one, kind, out, header, &error));
        assert_non_null(strstr(error, "cannot find `ld`"));
    }
    setenv("PATH", path, 1);

    /* No room for the linked file. */
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    struct rlimit small = {20000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = build(&a, one, ARTEFACT_SO, out, header, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    assert_non_null(strstr(error, "File too large"));

    assert_int_equal(count_files(temporary), 0);
    assert_int_equal(rmdir(temporary), 0);
    assert_int_equal(count_files(folder), 0);
    setenv("TMPDIR", "/nonexistent", 1);
    assert_false(build(&a, one, ARTEFACT_SO, out, header, &error));
    assert_non_null(strstr(error, "cannot make a temporary folder"));
    unsetenv("TMPDIR");
    must_build(&a, one, ARTEFACT_SO, out, header);      /* names of libraries with .so and -: no options */
    assert_int_equal(count_files(folder), 2);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(headers_are_clean, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(arguments_of_every_kind, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(two_models_in_one_program, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(found_by_path, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(blas_agrees, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(failures_leave_nothing, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
