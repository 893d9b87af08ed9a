/* Data sets from every kind of file: what a batch then holds, and what is said of files that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "tests/unit/data_support.h"

static void arrays(void **state)
{
    (void)state;
    Arena a = {0};
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 153, 204, 255};
    static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1};
    test_file(&a, "images.idx", images, sizeof images);
    test_file(&a, "labels.idx", labels, sizeof labels);
    test_file(&a, "short.idx", "\0\0\10\1\0\0\0\2\1\1", 10);
    test_file(&a, "none.idx", "\0\0\10\1\0\0\0\0", 8);
    test_npy(&a, "f64.npy", DLC_F64, 2, (int64_t[]){3, 2}, (double[]){0.1, 1, 2, 3, 4, 8});

    Dataset *d = must_open(&a, (Opening){"images:u8[B,1,2] labels:i32[B]<3", {"images=%/images.idx", "labels=%/labels.idx"}});
    check_text(all_examples(d), "images=0,51;102,153;204,255 labels=2;0;1");
    check_text(all_batches(d, (BatchOptions){.size = 2}), "images=0,51;102,153 labels=2;0 | images=204,255 labels=1");
    assert_true(dataset_count(d) == 3 && dataset_batches(d, 2) == 2 && dataset_batch_size(d) == 0);
    /* 1-dims put in, or all dims in one; scaled; vectors of classes */
    d = must_open(&a, (Opening){"x:f32[B,1,1,2] y:f32[B,3]", {"x=%/images.idx,scale=1/51", "y=%/labels.idx,onehot"}});
    check_text(all_examples(d), "x=0,1;2,3;4,5 y=0,0,1;1,0,0;0,1,0");
    d = must_open(&a, (Opening){"x:f64[B,2] y:i64[B]", {"x=%/images.idx,scale=1/51", "y=%/labels.idx"}});
    check_text(all_examples(d), "x=0,1;2,3;4,5 y=2;0;1");
    d = must_open(&a, (Opening){"x:f32[B,N]", {"x=%/f64.npy,round"}});
    check_text(all_examples(d), "x=0.1,1;2,3;4,8");
    d = must_open(&a, (Opening){"x:f64[B,N]", {"x=%/f64.npy,normalize"}});
    check_text(all_examples(d), "x=-1.21414,-1.01905;-0.0209335,-0.339683;1.23508,1.35873");
    /* Inputs that are no examples: a number, a file. */
    d = must_open(&a, (Opening){"x:f32[B,2] rate:f32 w:f64[3,2]", {"x=%/images.idx", "rate=0.1", "w=%/f64.npy"}});
    check_text(all_batches(d, (BatchOptions){.size = 3}), "x=0,51;102,153;204,255 rate=0.1 w=0.1,1;2,3;4,8");
    /* A batch dim that is a number: only full batches. */
    d = must_open(&a, (Opening){"x:f32[2,2] y:i32[2]", {"x=%/images.idx", "y=%/labels.idx"}});
    assert_true(dataset_batch_size(d) == 2 && dataset_batches(d, 2) == 1);
    check_text(all_batches(d, (BatchOptions){.size = 2}), "x=0,51;102,153 y=2;0");

    const char *f = "x:f32[B,2] y:i32[B]<3";
    must_not_open(&a, (Opening){f, {"x=%/images.idx", "y=%/short.idx"}}, "images.idx) has 3 examples, and y (");
    must_not_open(&a, (Opening){f, {"x=%/images.idx", "y=%/none.idx"}}, "none.idx holds no examples");
    must_not_open(&a, (Opening){f, {"x=%/images.idx"}}, "argument 'y' has no data; give y=FILE[:KEY]");
    must_not_open(&a, (Opening){f, {"x=%/images.idx", "z=%/labels.idx"}}, "step has no input 'z'; it has x, y");
    must_not_open(&a, (Opening){"images:f32[B,2]", {"image=%/images.idx"}}, "step has no input 'image'; did you mean 'images'?");
    must_not_open(&a, (Opening){f, {"x=%/images.idx", "x=%/images.idx"}}, "x: the argument is given twice");
    must_not_open(&a, (Opening){f, {"x=%/images.idx,scael=1", "y=%/labels.idx"}}, "no option 'scael'; did you mean 'scale'?");
    must_not_open(&a, (Opening){f, {"x=%/images.idx,wild", "y=%/labels.idx"}}, "no option 'wild'; there are: scale=1/255, round,");
    must_not_open(&a, (Opening){f, {"x=%/images.idx,chars", "y=%/labels.idx"}}, "text and tokens are integers");
    must_not_open(&a, (Opening){f, {"x=%/images.idx,resize", "y=%/labels.idx"}}, "the option 'resize' does not serve for an array");
    must_not_open(&a, (Opening){f, {"x=%/images.idx", "y=%/labels.idx,scale=2"}}, "y: only floats can be scaled");
    must_not_open(&a, (Opening){f, {"x=%/missing.npy", "y=%/labels.idx"}}, "missing.npy: No such file");
    must_not_open(&a, (Opening){"x:f32[B,2] y:i32[B]<2", {"x=%/images.idx", "y=%/labels.idx"}}, "labels.idx: element 0 is 2, and y takes values from 0 to 1");
    must_not_open(&a, (Opening){"x:f32[B,2] y:f32[B,2]", {"x=%/images.idx", "y=%/labels.idx,onehot"}}, "labels.idx: element 0 is 2, and y takes values from 0 to 1");
    must_not_open(&a, (Opening){"x:f32[B,3]", {"x=%/images.idx"}}, "images.idx is u8[3,1,2], and the argument takes f32[B,3]");
    must_not_open(&a, (Opening){"x:f32[B,2]", {"x=%/f64.npy"}}, "element 0, which is 0.10000000000000001, would change; ',round' rounds");
    must_not_open(&a, (Opening){"x:i32[B,2]", {"x=%/f64.npy"}}, "element 0, which is 0.10000000000000001, would change");
    must_not_open(&a, (Opening){"x:i8[B,2]", {"x=%/images.idx"}}, "element 3, which is 153, would change");
    must_not_open(&a, (Opening){"x:f32[B,2] rate:f32", {"x=%/images.idx", "rate=1,normalize"}}, "rate: it is the same for every batch");
    must_not_open(&a, (Opening){"x:f32[B,2] w:f64[2,2]", {"x=%/images.idx", "w=%/f64.npy"}}, "w: dim 0 of ");
    must_not_open(&a, (Opening){"rate:f32", {"rate=1"}}, "none of its inputs has a batch dim");
    arena_free(&a);
}

/* ---- .npz ------------------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_ZLIB
static void put(Str *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) str_char(s, i < 8 ? (char)(v >> 8 * i) : 0);
}

typedef struct Packed { const char *name; Str data; uint32_t crc, bytes, at; int method; } Packed;

static void pack(Arena *a, Packed *m, const char *name, const char *npy, int method)
{
    char *text;
    size_t n;
    const char *error;
    assert_true(file_read(a, npy, 0, &text, &n, &error));
    *m = (Packed){.name = name, .data = {.arena = a}, .crc = (uint32_t)crc32(0, (Bytef *)text, (uInt)n), .bytes = (uint32_t)n, .method = method};
    if (!method) {
        str_addn(&m->data, text, n);
        return;
    }
    z_stream z = {.next_in = (Bytef *)text, .avail_in = (uInt)n};
    char *out = arena_alloc(a, n + 1000);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)out, z.avail_out = (uInt)n + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    str_addn(&m->data, out, z.total_out);
    deflateEnd(&z);
}

static Str zip(Arena *a, Packed *m, int n)
{
    Str s = {.arena = a};
    for (int i = 0; i < n; i++) {
        m[i].at = (uint32_t)s.n;
        put(&s, 0x04034b50, 4), put(&s, 20, 2), put(&s, 0, 2), put(&s, (uint64_t)m[i].method, 2), put(&s, 0, 4);
        put(&s, m[i].crc, 4), put(&s, m[i].data.n, 4), put(&s, m[i].bytes, 4), put(&s, strlen(m[i].name), 2), put(&s, 0, 2);
        str_add(&s, m[i].name), str_addn(&s, m[i].data.at, m[i].data.n);
    }
    size_t directory = s.n;
    for (int i = 0; i < n; i++) {
        put(&s, 0x02014b50, 4), put(&s, 20, 2), put(&s, 20, 2), put(&s, 0, 2), put(&s, (uint64_t)m[i].method, 2), put(&s, 0, 4);
        put(&s, m[i].crc, 4), put(&s, m[i].data.n, 4), put(&s, m[i].bytes, 4), put(&s, strlen(m[i].name), 2), put(&s, 0, 12), put(&s, m[i].at, 4);
        str_add(&s, m[i].name);
    }
    size_t size = s.n - directory;
    put(&s, 0x06054b50, 4), put(&s, 0, 4), put(&s, (uint64_t)n, 2), put(&s, (uint64_t)n, 2), put(&s, size, 4), put(&s, directory, 4), put(&s, 0, 2);
    return s;
}

static void npz_files(void **state)
{
    (void)state;
    Arena a = {0};
    Packed m[2];
    pack(&a, &m[0], "x.npy", test_npy(&a, "x.npy", DLC_F32, 2, (int64_t[]){3, 2}, NULL), 8);
    pack(&a, &m[1], "labels.npy", test_npy(&a, "y.npy", DLC_I64, 1, (int64_t[]){3}, NULL), 0);
    Str s = zip(&a, m, 2);
    const char *path = test_file(&a, "d.npz", s.at, s.n), *f = "x:f32[B,2] y:i32[B]";
    Dataset *d = must_open(&a, (Opening){f, {"x=%/d.npz:x", "y=%/d.npz:labels"}});
    check_text(all_examples(d), "x=0,1;2,3;4,5 y=0;1;2");
    must_not_open(&a, (Opening){f, {"x=%/d.npz", "y=%/d.npz:labels"}}, "it holds 2 arrays; name one");
    must_not_open(&a, (Opening){f, {"x=%/d.npz:z", "y=%/d.npz:labels"}}, "no array \"z\"; it has x, labels");
    /* Every cut and every changed byte is an error or the same data. */
    for (size_t cut = 0; cut < s.n; cut++) {
        dlc_tensor t;
        const char *error = NULL;
        assert_false(npz_parse(&a, path, s.at, cut, "x", &t, &error));
        assert_non_null(error);
    }
    for (size_t i = 0; i < s.n; i++) {
        dlc_tensor t;
        const char *error = NULL;
        char *copy = arena_copy(&a, s.at, s.n);
        copy[i] = (char)(copy[i] ^ 0x41);
        if (npz_parse(&a, path, copy, s.n, "x", &t, &error)) assert_true(t.dim[0] == 3 && t.dim[1] == 2 && ((float *)t.data)[5] == 5);
        else assert_non_null(error);
    }
    arena_free(&a);
}
#endif

/* ---- csv ---------------------------------------------------------------------------------------------------------------------------- */

static const char flowers[] = "length,width,species,kind\n1,10,setosa,a\n2,20,\"vir,ginica\",b\r\n3,30,setosa,a\n\n6,40,\"say \"\"hi\"\"\",c\n";

static void tables(void **state)
{
    (void)state;
    Arena a = {0};
    uint32_t n;
    double mean, deviation;
    test_text(&a, "f.csv", flowers);
    const char *f = "x:f32[B,2] y:i32[B]<3";
    Dataset *d = must_open(&a, (Opening){f, {"x=%/f.csv:length+width", "y=%/f.csv:species"}});
    check_text(all_examples(d), "x=1,10;2,20;3,30;6,40 y=1;2;1;0");
    const char *const *classes = dataset_classes(d, "y", &n);
    assert_true(n == 3 && !strcmp(classes[0], "say \"hi\"") && !strcmp(classes[2], "vir,ginica"));
    assert_null(dataset_classes(d, "x", &n));
    /* Text to a float input: a one for its category. A pattern leaves out what others name. */
    d = must_open(&a, (Opening){"x:f32[B,5] y:i32[B]", {"x=%/f.csv", "y=%/f.csv:species"}});
    check_text(all_examples(d), "x=1,10,1,0,0;2,20,0,1,0;3,30,1,0,0;6,40,0,0,1 y=1;2;1;0");
    d = must_open(&a, (Opening){"x:f32[B,N] y:i32[B]", {"x=%/f.csv:*th", "y=%/f.csv:species"}});
    check_text(all_examples(d), "x=1,10;2,20;3,30;6,40 y=1;2;1;0");
    d = must_open(&a, (Opening){.function = "y:i32[B] x:f32[B,5]", .csv = "%/f.csv,normalize", .target = "species"});
    check_text(all_examples(d), "y=1;2;1;0 x=-1.06904,-1.34164,1,0,0;-0.534522,-0.447214,0,1,0;0,0.447214,1,0,0;1.60357,1.34164,0,0,1");
    /* Shapes: one number, a list as an image. */
    d = must_open(&a, (Opening){"x:f64[B,1,2] y:f32[B]", {"x=%/f.csv:width+length", "y=%/f.csv:width,normalize"}});
    check_text(all_examples(d), "x=10,1;20,2;30,3;40,6 y=-1.34164;-0.447214;0.447214;1.34164");
    assert_true(dataset_scale(d, "y", &mean, &deviation) && mean == 25 && deviation > 11.18 && deviation < 11.181);
    assert_false(dataset_scale(d, "x", &mean, &deviation));
    d = must_open(&a, (Opening){"y:i32[B]", {"y=%/f.csv:width,categorical"}});
    check_text(all_examples(d), "y=0;1;2;3");
    /* Other separators, no header, a byte order mark, spaces. */
    test_text(&a, "g.csv", "\xef\xbb\xbf\"a;b\" ; c\n 1 ; -2.5e1\n3;.5");
    d = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/g.csv"}});
    check_text(all_examples(d), "x=1,-25;3,0.5");
    test_text(&a, "h.tsv", "1\t2\t3\n4\t5\t6\n");
    d = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/h.tsv:3+1,header=none"}});
    check_text(all_examples(d), "x=3,1;6,4");
    test_text(&a, "plain.txt", "a b;c\n1;2\n");
    d = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/plain.txt,sep=semicolon"}});
    check_text(all_examples(d), "x=1,2");

    must_not_open(&a, (Opening){"x:f32[B,4] y:i32[B]", {"x=%/f.csv:length+width", "y=%/f.csv:species"}}, "takes f32[B,4], and ");
    must_not_open(&a, (Opening){"x:f32[B,4] y:i32[B]", {"x=%/f.csv", "y=%/f.csv:species"}}, "gives 5 elements an example: length, width, kind (3 categories)");
    must_not_open(&a, (Opening){f, {"x=%/f.csv:length+widht", "y=%/f.csv:species"}}, "has no column 'widht'; did you mean 'width'?");
    must_not_open(&a, (Opening){f, {"x=%/f.csv:length+qqqqqqqq", "y=%/f.csv:species"}}, "no column 'qqqqqqqq'; there are: length, width, species, kind");
    must_not_open(&a, (Opening){f, {"x=%/f.csv:length+length", "y=%/f.csv:species"}}, "the column 'length' is named twice");
    must_not_open(&a, (Opening){"y:i32[B]<2", {"y=%/f.csv:species"}}, "'species' of ");
    must_not_open(&a, (Opening){"y:i32[B]<40", {"y=%/f.csv:width"}}, "f.csv:6: 'width' is 40, and y takes whole numbers from 0 to 39");
    must_not_open(&a, (Opening){"y:i32[B]", {"y=%/f.csv:width,normalize"}}, "only floats can be normalised");
    must_not_open(&a, (Opening){f, {"x=%/f.csv:length+width,normalise", "y=%/f.csv:species"}}, "no option 'normalise'; did you mean 'normalize'?");
    must_not_open(&a, (Opening){.function = f, .target = "species", .spec = {"x=%/f.csv", "y=%/f.csv:species"}}, "it names a column of the file given as --csv");
    must_not_open(&a, (Opening){.function = "y:i32[B]", .csv = "%/f.csv"}, "has no float input [B,N] for the columns");
    must_not_open(&a, (Opening){.function = "x:f32[B,N]", .csv = "%/f.csv", .target = "kind"}, "step has no second input for it");
    static const struct { const char *text, *says; } broken[] = {
        {"", "the file is empty"}, {"\n\n", "the file is empty"}, {"a,b\n", "no rows below the header"}, {"a,b\n1,2\n1\n", ":3: 1 cells, where the header has 2"},
        {"a,b\n1,2\n\"1\n2\",3\n1,2,3\n", ":5: 3 cells, where the header has 2"}, {"a,a\n1,2\n", ":1: two columns are named 'a'"},
        {"a,b\n1,\"2\n", ":2: a quote that opens here is never closed"}, {"a,b\n1,\"2\"3\n", ":2: text behind a closing quote"},
        {"a,b\n1,2\nx,3\n4,5\n", ":3: the column 'a' holds text here and numbers in 2 other rows"}, {"a,b\n,1\nNA,2\n", "has no values in its column 'a'"},
        {"a,b\n1,2\n1e999,2\n0x10,3\n2,3\n5,5\n", ":3: the column 'a' holds text here"},
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        test_text(&a, "broken.csv", broken[i].text);
        must_not_open(&a, (Opening){"x:f64[B,2]", {"x=%/broken.csv"}}, broken[i].says);
    }
    test_file(&a, "zero.csv", "a\n1\0\n", 5);
    must_not_open(&a, (Opening){"x:f64[B,1]", {"x=%/zero.csv"}}, "zero bytes");
    arena_free(&a);
}

static void missing_values(void **state)
{
    (void)state;
    Arena a = {0};
    test_text(&a, "m.csv", "n,c,y\n1,a,p\n,b,q\n3,?,p\n5,b,\n");
    const char *f = "x:f64[B,3] y:i32[B]";
    Dataset *d = must_open(&a, (Opening){"x:f64[B,3]", {"x=%/m.csv:n+c"}});
    check_text(all_examples(d), "x=1,1,0;3,0,1;3,0,1;5,0,1");
    d = must_open(&a, (Opening){"x:f64[B,4]", {"x=%/m.csv:n+c,missing=category,normalize"}});
    check_text(all_examples(d), "x=-1.22474,1,0,0;0,0,1,0;0,0,0,1;1.22474,0,1,0");
    d = must_open(&a, (Opening){f, {"x=%/m.csv,missing=drop", "y=%/m.csv:y,missing=drop"}});
    check_text(all_examples(d), "x=1,1,0 y=0");
    d = must_open(&a, (Opening){.function = "x:f64[B,3] y:i32[B]", .csv = "%/m.csv", .target = "y,missing=drop"});
    check_text(all_examples(d), "x=1,1,0;2,0,1;3,1,0 y=0;1;0");
    d = must_open(&a, (Opening){.function = "x:f64[B,3] y:i32[B]", .csv = "%/m.csv,missing=drop", .target = "y"});
    check_text(all_examples(d), "x=1,1,0 y=0");
    must_not_open(&a, (Opening){"x:f64[B,3]", {"x=%/m.csv:n+c,missing=error"}}, "m.csv:3: the value of 'n' is missing; ',missing=drop' leaves such rows out");
    must_not_open(&a, (Opening){f, {"x=%/m.csv", "y=%/m.csv:y"}}, "m.csv:5: the value of 'y' is missing");
    must_not_open(&a, (Opening){f, {"x=%/m.csv", "y=%/m.csv:y,missing=later"}}, "'missing=later' is not missing=fill|category|drop|error");
    must_not_open(&a, (Opening){.function = "x:f64[B,3] y:f64[B]", .csv = "%/m.csv", .target = "y"}, "m.csv:5: the value of 'y' is missing");
    test_text(&a, "all.csv", "a,b\n1,\n,2\n");
    must_not_open(&a, (Opening){"x:f64[B,2]", {"x=%/all.csv,missing=drop"}}, "every row misses a value");
    arena_free(&a);
}

/* ---- text and tokens -------------------------------------------------------------------------------------------------------------------- */

static void text(void **state)
{
    (void)state;
    Arena a = {0};
    test_text(&a, "t.txt", "ab\xc3\xa9" "baab");
    const char *f = "ids:i32[B,2] targets:i32[B,2]";
    Dataset *d = must_open(&a, (Opening){f, {"ids=%/t.txt,chars", "targets=@ids,shift=1"}});
    check_text(all_examples(d), "ids=0,1;2,1;0,0 targets=1,2;1,0;0,1");
    check_text(dataset_describe(d), "{\"arguments\":{\"ids\":{\"kind\":\"chars\",\"vocabulary\":[\"a\",\"b\",\"\xc3\xa9\"]},"
                                    "\"targets\":{\"kind\":\"chars\",\"vocabulary\":[\"a\",\"b\",\"\xc3\xa9\"]}}}");
    d = must_open(&a, (Opening){f, {"ids=%/t.txt,bytes,stride=1", "targets=@ids,shift=2"}});
    check_text(all_examples(d), "ids=97,98;98,195;195,169;169,98;98,97 targets=195,169;169,98;98,97;97,97;97,98");
    d = must_open(&a, (Opening){f, {"ids=%/t.txt,tokens=u16", "targets=%/t.txt,tokens=u16,shift=1"}});
    check_text(all_examples(d), "ids=25185,43459 targets=43459,24930");
    test_npy(&a, "ids.npy", DLC_I32, 1, (int64_t[]){6}, NULL);
    d = must_open(&a, (Opening){"ids:i64[B,3]", {"ids=%/ids.npy,tokens"}});
    check_text(all_examples(d), "ids=0,1,2;3,4,5");
    /* Another text in the same vocabulary. */
    const char *description = "{\"more\":[1],\"arguments\":{\"other\":{\"a\":{}},\"ids\":{\"kind\":\"chars\",\"vocabulary\":[\"a\",\"b\",\"z\"]}}}";
    test_text(&a, "v.txt", "azzb\n");
    test_text(&a, "w.txt", "azzb");
    d = must_open(&a, (Opening){"ids:i32[B,4]", {"ids=%/w.txt,chars"}, .description = description});
    check_text(all_examples(d), "ids=0,2,2,1");
    must_not_open(&a, (Opening){"ids:i32[B,4]", {"ids=%/v.txt,chars"}, .description = description}, "v.txt:1:5: the character '\n' is not in the vocabulary");

    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars"}}, "argument 'targets' has no data; for the next ids of ids, give targets=@ids,shift=1");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt", "targets=@ids"}}, "say how ");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars", "targets=@idz"}}, "no such argument has data");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars", "targets=@ids,bytes"}}, "only shift and scale can be its own");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars,bytes", "targets=@ids"}}, "one of chars, bytes and tokens");
    must_not_open(&a, (Opening){"ids:i32[B,T]", {"ids=%/t.txt,chars"}}, "how many ids make an example? give --dim T=N");
    must_not_open(&a, (Opening){"ids:i32[B,4]<2", {"ids=%/t.txt,chars"}}, "t.txt has 3 different characters, and ids takes values from 0 to 1");
    must_not_open(&a, (Opening){"ids:i32[B,4]<195", {"ids=%/t.txt,bytes"}}, "t.txt: number 2 (from 0) is 195, and ids takes values from 0 to 194");
    must_not_open(&a, (Opening){"ids:i32[B,40]", {"ids=%/t.txt,chars"}}, "it has 7 ids, and a window takes 40");
    must_not_open(&a, (Opening){"ids:f32[B,4]", {"ids=%/t.txt,chars"}}, "text and tokens are integers, and it is f32");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars", "targets=%/w.txt,chars"}}, "has 7 ids, and targets (");
    must_not_open(&a, (Opening){f, {"ids=%/t.txt,chars", "targets=%/ids.npy"}}, "ids.npy is i32[6], and the argument takes i32[B,2]");
    must_not_open(&a, (Opening){"ids:i32[B,2]", {"ids=%/t.txt,tokens=f32"}}, "'tokens=f32' is not tokens=u8|u16|i32|i64");
    test_text(&a, "bad.txt", "ok\nno\xff");
    must_not_open(&a, (Opening){"ids:i32[B,2]", {"ids=%/bad.txt,chars"}}, "bad.txt:2:3: not UTF-8 text; ',bytes' reads it byte by byte");
    must_not_open(&a, (Opening){"ids:i32[B,2]", {"ids=%/v.txt,tokens=u16"}}, "v.txt: 5 bytes are not whole tokens of 2 bytes");
    must_not_open(&a, (Opening){"ids:i32[B,1]", {"ids=%/neg.bin,tokens=i32"}}, "neg.bin");
    test_file(&a, "neg.bin", "\1\0\0\0\xff\xff\xff\xff", 8);
    must_not_open(&a, (Opening){"ids:i32[B,1]", {"ids=%/neg.bin,tokens=i32"}}, "neg.bin: token 1 is -1");
    test_text(&a, "empty.txt", "");
    must_not_open(&a, (Opening){"ids:i32[B,1]", {"ids=%/empty.txt,chars"}}, "the file is empty");
    arena_free(&a);
}

/* ---- descriptions ------------------------------------------------------------------------------------------------------------------------- */

static void descriptions(void **state)
{
    (void)state;
    Arena a = {0};
    test_text(&a, "f.csv", flowers);
    test_text(&a, "g.csv", "length,width,species,kind\n4,5,setosa,c\n,5,\"vir,ginica\",b\n");
    test_text(&a, "h.csv", "length,width,species,kind\n4,5,rose,c\n");
    test_npy(&a, "x.npy", DLC_F64, 2, (int64_t[]){2, 2}, (double[]){0, 1, 4, 5});
    test_npy(&a, "y.npy", DLC_F64, 2, (int64_t[]){1, 2}, (double[]){6, 3});
    const char *f = "x:f64[B,5] y:i32[B]";
    const Opening other = {.function = f, .csv = "%/g.csv,normalize", .target = "species"};
    Opening described = other, third = {.function = f, .csv = "%/h.csv", .target = "species"};
    Dataset *d = must_open(&a, (Opening){.function = f, .csv = "%/f.csv,normalize", .target = "species"});
    described.description = third.description = dataset_describe(d);
    Dataset *v = must_open(&a, described);
    check_text(all_examples(v), "x=0.534522,-1.78885,0,0,1;0,-1.78885,0,1,0 y=1;2");
    check_text(dataset_describe(v), dataset_describe(d));
    assert_non_null(strstr(dataset_summary(d), "f.csv, 3 columns; y: "));
    must_not_open(&a, third, "h.csv:2: 'rose' in column 'species' is not in the training data, which has say \"hi\", setosa, vir,ginica");
    must_not_open(&a, (Opening){f, {"x=%/g.csv:length+width", "y=%/g.csv:species"}, .description = described.description}, "2 columns, where the training data had 3");
    must_not_open(&a, (Opening){f, {"x=%/g.csv:width+length+kind", "y=%/g.csv:species"}, .description = described.description}, "'width' stands where the training data had 'length'");
    must_not_open(&a, (Opening){f, {"x=%/x.npy", "y=%/g.csv:species"}, .description = described.description}, "");

    Dataset *n = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/x.npy,normalize"}});
    check_text(dataset_describe(n), "{\"arguments\":{\"x\":{\"kind\":\"array\",\"normalize\":true,\"mean\":[2.0,3.0],\"deviation\":[2.0,2.0]}}}");
    v = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/y.npy,normalize"}, .description = dataset_describe(n)});
    check_text(all_examples(v), "x=2,0");
    v = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/y.npy"}, .description = dataset_describe(n)});
    check_text(all_examples(v), "x=2,0");
    n = must_open(&a, (Opening){"x:f64[B,2]", {"x=%/x.npy"}});
    must_not_open(&a, (Opening){"x:f64[B,2]", {"x=%/y.npy,normalize"}, .description = dataset_describe(n)}, "the training data was not normalised");
    /* Missing values have their category where they had it in the training data. */
    test_text(&a, "u.csv", "c\na\n?\nb\n");
    n = must_open(&a, (Opening){"x:f64[B,3]", {"x=%/u.csv,missing=category"}});
    check_text(all_examples(n), "x=1,0,0;0,0,1;0,1,0");
    v = must_open(&a, (Opening){"x:f64[B,3]", {"x=%/u.csv"}, .description = dataset_describe(n)});
    check_text(all_examples(v), "x=1,0,0;0,0,1;0,1,0");
    /* Every cut of a description is refused. */
    for (size_t i = 0; i < strlen(described.description); i++) {
        Opening cut = other;
        cut.description = arena_strndup(&a, described.description, i);
        must_not_open(&a, cut, "the description of the training data is broken");
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrays, make_test_folder, remove_test_folder),
#ifdef HAVE_ZLIB
        cmocka_unit_test_setup_teardown(npz_files, make_test_folder, remove_test_folder),
#endif
        cmocka_unit_test_setup_teardown(tables, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(missing_values, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(text, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(descriptions, make_test_folder, remove_test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
