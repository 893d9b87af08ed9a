/* images.c - folders of images: FOLDER/CLASS/NAME.png, or FOLDER/NAME.png where there are no classes. Order is that of
 * the names' bytes, so that class numbers and example numbers are the same everywhere. Sets that take at most 1 GiB are
 * decoded once, when they are opened; larger ones image by image as batches need them.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/size.h"
#include "host/dataset_internal.h"

#define DECODED_BYTES (INT64_C(1) << 30)
#define MAX_IMAGE_FILE ((size_t)1 << 28)

/* ---- the files --------------------------------------------------------------------------------------------------------------- */

typedef VEC(const char *) Names;

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_image(const char *name)
{
    static const char *const ends[] = {".png", ".jpg", ".jpeg"};
    size_t n = strlen(name);
    for (size_t i = 0; i < COUNT(ends); i++)
        if (n > strlen(ends[i]) && !strcasecmp(name + n - strlen(ends[i]), ends[i])) return true;
    return false;
}

/* The images of a folder, and its subfolders; both sorted, hidden ones left out. */
static bool list(Arena *a, const char *path, Names *images, Names *folders, const char **error)
{
    DIR *dir = opendir(path);
    if (!dir) return data_fail(a, error, "cannot open %s: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (*e->d_name == '.') continue;
        const char *name = arena_strndup(a, e->d_name, strlen(e->d_name));
        if (stat(path_join(a, path, name), &st)) continue;
        if (S_ISDIR(st.st_mode)) vec_push(a, folders, name);
        else if (is_image(name)) vec_push(a, images, name);
    }
    closedir(dir);
    if (images->n) qsort(images->at, images->n, sizeof *images->at, by_bytes);
    if (folders->n) qsort(folders->at, folders->n, sizeof *folders->at, by_bytes);
    return true;
}

static bool class_number(Arena *a, const char *path, const char *name, const char *const *classes, uint32_t n, int32_t *label, const char **error)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(classes[i], name)) return *label = (int32_t)i, true;
    return data_fail(a, error, "%s: the training data had no class '%s'", path, name);
}

bool folder_list(Arena *a, const char *path, const char *const *classes, uint32_t nclasses, Folder *f, const char **error)
{
    Names loose = {0}, folders = {0}, files = {0};
    VEC(int32_t) labels = {0};
    if (!list(a, path, &loose, &folders, error)) return false;
    if (folders.n && loose.n)
        return data_fail(a, error, "%s: it holds images (%s) beside folders of classes (%s)", path, loose.at[0], folders.at[0]);
    for (uint32_t i = 0; i < loose.n; i++) vec_push(a, &files, path_join(a, path, loose.at[i]));
    for (uint32_t i = 0; i < folders.n; i++) {
        Names images = {0}, deeper = {0};
        int32_t label = (int32_t)i;
        const char *folder = path_join(a, path, folders.at[i]);
        if (!list(a, folder, &images, &deeper, error)) return false;
        if (!images.n) return data_fail(a, error, "%s: no PNG or JPEG images in this class", folder);
        if (classes && !class_number(a, folder, folders.at[i], classes, nclasses, &label, error)) return false;
        for (uint32_t k = 0; k < images.n; k++) {
            vec_push(a, &files, path_join(a, folder, images.at[k]));
            vec_push(a, &labels, label);
        }
    }
    if (!files.n) return data_fail(a, error, "%s: no PNG or JPEG images in this folder", path);
    *f = (Folder){path, files.n, files.at, labels.at, classes ? nclasses : folders.n, classes ? classes : folders.at};
    return true;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------------------- */

/* (C, H, W) of an input whose example is [H,W] or [C,H,W]. */
static void planes(const Input *in, int64_t size[3])
{
    size[0] = in->rank == 3 ? in->dim[0] : 1;
    size[1] = in->dim[in->rank - 2];
    size[2] = in->dim[in->rank - 1];
}

/* Image number i, resized and cropped as the spec says. */
static bool load(Arena *a, const Input *in, int64_t i, Image *image, const char **error)
{
    const char *path = in->folder->file[i];
    const DataSpec *s = &in->spec;
    char *text;
    size_t n;
    if (!file_read(a, path, MAX_IMAGE_FILE, &text, &n, error) || !image_parse(a, path, text, n, image, error)) return false;
    int64_t height = s->resize[0], width = s->resize[1];
    if (s->given >> DATA_resize & 1 && !height && in->rank >= 2) height = in->dim[in->rank - 2], width = in->dim[in->rank - 1];
    if (height > 0 && width > 0 && !image_resize(a, image, height, width, image)) return data_fail(a, error, "%s: no memory", path);
    if (s->crop[0] && !image_crop(a, image, s->crop[0], s->crop[1], image))
        return data_fail(a, error, "%s: the image is %lldx%lld, too small to crop %lldx%lld", path, (long long)image->height,
                         (long long)image->width, (long long)s->crop[0], (long long)s->crop[1]);
    return true;
}

static bool load_planes(Arena *a, const Input *in, int64_t i, uint8_t *to, const char **error)
{
    Image image;
    int64_t size[3];
    planes(in, size);
    if (!load(a, in, i, &image, error)) return false;
    if (image.height != size[1] || image.width != size[2])
        return data_fail(a, error, "%s is %lldx%lld, where %s takes %lldx%lld; ',resize=%lldx%lld' makes all images equal", in->folder->file[i],
                         (long long)image.height, (long long)image.width, in->name, (long long)size[1], (long long)size[2],
                         (long long)size[1], (long long)size[2]);
    int64_t n = size[1] * size[2];
    for (int64_t k = 0; k < n; k++) {
        const uint8_t *p = image.rgb + 3 * k;
        if (size[0] == 3) to[k] = p[0], to[n + k] = p[1], to[2 * n + k] = p[2];
        else to[k] = (uint8_t)((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);    /* luma of ITU-R BT.601 */
    }
    return true;
}

/* Dims that the argument leaves open are the first image's. */
static bool take_size(Arena *a, Input *in, const char **error)
{
    Image image;
    if (in->rank != 2 && in->rank != 3)
        return data_fail(a, error, "%s: images are [B,H,W] or [B,C,H,W], and it has %d dims", in->name, in->rank + 1);
    int64_t *dim = in->dim + in->rank - 2;
    if (in->rank == 3 && in->dim[0] < 0) in->dim[0] = 3;
    if (in->rank == 3 && in->dim[0] != 1 && in->dim[0] != 3)
        return data_fail(a, error, "%s: images have 1 or 3 channels ([B,C,H,W]), and it takes %lld", in->name, (long long)in->dim[0]);
    if (dim[0] >= 0 && dim[1] >= 0) return true;
    bool open = in->spec.given >> DATA_resize & 1 && !in->spec.resize[0];
    if (open) return data_fail(a, error, "%s: its size is not fixed: say ',resize=HEIGHTxWIDTH'", in->name);
    if (!load(a, in, 0, &image, error)) return false;
    if (dim[0] < 0) dim[0] = image.height;
    if (dim[1] < 0) dim[1] = image.width;
    return true;
}

bool images_open(Arena *a, Input *in, const char **error)
{
    Arena scratch = {0};
    int64_t size[3], each, all;
    const char *why = NULL;
    in->count = in->folder->count;
    bool ok = take_size(&scratch, in, &why);
    planes(in, size);
    ok = ok && size_mul(size[1], size[2], &each) && size_mul(each, size[0], &each) && size_mul(each, in->count, &all);
    uint8_t *pixels = ok && all <= DECODED_BYTES ? arena_alloc(a, (size_t)all) : NULL;
    for (int64_t i = 0; i < in->count && pixels && ok; i++) {
        arena_free(&scratch);
        ok = load_planes(&scratch, in, i, pixels + i * each, &why);
    }
    in->pixels = pixels;
    if (!ok) data_fail(a, error, "%s", why ? why : "images are too large");
    arena_free(&scratch);
    return ok;
}

bool images_doubles(Arena *scratch, const Input *in, int64_t row, double *out, const char **error)
{
    const uint8_t *pixels = in->pixels ? in->pixels + row * in->elements : NULL;
    if (!pixels) {
        uint8_t *own = arena_alloc(scratch, (size_t)in->elements);
        if (!load_planes(scratch, in, row, own, error)) return false;
        pixels = own;
    }
    for (int64_t i = 0; i < in->elements; i++) out[i] = pixels[i] * in->spec.scale;
    return true;
}
