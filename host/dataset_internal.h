/* dataset_internal.h - what the files behind dataset.h share: where the values of an argument come from (sources), what
 * is learned from the training data to encode them, and the draws of chance.
 */
#ifndef DLC_DATASET_INTERNAL_H
#define DLC_DATASET_INTERNAL_H

#include "host/dataset.h"
#include "host/internal.h"

/* ---- csv.c: text with a header and rows of equal length ----------------------------------------------------------------- */

typedef struct CsvCell {
    const char *at;                     /* between the quotes, if it had any; else without the spaces around it */
    size_t      n;
    bool        quoted, escaped;        /* escaped: holds doubled quotes */
} CsvCell;

typedef struct Csv {
    const char *path, *text;
    size_t      n, first;               /* first: where the rows begin */
    int64_t     first_line;
    char        separator;
    uint32_t    ncolumns;
    const char *const *name;            /* "1", "2", ... where there is no header */
    int64_t     nrows, *line;           /* of each row, from 1 */
} Csv;
typedef struct CsvReader {
    const Csv *csv;
    size_t     pos;
    int64_t    line;                    /* where the next row begins */
} CsvReader;
/* Reads the header and checks every row. separator: 0: the likeliest of , ; and tab. */
bool csv_parse(Arena *a, const char *path, const char *text, size_t n, bool header, char separator, Csv *c, const char **error);
void csv_rewind(const Csv *c, CsvReader *r);
/* The cells of the next row, ncolumns of them. false: no more (the file was checked). */
bool csv_row(CsvReader *r, CsvCell *cells);
const char *csv_text(Arena *a, const CsvCell *cell);
bool csv_missing(const CsvCell *cell);  /* empty, NA, N/A, nan, null, none, ? (not in quotes but for the empty one) */
bool csv_number(const CsvCell *cell, double *value);

/* ---- dataset_table.c: columns of a csv file as numbers ------------------------------------------------------------------- */

typedef struct Column {
    const char *name;
    uint32_t    index;                  /* in the file */
    bool        category, normalize;
    double     *value;                  /* of each row; a category's number. NaN: missing */
    uint32_t    ncategories;
    const char *const *categories;      /* sorted; an own one for missing values is the last, "" */
    double      mean, deviation;        /* of the training part, 1 for a constant column */
    int64_t     fill;                   /* category: what missing values are taken for */
} Column;

/* ---- text.c: streams of ids ------------------------------------------------------------------------------------------------ */

typedef struct Stream {
    int64_t     count;
    int         dtype;                  /* of data: DLC_U8, DLC_I16 (unsigned), DLC_I32, DLC_I64 */
    const void *data;
    uint32_t    nvocabulary;            /* chars: code points, sorted */
    const uint32_t *vocabulary;
    int64_t     highest, highest_at;    /* the greatest id and its place; the lowest is never negative */
} Stream;
int64_t stream_at(const Stream *s, int64_t i);
/* known: the vocabulary of the training data, or NULL: it is found. */
bool stream_chars(Arena *a, const char *path, const char *text, size_t n, const uint32_t *known, uint32_t nknown, Stream *s, const char **error);
bool stream_bytes(Arena *a, const char *path, const char *text, size_t n, Stream *s, const char **error);
/* dtype: of raw little-endian tokens; 0: a file that data_read reads, of one dim. */
bool stream_tokens(Arena *a, const char *path, int dtype, Stream *s, const char **error);
/* UTF-8 of a code point; its length. */
uint32_t utf8_put(uint32_t code, char to[5]);
uint32_t utf8_get(const char *p, uint32_t n);   /* of the n valid bytes */

/* ---- image.c: PNG and JPEG files; images.c: folders of them ---------------------------------------------------------------- */

typedef struct Image {
    int64_t  height, width;
    uint8_t *rgb;                       /* (height, width, 3) */
} Image;
bool image_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error);
bool image_resize(Arena *a, const Image *from, int64_t height, int64_t width, Image *to);      /* bilinear, antialiased */
bool image_crop(Arena *a, const Image *from, int64_t height, int64_t width, Image *to);        /* the middle; false: it is smaller */

typedef struct Folder {
    const char *path;
    int64_t     count;
    const char *const *file;
    const int32_t *label;
    uint32_t    nclasses;               /* 0: the images lie in the folder itself */
    const char *const *classes;
} Folder;
/* classes: of the training data, or NULL: they are the folders, sorted. */
bool folder_list(Arena *a, const char *path, const char *const *classes, uint32_t nclasses, Folder *f, const char **error);

/* ---- dataset.c --------------------------------------------------------------------------------------------------------------- */

typedef enum SourceKind { SOURCE_ARRAY, SOURCE_TABLE, SOURCE_STREAM, SOURCE_IMAGES, SOURCE_CLASSES, SOURCE_COUNT } SourceKind;

/* One argument: where its values come from, and how they are encoded. */
typedef struct Input {
    const char *name;
    int         dtype, rank;            /* rank, dim: of an example (batched), or of the whole */
    int64_t     dim[DLC_MAX_RANK];
    int64_t     elements;               /* of them */
    bool        batched;
    bool        image;                  /* [H,W], [C,H,W]: may be augmented */
    int64_t     limit;                  /* ids are below it; -1: not known */
    DataSpec    spec;
    SourceKind  kind;
    const char *file;                   /* for messages: path, or path:key */
    int64_t     count;                  /* examples (a stream: ids) */
    dlc_tensor  array;                  /* as it is in the file */
    const Csv  *csv;
    Column     *column;
    uint32_t    ncolumns;
    const Stream *stream;
    const Folder *folder;
    const uint8_t *pixels;              /* (example, C, H, W) of all, where they are few enough */
    double     *mean, *deviation;       /* array with `normalize`: one an element */
} Input;

typedef struct Augment Augment;

struct Dataset {
    Arena      *arena;
    const dlc_artefact *artefact;
    int         fn;
    uint32_t    ninputs;
    Input      *input;                  /* shared with the parts that dataset_split makes of it */
    int64_t     batch_size;             /* where the function fixes it, or 0 */
    bool        windows;                /* examples are windows of streams: ids [begin, end) */
    int64_t     begin, end, length, stride;     /* length: ids that a window and its shifts take */
    int64_t     count;                  /* examples */
    int64_t    *row;                    /* which examples of the files; NULL: windows */
    bool        described;              /* the encoding came from a description: it stays */
    Augment    *augment;                /* NULL: none */
};

/* A function's inputs, as dlc_argument tells them. dim: names of its dims. */
typedef struct Signature {
    const char *name;
    int         ninputs, ndims;
    const dlc_argument_info *input;
    const char *const *dim;
} Signature;
Dataset *dataset_open_signature(Arena *a, const Signature *f, const DatasetOptions *o, const char **error);
Dataset *dataset_for_signature(Dataset *d, const Signature *f, const char **error);

/* dataset_source.c: open the data of a batched input. specs: of all inputs. */
bool source_open(Dataset *d, Input *in, const Signature *f, const DataSpec *specs, uint32_t nspecs, const char *description, const char **error);

/* "why", formatted; false. */
bool data_fail(Arena *a, const char **error, const char *fmt, ...) PRINTF(3, 4);

/* dataset_encode.c: example number `row` (of the files; a stream: its first id), as doubles in row-major order, or as the
 * argument wants it. Only images that are read from their files can fail. */
bool input_doubles(Arena *scratch, const Input *in, int64_t row, double *out, const char **error);
bool input_write(Arena *scratch, const Input *in, int64_t row, void *out, const char **error);
void store_doubles(int dtype, const double *v, int64_t n, void *out);
/* Do all values fit the argument? */
bool input_check(Arena *a, const Input *in, const char **error);
/* Means, deviations and most frequent categories of these rows. */
void input_fit(const Input *in, const int64_t *row, int64_t n);

/* dataset_table.c: the columns that the spec names; known: of the training data, or NULL. */
bool table_columns(Arena *a, Input *in, const DataSpec *specs, uint32_t nspecs, const Column *known, uint32_t nknown, const char **error);
int64_t table_width(const Input *in);   /* elements an example */
void table_fit(const Input *in, const int64_t *row, int64_t n);
bool table_check(Arena *a, const Input *in, const char **error);
bool table_keeps(const Input *in, int64_t row);        /* false: missing=drop leaves it out */
void table_doubles(const Input *in, int64_t row, double *out);

/* images.c */
bool images_open(Arena *a, Input *in, const char **error);
bool images_doubles(Arena *scratch, const Input *in, int64_t row, double *out, const char **error);

/* dataset_describe.c: what a description says of one argument. */
typedef struct Described {
    const char *kind;                   /* NULL: nothing */
    uint32_t    ncolumns, nnames, nmeans;
    const Column *column;               /* without values */
    const char *const *names;           /* vocabulary or classes */
    const double *mean, *deviation;     /* nmeans of each */
} Described;
bool describe_read(Arena *a, const char *description, const char *argument, Described *d, const char **error);

/* augment.c */
Augment *augment_parse(Dataset *d, const char *const *text, uint32_t n, const char **error);
/* Write example `row` for every batched input, changed by chance, to to[i]; work[i]: 2 * elements doubles. */
bool augment_example(Arena *scratch, const Dataset *d, uint64_t seed, int64_t epoch, int64_t row, double *const *work, void *const *to,
                     const char **error);

/* Chance: what it is for is part of the stream, so that no two uses share numbers. */
typedef enum Draw { DRAW_ORDER = 1, DRAW_SPLIT, DRAW_PHASE, DRAW_AUGMENT } Draw;
uint64_t draw_bits(Draw what, uint64_t seed, int64_t epoch, uint64_t i);
int64_t  draw_below(Draw what, uint64_t seed, int64_t epoch, uint64_t i, int64_t n);   /* in [0, n) */
double   draw_unit(Draw what, uint64_t seed, int64_t epoch, uint64_t i);               /* in [0, 1) */
/* A permutation of n numbers from 0. */
void     draw_order(Draw what, uint64_t seed, int64_t epoch, int64_t *order, int64_t n);

#endif
