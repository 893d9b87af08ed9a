/* base.h - what every folder of the compiler stands on: memory by lifetime, vectors, strings,
 * hash maps, sources and diagnostics, files. The artefact's runtime uses none of this; it uses
 * size.h, json.h and pack.h, which are freestanding.
 */
#ifndef DLC_BASE_H
#define DLC_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF(fmt, args)
#endif
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- arena.c: memory by lifetime ------------------------------------------------------------ */

/* Blocks that are freed together. `Arena a = {0};` is an empty one. */
typedef struct Arena {
    struct ArenaBlock *last;
    size_t             used;            /* bytes handed out, for --stats */
} Arena;

/* n zeroed bytes, aligned to 16. Never NULL: when memory is exhausted it says so and exits 3. */
void *arena_alloc(Arena *a, size_t n);
void *arena_copy(Arena *a, const void *p, size_t n);
void  arena_free(Arena *a);             /* frees every block; the arena is empty and usable again */
#define arena_new(a, T)       ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n)  ((T *)arena_alloc_array((a), (n), sizeof(T)))
/* n * size zeroed bytes; a product that overflows counts as exhausted memory. */
void *arena_alloc_array(Arena *a, size_t n, size_t size);

/* ---- vectors: `VEC(Node *) nodes = {0}; vec_push(&arena, &nodes, x); nodes.at[i]` -------------- */

#define VEC(T) struct { T *at; uint32_t n, cap; }
#define vec_push(a, v, x) \
    (vec_grow((a), (void **)&(v)->at, &(v)->cap, (v)->n + 1, sizeof *(v)->at), (void)((v)->at[(v)->n++] = (x)))
/* Make room for `want` items; old storage stays in the arena. */
void vec_grow(Arena *a, void **at, uint32_t *cap, uint32_t want, size_t item);

/* ---- str.c: strings ------------------------------------------------------------------------- */

/* A string being built; always zero-terminated once anything was written. */
typedef struct Str {
    Arena *arena;
    char  *at;
    size_t n, cap;
} Str;
void  str_add(Str *s, const char *text);
void  str_addn(Str *s, const char *text, size_t n);
void  str_char(Str *s, char c);
void  str_fmt(Str *s, const char *fmt, ...) PRINTF(2, 3);
char *arena_printf(Arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
char *arena_strndup(Arena *a, const char *s, size_t n);
/* The shortest decimal that reads back as exactly this double (f32: as this float), always with a
 * '.', an 'e', or as inf, -inf, nan. */
void  str_double(Str *s, double v);
void  str_float(Str *s, float v);
/* JSON string literal with quotes and escapes. */
void  str_json(Str *s, const char *text, size_t n);
/* Edits (insert, delete, replace, swap) between two words; for did-you-mean. */
uint32_t edit_distance(const char *a, const char *b);
/* Glob with '*' as any run of characters. */
bool  glob_match(const char *pattern, const char *text);

/* Interned strings: equal texts give equal pointers. */
typedef struct Strings { struct Map *map; Arena *arena; } Strings;
const char *intern(Strings *s, const char *text, size_t n);

/* ---- map.c: hash maps ------------------------------------------------------------------------- */

/* From byte strings to pointers, in insertion order. `Map *m = map_new(arena);` */
typedef struct Map Map;
Map  *map_new(Arena *a);
void *map_get(const Map *m, const void *key, size_t n);         /* NULL if absent */
void  map_set(Map *m, const void *key, size_t n, void *value);  /* copies the key */
uint32_t map_count(const Map *m);
void *map_at(const Map *m, uint32_t i, const void **key, size_t *n);
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);

/* ---- diag.c: sources and diagnostics ------------------------------------------------------------ */

/* A piece of a source: bytes [start, end) of file `file` (an index into Diags.sources, from 1;
 * file 0 means "no place"). */
typedef struct Span {
    uint32_t file, start, end;
} Span;

typedef struct Source {
    const char *path;                   /* as messages show it */
    const char *text;                   /* zero-terminated */
    size_t      n;
} Source;

/* Stable codes, DL_xxx: the rows of diag.def, which also holds the text of `dlc explain`. */
typedef enum DiagCode {
#define DIAG(code, number, title, text) DL_##code,
#include "base/diag.def"
#undef DIAG
    DL_COUNT
} DiagCode;

typedef enum Severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE } Severity;

typedef struct Diag {
    Severity    severity;
    DiagCode    code;                   /* notes carry their parent's */
    Span        span;
    const char *text;
    VEC(struct Diag) notes;             /* "called from here", "B is 32 here", "did you mean ..." */
} Diag;

typedef struct Diags {
    Arena *arena;
    VEC(Source) sources;                /* sources.at[span.file - 1] */
    VEC(Diag *) list;
    uint32_t errors, warnings;
    uint32_t limit;                     /* errors kept; 0: 100. Later ones are counted only */
} Diags;

uint32_t diag_source(Diags *d, const char *path, const char *text, size_t n);   /* its file number */
/* Report; both return the diagnostic so that notes can be added (never NULL). */
Diag *diag_error(Diags *d, DiagCode code, Span at, const char *fmt, ...) PRINTF(4, 5);
Diag *diag_warning(Diags *d, DiagCode code, Span at, const char *fmt, ...) PRINTF(4, 5);
void  diag_note(Diags *d, Diag *parent, Span at, const char *fmt, ...) PRINTF(4, 5);
/* How many different errors (or warnings) were kept, that is what diag_print shows; `errors` counts repeats too. */
uint32_t diag_count(const Diags *d, Severity severity);
/* Line and column (from 1, columns in characters) of a byte of a source. */
void  diag_position(const Diags *d, Span at, uint32_t *line, uint32_t *column);
/* Every diagnostic in source order: `mlp.dl:2:12: error DL0123: text`, the line, carets, notes. */
void  diag_print(const Diags *d, Str *out, bool colour);
/* One JSON array, an object a diagnostic: code, severity, file, line, column, end_line, end_column, text, notes. */
void  diag_json(const Diags *d, Str *out);
const char *diag_code(DiagCode code);                   /* "DL0123" */
const char *diag_title(DiagCode code);
const char *diag_explain(DiagCode code);
bool  diag_find(const char *text, DiagCode *code);      /* "DL0123", "dl123", "123" */
/* The candidate nearest to `word`, or NULL if none is near enough to suggest. */
const char *nearest(const char *word, const char *const *candidates, size_t n);

/* ---- file.c: files ------------------------------------------------------------------------------ */

/* Whole file, zero-terminated. "-" is stdin. false: *error says why ("cannot open x.dl: No such
 * file or directory"); directories, and files over `limit` bytes (0: 1 GiB), are refused. */
bool file_read(Arena *a, const char *path, size_t limit, char **text, size_t *n, const char **error);
/* Atomic: temporary file in the same folder, fsync, rename; on failure nothing of it is left. */
bool file_write(Arena *a, const char *path, const void *data, size_t n, const char **error);
const char *path_stem(Arena *a, const char *path);      /* "a/b.c.dl" -> "b.c" */
const char *path_dir(Arena *a, const char *path);       /* "a/b.dl" -> "a"; "b.dl" -> "." */
const char *path_join(Arena *a, const char *dir, const char *name);
/* stem as a C identifier: other characters become '_', a leading digit gets '_' before it. */
const char *path_identifier(Arena *a, const char *stem);
double time_now(void);                                  /* seconds, monotonic */

#endif
