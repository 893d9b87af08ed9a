/* test_eval.c - the reference evaluator: every operator on small cases, against numbers worked out by hand. A case is a
 * function in IR text without inputs (constants say what goes in), and the elements of its first result. */
#include "ir/ir.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct World {
    Arena arena;
    Diags diags;
} World;

static int make(void **state)
{
    World *w = calloc(1, sizeof *w);
    w->diags.arena = &w->arena;
    *state = w;
    return 0;
}

static int drop(void **state)
{
    World *w = *state;
    arena_free(&w->arena);
    free(w);
    return 0;
}

static Func *read_func(World *w, const char *text)
{
    Module *m = ir_read(&w->arena, &w->diags, diag_source(&w->diags, "t.ir", text, strlen(text)));
    const char *error;
    if (!m) fail_msg("%s: %s", text, w->diags.list.at[w->diags.list.n - 1]->text);
    if (!ir_verify(&w->arena, m, "", &error)) fail_msg("%s: %s", text, error);
    return m->funcs.at[m->funcs.n - 1];
}

/* A function of constants; its one result is the last value. */
static Tensor value_of(World *w, const char *body, bool as_f64)
{
    uint32_t n = 0, braces = 0;
    for (const char *p = body; *p; p++) {               /* lines, not keys, nor those of a loop's body */
        braces += (*p == '{') - (*p == '}');
        n += !braces && !strncmp(p, " = ", 3);
    }
    const char *text = arena_printf(&w->arena, "ir 1 module \"m\" func @f() {%s return \"out\" %%%u}", body, n - 1),
               *error = "";
    Tensor r;
    if (!ir_eval(&w->arena, read_func(w, text), NULL, NULL, as_f64, &r, &error)) fail_msg("%s: %s", body, error);
    return r;
}

static void gives(World *w, const char *body, const char *expected)
{
    Str s = {.arena = &w->arena};
    str_add(&s, "");
    Tensor t = value_of(w, body, false);
    for (int64_t i = 0; i < tensor_count(&t); i++) {
        double v = tensor_get(&t, i);
        if (i) str_char(&s, ' ');
        if (v == floor(v) && fabs(v) < 1e15) str_fmt(&s, "%s%lld", signbit(v) && v == 0 ? "-" : "", (long long)v);
        else if (t.dtype == DT_f64) str_double(&s, v);
        else str_float(&s, (float)v);
    }
    if (strcmp(s.at, expected)) fail_msg("%s\ngives %s\nnot   %s", body, s.at, expected);
}

static void fails(World *w, const char *body, const char *message)
{
    const char *text = arena_printf(&w->arena, "ir 1 module \"m\" func @f() {\n%s }", body), *error = "";
    Tensor r;
    assert_false(ir_eval(&w->arena, read_func(w, text), NULL, NULL, false, &r, &error));
    if (!strstr(error, message)) fail_msg("%s: %s, not %s", body, error, message);
}

static void unary(void **state)
{
    World *w = *state;
    gives(w, "%0 = const [1.5, -2.0, 0.0] : f32[3] %1 = neg %0 : f32[3]", "-1.5 2 -0");
    gives(w, "%0 = const [-128, 5] : i8[2] %1 = neg %0 : i8[2]", "-128 -5");
    gives(w, "%0 = const [-3, 5] : i32[2] %1 = abs %0 : i32[2]", "3 5");
    gives(w, "%0 = const [-3.0, 0.0, nan, 9.0] : f32[4] %1 = sign %0 : f32[4]", "-1 0 nan 1");
    gives(w, "%0 = const [0.0, 1.0] : f64[2] %1 = exp %0 : f64[2]", "1 2.718281828459045");
    gives(w, "%0 = const [0.0, 1.0] : f32[2] %1 = exp %0 : f32[2]", "1 2.7182817");
    gives(w, "%0 = const 1e-10 : f64[] %1 = expm1 %0 : f64[]", "1.00000000005e-10");
    gives(w, "%0 = const [1.0, 0.0] : f32[2] %1 = log %0 : f32[2]", "0 -inf");
    gives(w, "%0 = const 1e-10 : f64[] %1 = log1p %0 : f64[]", "9.999999999500001e-11");
    gives(w, "%0 = const [4.0, -1.0] : f32[2] %1 = sqrt %0 : f32[2] %2 = isfinite %1 : bool[2]", "1 0");
    gives(w, "%0 = const 4.0 : f32[] %1 = rsqrt %0 : f32[]", "0.5");
    gives(w, "%0 = const 0.0 : f32[] %1 = sin %0 : f32[] %2 = cos %1 : f32[]", "1");
    gives(w, "%0 = const 1.0 : f64[] %1 = tanh %0 : f64[]", "0.7615941559557649");
    gives(w, "%0 = const 1.0 : f64[] %1 = erf %0 : f64[]", "0.8427007929497149");
    gives(w, "%0 = const [0.0, -200.0] : f32[2] %1 = sigmoid %0 : f32[2]", "0.5 0");
    gives(w, "%0 = const [-1.5, 2.5] : f32[2] %1 = floor %0 : f32[2]", "-2 2");
    gives(w, "%0 = const [-1.5, 2.25] : f32[2] %1 = ceil %0 : f32[2]", "-1 3");
    gives(w, "%0 = const [0.5, 1.5, -2.5] : f32[3] %1 = round %0 : f32[3]", "0 2 -2");
    gives(w, "%0 = const [true, false] : bool[2] %1 = not %0 : bool[2]", "0 1");
    gives(w, "%0 = const [1.0, 2.0] : f16[2] %1 = exp %0 : f16[2]", "2.71875 7.390625");
}

static void binary(void **state)
{
    World *w = *state;
    gives(w, "%0 = const [1, 2147483647] : i32[2] %1 = const 1 : i32[2] %2 = add %0, %1 : i32[2]", "2 -2147483648");
    gives(w, "%0 = const 3 : u8[] %1 = const 5 : u8[] %2 = sub %0, %1 : u8[]", "254");
    gives(w, "%0 = const 0.1 : f32[] %1 = const 0.2 : f32[] %2 = add %0, %1 : f32[]", "0.3");
    gives(w, "%0 = const 3.0 : f32[] %1 = const 0.1 : f32[] %2 = mul %0, %1 : f32[]", "0.3");
    gives(w, "%0 = const 1.0 : f32[] %1 = const 3.0 : f32[] %2 = div %0, %1 : f32[]", "0.33333334");
    gives(w,
          "%0 = const [7, -7, 7, -7, 5] : i32[5] %1 = const [2, 2, -2, -2, 0] : i32[5] %2 = floordiv %0, %1 : i32[5]",
          "3 -4 -4 3 0");
    gives(w, "%0 = const [7, -7, 7, -7, 5] : i32[5] %1 = const [2, 2, -2, -2, 0] : i32[5] %2 = mod %0, %1 : i32[5]",
          "1 1 -1 -1 0");
    gives(w, "%0 = const -2147483648 : i32[] %1 = const -1 : i32[] %2 = floordiv %0, %1 : i32[]", "-2147483648");
    gives(w, "%0 = const [7.5, -7.5] : f32[2] %1 = const 2.0 : f32[2] %2 = floordiv %0, %1 : f32[2]", "3 -4");
    gives(w, "%0 = const [7.5, -7.5] : f32[2] %1 = const 2.0 : f32[2] %2 = mod %0, %1 : f32[2]", "1.5 0.5");
    gives(w, "%0 = const 2.0 : f32[] %1 = const 10.0 : f32[] %2 = pow %0, %1 : f32[]", "1024");
    gives(w, "%0 = const [1.0, nan, 2.0] : f32[3] %1 = const [2.0, 1.0, nan] : f32[3] %2 = max %0, %1 : f32[3]",
          "2 nan nan");
    gives(w, "%0 = const [1.0, nan, 2.0] : f32[3] %1 = const [2.0, 1.0, nan] : f32[3] %2 = min %0, %1 : f32[3]",
          "1 nan nan");
    gives(w, "%0 = const [true, false] : bool[2] %1 = const true : bool[2] %2 = and %0, %1 : bool[2]", "1 0");
    gives(w, "%0 = const [true, false] : bool[2] %1 = const false : bool[2] %2 = or %0, %1 : bool[2]", "1 0");
    const char *ops[] = {"eq", "ne", "lt", "le", "gt", "ge"},
               *bits[] = {"0 1 0 0", "1 0 1 1", "1 0 0 0", "1 1 0 0", "0 0 1 0", "0 1 1 0"};
    for (size_t i = 0; i < COUNT(ops); i++)
        gives(w,
              arena_printf(
                  &w->arena,
                  "%%0 = const [1.0, 2.0, 3.0, nan] : f32[4] %%1 = const 2.0 : f32[4] %%2 = %s %%0, %%1 : bool[4]",
                  ops[i]),
              bits[i]);
    gives(w,
          "%0 = const [true, false] : bool[2] %1 = const 1 : i64[2] %2 = const 2 : i64[2] %3 = select %0, %1, %2 : "
          "i64[2]",
          "1 2");
}

static void casts(void **state)
{
    World *w = *state;
    gives(w, "%0 = const [1.9, -1.9, nan, 1e20, -1e20, 300.0] : f32[6] %1 = cast %0 : i32[6]",
          "1 -1 0 2147483647 -2147483648 300");
    gives(w, "%0 = const [1.9, -1.9, nan, 1e20, 300.0] : f64[5] %1 = cast %0 : u8[5]", "1 0 0 255 255");
    gives(w, "%0 = const [257, -1] : i32[2] %1 = cast %0 : u8[2]", "1 255");
    gives(w,
          "%0 = const 1e20 : f64[] %1 = cast %0 : i64[] %2 = const 9223372036854775807 : i64[] %3 = eq %1, %2 : bool[]",
          "1");
    gives(w, "%0 = const [0.0, -0.0, 0.1, nan] : f32[4] %1 = cast %0 : bool[4]", "0 0 1 1");
    gives(w, "%0 = const [true, false] : bool[2] %1 = cast %0 : f32[2]", "1 0");
    gives(w, "%0 = const 16777217 : i32[] %1 = cast %0 : f32[]", "16777216");
    gives(w, "%0 = const [65519.0, 65520.0, 1e-8, 6e-8, 1.00048828125] : f32[5] %1 = cast %0 : f16[5]",
          "65504 inf 0 5.9604645e-08 1");
    gives(w, "%0 = const [1.00390625, 1.01171875, 3.4e38] : f32[3] %1 = cast %0 : bf16[3]", "1 1.015625 inf");
}

static void views(void **state)
{
    World *w = *state;
#define SIX "%0 = const [1, 2, 3, 4, 5, 6] : i32[2,3] "
    gives(w, SIX "%1 = transpose %0 {perm = [1, 0]} : i32[3,2]", "1 4 2 5 3 6");
    gives(w, SIX "%1 = reshape %0 : i32[3,2] %2 = transpose %1 {perm = [1, 0]} : i32[2,3]", "1 3 5 2 4 6");
    gives(w, "%0 = const [1, 2] : i32[2] %1 = broadcast %0 {axes = [0]} : i32[2,3]", "1 1 1 2 2 2");
    gives(w, "%0 = const [1, 2] : i32[1,2] %1 = broadcast %0 {axes = [0, 2]} : i32[2,2,2]", "1 2 1 2 1 2 1 2");
    gives(w, SIX "%1 = slice %0 {start = [1, 0], step = [1, 2]} : i32[1,2]", "4 6");
    gives(w, SIX "%1 = slice %0 {start = [2, 0], step = [1, 1]} : i32[0,3]", "");
    gives(w, SIX "%1 = const 9 : i32[] %2 = pad %0, %1 {lo = [1, 0], hi = [0, 1]} : i32[3,4]",
          "9 9 9 9 1 2 3 9 4 5 6 9");
    gives(w, SIX "%1 = concat %0, %0 {axis = 1} : i32[2,6]", "1 2 3 1 2 3 4 5 6 4 5 6");
    gives(w, SIX "%1 = reverse %0 {axes = [1]} : i32[2,3]", "3 2 1 6 5 4");
    gives(w, SIX "%1 = const [2, 0] : i64[2] %2 = gather %0, %1 {axis = 1} : i32[2,2]", "3 1 6 4");
    gives(w, SIX "%1 = const 1 : i64[] %2 = gather %0, %1 {axis = 0} : i32[3]", "4 5 6");
    gives(w, SIX "%1 = const [2, 0] : i32[2,1] %2 = take_along %0, %1 {axis = 1} : i32[2,1]", "3 4");
    gives(w, SIX "%1 = const 1 : i32[] %2 = dslice %0, %1 {axis = 1} : i32[2,2]", "2 3 5 6");
    gives(w, SIX "%1 = const 1 : i32[] %2 = const [7, 8] : i32[2,1] %3 = dupdate %0, %2, %1 {axis = 1} : i32[2,3]",
          "1 7 3 4 8 6");
    gives(w, "%0 = iota {axis = 0} : i32[2,3]", "0 0 0 1 1 1");
    gives(w, "%0 = iota {axis = 1} : f32[2,3]", "0 1 2 0 1 2");
    gives(w, "%0 = dim 7 // 2 : i64[]", "3");
    gives(w, SIX "%1 = tuple %0, %0 : (i32[2,3], i32[2,3]) %2 = get %1 {member = 1} : i32[2,3]", "1 2 3 4 5 6");
}

static void reductions(void **state)
{
    World *w = *state;
    gives(w, SIX "%1 = reduce %0 {kind = sum, axes = [0]} : i32[3]", "5 7 9");
    gives(w, SIX "%1 = reduce %0 {kind = sum, axes = [1]} : i32[2]", "6 15");
    gives(w, SIX "%1 = reduce %0 {kind = prod, axes = [0, 1]} : i32[]", "720");
    gives(w, SIX "%1 = reduce %0 {kind = min, axes = [1]} : i32[2]", "1 4");
    gives(w, SIX "%1 = reduce %0 {kind = max, axes = []} : i32[2,3]", "1 2 3 4 5 6");
    gives(w, "%0 = const [1.0, nan, 3.0] : f32[3] %1 = reduce %0 {kind = max, axes = [0]} : f32[]", "nan");
    gives(w, "%0 = const [] : f32[0] %1 = reduce %0 {kind = max, axes = [0]} : f32[]", "-inf");
    gives(w, "%0 = const [] : i8[0,2] %1 = reduce %0 {kind = max, axes = [0]} : i8[2]", "-128 -128");
    gives(w, "%0 = const [] : f32[0] %1 = reduce %0 {kind = prod, axes = [0]} : f32[]", "1");
    gives(w, "%0 = const [true, false] : bool[2] %1 = reduce %0 {kind = or, axes = [0]} : bool[]", "1");
    gives(w, "%0 = const [true, false] : bool[2] %1 = reduce %0 {kind = and, axes = [0]} : bool[]", "0");
    gives(w, "%0 = iota {axis = 1} : i32[2,2,2] %1 = reduce %0 {kind = sum, axes = [0, 2]} : i32[2]", "0 4");
    gives(w, "%0 = const [3.0, 9.0, 9.0, nan, 1.0, nan] : f32[2,3] %1 = argreduce %0 {kind = max, axes = [1]} : i32[2]",
          "1 0");
    gives(w, "%0 = const [3, 1, 1, 2, 0, 5] : i32[2,3] %1 = argreduce %0 {kind = min, axes = [0]} : i32[3]", "1 1 0");
    gives(w,
          "%0 = const [1, 5, 2, 4] : i32[4] %1 = window %0 {kind = max, size = [2], stride = [2], lo = [1], hi = [1]} "
          ": i32[3]",
          "1 5 4");
    gives(w,
          "%0 = const [1, 5, 2, 4] : i32[4] %1 = window %0 {kind = sum, size = [3], stride = [1], lo = [0], hi = [0]} "
          ": i32[2]",
          "8 11");
    gives(w, SIX "%1 = cumulate %0 {kind = sum, axes = [1]} : i32[2,3]", "1 3 6 4 9 15");
    gives(w, SIX "%1 = cumulate %0 {kind = sum, axes = [0], reverse = true} : i32[2,3]", "5 7 9 4 5 6");
    gives(w, "%0 = const [1.0, 3.0, 2.0] : f32[3] %1 = cumulate %0 {kind = max, axes = [0]} : f32[3]", "1 3 3");
    /* Sums of f32 are rounded once. */
    gives(w, "%0 = const [16777216.0, 1.0, 1.0] : f32[3] %1 = reduce %0 {kind = sum, axes = [0]} : f32[]", "16777218");
}

static void contractions(void **state)
{
    World *w = *state;
    gives(w, SIX "%1 = dot %0, %0 {contract = [1]x[1]} : i32[2,2]", "14 32 32 77");
    gives(w, SIX "%1 = dot %0, %0 {contract = [0]x[0]} : i32[3,3]", "17 22 27 22 29 36 27 36 45");
    gives(w, SIX "%1 = dot %0, %0 {contract = [1]x[1], batch = [0]x[0]} : i32[2]", "14 77");
    gives(w, SIX "%1 = dot %0, %0 {contract = [0, 1]x[0, 1]} : i32[]", "91");
    gives(w, "%0 = const [1, 2] : i32[2] %1 = dot %0, %0 {contract = []x[]} : i32[2,2]", "1 2 2 4");
    gives(w, "%0 = const [] : f32[2,0] %1 = dot %0, %0 {contract = [1]x[1]} : f32[2,2]", "0 0 0 0");
    gives(w,
          "%0 = const [1, 2, 3, 4] : i32[1,1,4] %1 = const [1, 10] : i32[1,1,2] "
          "%2 = conv %0, %1 {groups = 1, stride = [1], dilation = [1], spread = [1], lo = [1], hi = [0]} : i32[1,1,4]",
          "10 21 32 43");
    gives(w,
          "%0 = const [1, 2, 3, 4] : i32[1,1,4] %1 = const [1, 10] : i32[1,1,2] "
          "%2 = conv %0, %1 {groups = 1, stride = [2], dilation = [2], spread = [1], lo = [0], hi = [0]} : i32[1,1,1]",
          "31");
    gives(w,
          "%0 = const [1, 2] : i32[1,1,2] %1 = const [1, 10] : i32[1,1,2] "
          "%2 = conv %0, %1 {groups = 1, stride = [1], dilation = [1], spread = [2], lo = [1], hi = [1]} : i32[1,1,4]",
          "10 1 20 2");
    gives(w,
          "%0 = const [1, 2, 3, 4] : i32[1,2,2] %1 = const [1, 10] : i32[2,1,1] "
          "%2 = conv %0, %1 {groups = 2, stride = [1], dilation = [1], spread = [1], lo = [0], hi = [0]} : i32[1,2,2]",
          "1 2 30 40");
    gives(w,
          "%0 = const [1, 2, 3, 4, 5, 6, 7, 8, 9] : i32[1,1,3,3] %1 = const 1 : i32[1,1,2,2] "
          "%2 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [0, 0], hi = [0, "
          "0]} : i32[1,1,2,2]",
          "12 16 24 28");
    gives(w,
          "%0 = const [1, 2, 3, 4, 5, 6, 7, 8] : i32[1,2,2,2] %1 = const [1, 1, 10, 10] : i32[2,2,1,1] "
          "%2 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [0, -1], hi = [0, "
          "0]} : i32[1,2,2,1]",
          "8 12 80 120");
}

static void order(void **state)
{
    World *w = *state;
#define MIXED "%0 = const [3.0, nan, 1.0, 3.0] : f32[4] "
    gives(w, MIXED "%1 = sort %0 {axis = 0} : (f32[4], i32[4]) %2 = get %1 {member = 0} : f32[4]", "1 3 3 nan");
    gives(w, MIXED "%1 = sort %0 {axis = 0} : (f32[4], i32[4]) %2 = get %1 {member = 1} : i32[4]", "2 0 3 1");
    gives(w, MIXED "%1 = sort %0 {axis = 0, descending = true} : (f32[4], i32[4]) %2 = get %1 {member = 1} : i32[4]",
          "0 3 2 1");
    gives(w,
          "%0 = const [3, 1, 2, 5, 9, 7] : u8[2,3] %1 = sort %0 {axis = 1} : (u8[2,3], i32[2,3]) %2 = get %1 {member = "
          "0} : u8[2,3]",
          "1 2 3 5 7 9");
    gives(w,
          "%0 = const [3, 1, 2, 5, 9, 7] : u8[3,2] %1 = top_k %0 {axis = 0} : (u8[2,2], i32[2,2]) %2 = get %1 {member "
          "= 0} : u8[2,2]",
          "9 7 3 5");
    gives(w,
          "%0 = const [3, 1, 2, 5, 9, 7] : u8[3,2] %1 = top_k %0 {axis = 0} : (u8[2,2], i32[2,2]) %2 = get %1 {member "
          "= 1} : i32[2,2]",
          "2 2 0 1");
#define ROWS                                                                                                           \
    "%0 = const 1.0 : f32[3,2] %1 = const [2, 0, 2] : i32[3] %2 = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] : f32[3,2] "
    gives(w, ROWS "%3 = scatter %0, %1, %2 {kind = sum} : f32[3,2]", "4 5 1 1 7 9");
    gives(w, ROWS "%3 = scatter %0, %1, %2 {kind = max} : f32[3,2]", "3 4 1 1 5 6");
    gives(w, ROWS "%3 = scatter %0, %1, %2 {kind = none} : f32[3,2]", "3 4 1 1 5 6");
}

static void random_draws(void **state)
{
    World *w = *state;
    assert_int_equal(rng_bits(0, 0, 0, 0), 0x6627e8d5);         /* known answers of Random123 */
    assert_int_equal(rng_bits(0, 0, 0, 1), 0xe169c58d);
    assert_int_equal(rng_bits(0, 0, 0, 2), 0xbc57ac4c);
    assert_int_equal(rng_bits(0, 0, 0, 3), 0x9b00dbd8);
    assert_int_equal(rng_bits(UINT64_MAX, UINT64_MAX, 0, UINT64_MAX) , rng_bits(UINT64_MAX, 0, UINT64_MAX, UINT64_MAX));
    Tensor t = value_of(w, "%0 = const 0 : i64[] %1 = rng %0, %0 {stream = 0} : i32[5]", false);
    assert_int_equal(((uint32_t *)t.data)[3], 0x9b00dbd8);
    t = value_of(w, "%0 = const 0 : i64[] %1 = rng %0, %0 {stream = 0} : f32[1]", false);
    assert_true(((float *)t.data)[0] == (float)(0x6627e8d5 >> 8) * 0x1p-24f);
    t = value_of(w, "%0 = const 0 : i64[] %1 = rng %0, %0 {stream = 0} : f64[2]", false);
    assert_true(((double *)t.data)[1] == (double)(0x9b00dbd8bc57ac4c >> 11) * 0x1p-53);
    t = value_of(w, "%0 = const 0 : i64[] %1 = rng %0, %0 {stream = 0} : f32[1]", true);
    assert_int_equal(t.dtype, DT_f64);
    assert_true(((double *)t.data)[0] == (double)(0x6627e8d5 >> 8) * 0x1p-24);
}

static void in_f64(void **state)
{
    World *w = *state;
    Tensor t = value_of(w, "%0 = const 3.0 : f32[] %1 = cast %0 : f16[] %2 = rsqrt %1 : f16[]", true);
    assert_int_equal(t.dtype, DT_f64);
    assert_true(tensor_get(&t, 0) == 1 / sqrt(3.0));
}

static void errors(void **state)
{
    World *w = *state;
    fails(w, SIX "%1 = const [0, 3] : i32[2]\n %2 = gather %0, %1 {axis = 1} : i32[2,2] return \"out\" %2",
          "t.ir:3:2: gather: index out of range: 3, of 3");
    fails(w, SIX "%1 = const [-1, 0] : i32[2] %2 = gather %0, %1 {axis = 1} : i32[2,2] return \"out\" %2",
          "index out of range: -1, of 3");
    fails(w, SIX "%1 = const [3, 0] : i32[2,1] %2 = take_along %0, %1 {axis = 1} : i32[2,1] return \"out\" %2",
          "index out of range");
    fails(w, SIX "%1 = const 2 : i32[] %2 = dslice %0, %1 {axis = 1} : i32[2,2] return \"out\" %2",
          "index out of range");
    fails(
        w,
        SIX
        "%1 = const 5 : i32[] %2 = const 7 : i32[2,1] %3 = dupdate %0, %2, %1 {axis = 1} : i32[2,3] return \"out\" %3",
        "index out of range");
    fails(w, ROWS "%3 = const [2, 0, 3] : i32[3] %4 = scatter %0, %3, %2 {kind = sum} : f32[3,2] return \"out\" %4",
          "index out of range");
    fails(w, "%0 = iota {axis = 0} : i64[1000000000000] return \"out\" %0", "too large");
}

static void symbols(void **state)
{
    World *w = *state;
    Func *f = read_func(
        w,
        "ir 1 module \"m\" func @double(N) { %0 = input \"x\" : f32[N] %1 = add %0, %0 : f32[N] return \"out\" %1 }\n"
        "func export @f(B in 0..4, N % 2) {\n  require B <= N \"B <= N\"\n"
        "  %0 = input \"x\" : f32[B,2] %1 = input \"ids\" index 10 : i32[B]\n"
        "  %2 = reshape %0 : f32[2*B] %3 = call %2 {callee = @double} : f32[2*B] %4 = dim B*N + 1 : i64[] return "
        "\"out\" %3, \"n\" %4 }");
    float x[] = {1, 2, 3, 4, 5, 6};
    int32_t ids[] = {0, 9, 3};
    Tensor in[] = { {DT_f32, 2, {3, 2}, x}, {DT_i32, 1, {3}, ids} }, out[2];
    int64_t dims[] = {-1, 4};
    const char *error = "";
    assert_true(ir_eval(&w->arena, f, in, dims, false, out, &error));
    assert_int_equal(out[0].dim[0], 6);
    assert_true(tensor_get(&out[0], 5) == 12);
    assert_int_equal(tensor_get(&out[1], 0), 13);
#define REFUSED(text) do { assert_false(ir_eval(&w->arena, f, in, dims, false, out, &error)); \
        if (!strstr(error, text)) fail_msg("%s", error); } while (0)
    dims[1] = 2;
    REFUSED("B <= N does not hold: 3 and 2");
    dims[1] = -1;
    REFUSED("dim N is unknown");
    dims[1] = 5;
    REFUSED("N = 5 is not as declared");
    dims[1] = 4;
    ids[1] = 10;
    REFUSED("ids: index out of range: 10, of 10");
    ids[1] = 0;
    in[1].dim[0] = 2;
    REFUSED("ids: dim 0 is 2, not B = 3");
    in[1].dim[0] = 3;
    in[0].dtype = DT_i32;
    REFUSED("x is i32 of rank 2, not f32[B,2]");
    in[0].dtype = DT_f32;
    Tensor folded;
    Func *g = read_func(
        w, "ir 1 module \"m\" func @f() {%0 = const [1.0, 2.0] : f32[2] %1 = exp %0 : f32[2] return \"out\" %1}");
    Tensor one = {DT_f32, 1, {2}, x};
    assert_true(ir_eval_node(&w->arena, g->body.nodes.at[1], &one, 8, &folded));
    assert_true(tensor_get(&folded, 1) == expf(2));
    assert_false(ir_eval_node(&w->arena, g->body.nodes.at[1], &one, 7, &folded));
}

/* The first guard that is false is named. */
static void guards(void **state)
{
    World *w = *state;
    Func *f = read_func(w,
        "ir 1 module \"m\" func @f() {%0 = input \"x\" : f32[] %1 = sub %0, %0 : f32[] %2 = const 0.0 : f32[]\n"
        "  %3 = eq %1, %2 : bool[] %4 = lt %2, %0 : bool[] guard %3 \"the loss\" guard %4 \"the gradient of `w`\"\n"
        "  return \"out\" %0}");
    float x = 1;
    Tensor in = {DT_f32, 0, {0}, &x}, out;
    const char *error = NULL;
    assert_true(ir_eval(&w->arena, f, &in, NULL, false, &out, &error));
    x = INFINITY;
    assert_false(ir_eval(&w->arena, f, &in, NULL, false, &out, &error));
    assert_string_equal(error, "the loss is not finite");
    x = -1;
    assert_false(ir_eval(&w->arena, f, &in, NULL, false, &out, &error));
    assert_string_equal(error, "the gradient of `w` is not finite");
}

/* Loops: early ends, nothing to do, nesting, bounds. */
static void loops(void **state)
{
    World *w = *state;
#define ITERATION "%0 = input \"i\" : i64[] "
    const char *sum = "%%0 = const [1.0, 2.0, 4.0] : f32[3] %%1 = const 0.0 : f32[] %%2 = const %s : bool[]\n"
                      "%%3 = loop %%0, %%2, %%1 {length = 3, sequences = 1, carries = 2, condition = true} do {\n"
                      "  %%0 = input \"i\" : i64[] %%1 = input \"x\" : f32[] %%2 = input \"go\" : bool[] %%3 = input \"s\" : f32[]\n"
                      "  %%4 = add %%1, %%3 : f32[] %%5 = const 3.0 : f32[] %%6 = lt %%4, %%5 : bool[]\n"
                      "  return \"y\" %%4, \"go\" %%6, \"s\" %%4\n"
                      "} : (f32[3], bool[], f32[]) %%4 = get %%3 {member = %u} : f32[%s]";
    gives(w, arena_printf(&w->arena, sum, "true", 0, "3"), "1 3 0");
    gives(w, arena_printf(&w->arena, sum, "true", 2, ""), "3");
    gives(w, arena_printf(&w->arena, sum, "false", 0, "3"), "0 0 0");
    gives(w, arena_printf(&w->arena, sum, "false", 2, ""), "0");
    gives(w, "%0 = const 5 : i32[] %1 = loop %0 {length = 0, sequences = 0, carries = 1} do { " ITERATION "%1 = input \"n\" : i32[]\n"
             "%2 = add %1, %1 : i32[] return \"n\" %2 } : (i32[]) %2 = get %1 {member = 0} : i32[]", "5");
    gives(w, "%0 = loop {length = 2, sequences = 0, carries = 0} do { " ITERATION "%1 = loop %0 {length = 3, sequences = 0, carries = 0} do { " ITERATION
             "%1 = input \"outer\" : i64[] %2 = const 10 : i64[] %3 = mul %1, %2 : i64[] %4 = add %0, %3 : i64[] return \"y\" %4 } : (i64[3])\n"
             "%2 = get %1 {member = 0} : i64[3] return \"y\" %2 } : (i64[2,3]) %1 = get %0 {member = 0} : i64[2,3]", "0 1 2 10 11 12");
    const char *text = "ir 1 module \"m\" func @f() { %0 = const true : bool[] %1 = const 0 : i32[]\n"
                       "%2 = loop %0, %1 {sequences = 0, carries = 2, condition = true} do { " ITERATION "%1 = input \"go\" : bool[] %2 = input \"n\" : i32[]\n"
                       "%3 = const 1 : i32[] %4 = add %2, %3 : i32[] %5 = const 100 : i32[] %6 = lt %4, %5 : bool[] return \"go\" %6, \"n\" %4 } : (bool[], i32[])\n"
                       "%3 = get %2 {member = 1} : i32[] return \"n\" %3 }";
    const Func *f = read_func(w, text);
    const char *error = NULL;
    Tensor r;
    assert_true(ir_eval_bounded(&w->arena, f, NULL, NULL, false, 100, &r, &error));
    assert_int_equal((int)tensor_get(&r, 0), 100);
    assert_false(ir_eval_bounded(&w->arena, f, NULL, NULL, false, 99, &r, &error));
    assert_non_null(strstr(error, "loop: still running after 99 iterations"));
    fails(w, "%0 = const [1.0, 2.0] : f32[2] %1 = loop %0 {length = 2, sequences = 0, carries = 0} do { " ITERATION "%1 = input \"x\" : f32[2]\n"
             "%2 = const 1 : i64[] %3 = add %0, %2 : i64[] %4 = gather %1, %3 {axis = 0} : f32[] return \"y\" %4 } : (f32[2]) %2 = get %1 {member = 0} : f32[2]\n"
             "return \"y\" %2", "gather: index out of range: 2, of 2");
    fails(w, "%0 = loop {length = 2, sequences = 0, carries = 0} do { " ITERATION "%1 = const 1 : i64[] %2 = lt %0, %1 : bool[] guard %2 \"the loss\"\n"
             "return \"y\" %0 } : (i64[2]) %1 = get %0 {member = 0} : i64[2] return \"y\" %1", "the loss is not finite");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        T(unary), T(binary),       T(casts),  T(views),  T(reductions), T(contractions),
        T(order), T(random_draws), T(in_f64), T(errors), T(symbols), T(guards), T(loops),
    };
    return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}
