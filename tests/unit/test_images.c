/* Folders of PNG and JPEG images, and augmentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_PNG
#include <png.h>
#endif
#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif

#include "tests/unit/data_support.h"

/* ---- files of images -------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_PNG
static void png(Arena *a, const char *name, int format, uint32_t height, uint32_t width, const void *pixels)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .height = height, .width = width, .format = (uint32_t)format};
    if (!png_image_write_to_file(&image, test_path(a, name), 0, pixels, 0, NULL)) fail_msg("%s", image.message);
}

/* 2x2: red, green, blue, white */
static const uint8_t colours[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
static const uint8_t greys[4] = {0, 10, 20, 30};

static void folders(void **state)
{
    (void)state;
    Arena a = {0};
    const uint8_t clear[16] = {1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
    uint32_t n;
    test_subfolder(&a, "d"), test_subfolder(&a, "d/dog"), test_subfolder(&a, "d/cat"), test_subfolder(&a, "d/.hidden");
    png(&a, "d/dog/b.png", PNG_FORMAT_RGB, 2, 2, colours);
    png(&a, "d/dog/A.PNG", PNG_FORMAT_GRAY, 2, 2, greys);
    png(&a, "d/cat/x.png", PNG_FORMAT_RGBA, 2, 2, clear);
    test_text(&a, "d/cat/notes.txt", "not an image");
    Dataset *d = must_open(&a, (Opening){"x:u8[B,3,2,2] y:i32[B]<2", {"x=%/d/", "y=%/d/"}});
    check_text(all_examples(d), "x=1,4,8,12,2,5,9,13,3,6,10,14;0,10,20,30,0,10,20,30,0,10,20,30;255,0,0,255,0,255,0,255,0,0,255,255 y=0;1;1");
    const char *const *classes = dataset_classes(d, "y", &n);
    assert_true(n == 2 && !strcmp(classes[0], "cat") && !strcmp(classes[1], "dog"));
    d = must_open(&a, (Opening){"x:f32[B,H,W] y:f32[B,2]", {"x=%/d,scale=1/10", "y=%/d"}});
    check_text(all_examples(d), "x=0.2,0.5,0.9,1.3;0,1,2,3;7.6,15,2.9,25.5 y=1,0;0,1;0,1");
    d = must_open(&a, (Opening){"x:u8[B,1,1,1]", {"x=%/d,resize=1x1"}});
    check_text(all_examples(d), "x=7;15;128");
    d = must_open(&a, (Opening){"x:u8[B,1,1,2]", {"x=%/d,crop=1x2"}});
    check_text(all_examples(d), "x=2,5;0,10;76,150");
    d = must_open(&a, (Opening){"x:u8[B,1,2]", {"x=%/d,resize"}});
    assert_true(dataset_count(d) == 3);
    /* The classes of the training data. */
    test_subfolder(&a, "v"), test_subfolder(&a, "v/dog");
    png(&a, "v/dog/1.png", PNG_FORMAT_GRAY, 2, 2, greys);
    const char *said = "{\"arguments\":{\"y\":{\"kind\":\"classes\",\"classes\":[\"cat\",\"dog\"]}}}";
    d = must_open(&a, (Opening){"x:u8[B,2,2] y:i32[B]", {"x=%/v", "y=%/v"}, .description = said});
    d = must_open(&a, (Opening){"y:i32[B] x:u8[B,2,2]", {"x=%/v", "y=%/v"}, .description = said});
    check_text(all_examples(d), "y=1 x=0,10,20,30");
    test_subfolder(&a, "v/emu");
    png(&a, "v/emu/1.png", PNG_FORMAT_GRAY, 2, 2, greys);
    must_not_open(&a, (Opening){"y:i32[B] x:u8[B,2,2]", {"x=%/v", "y=%/v"}, .description = said}, "v/emu: the training data had no class 'emu'");

    const char *f = "x:u8[B,2,2] y:i32[B]";
    must_not_open(&a, (Opening){"x:u8[B,2,2] y:i32[B]<1", {"x=%/d", "y=%/d"}}, "d has 2 classes, and y takes 1");
    must_not_open(&a, (Opening){"x:u8[B,4,2,2]", {"x=%/d"}}, "images have 1 or 3 channels ([B,C,H,W]), and it takes 4");
    must_not_open(&a, (Opening){"x:u8[B,3,2]", {"x=%/d"}}, "cat/x.png is 2x2, where x takes 3x2; ',resize=3x2' makes all images equal");
    must_not_open(&a, (Opening){"x:u8[B,3,2,2,1]", {"x=%/d"}}, "images are [B,H,W] or [B,C,H,W], and it has 5 dims");
    must_not_open(&a, (Opening){"x:u8[B,H,W]", {"x=%/d,resize"}}, "its size is not fixed: say ',resize=HEIGHTxWIDTH'");
    must_not_open(&a, (Opening){"x:u8[B,H,W]", {"x=%/d,resize=0x3"}}, "is not resize=HxW");
    must_not_open(&a, (Opening){"x:u8[B,H,W]", {"x=%/d,crop=3x3"}}, "cat/x.png: the image is 2x2, too small to crop 3x3");
    must_not_open(&a, (Opening){f, {"x=%/d,chars", "y=%/d"}}, "d: Is a directory");
    png(&a, "d/dog/c.png", PNG_FORMAT_GRAY, 1, 3, greys);
    must_not_open(&a, (Opening){"x:u8[B,H,W] y:i32[B]", {"x=%/d", "y=%/d"}}, "dog/c.png is 1x3, where x takes 2x2");
    test_subfolder(&a, "d/eel");
    must_not_open(&a, (Opening){f, {"x=%/d", "y=%/d"}}, "d/eel: no PNG or JPEG images in this class");
    test_text(&a, "d/loose.jpg", "");
    must_not_open(&a, (Opening){f, {"x=%/d", "y=%/d"}}, "it holds images (loose.jpg) beside folders of classes (cat)");
    test_subfolder(&a, "e");
    must_not_open(&a, (Opening){f, {"x=%/e", "y=%/e"}}, "e: no PNG or JPEG images in this folder");
    png(&a, "e/1.png", PNG_FORMAT_GRAY, 2, 2, greys);
    must_not_open(&a, (Opening){f, {"x=%/e", "y=%/e"}}, "e holds images and no folders of classes");
    must_not_open(&a, (Opening){"x:u8[B,2,2] y:i64[B,2]", {"x=%/v", "y=%/v"}},
                  "the classes of a folder are integers [B], or floats [B,CLASSES], and the argument takes i64[B,2]");
    test_text(&a, "e/2.png", "not really");
    must_not_open(&a, (Opening){"x:u8[B,2,2]", {"x=%/e"}}, "e/2.png: neither a PNG nor a JPEG image");
    arena_free(&a);
}

/* Cut anywhere, or with any byte changed, a file is an error or an image; never a crash. */
static void broken_png(void **state)
{
    (void)state;
    Arena a = {0};
    char *text;
    size_t n;
    const char *error = NULL;
    Image image;
    png(&a, "x.png", PNG_FORMAT_RGB, 2, 2, colours);
    assert_true(file_read(&a, test_path(&a, "x.png"), 0, &text, &n, &error));
    assert_true(image_parse(&a, "x.png", text, n, &image, &error));
    assert_memory_equal(image.rgb, colours, 12);
    for (size_t i = 0; i + 12 < n; i++) {               /* the IEND chunk may be missing */
        char *cut = arena_copy(&a, text, i);
        error = NULL;
        assert_false(image_parse(&a, "x.png", cut, i, &image, &error));
        assert_non_null(error);
    }
    for (size_t i = 0; i < n; i++) {
        char *other = arena_copy(&a, text, n);
        other[i] = (char)(other[i] ^ 0x55);
        if (!image_parse(&a, "x.png", other, n, &image, &error)) assert_non_null(error);
    }
    /* A header that claims more than the file could hold. */
    memcpy(text + 16, "\0\0\x27\x10\0\0\x27\x10", 8);
    uint32_t crc = 0xffffffff;
    for (size_t i = 12; i < 29; i++)
        for (int bit = (crc ^= (unsigned char)text[i], 0); bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    for (int i = 0; i < 4; i++) text[29 + i] = (char)(~crc >> (24 - 8 * i));
    assert_false(image_parse(&a, "x.png", text, n, &image, &error));
    assert_non_null(strstr(error, "images of 10000x10000 pixels in"));
    arena_free(&a);
}
#endif

#ifdef HAVE_JPEG
static void jpeg_files(void **state)
{
    (void)state;
    Arena a = {0};
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr errors;
    unsigned char *text = NULL;
    unsigned long n = 0;
    Image image;
    const char *error = NULL;
    for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        j.err = jpeg_std_error(&errors);
        jpeg_create_compress(&j);
        text = NULL, n = 0;
        jpeg_mem_dest(&j, &text, &n);
        j.image_width = 16, j.image_height = 8, j.input_components = channels;
        j.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
        jpeg_set_defaults(&j);
        jpeg_start_compress(&j, TRUE);
        JSAMPLE line[64];
        JSAMPROW row = line;
        for (int i = 0; i < 64; i++) line[i] = (JSAMPLE)(60 + 40 * (i % channels));
        for (int y = 0; y < 8; y++) jpeg_write_scanlines(&j, &row, 1);
        jpeg_finish_compress(&j);
        jpeg_destroy_compress(&j);
        bool ok = image_parse(&a, "x.jpg", (char *)text, n, &image, &error);
        if (channels == 4) {
            assert_false(ok);
            assert_non_null(strstr(error, "CMYK"));
        } else {
            assert_true(ok && image.height == 8 && image.width == 16);
            for (int i = 0; i < 8 * 16 * 3; i++) assert_true(abs(image.rgb[i] - (60 + 40 * (i % 3 % channels))) <= 3);
            for (size_t cut = 0; cut + 2 < n; cut++) {
                char *part = arena_copy(&a, text, cut);
                error = NULL;
                assert_false(image_parse(&a, "x.jpg", part, cut, &image, &error));
                assert_non_null(error);
            }
        }
        free(text);
    }
    arena_free(&a);
}
#endif

static void resizing(void **state)
{
    (void)state;
    Arena a = {0};
    uint8_t pixels[4 * 3];
    for (int i = 0; i < 12; i++) pixels[i] = (uint8_t)(40 * (i / 3));
    Image line = {1, 4, pixels}, to;
    assert_true(image_resize(&a, &line, 1, 2, &to));    /* 3/7 3/7 1/7: what hangs over is left out */
    const uint8_t half[2] = {29, 91};
    assert_true(to.rgb[0] == half[0] && to.rgb[5] == half[1]);
    assert_true(image_resize(&a, &line, 1, 8, &to));    /* a quarter of the way between neighbours */
    const uint8_t twice[8] = {0, 10, 30, 50, 70, 90, 110, 120};
    for (int i = 0; i < 8; i++) assert_int_equal(to.rgb[3 * i + 1], twice[i]);
    assert_true(image_resize(&a, &line, 3, 4, &to));
    for (int i = 0; i < 36; i++) assert_int_equal(to.rgb[i], pixels[i % 12]);
    assert_false(image_crop(&a, &line, 2, 2, &to));
    assert_true(image_crop(&a, &line, 1, 2, &to));
    assert_memory_equal(to.rgb, pixels + 3, 6);
    arena_free(&a);
}

/* ---- augmentation ------------------------------------------------------------------------------------------------------------------ */

/* Example 0 of an epoch, as doubles: n of them. */
static void augmented(Dataset *d, uint64_t seed, int64_t epoch, double *x, int64_t n)
{
    const char *error = NULL;
    Batch batch;
    Batches *b = batches_open(d, &(BatchOptions){.size = 1, .seed = seed, .epoch = epoch, .augment = true}, &error);
    if (!b || !batches_next(b, &batch, &error)) fail_msg("%s", error);
    assert_true(batch.in[0].dtype == DLC_F64);
    memcpy(x, batch.data[0], (size_t)n * sizeof *x);
    batches_close(b);
}

static Dataset *image_set(Arena *a, const char *rule)
{
    test_npy(a, "i.npy", DLC_F64, 3, (int64_t[]){4, 3, 5}, NULL);
    return must_open(a, (Opening){"x:f64[B,3,5]", {"x=%/i.npy,scale=1"}, .augment = {rule}});
}

static void geometry(void **state)
{
    (void)state;
    Arena a = {0};
    double x[15];
    int flipped = 0, moves[25] = {0}, cuts[15] = {0};
    Dataset *flips = image_set(&a, "flip"), *crops = image_set(&a, "crop=2"), *cut = image_set(&a, "cutout=1"), *turns = image_set(&a, "rotate=180");
    for (int e = 0; e < 200; e++) {
        augmented(flips, 1, e, x, 15);
        bool turned = x[0] == 4;
        for (int i = 0; i < 15; i++) assert_true(x[i] == (turned ? i / 5 * 5 + 4 - i % 5 : i));
        flipped += turned;

        /* The pixel in the middle (7, at row 1, column 2) tells the move, unless it left the image. */
        augmented(crops, 1, e, x, 15);
        for (int down = -2; down <= 2; down++)
            for (int across = -2; across <= 2; across++) {
                bool alike = true;
                for (int i = 0; i < 15; i++) {
                    int r = i / 5 + down, c = i % 5 + across;
                    alike &= x[i] == (r < 0 || c < 0 || r > 2 || c > 4 ? 0 : r * 5 + c);
                }
                moves[(down + 2) * 5 + across + 2] += alike;
            }

        augmented(cut, 1, e, x, 15);
        int zeros = 0;
        for (int i = 0; i < 15; i++) {
            assert_true(x[i] == i || x[i] == 0);
            if (x[i] == 0 && i) cuts[i]++, zeros++;
        }
        assert_true(zeros <= 1);

        augmented(turns, 1, e, x, 15);
        assert_true(fabs(x[7] - 7) < 1e-9);             /* the middle stays */
        for (int i = 0; i < 15; i++) assert_true(x[i] >= 0 && x[i] <= 14);
    }
    int kinds = 0, places = 0;
    for (int i = 0; i < 25; i++) kinds += moves[i] > 0;
    for (int i = 1; i < 15; i++) places += cuts[i] > 0;
    assert_true(flipped > 70 && flipped < 130 && kinds == 25 && places == 14);
    arena_free(&a);
}

static void same_whatever_the_batch(void **state)
{
    (void)state;
    Arena a = {0};
    Dataset *d = image_set(&a, "flip,crop=1,rotate=30,cutout=2");
    BatchOptions o = {.size = 4, .seed = 5, .epoch = 1, .augment = true};
    const char *whole = all_batches(d, o);
    o.prefetch = true;
    check_text(all_batches(d, o), whole);
    o.size = 1;
    Str joined = {.arena = &a};
    const char *single = all_batches(d, o);
    for (const char *p = single; *p; p++) {             /* " | x=" becomes ";" */
        if (!strncmp(p, " | x=", 5)) str_char(&joined, ';'), p += 4;
        else str_char(&joined, *p);
    }
    check_text(joined.at, whole);
    o.augment = false, o.size = 4;
    assert_string_not_equal(all_batches(d, o), whole);
    o.augment = true, o.epoch = 2;
    assert_string_not_equal(all_batches(d, o), whole);
    const char *error = NULL;
    Dataset *part = dataset_split(d, 0.5, 1, &error);
    o.size = 2;
    const char *plain = all_examples(part);
    check_text(all_batches(part, o), plain);            /* validation sees the images as they are */
    arena_free(&a);
}

/* A picture and its mask move together; what is no image stays. */
static void several_arguments(void **state)
{
    (void)state;
    Arena a = {0};
    test_npy(&a, "m.npy", DLC_U8, 3, (int64_t[]){6, 4, 4}, NULL);
    test_npy(&a, "id.npy", DLC_I64, 1, (int64_t[]){6}, (int64_t[]){INT64_MAX, 1, 2, 3, 4, 5});
    const char *f = "x:f32[B,1,4,4] mask:u8[B,4,4] id:i64[B]", *error = NULL;
    Dataset *d = must_open(&a, (Opening){f, {"x=%/m.npy", "mask=%/m.npy", "id=%/id.npy"}, .augment = {"flip,crop=1"}});
    Batch batch;
    Batches *b = batches_open(d, &(BatchOptions){.size = 6, .augment = true}, &error);
    assert_true(b && batches_next(b, &batch, &error));
    for (int i = 0; i < 6 * 16; i++) assert_true(((const float *)batch.data[0])[i] == ((const uint8_t *)batch.data[1])[i]);
    assert_true(((const int64_t *)batch.data[2])[0] == INT64_MAX);
    batches_close(b);
    d = must_open(&a, (Opening){f, {"x=%/m.npy", "mask=%/m.npy", "id=%/id.npy"}, .augment = {"x:cutout=4"}});
    b = batches_open(d, &(BatchOptions){.size = 6, .augment = true}, &error);
    assert_true(b && batches_next(b, &batch, &error));
    float sum = 0;
    for (int i = 0; i < 6 * 16; i++) {
        sum += ((const float *)batch.data[0])[i];
        assert_true(((const uint8_t *)batch.data[1])[i] == i);
    }
    assert_true(sum < 96 * 95 / 2);
    batches_close(b);

    static const struct { const char *rule, *says; } wrong[] = {
        {"flipp", "no 'flipp'; did you mean 'flip'?"}, {"zzz", "no 'zzz'; there are flip, crop=PIXELS"}, {"crop", "'crop' is not flip, crop=PIXELS"},
        {"crop=0", "'crop=0' is not flip"}, {"rotate=400", "'rotate=400' is not flip"}, {"flip=1", "'flip=1' is not flip"}, {"", "no ''"},
        {"id:flip", "--augment id:flip: the argument takes no images"}, {"y:flip", "no argument 'y'"},
        {"mixup=0.2", "mixup mixes targets too, and 'id' is of integers; a float target takes them as vectors: id=FILE,onehot"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        must_not_open(&a, (Opening){f, {"x=%/m.npy", "mask=%/m.npy", "id=%/id.npy"}, .augment = {wrong[i].rule}}, wrong[i].says);
    must_not_open(&a, (Opening){"id:i64[B]", {"id=%/id.npy"}, .augment = {"flip"}}, "no argument takes images, which are [B,H,W] or [B,C,H,W]");
    arena_free(&a);
}

static void mixing(void **state)
{
    (void)state;
    Arena a = {0};
    const char *error = NULL;
    test_npy(&a, "x.npy", DLC_F32, 2, (int64_t[]){8, 1}, NULL);
    test_npy(&a, "y.npy", DLC_I64, 1, (int64_t[]){8}, NULL);
    Dataset *d = must_open(&a, (Opening){"x:f64[B,1] y:f64[B,8]", {"x=%/x.npy", "y=%/y.npy,onehot"}, .augment = {"mixup=0.5"}});
    double shares = 0;
    int mixed = 0, total = 0;
    for (int e = 0; e < 100; e++) {
        Batch batch;
        Batches *b = batches_open(d, &(BatchOptions){.size = 8, .epoch = e, .augment = true}, &error);
        assert_true(b && batches_next(b, &batch, &error));
        const double *x = batch.data[0], *y = batch.data[1];
        for (int i = 0; i < 8; i++, total++) {
            double sum = 0, value = 0;
            for (int k = 0; k < 8; k++) sum += y[8 * i + k], value += k * y[8 * i + k];
            assert_true(fabs(sum - 1) < 1e-12 && fabs(value - x[i]) < 1e-12 && y[8 * i + i] >= 0.5);
            mixed += y[8 * i + i] < 1;
            shares += y[8 * i + i];
        }
        batches_close(b);
    }
    /* max(s, 1 - s) of s ~ Beta(1/2, 1/2) has mean 1/2 + 1/pi; one partner in eight is the example itself. */
    double wanted = 0.875 * (0.5 + 1 / 3.14159265) + 0.125;
    assert_true(fabs(shares / total - wanted) < 0.03 && mixed > total / 2);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef HAVE_PNG
        cmocka_unit_test_setup_teardown(folders, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(broken_png, make_test_folder, remove_test_folder),
#endif
#ifdef HAVE_JPEG
        cmocka_unit_test(jpeg_files),
#endif
        cmocka_unit_test(resizing),
        cmocka_unit_test_setup_teardown(geometry, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(same_whatever_the_batch, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(several_arguments, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(mixing, make_test_folder, remove_test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
