/* artefact_header.c - the C header of an artefact: what an application includes. Self-contained, C11 and C++17. */
#include <string.h>

#include "codegen/artefact.h"

/* ---- names ------------------------------------------------------------------------------------------------------------- */

/* Words that cannot name an argument: keywords of C and C++, and what compilers predefine. */
static const char *const taken[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char8_t", "char16_t",
    "char32_t", "class", "co_await", "co_return", "co_yield", "compl", "concept", "const", "const_cast", "consteval", "constexpr", "constinit",
    "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false",
    "float", "for", "friend", "goto", "if", "inline", "int", "int8_t", "int16_t", "int32_t", "int64_t", "linux", "long", "mutable",
    "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public", "register",
    "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "size_t", "sizeof", "static", "static_assert", "static_cast",
    "struct", "switch", "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof",
    "typeof_unqual", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "union", "unix", "unsigned", "using", "virtual", "void", "volatile",
    "wchar_t", "while", "xor", "xor_eq", "NULL", "INT64_MAX", "INT64_MIN", "UINT64_MAX", "SIZE_MAX", "i386",
};

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < COUNT(taken); i++)
        if (!strcmp(name, taken[i])) return true;
    return name[0] == '_';                              /* _Bool, __x86_64__, ... */
}

const char *artefact_prefix(Arena *a, const Module *m)
{
    const char *name = m->name && *m->name ? m->name : "model";
    if (name[0] == '_') return arena_printf(a, "m%s", name);
    return is_taken(name) ? arena_printf(a, "%s_", name) : name;
}

bool artefact_returns(const Result *r)
{
    return !r->param;
}

/* A name for an argument that is neither taken nor one of those before it. */
static const char *argument_name(Arena *a, const char *name, const char *const *before, uint32_t n)
{
    if (name[0] == '_') name = arena_printf(a, "x%s", name);
    for (bool again = is_taken(name); ; again = false) {
        for (uint32_t i = 0; i < n && !again; i++) again = !strcmp(name, before[i]);
        if (!again) return name;
        name = arena_printf(a, "%s_", name);
    }
}

static const char *c_type(DType t)
{
    static const char *const name[DT_COUNT] = {
        [DT_f64] = "double", [DT_f32] = "float", [DT_f16] = "uint16_t", [DT_bf16] = "uint16_t", [DT_i64] = "int64_t",
        [DT_i32] = "int32_t", [DT_i16] = "int16_t", [DT_i8] = "int8_t", [DT_u8] = "uint8_t", [DT_bool] = "uint8_t",
    };
    return name[t];
}

/* Text inside a comment: nothing of it may end the comment or look like another one. */
static void comment_text(Str *s, const char *text)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\n') str_add(s, "\n * ");
        else str_char(s, c < 0x20 || c == 0x7f ? ' ' : (char)c);
        if ((p[0] == '*' && p[1] == '/') || (p[0] == '/' && p[1] == '*')) str_char(s, ' ');
    }
}

static void shape_text(Str *s, Type *t)
{
    type_print(s, t);
}

/* ---- one function ---------------------------------------------------------------------------------------------------------- */

typedef struct Line { const char *declaration, *comment; } Line;

/* The arguments of a function's C declaration, in order. */
typedef struct Arguments {
    Arena *a;
    VEC(const char *) names;
    VEC(Line) lines;
} Arguments;

static const char *unique(Arguments *g, const char *name)
{
    name = argument_name(g->a, name, g->names.at, g->names.n);
    vec_push(g->a, &g->names, name);
    return name;
}

static void add(Arguments *g, const char *type, const char *name, const char *comment)
{
    Line l = {arena_printf(g->a, "%s%s", type, name), comment};
    vec_push(g->a, &g->lines, l);
}

static void add_tensors(Arguments *g, const Func *f)
{
    for (uint32_t i = 0; i < f->args.n; i++) {
        const Arg *arg = &f->args.at[i];
        if (arg->role != ARG_INPUT) continue;
        Str note = {.arena = g->a};
        shape_text(&note, arg->node->type);
        if (arg->is_index) {
            str_add(&note, ", each at least 0 and below ");
            dim_print(&note, arg->limit);
        }
        const char *type = c_type(arg->node->type->dtype), *name = unique(g, arg->name);
        add(g, arg->node->type->rank ? arena_printf(g->a, "const %s *", type) : arena_printf(g->a, "%s ", type), name, note.at);
    }
    for (uint32_t i = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        if (!artefact_returns(r)) continue;
        Str note = {.arena = g->a};
        str_add(&note, "out: ");
        shape_text(&note, r->node->type);
        add(g, arena_printf(g->a, "%s *", c_type(r->node->type->dtype)), unique(g, r->name ? r->name : "out"), note.at);
    }
}

static void add_dims(Arguments *g, const Func *f)
{
    for (uint32_t i = 0; i < f->dims.n; i++) add(g, "int64_t ", unique(g, dim_as_sym(f->dims.at[i])->name), NULL);
}

/* `head`, then the arguments: those with a comment on lines of their own. */
static void declaration(Str *s, const char *head, const Arguments *g)
{
    str_add(s, head);
    if (g->lines.n == 0) str_add(s, "void");
    for (uint32_t i = 0; i < g->lines.n; i++) {
        const Line *l = &g->lines.at[i];
        if (l->comment) str_fmt(s, "\n        ");
        else if (i > 0) str_add(s, " ");
        const char *text = arena_printf(g->a, "%s%s", l->declaration, i + 1 < g->lines.n ? "," : ");");
        if (l->comment) str_fmt(s, "%-28s /* %s */", text, l->comment);
        else str_add(s, text);
    }
    if (g->lines.n == 0) str_add(s, ");");
    str_char(s, '\n');
}

static void function(Str *s, Arena *a, const char *prefix, const Func *f)
{
    str_add(s, "\n/* ");
    comment_text(s, f->doc ? f->doc : f->name);
    for (uint32_t i = 0; i < f->requires.n; i++) {
        str_add(s, "\n * Needs ");
        comment_text(s, f->requires.at[i].text);
        str_char(s, '.');
    }
    str_add(s, " */\n");

    Arguments g = {.a = a};
    add(&g, arena_printf(a, "%s *", prefix), unique(&g, "m"), NULL);
    add_dims(&g, f);
    add_tensors(&g, f);
    declaration(s, arena_printf(a, "int %s_%s(", prefix, f->name), &g);

    Arguments reserve = {.a = a}, workspace = {.a = a};
    add(&reserve, arena_printf(a, "%s *", prefix), unique(&reserve, "m"), NULL);
    add_dims(&reserve, f);
    declaration(s, arena_printf(a, "int %s_reserve_%s(", prefix, f->name), &reserve);
    add_dims(&workspace, f);
    declaration(s, arena_printf(a, "int64_t %s_workspace_%s(", prefix, f->name), &workspace);
}

/* ---- the whole header --------------------------------------------------------------------------------------------------------- */

/* Functions that every artefact has; @ stands for the prefix. */
static const char common[] =
    "typedef struct @ @;\n"
    "typedef dlc_options @_options;\n"
    "\n"
    "/* An instance: its params, states and memory. NULL options: all defaults. NULL: @_error(NULL) says why. An instance\n"
    " * serves one call at a time; another thread's call in between returns DLC_BUSY. */\n"
    "@ *@_create(const @_options *options);\n"
    "void @_destroy(@ *m);\n"
    "/* What went wrong in the last call; valid until the next one. NULL: in this thread's last @_create. */\n"
    "const char *@_error(@ *m);\n"
    "\n"
    "/* Read params and states from a safetensors file. @_load needs every param that has to be loaded and every other param;\n"
    " * a state that the file lacks takes its initial value. @_load_partial takes what is there. A load that fails has\n"
    " * changed nothing. The report has a line a tensor: loaded, missing or extra, and its name. */\n"
    "int @_load(@ *m, const char *path);\n"
    "int @_load_partial(@ *m, const char *path);\n"
    "const char *@_load_report(@ *m);\n"
    "/* Write them all: to a new file, which takes the place of an old one when it is complete. */\n"
    "int @_save(@ *m, const char *path);\n"
    "/* Initial values anew, from this seed. Before any load, the seed of the options gives them. */\n"
    "int @_init(@ *m, uint64_t seed);\n"
    "/* One param or state by its path, whole: `bytes` is its size. */\n"
    "int @_get(@ *m, const char *path, void *data, size_t bytes);\n"
    "int @_set(@ *m, const char *path, const void *data, size_t bytes);\n"
    "int @_param_count(void);\n"
    "int @_param_info(int index, dlc_param_info *info);\n"
    "/* Threads to share between instances, through the options. 0: one a CPU. NULL: no memory. */\n"
    "dlc_pool *@_pool_create(int threads);\n"
    "void @_pool_destroy(dlc_pool *pool);\n"
    "\n"
    "/* The functions of the model. They return DLC_OK or what failed; tensors are dense, row-major, and no output may overlap\n"
    " * an input. @_reserve_F makes the memory for calls of F up to these dims; @_workspace_F says how many bytes of workspace\n"
    " * they need (-1: no such dims). */\n";

static void with_prefix(Str *s, const char *text, const char *prefix)
{
    for (; *text; text++) {
        if (*text == '@') str_add(s, prefix);
        else str_char(s, *text);
    }
}

static const char *upper(Arena *a, const char *text)
{
    char *s = arena_strndup(a, text, strlen(text));
    for (char *p = s; *p; p++)
        if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
    return s;
}

static void params_text(Str *s, const Module *m)
{
    double bytes = 0;
    for (uint32_t i = 0; i < m->params.n; i++) {
        Type *t = m->params.at[i]->type;
        double n = (double)dtype_size(t->dtype);
        int64_t d;
        for (uint32_t k = 0; k < t->rank; k++) n *= dim_is_const(t->dim[k], &d) ? (double)d : 0;
        bytes += n;
    }
    if (m->params.n) str_fmt(s, " Parameters and states: %u, of %.1f KiB.", m->params.n, bytes / 1024);
}

void artefact_header(Str *s, const Module *m)
{
    artefact_header_note(s, m, NULL);
}

void artefact_header_note(Str *s, const Module *m, const char *note)
{
    Arena *a = s->arena;
    const char *prefix = artefact_prefix(a, m);
    str_fmt(s, "/* %s.h - written by dlc: do not edit.", prefix);
    params_text(s, m);
    if (note) str_fmt(s, "\n * %s", note);
    str_fmt(s, " */\n#ifndef DLC_MODEL_%s_H\n#define DLC_MODEL_%s_H\n\n", upper(a, prefix), upper(a, prefix));
    str_add(s, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    str_addn(s, (const char *)embedded_abi, embedded_abi_size);
    str_char(s, '\n');
    with_prefix(s, common, prefix);
    uint32_t n = 0;
    str_add(s, "enum {\n");
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (m->funcs.at[i]->exported) str_fmt(s, "%s    %s_FN_%s = %u", n ? ",\n" : "", prefix, m->funcs.at[i]->name, n), n++;
    str_fmt(s, "%s\n};\n", n ? "" : "    no_functions");
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (m->funcs.at[i]->exported) function(s, a, prefix, m->funcs.at[i]);
    with_prefix(s,
                "\n/* Any of them by number, with an array of dims and a pointer an input and an output (scalars too). */\n"
                "int @_call(@ *m, int fn, const int64_t *dims, const void *const *in, void *const *out);\n"
                "\n#ifdef __cplusplus\n}\n#endif\n#endif\n",
                prefix);
}
