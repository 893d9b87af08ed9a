/* test_ir.c - the IR: building, text that reads back as itself, rewriting, cloning, what the verifier and the reader
 * refuse. */
#include "ir/ir.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const Span nowhere;

/* Every operator, every attribute, every kind of constant. */
static const char every[] = "ir 1\n"
                            "module \"every\"\n"
                            "param \"l1.weight\" : f32[512,784] load alias \"tied\" alias \"tied.again\"\n"
                            "state \"count\" : i64[]\n"
                            "\n"
                            "func @half(N) {\n"
                            "  %0 = input \"x\" : f32[N]\n"
                            "  %1 = const 0.5 : f32[]\n"
                            "  %2 = broadcast %1 {axes = []} : f32[N]\n"
                            "  %3 = mul %0, %2 : f32[N]\n"
                            "  return \"out\" %3, \"n\" %0\n"
                            "}\n"
                            "\n"
                            "doc \"Says \\\"much\\\".\\nOn two lines.\"\n"
                            "func export train @every(B in 1..64, T % 8, H in 2.. % 4, N) {\n"
                            "  require T <= 1024 \"T <= 1024\"\n"
                            "  require B == N \"\"\n"
                            "  require T != 0 \"\"\n"
                            "  require B < 2*T + 1 \"\"\n"
                            "  %0 = input \"x\" : f32[B,784]\n"
                            "  %1 = input \"ids\" index 5000 : i32[B]\n"
                            "  %2 = param \"l1.weight\" : f32[512,784]\n"
                            "  %3 = param \"count\" : i64[]\n"
                            "  %4 = seed \"seed\" : i64[]\n"
                            "  %5 = step \"step\" : i64[]\n"
                            "  %6 = transpose %2 {perm = [1, 0]} : f32[784,512]\n"
                            "  %7 = dot %0, %6 {contract = [1]x[0]} : f32[B,512]\n"
                            "  %8 = const [1.5, -0.0, inf, -inf, nan, 1e-45] : f32[6]\n"
                            "  %9 = const hex \"010000000000f87f000000000000f03f\" : f64[2]\n"
                            "  %10 = const [true, false] : bool[2]\n"
                            "  %11 = const -9223372036854775808 : i64[3,2]\n"
                            "  %12 = const [] : f16[0,4]\n"
                            "  %13 = const [0.100097656, 2.0] : bf16[2]\n"
                            "  %14 = const [1, 255] : u8[2]\n"
                            "  %15 = dim 2*B*T + (H + 1) // 3 + B % 7 - min(B, N) : i64[]\n"
                            "  %16 = iota {axis = 1} : i32[2,N]\n"
                            "  %17 = rng %4, %5 {stream = 18446744073709551615} : f32[B,4]\n"
                            "  %18 = neg %17 : f32[B,4]\n"
                            "  %19 = abs %18 : f32[B,4]\n"
                            "  %20 = sign %19 : f32[B,4]\n"
                            "  %21 = exp %20 : f32[B,4]\n"
                            "  %22 = expm1 %21 : f32[B,4]\n"
                            "  %23 = log %22 : f32[B,4]\n"
                            "  %24 = log1p %23 : f32[B,4]\n"
                            "  %25 = sqrt %24 : f32[B,4]\n"
                            "  %26 = rsqrt %25 : f32[B,4]\n"
                            "  %27 = sin %26 : f32[B,4]\n"
                            "  %28 = cos %27 : f32[B,4]\n"
                            "  %29 = tanh %28 : f32[B,4]\n"
                            "  %30 = erf %29 : f32[B,4]\n"
                            "  %31 = sigmoid %30 : f32[B,4]\n"
                            "  %32 = floor %31 : f32[B,4]\n"
                            "  %33 = ceil %32 : f32[B,4]\n"
                            "  %34 = round %33 : f32[B,4]\n"
                            "  %35 = isfinite %34 : bool[B,4]\n"
                            "  %36 = not %35 : bool[B,4]\n"
                            "  %37 = cast %36 : f32[B,4]\n"
                            "  %38 = add %37, %18 : f32[B,4]\n"
                            "  %39 = sub %38, %18 : f32[B,4]\n"
                            "  %40 = mul %39, %18 : f32[B,4]\n"
                            "  %41 = div %40, %18 : f32[B,4]\n"
                            "  %42 = floordiv %41, %18 : f32[B,4]\n"
                            "  %43 = mod %42, %18 : f32[B,4]\n"
                            "  %44 = pow %43, %18 : f32[B,4]\n"
                            "  %45 = max %44, %18 : f32[B,4]\n"
                            "  %46 = min %45, %18 {remat = 7} : f32[B,4]\n"
                            "  %47 = and %35, %36 : bool[B,4]\n"
                            "  %48 = or %35, %47 : bool[B,4]\n"
                            "  %49 = eq %46, %18 : bool[B,4]\n"
                            "  %50 = ne %49, %48 : bool[B,4]\n"
                            "  %51 = lt %46, %18 : bool[B,4]\n"
                            "  %52 = le %46, %18 : bool[B,4]\n"
                            "  %53 = gt %46, %18 : bool[B,4]\n"
                            "  %54 = ge %46, %18 : bool[B,4]\n"
                            "  %55 = select %54, %46, %18 : f32[B,4]\n"
                            "  %56 = reshape %55 : f32[2*B,2]\n"
                            "  %57 = broadcast %1 {axes = [1]} : i32[T,B]\n"
                            "  %58 = slice %0 {start = [B - 1, 0], step = [1, 2]} : f32[1,392]\n"
                            "  %59 = const 0.0 : f32[]\n"
                            "  %60 = pad %55, %59 {lo = [T, 0], hi = [0, 1]} : f32[B + T,5]\n"
                            "  %61 = concat %55, %55, %18 {axis = 0} : f32[3*B,4]\n"
                            "  %62 = reverse %61 {axes = [0, 1]} : f32[3*B,4]\n"
                            "  %63 = gather %2, %1 {axis = 0} : f32[B,784]\n"
                            "  %64 = cast %55 : i32[B,4]\n"
                            "  %65 = take_along %55, %64 {axis = 1} : f32[B,4]\n"
                            "  %66 = dslice %0, %3 {axis = 1} : f32[B,5]\n"
                            "  %67 = dupdate %0, %66, %3 {axis = 1} : f32[B,784]\n"
                            "  %68 = reduce %0 {kind = max, axes = [0, 1]} : f32[]\n"
                            "  %69 = reduce %48 {kind = or, axes = [1]} : bool[B]\n"
                            "  %70 = argreduce %0 {kind = min, axes = [1]} : i32[B]\n"
                            "  %71 = reshape %0 : f32[B,1,28,28]\n"
                            "  %72 = window %71 {kind = max, size = [1, 1, 3, 2], stride = [1, 1, 2, 2], lo = [0, 0, "
                            "1, 0], hi = [0, 0, 1, 0]} : f32[B,1,14,14]\n"
                            "  %73 = const 1.0 : f32[8,1,3,3]\n"
                            "  %74 = conv %71, %73 {groups = 1, stride = [2, 1], dilation = [1, 2], spread = [1, 2], "
                            "lo = [1, -1], hi = [1, 0]} : f32[B,8,14,50]\n"
                            "  %75 = dot %74, %74 {contract = [2, 3]x[2, 3], batch = [0]x[0]} : f32[B,8,8]\n"
                            "  %76 = cumulate %0 {kind = sum, axes = [1]} : f32[B,784]\n"
                            "  %77 = cumulate %76 {kind = max, axes = [0], reverse = true} : f32[B,784]\n"
                            "  %78 = sort %77 {axis = 1} : (f32[B,784], i32[B,784])\n"
                            "  %79 = sort %77 {axis = 1, descending = true} : (f32[B,784], i32[B,784])\n"
                            "  %80 = get %79 {member = 1} : i32[B,784]\n"
                            "  %81 = top_k %77 {axis = 1} : (f32[B,5], i32[B,5])\n"
                            "  %82 = scatter %2, %1, %63 {kind = sum} : f32[512,784]\n"
                            "  %83 = scatter %82, %1, %63 {kind = none} : f32[512,784]\n"
                            "  %84 = tuple %83, %80 : (f32[512,784], i32[B,784])\n"
                            "  %85 = reshape %55 : f32[4*B]\n"
                            "  %86 = call %85 {callee = @half} : (f32[4*B], f32[4*B])\n"
                            "  %87 = const hex splat \"0100c07f\" : f32[4]\n"
                            "  %88 = stop %0 : f32[B,784]\n"
                            "  %89 = reduce %88 {kind = sum, axes = [0, 1]} : f32[]\n"
                            "  %90 = grad %89, %0 : (f32[B,784])\n"
                            "  %91 = eq %89, %89 : bool[]\n"
                            "  %92 = hole : f32[B,784]\n"
                            "  %93 = neg %92 : f32[B,784]\n"
                            "  %94 = custom %88, %92, %0, %93 : f32[B,784]\n"
                            "  %95 = const true : bool[]\n"
                            "  %96 = loop %0, %95, %89, %16 {length = B, sequences = 1, carries = 2, condition = true} do {\n"
                            "    %0 = input \"iteration\" : i64[]\n"
                            "    %1 = input \"row\" : f32[784]\n"
                            "    %2 = input \"while\" : bool[]\n"
                            "    %3 = input \"s\" : f32[]\n"
                            "    %4 = input \"same\" : i32[2,N]\n"
                            "    %5 = reduce %1 {kind = sum, axes = [0]} : f32[]\n"
                            "    %6 = loop %2, %3 {sequences = 0, carries = 2, condition = true} do {\n"
                            "      %0 = input \"iteration\" : i64[]\n"
                            "      %1 = input \"while\" : bool[]\n"
                            "      %2 = input \"y\" : f32[]\n"
                            "      %3 = not %1 : bool[]\n"
                            "      guard %1 \"the loop\"\n"
                            "      return \"while\" %3, \"y\" %2\n"
                            "    } : (bool[], f32[])\n"
                            "    %7 = get %6 {member = 1} : f32[]\n"
                            "    %8 = add %5, %7 : f32[]\n"
                            "    return \"yield\" %4, \"while\" %2, \"s\" %8\n"
                            "  } : (i32[B,2,N], bool[], f32[])\n"
                            "  guard %91 \"the loss\"\n"
                            "  return \"out\" %55, \"weight\" %83 -> \"l1.weight\", \"count\" %3 -> \"count\"\n"
                            "}\n";

typedef struct World {
    Arena  arena;
    Diags  diags;
    Module *m;
} World;

static int make(void **state)
{
    World *w = calloc(1, sizeof *w);
    w->diags.arena = &w->arena;
    w->m = module_new(&w->arena, &w->diags, "m");
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

static Module *read_text(World *w, const char *text)
{
    w->diags.list.n = 0;
    w->diags.errors = 0;
    return ir_read(&w->arena, &w->diags, diag_source(&w->diags, "t.ir", text, strlen(text)));
}

static const char *text_of(World *w, const Module *m)
{
    Str s = {.arena = &w->arena};
    ir_print(&s, m);
    return s.at;
}

static void assert_valid(World *w, const Module *m)
{
    const char *error = NULL;
    if (!ir_verify(&w->arena, m, "test", &error)) fail_msg("%s", error);
}

static void round_trip(void **state)
{
    World *w = *state;
    Module *m = read_text(w, every);
    for (uint32_t i = 0; i < w->diags.list.n; i++) {
        uint32_t line, column;
        diag_position(&w->diags, w->diags.list.at[i]->span, &line, &column);
        print_message("%u:%u: %s\n", line, column, w->diags.list.at[i]->text);
    }
    assert_non_null(m);
    assert_valid(w, m);
    const char *text = text_of(w, m);
    assert_string_equal(text, every);
    assert_string_equal(text_of(w, module_clone(&w->arena, m)), every);
    assert_valid(w, module_clone(&w->arena, m));
    bool seen[OP_COUNT] = {false};
    for (uint32_t f = 0; f < m->funcs.n; f++)
        for (uint32_t i = 0; i < m->funcs.at[f]->body.nodes.n; i++) seen[m->funcs.at[f]->body.nodes.at[i]->op] = true;
    for (int op = 0; op < OP_COUNT; op++)
        if (!seen[op]) fail_msg("%s is not in the text", op_name((Op)op));
}

static void built_by_hand(void **state)
{
    World *w = *state;
    Module *m = w->m;
    Func *f = func_new(m, "f", nowhere);
    Dim *T = dim_sym(m, f, "T"), *B = dim_sym(m, f, "B");
    dim_bound(m, T, 1, 8);
    vec_push(m->arena, &f->dims, T);
    vec_push(m->arena, &f->dims, B);
    Param *p = module_param(m, "w", false, type_tensor(m, DT_f32, 1, (Dim *[]){dim_const(m, 4)}), nowhere);
    Node *x = func_arg(f, ARG_INPUT, "x", type_tensor(m, DT_f32, 3, (Dim *[]){B, T, dim_const(m, 4)}), NULL, nowhere);
    Node *half = ir_scalar(f, DT_f32, 0.5, nowhere), *all = ir_splat(f, half, x->type, nowhere);
    Node *weight = func_param(f, p);
    assert_ptr_equal(weight, func_param(f, p));
    Node *wide = ir_broadcast(f, weight, x->type, (uint8_t[]){2}, nowhere);
    Node *y = ir_binary(f, OP_add, ir_binary(f, OP_mul, x, all, nowhere), wide, nowhere);
    y = ir_transpose(f, y, (uint8_t[]){1, 0, 2}, nowhere);
    y = ir_reshape(f, y, type_tensor(m, DT_f32, 2, (Dim *[]){dim_mul(m, B, T), dim_const(m, 4)}), nowhere);
    y = ir_reduce(f, RED_sum, ir_unary(f, OP_exp, y, nowhere), 2, nowhere);
    func_result(f, "out", ir_cast(f, y, DT_f64, nowhere), NULL);
    double v;
    assert_true(node_is_scalar_const(all, &v) && v == 0.5);
    assert_false(node_is_scalar_const(x, &v));
    assert_valid(w, m);
    const char *text = text_of(w, m);
    Module *again = read_text(w, text);
    assert_non_null(again);
    assert_string_equal(text_of(w, again), text);
    assert_null(ir_binary(f, OP_add, x, weight, nowhere));
    assert_string_equal(ir_error(m), "add: operand types differ, f32[B,T,4] and f32[4]");
    assert_null(
        ir_reshape(f, x,
                   type_tensor(m, DT_f32, 1,
                               (Dim *[]){dim_add(m, dim_mul(m, dim_mul(m, B, T), dim_const(m, 4)), dim_const(m, 1))}),
                   nowhere));
    assert_string_equal(ir_error(m), "reshape: f32[B,T,4] has 4*B*T elements, f32[4*B*T + 1] has 4*B*T + 1");
    assert_null(ir_node(f, OP_dot, 2, (Node *[]){x, weight},
                        &(Attr){.dot = {.ncontract = 1, .lcontract = {1}, .rcontract = {0}}}, NULL, nowhere));
    assert_string_equal(ir_error(m), "dot: contracted dims differ, T and 4");
}

static void rewriting(void **state)
{
    World *w = *state;
    Module *m = read_text(w,
        "ir 1 module \"m\" func @f(B) {\n"
        "  %0 = input \"x\" : f32[B]\n"
        "  %1 = max %0, %0 : f32[B]\n"
        "  %2 = exp %1 : f32[B]\n"
        "  %3 = neg %1 : f32[B]\n"
        "  return \"out\" %2 }");
    assert_non_null(m);
    Func *f = m->funcs.at[0];
    uint32_t *uses = use_counts(&w->arena, f);
    assert_int_equal(uses[0], 2);
    assert_int_equal(uses[1], 2);
    assert_int_equal(uses[3], 0);
    Rewrite rw = rewrite_begin(f);
    for (uint32_t i = 0; i < rw.nold; i++) {
        Node *n = rewrite_copy(&rw, rw.old[i]);
        if (n->op == OP_max && n->arg[0] == n->arg[1]) rw.map[i] = n->arg[0];
    }
    rewrite_end(&rw);
    assert_valid(w, m);
    assert_string_equal(text_of(w, m),
        "ir 1\nmodule \"m\"\n\nfunc @f(B) {\n"
        "  %0 = input \"x\" : f32[B]\n"
        "  %1 = exp %0 : f32[B]\n"
        "  return \"out\" %1\n}\n");
}

/* Break one thing in a valid module; the verifier says what. */
static void verifier(void **state)
{
    World *w = *state;
    const char *error;
#define FRESH Module *m = read_text(w, every); Func *f = m->funcs.at[1]; Node **n = f->body.nodes.at; (void)n
#define BROKEN(text)                                                                                                   \
    assert_false(ir_verify(&w->arena, m, "fuse", &error));                                                             \
    assert_non_null(strstr(error, text));                                                                              \
    assert_non_null(strstr(error, "after fuse: "))
    { FRESH; n[7]->arg[0] = n[8]; BROKEN("@every: %7 = dot: operand 0 does not stand above"); }
    { FRESH; n[38]->arg[0] = n[0]; BROKEN("operand types differ"); }
    { FRESH; n[38]->type = n[0]->type; BROKEN("has type f32[B,784], but its rule gives f32[B,4]"); }
    { FRESH; n[6]->attr.perm[0] = 0; BROKEN("not a permutation"); }
    { FRESH; n[9]->id = 3; BROKEN("has place 9"); }
    { FRESH; n[20]->func = m->funcs.at[0]; BROKEN("belongs to half"); }
    { FRESH; f->dims.n--; BROKEN("symbol N is not the function's"); }
    { FRESH; f->args.at[1].node = n[0]; BROKEN("is no argument"); }
    { FRESH; f->args.at[2].name = "other"; BROKEN("is not as its param"); }
    { FRESH; f->results.at[1].node = n[0]; BROKEN("and aliases \"l1.weight\""); }
    {
        FRESH;
        f->results.at[2].param = m->params.at[0];
        f->results.at[2].node = f->results.at[1].node;
        BROKEN("two results alias");
    }
    { FRESH; f->results.at[0].name = "weight", f->results.at[1].param = NULL; BROKEN("result weight twice"); }
    { FRESH; f->results.at[0].node = n[84]; BROKEN("is a tuple"); }
    { FRESH; f->guards.at[0].ok = n[89]; BROKEN("guard 0 is f32[], not bool[]"); }
    { FRESH; f->guards.at[0].ok = m->funcs.at[0]->body.nodes.at[0]; BROKEN("guard 0 has no node"); }
    { FRESH; n[86]->attr.callee = f; BROKEN("@every"); }
    { FRESH; m->params.at[1]->path = "tied"; BROKEN("path \"tied\" twice"); }
    { FRESH; m->funcs.at[1]->name = "half"; BROKEN("a function of this name"); }
    { FRESH; (void)f; n[96]->attr.loop.length = NULL; BROKEN("without a length there is nothing to slice"); }
    { FRESH; (void)f; n[96]->attr.loop.condition = false; n[96]->attr.loop.carries = 4; BROKEN("1 sequences and 4 carries of 4 operands"); }
#define BODY FRESH; Func *b = n[96]->attr.loop.body; (void)f
    { BODY; b->outer = m->funcs.at[0]; BROKEN("@every: %96 = loop: its body belongs to another function"); }
    { BODY; b->results.at[2].node = b->body.nodes.at[1]; BROKEN("carry 1 is f32[] before and f32[784] after an iteration"); }
    { BODY; b->results.at[0].param = m->params.at[0]; BROKEN("result 0 of its body aliases a param"); }
    { BODY; b->args.at[3].role = ARG_STEP; BROKEN("argument 3 of its body is no plain value"); }
    { BODY; b->body.nodes.at[8]->arg[0] = n[0]; BROKEN("%96 = loop: %8 = add: operand 0 does not stand above"); }
    { BODY; b->body.nodes.at[6]->attr.loop.body->nodes_made = 0; BROKEN("%6 = loop: has counted 0 nodes of 4"); }
    { BODY; b->dims.n--; BROKEN("its body has symbols"); }
    { FRESH; (void)f; n[15]->attr.dim = dim_sym(w->m, f, "B"); BROKEN("another module's"); }
}

static void refused(World *w, const char *body, const char *message)
{
    const char *text = arena_printf(&w->arena,
                                    "ir 1\nmodule \"m\"\nparam \"p\" : f32[4]\nfunc @f(B) {\n  %%0 = input \"x\" : "
                                    "f32[B,4]\n  %s\n  return \"out\" %%0\n}\n",
                                    body);
    if (read_text(w, text)) fail_msg("read: %s", body);
    assert_int_equal(w->diags.errors, 1);
    if (!strstr(w->diags.list.at[0]->text, message))
        fail_msg("%s: %s, not %s", body, w->diags.list.at[0]->text, message);
}

static void reader(void **state)
{
    World *w = *state;
    refused(w, "%1 = nop %0 : f32[B,4]", "no operator nop");
    refused(w, "%1 = arg %0 : f32[B,4]", "no operator arg");
    refused(w, "%2 = exp %0 : f32[B,4]", "the next value is %1");
    refused(w, "%1 = exp %1 : f32[B,4]", "no value %1 above");
    refused(w, "%1 = exp %0, %0 : f32[B,4]", "takes 1 operands, not 2");
    refused(w, "%1 = exp : f32[B,4]", "takes 1 operands, not 0");
    refused(w, "%1 = exp %0 : f32[B,5]", "exp gives f32[B,4]");
    refused(w, "%1 = exp %0 : f33[B,4]", "no dtype f33");
    refused(w, "%1 = exp %0 : f32[C,4]", "no symbol C");
    refused(w, "%1 = reshape %0 : f32[B,4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "rank over 16");
    refused(w, "%1 = iota {axis = 9} : i32[4]", "axis 9 of i32[4]");
    refused(w, "%1 = iota {axis = 4294967296} : i32[4]", "too large here");
    refused(w, "%1 = transpose %0 {perm = [0, 0]} : f32[B,4]", "not a permutation");
    refused(w, "%1 = transpose %0 {perm = [0]} : f32[B,4]", "an entry an axis");
    refused(w, "%1 = transpose %0 {perm = [0, 77]} : f32[B,4]", "axis 77");
    refused(w, "%1 = const 0 : i8[1000000000000]", "from one element");
    refused(w, "%1 = const [1] : i32[1000000000000]", "fewer than");
    refused(w, "%1 = const [1, 2] : i32[3]", "2 elements, not 3");
    refused(w, "%1 = const [1, 2, 3] : i32[2]", "more than 2");
    refused(w, "%1 = const 300 : u8[]", "does not fit u8");
    refused(w, "%1 = const hex \"0g\" : u8[1]", "no hexadecimal digit");
    refused(w, "%1 = const hex \"00\" : i32[1]", "4 bytes are needed");
    refused(w, "%1 = const 1 : i32[B]", "no type of a constant");
    refused(w, "%1 = const 1 : i64[9223372036854775807,9223372036854775807]", "no type of a constant");
    refused(w, "%1 = dim 9223372036854775807 + 1 : i64[]", "overflows");
    refused(w, "%1 = dim 99999999999999999999 : i64[]", "too large");
    refused(w, "%1 = dim B // 0 : i64[]", "divides by 0");
    refused(w, "%1 = dim B // (B - B) : i64[]", "divides by 0");
    refused(w, "%1 = reduce %0 {kind = sun, axes = [1]} : f32[B]", "no kind of reduction sun");
    refused(w, "%1 = reduce %0 {kind = sum, axes = [2]} : f32[B]", "axes beyond");
    refused(w, "%1 = reduce %0 {kind = or, axes = [1]} : f32[B]", "or of f32[B,4]");
    refused(w, "%1 = get %0 {member = 0} : f32[B,4]", "member 0 of f32[B,4]");
    refused(w, "guard %0 \"x\"", "a guard must be bool[]");
    refused(w, "guard %1 \"x\"", "no value %1 above");
    refused(w, "%1 = const true : bool[] guard %1", "expected a string");
    refused(w, "%1 = loop %0 {length = B, sequences = 1, carries = 0} : ()", "expected 'do', found :");
    refused(w, "%1 = loop %0 {length = B, sequences = 1, carries = 0} do { return } : ()", "the body takes the iteration's number and 1 values, not 0");
    refused(w, "%1 = loop %0 {length = 4, sequences = 1, carries = 0} do { %0 = input \"i\" : i64[] %1 = input \"x\" : f32[4] return } : ()",
            "sequence 0 is f32[B,4], of 4 iterations");
    refused(w, "%1 = loop {sequences = 0, carries = 0} do { %0 = input \"i\" : i64[] return } : ()", "needs a length or a condition");
    refused(w, "%1 = loop {length = B, sequences = 0, carries = 0} do { %0 = input \"i\" index 4 : i64[] return } : ()", "expected ':', found index");
    refused(w, "%1 = loop {length = B, sequences = 0, carries = 0} do { %0 = seed \"seed\" : i64[] return } : ()", "no operator seed");
    Str loops = {.arena = &w->arena};
    str_add(&loops, "%1 = ");
    for (int i = 0; i < 40; i++) str_add(&loops, "loop {length = B, sequences = 0, carries = 0} do { %0 = input \"i\" : i64[] %1 = ");
    refused(w, loops.at, "over 32 loops in loops");
    refused(w, "%1 = call %0 {callee = @f} : f32[B,4]", "no function f above");
    refused(w, "%1 = call %0 {callee = @g} : f32[B,4]", "no function g above");
    refused(w, "%1 = param \"q\" : f32[4]", "no param or state \"q\"");
    refused(w, "%1 = slice %0 {start = [0, 3], step = [1, 1]} : f32[B,2]", "element 4 of 4");
    refused(w, "%1 = slice %0 {start = [0, 0], step = [1, 0]} : f32[B,2]", "steps are at least 1");
    refused(w, "%1 = tuple %0 : (f32[B,4]) %2 = tuple %1 : ((f32[B,4]))", "expected");
    refused(w, "%1 = dot %0, %0 {contract = [1]x[0]} : f32[B,4]", "contracted dims differ, 4 and B");
    refused(w, "%1 = window %0 {kind = max, size = [1, 5], stride = [1, 1], lo = [0, 0], hi = [0, 0]} : f32[B,0]",
            "a window of 5 in 4");
    refused(w, "%1 = input \"a\\u0000b\" : f32[4]", "character 0");
    refused(w, "%1 = input \"a\\q\" : f32[4]", "bad string");
    refused(w, "%1 = input \"a", "bad string");
    refused(w, "%1 = exp %0 : f32[B,-4]", "below 0");
    Str deep = {.arena = &w->arena};
    str_add(&deep, "%1 = dim ");
    for (int i = 0; i < 20000; i++) str_char(&deep, '(');
    refused(w, deep.at, "nested too deep");
    Str sum = {.arena = &w->arena};
    str_add(&sum, "%1 = dim B");
    for (int i = 0; i < 400; i++) str_fmt(&sum, " + B // %d", 1000 + i);
    refused(w, sum.at, "too large");
    assert_null(read_text(w, ""));
    assert_null(read_text(w, "ir 2"));
    assert_null(read_text(w, "ir 1\nmodule \"m\"\nfunc @f(B, B) {return}"));
    assert_null(read_text(w, "ir 1\nmodule \"m\"\nfunc @f(B in 4..2) {return}"));
    assert_null(read_text(w, "ir 1\nmodule \"m\"\nfunc @f() {return} func @f() {return}"));
    assert_null(read_text(w, "ir 1\nmodule \"m\"\nparam \"p\" : f32[4] param \"p\" : f32[4]"));
    assert_null(read_text(w, "ir 1\nmodule \"m\"\nfunc @f() { return"));
    assert_non_null(read_text(w, "ir 1\nmodule \"m\"\nfunc @f() {return}"));
}

/* Facts decide how dims are written, and text keeps the facts. */
static void facts(void **state)
{
    World *w = *state;
    const char *text = "ir 1\nmodule \"m\"\n\nfunc @\"f g\"(H % 2, T in 0..4) {\n  %0 = input \"x\" : f32[H // 2,T]\n  "
                       "return \"out\" %0\n}\n";
    Module *m = read_text(w, text);
    assert_non_null(m);
    assert_string_equal(text_of(w, m), text);
    assert_string_equal(text_of(w, module_clone(&w->arena, m)), text);
    m = read_text(w, "ir 1 module \"m\" func @\"f g\"(H % 2, T in 0..4) {%0 = input \"x\" : f32[(H + 1) // 2,T % 5] "
                     "return \"out\" %0}");
    assert_string_equal(text_of(w, m), text);
}

/* Whatever normal form a dim takes, its text reads back as that form, also where symbols were made in another order. */
static void dims_round_trip(void **state)
{
    World *w = *state;
    uint64_t seed = 7;
    enum { N = 120 };
    for (int round = 0; round < 40; round++) {
        Module *m = module_new(&w->arena, &w->diags, "m");
        Func *f = func_new(m, "f", nowhere);
        Dim *d[N] = {dim_sym(m, f, "Z"), dim_sym(m, f, "B"), dim_sym(m, f, "A"), dim_sym(m, f, "T")};
        for (int i = 0; i < 4; i++) vec_push(m->arena, &f->dims, d[i]);
        if (round & 1) dim_multiple(m, d[0], 12);
        if (round & 2) dim_bound(m, d[1], 1, 40);
        if (round & 4) dim_bound(m, d[2], 3, INT64_MAX);
        int n = 4;
        for (int tries = 0; tries < 300 && n < N; tries++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint32_t r = (uint32_t)(seed >> 33), a = (r >> 8) % (uint32_t)n, b = (r >> 16) % (uint32_t)n;
            Dim *c = dim_const(m, (r >> 3) % 13 + 1), *by = (r >> 28 & 3) ? c : d[b], *y = NULL;
            switch (r % 8) {
            case 0: y = dim_add(m, d[a], d[b]); break;
            case 1: y = dim_sub(m, d[a], d[b]); break;
            case 2: y = dim_mul(m, d[a], by); break;
            case 3: y = dim_floordiv(m, d[a], by); break;
            case 4: y = dim_mod(m, d[a], by); break;
            case 5: y = dim_max(m, d[a], d[b]); break;
            case 6: y = dim_min(m, d[a], d[b]); break;
            case 7: y = dim_ceildiv(m, d[a], by); break;
            }
            if (!y || strlen(dim_text(&w->arena, y)) > 200) continue;
            d[n++] = y;
            ir_node(f, OP_dim, 0, NULL, &(Attr){.dim = y}, NULL, nowhere);
        }
        const char *text = text_of(w, m);
        Module *again = read_text(w, text);
        assert_non_null(again);
        const char *second = text_of(w, again);
        if (strcmp(text, second)) {
            size_t i = 0, k;
            while (text[i] == second[i]) i++;
            for (k = i; k && text[k - 1] != '\n'; k--);
            fail_msg("\n%.300s\n%.300s", text + k, second + k);
        }
        assert_string_equal(text_of(w, module_clone(&w->arena, m)), text);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {T(round_trip), T(built_by_hand), T(rewriting),      T(verifier),
                                       T(reader),     T(facts),         T(dims_round_trip)};
    return cmocka_run_group_tests_name("ir", tests, NULL, NULL);
}
