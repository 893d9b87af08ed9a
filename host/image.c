/* image.c - PNG and JPEG images, read with libpng and libjpeg where dlc was built with them; resizing and cropping.
 * Every image becomes (height, width, 3) bytes: grey ones have three equal parts, transparency is dropped.
 */
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_PNG
#include <png.h>
#endif
#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif

#include "host/dataset_internal.h"

#if defined(HAVE_PNG) || defined(HAVE_JPEG)
/* A small file can claim any size: at most 100 megapixels, and no more than its bytes could hold (a deflated byte is at
 * most 1032 bytes, of 8 one-bit pixels each). */
enum { MAX_PIXELS = 100000000, PIXELS_PER_BYTE = 1032 * 8 };

static bool size_fits(Arena *a, const char *path, size_t n, uint64_t height, uint64_t width, const char **error)
{
    bool fits = height && width && height <= MAX_PIXELS && width <= MAX_PIXELS / height && height * width / PIXELS_PER_BYTE <= n;
    return fits || data_fail(a, error, "%s: images of %llux%llu pixels in %zu bytes are not read (at most %d pixels)", path,
                             (unsigned long long)height, (unsigned long long)width, n, MAX_PIXELS);
}
#endif

/* ---- PNG ----------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_PNG
static bool png_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&png, text, n)) return data_fail(a, error, "%s: broken PNG data: %s", path, png.message);
    if (!size_fits(a, path, n, png.height, png.width, error)) {
        png_image_free(&png);
        return false;
    }
    png.format = PNG_FORMAT_RGBA;                       /* with alpha, so that nothing is blended */
    png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    size_t count = (size_t)png.height * png.width;
    uint8_t *rgba = malloc(count * 4);
    if (!rgba) png_image_free(&png);
    else if (!png_image_finish_read(&png, NULL, rgba, 0, NULL) || (png.warning_or_error & PNG_IMAGE_ERROR)) free(rgba), rgba = NULL;
    if (!rgba) return data_fail(a, error, "%s: broken PNG data: %s", path, *png.message ? png.message : "no memory");
    *image = (Image){png.height, png.width, arena_alloc(a, count * 3)};
    for (size_t i = 0; i < count; i++) memcpy(image->rgb + 3 * i, rgba + 4 * i, 3);
    free(rgba);
    return true;
}
#else
static bool png_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error)
{
    (void)text, (void)n, (void)image;
    return data_fail(a, error, "%s: this dlc was built without PNG support (libpng-dev)", path);
}
#endif

/* ---- JPEG ----------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_JPEG
typedef struct JpegErrors {
    struct jpeg_error_mgr base;         /* first: libjpeg knows this part */
    jmp_buf back;
    char    message[JMSG_LENGTH_MAX];
} JpegErrors;

_Noreturn static void jpeg_fail(j_common_ptr j)
{
    JpegErrors *e = (JpegErrors *)j->err;
    e->base.format_message(j, e->message);
    longjmp(e->back, 1);
}

/* libjpeg only warns of data that ends early or is corrupt, and fills in grey. */
static void jpeg_warn(j_common_ptr j, int level)
{
    if (level < 0) jpeg_fail(j);
}

/* The part that longjmp may leave: all that must survive is in *j, *e and *image. */
static bool jpeg_decode(Arena *a, const char *path, const char *text, size_t n, struct jpeg_decompress_struct *j, JpegErrors *e,
                        Image *image, const char **error)
{
    j->err = jpeg_std_error(&e->base);
    e->base.error_exit = jpeg_fail;
    e->base.emit_message = jpeg_warn;
    if (setjmp(e->back)) return data_fail(a, error, "%s: broken JPEG data: %s", path, e->message);
    jpeg_create_decompress(j);
    jpeg_mem_src(j, (const unsigned char *)text, n);
    jpeg_read_header(j, TRUE);
    if (!size_fits(a, path, n, j->image_height, j->image_width, error)) return false;
    if (j->num_components != 1 && j->num_components != 3)
        return data_fail(a, error, "%s: JPEG images in CMYK are not read; convert it to RGB", path);
    j->out_color_space = JCS_RGB;
    j->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(j);
    *image = (Image){j->output_height, j->output_width, arena_alloc(a, (size_t)j->output_height * j->output_width * 3)};
    while (j->output_scanline < j->output_height) {
        JSAMPROW row = image->rgb + (size_t)j->output_scanline * j->output_width * 3;
        jpeg_read_scanlines(j, &row, 1);
    }
    jpeg_finish_decompress(j);
    return true;
}

static bool jpeg_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error)
{
    struct jpeg_decompress_struct j = {0};
    JpegErrors e = {0};
    bool ok = jpeg_decode(a, path, text, n, &j, &e, image, error);
    jpeg_destroy_decompress(&j);
    return ok;
}
#else
static bool jpeg_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error)
{
    (void)text, (void)n, (void)image;
    return data_fail(a, error, "%s: this dlc was built without JPEG support (libjpeg62-turbo-dev)", path);
}
#endif

bool image_parse(Arena *a, const char *path, const char *text, size_t n, Image *image, const char **error)
{
    if (n >= 8 && !memcmp(text, "\x89PNG\r\n\x1a\n", 8)) return png_parse(a, path, text, n, image, error);
    if (n >= 3 && !memcmp(text, "\xff\xd8\xff", 3)) return jpeg_parse(a, path, text, n, image, error);
    return data_fail(a, error, "%s: neither a PNG nor a JPEG image", path);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------------ */

/* One axis: out[o] is the mean of in[] under a triangle around its centre, as wide as the step where that is over 1. */
typedef struct Axis {
    int64_t in, out, in_stride, out_stride;     /* in elements of three */
} Axis;

static void resize_line(const float *from, float *to, const Axis *x)
{
    double step = (double)x->in / (double)x->out, reach = step > 1 ? step : 1;
    for (int64_t o = 0; o < x->out; o++) {
        double centre = ((double)o + 0.5) * step, total = 0, sum[3] = {0};
        int64_t first = (int64_t)floor(centre - reach), last = (int64_t)ceil(centre + reach);
        for (int64_t i = first < 0 ? 0 : first; i < x->in && i < last; i++) {
            double w = 1 - fabs((double)i + 0.5 - centre) / reach;
            if (w <= 0) continue;
            total += w;
            for (int k = 0; k < 3; k++) sum[k] += w * from[3 * i * x->in_stride + k];
        }
        for (int k = 0; k < 3; k++) to[3 * o * x->out_stride + k] = (float)(sum[k] / total);
    }
}

bool image_resize(Arena *a, const Image *from, int64_t height, int64_t width, Image *to)
{
    if (from->height == height && from->width == width) return *to = *from, true;
    size_t h = (size_t)from->height, w = (size_t)from->width, H = (size_t)height, W = (size_t)width;
    float *first = malloc(h * w * 3 * sizeof *first), *wide = malloc(h * W * 3 * sizeof *wide), *last = malloc(H * W * 3 * sizeof *last);
    bool ok = first && wide && last;
    if (ok) {
        for (size_t i = 0; i < h * w * 3; i++) first[i] = from->rgb[i];
        Axis across = {from->width, width, 1, 1}, down = {from->height, height, width, width};
        for (size_t y = 0; y < h; y++) resize_line(first + y * w * 3, wide + y * W * 3, &across);
        for (size_t x = 0; x < W; x++) resize_line(wide + x * 3, last + x * 3, &down);
        *to = (Image){height, width, arena_alloc(a, H * W * 3)};
        for (size_t i = 0; i < H * W * 3; i++) to->rgb[i] = (uint8_t)(last[i] + 0.5f);
    }
    free(first), free(wide), free(last);
    return ok;
}

bool image_crop(Arena *a, const Image *from, int64_t height, int64_t width, Image *to)
{
    if (from->height < height || from->width < width) return false;
    int64_t top = (from->height - height) / 2, left = (from->width - width) / 2;
    uint8_t *rgb = arena_alloc(a, (size_t)(height * width) * 3);
    for (int64_t y = 0; y < height; y++) memcpy(rgb + y * width * 3, from->rgb + ((top + y) * from->width + left) * 3, (size_t)width * 3);
    *to = (Image){height, width, rgb};
    return true;
}
