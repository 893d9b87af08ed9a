/* artefact_entry.c - the functions that a generated header declares. Each puts its dims, inputs and outputs into arrays and
 * calls the runtime; the others are jumps. They run before the CPU was checked, so they are compiled for the baseline.
 */
#include <string.h>

#include "codegen/artefact.h"
#include "runtime/rt.h"

typedef struct Entries {
    Emit         *e;
    const Program *p;
    const char   *prefix;
    LLVMValueRef  model;
    LLVMBuilderRef b;
} Entries;

static void attribute(Emit *e, LLVMValueRef f, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(e->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

/* The runtime's functions. Signatures: the result, then the arguments; p pointer, i int, l int64_t or uint64_t or size_t,
 * v void; M: the model, which the exported function does not take but passes on. */
static const struct Runtime { const char *name, *signature; } runtime[] = {
    {"call", "ipippp"},
    {"create", "pMp"},
    {"destroy", "vp"},
    {"error", "pp"},
    {"get", "ipppl"},
    {"init", "ipl"},
    {"load", "ipp"},
    {"load_partial", "ipp"},
    {"load_report", "pp"},
    {"param_info", "iMip"},
    {"pool_create", "pi"},
    {"pool_destroy", "vp"},
    {"reserve", "ipip"},
    {"save", "ipp"},
    {"save_with", "ipppp"},
    {"set", "ipppl"},
    {"workspace", "lMip"},
};

static LLVMTypeRef letter_type(const Emit *e, char c)
{
    return c == 'v' ? e->void_ : c == 'i' ? e->i32 : c == 'l' ? e->i64 : e->ptr;
}

/* The type of a signature; `exported`: of the artefact's own function, without the model. */
static LLVMTypeRef signature_type(const Emit *e, const char *signature, bool exported)
{
    LLVMTypeRef arg[8];
    uint32_t n = 0;
    for (const char *c = signature + 1; *c; c++)
        if (!exported || *c != 'M') arg[n++] = letter_type(e, *c);
    return LLVMFunctionType(letter_type(e, signature[0]), arg, n, false);
}

/* dlc_rt_NAME, and its type. */
static LLVMValueRef runtime_function(Entries *n, const char *name, LLVMTypeRef *type)
{
    const struct Runtime *r = runtime;
    while (strcmp(r->name, name)) r++;                  /* names are of this file: it is there */
    const char *full = arena_printf(n->e->arena, "dlc_rt_%s", name);
    *type = signature_type(n->e, r->signature, false);
    LLVMValueRef f = LLVMGetNamedFunction(n->e->module, full);
    if (f) return f;
    f = LLVMAddFunction(n->e->module, full, *type);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

/* A new exported function "prefix_name", with the builder in its body. */
static LLVMValueRef begin(Entries *n, const char *name, LLVMTypeRef type)
{
    LLVMValueRef f = LLVMAddFunction(n->e->module, arena_printf(n->e->arena, "%s_%s", n->prefix, name), type);
    attribute(n->e, f, "target-cpu", "x86-64");
    attribute(n->e, f, "target-features", "+sse2");
    LLVMPositionBuilderAtEnd(n->b, LLVMAppendBasicBlockInContext(n->e->context, f, ""));
    return f;
}

/* X_name: a jump to dlc_rt_name. */
static void forward(Entries *n, const struct Runtime *r)
{
    LLVMTypeRef type;
    LLVMValueRef f = begin(n, r->name, signature_type(n->e, r->signature, true)), arg[8];
    LLVMValueRef callee = runtime_function(n, r->name, &type);
    uint32_t k = 0, taken = 0;
    for (const char *c = r->signature + 1; *c; c++) arg[k++] = *c == 'M' ? n->model : LLVMGetParam(f, taken++);
    LLVMValueRef call = LLVMBuildCall2(n->b, type, callee, arg, k, "");
    LLVMSetTailCall(call, true);
    if (r->signature[0] == 'v') LLVMBuildRetVoid(n->b);
    else LLVMBuildRet(n->b, call);
}

/* ---- functions of the model ------------------------------------------------------------------------------------------------------ */

/* An array on the stack; a null pointer for none. */
static LLVMValueRef stack_array(Entries *n, LLVMTypeRef item, const LLVMValueRef *value, uint32_t count)
{
    if (count == 0) return LLVMConstNull(n->e->ptr);
    LLVMTypeRef type = LLVMArrayType2(item, count);
    LLVMValueRef p = LLVMBuildAlloca(n->b, type, "");
    for (uint32_t i = 0; i < count; i++) {
        LLVMValueRef at[2] = {LLVMConstInt(n->e->i64, 0, false), LLVMConstInt(n->e->i64, i, false)};
        LLVMBuildStore(n->b, value[i], LLVMBuildInBoundsGEP2(n->b, type, p, at, 2, ""));
    }
    return p;
}

/* The type of a scalar argument as C passes it. */
static LLVMTypeRef scalar_type(const Emit *e, DType t)
{
    if (t == DT_f64) return e->f64;
    if (t == DT_f32) return e->f32;
    return LLVMIntTypeInContext(e->context, (unsigned)dtype_size(t) * 8);
}

/* A scalar is passed on by address; a bool is made 0 or 1. */
static LLVMValueRef scalar(Entries *n, DType t, LLVMValueRef v)
{
    if (t == DT_bool) {
        LLVMValueRef set = LLVMBuildICmp(n->b, LLVMIntNE, v, LLVMConstInt(LLVMTypeOf(v), 0, false), "");
        v = LLVMBuildZExt(n->b, set, LLVMTypeOf(v), "");
    }
    LLVMValueRef p = LLVMBuildAlloca(n->b, LLVMTypeOf(v), "");
    LLVMBuildStore(n->b, v, p);
    return p;
}

/* int X_f(X *m, dims, inputs, outputs) */
static void typed_entry(Entries *n, const Func *f, uint32_t number)
{
    Emit *e = n->e;
    uint32_t most = 1 + f->dims.n + f->args.n + f->results.n, k = 0, nin = 0;
    LLVMTypeRef *type = arena_array(e->arena, LLVMTypeRef, most);
    type[k++] = e->ptr;
    for (uint32_t i = 0; i < f->dims.n; i++) type[k++] = e->i64;
    for (uint32_t i = 0; i < f->args.n; i++) {
        const Type *t = f->args.at[i].node->type;
        if (f->args.at[i].role == ARG_INPUT) type[k++] = t->rank ? e->ptr : scalar_type(e, t->dtype);
    }
    for (uint32_t i = 0; i < f->results.n; i++)
        if (artefact_returns(&f->results.at[i])) type[k++] = e->ptr;
    LLVMValueRef fn = begin(n, f->name, LLVMFunctionType(e->i32, type, k, false));

    LLVMValueRef *dim = arena_array(e->arena, LLVMValueRef, most), *in = arena_array(e->arena, LLVMValueRef, most);
    LLVMValueRef *out = arena_array(e->arena, LLVMValueRef, most);
    k = 1;
    for (uint32_t i = 0; i < f->dims.n; i++) dim[i] = LLVMGetParam(fn, k++);
    for (uint32_t i = 0; i < f->args.n; i++) {
        const Type *t = f->args.at[i].node->type;
        if (f->args.at[i].role != ARG_INPUT) continue;
        LLVMValueRef v = LLVMGetParam(fn, k++);
        in[nin++] = t->rank ? v : scalar(n, t->dtype, v);
    }
    for (uint32_t i = 0; i < f->results.n; i++)
        out[i] = artefact_returns(&f->results.at[i]) ? LLVMGetParam(fn, k++) : LLVMConstNull(e->ptr);
    LLVMValueRef arg[] = {LLVMGetParam(fn, 0), LLVMConstInt(e->i32, number, false), stack_array(n, e->i64, dim, f->dims.n),
                          stack_array(n, e->ptr, in, nin), stack_array(n, e->ptr, out, f->results.n)};
    LLVMTypeRef callee_type;
    LLVMValueRef callee = runtime_function(n, "call", &callee_type);
    LLVMBuildRet(n->b, LLVMBuildCall2(n->b, callee_type, callee, arg, 5, ""));
}

/* int X_reserve_f(X *m, dims), int64_t X_workspace_f(dims) */
static void dims_entry(Entries *n, const Func *f, uint32_t number, bool reserve)
{
    Emit *e = n->e;
    LLVMTypeRef *type = arena_array(e->arena, LLVMTypeRef, f->dims.n + 1);
    LLVMValueRef *dim = arena_array(e->arena, LLVMValueRef, f->dims.n + 1);
    uint32_t k = 0;
    if (reserve) type[k++] = e->ptr;
    for (uint32_t i = 0; i < f->dims.n; i++) type[k++] = e->i64;
    const char *what = reserve ? "reserve" : "workspace";
    LLVMTypeRef fn_type = LLVMFunctionType(reserve ? e->i32 : e->i64, type, k, false), callee_type;
    LLVMValueRef fn = begin(n, arena_printf(e->arena, "%s_%s", what, f->name), fn_type);
    LLVMValueRef callee = runtime_function(n, what, &callee_type);
    for (uint32_t i = 0; i < f->dims.n; i++) dim[i] = LLVMGetParam(fn, i + reserve);
    LLVMValueRef arg[] = {reserve ? LLVMGetParam(fn, 0) : n->model, LLVMConstInt(e->i32, number, false),
                          stack_array(n, e->i64, dim, f->dims.n)};
    LLVMBuildRet(n->b, LLVMBuildCall2(n->b, callee_type, callee, arg, 3, ""));
}

/* ---- the descriptor ----------------------------------------------------------------------------------------------------------------- */

/* RtDescriptor: two numbers, the model, then the runtime's functions in the order of its fields. */
static void descriptor(Entries *n)
{
    static const char *const field[] = {"create", "destroy",      "error",       "call", "reserve", "workspace", "init",
                                        "load",   "load_partial", "load_report", "save", "get",     "set",       "param_info",
                                        "save_with"};
    enum { FIELDS = sizeof field / sizeof *field };
    _Static_assert(sizeof(RtDescriptor) == 8 + (1 + FIELDS) * sizeof(void *), "every function of RtDescriptor");
    Emit *e = n->e;
    LLVMValueRef v[3 + FIELDS] = {LLVMConstInt(e->i32, RT_ABI, false), LLVMConstInt(e->i32, sizeof(RtDescriptor), false), n->model};
    LLVMTypeRef type;
    for (int i = 0; i < FIELDS; i++) v[3 + i] = runtime_function(n, field[i], &type);
    LLVMValueRef init = LLVMConstStructInContext(e->context, v, 3 + FIELDS, false);
    LLVMValueRef g = LLVMAddGlobal(e->module, LLVMTypeOf(init), arena_printf(e->arena, "%s_model_1", n->prefix));
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, true);
    LLVMSetAlignment(g, 8);
}

void artefact_entries(Emit *e, const Program *p, LLVMValueRef model)
{
    Entries n = {.e = e, .p = p, .prefix = artefact_prefix(e->arena, p->module), .model = model};
    n.b = LLVMCreateBuilderInContext(e->context);
    for (size_t i = 0; i < COUNT(runtime); i++)         /* two are made for each function, with its dims; one is the descriptor's alone */
        if (strcmp(runtime[i].name, "reserve") && strcmp(runtime[i].name, "workspace") && strcmp(runtime[i].name, "save_with"))
            forward(&n, &runtime[i]);
    begin(&n, "param_count", LLVMFunctionType(e->i32, NULL, 0, false));
    LLVMBuildRet(n.b, LLVMConstInt(e->i32, p->module->params.n, false));
    for (uint32_t i = 0; i < p->funcs.n; i++) {
        const Func *f = p->funcs.at[i]->func;
        if (!f->exported) continue;
        typed_entry(&n, f, i);
        dims_entry(&n, f, i, true);
        dims_entry(&n, f, i, false);
    }
    descriptor(&n);
    LLVMDisposeBuilder(n.b);
}
