/* digits.c - say which digit an image shows: an application of models/digits.dl.
 *   dlc models/digits.dl -o digits.so && cc -I. models/embed/digits.c ./digits.so -o digits
 *   ./digits models/weights/digits.safetensors */
#include "digits.h"
#include <stdio.h>

static const char ink[] = "  ####  " "  #     " " #####  " "     ## " "      # " "     ## " "##  ##  " " ####   ";

int main(int argc, char **argv)
{
    uint8_t image[8 * 8];
    for (int i = 0; i < 8 * 8; i++)
        image[i] = ink[i] == '#' ? 16 : 0;

    digits *m = digits_create(NULL);
    const char *weights = argc > 1 ? argv[1] : "digits.safetensors";
    int32_t digit;
    if (!m || digits_load(m, weights) || digits_label(m, 1, image, &digit)) {
        fprintf(stderr, "digits: %s\n", digits_error(m));
        return 1;
    }
    printf("%d\n", (int)digit);
    digits_destroy(m);
}
