/* options.c - options: parsing with getopt_long, and the help text, from one table (see driver.h). */
#include "driver/driver.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_OPTIONS = 64, LONG_BASE = 256 };

static void print_help(const Command *c, const Option *options, uint32_t n)
{
    printf("%s\n\nusage: %s\n", c->what, c->usage);
    if (n) printf("\n");
    for (uint32_t i = 0; i < n; i++) {
        const Option *o = &options[i];
        char left[64];
        int used = snprintf(left, sizeof left, o->letter ? "  -%c" : "    ", o->letter);
        if (o->name) used += snprintf(left + used, sizeof left - (size_t)used, "%s--%s", o->letter ? ", " : "  ", o->name);
        if (o->value) snprintf(left + used, sizeof left - (size_t)used, "%s%s", o->name ? "=" : " ", o->value);
        printf("%-28s %s\n", left, o->help);
    }
}

void usage_error(const Command *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "dlc: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nusage: %s\n", c->usage);
    va_end(ap);
}

/* getopt_long's own complaint is switched off: it cannot suggest. */
static int unknown_option(const Command *c, const Option *options, uint32_t n, const char *text)
{
    const char *names[MAX_OPTIONS + 1] = {"help"};
    uint32_t count = 1;
    for (uint32_t i = 0; i < n && i < MAX_OPTIONS; i++)
        if (options[i].name) names[count++] = options[i].name;
    char word[64];
    snprintf(word, sizeof word, "%s", text + strspn(text, "-"));
    size_t length = strcspn(word, "=");
    bool has_value = word[length] == '=';
    word[length] = 0;
    for (uint32_t i = 0; i < count && has_value; i++)
        if (!strcmp(names[i], word)) return usage_error(c, "--%s takes no value", word), EXIT_USAGE;
    const char *near = strncmp(text, "--", 2) ? NULL : nearest(word, names, count);
    if (near) usage_error(c, "unknown option '%s'; did you mean --%s?", text, near);
    else usage_error(c, "unknown option '%s'", text);
    return EXIT_USAGE;
}

/* "64M", "1.5 GiB": K, M, G and KiB ... are powers of 1024, KB ... of 1000. */
static bool read_bytes(const char *text, int64_t *bytes)
{
    static const struct { const char *name; double scale; } unit[] = {
        {"", 1}, {"B", 1}, {"K", 0x1p10}, {"KiB", 0x1p10}, {"KB", 1e3}, {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},
        {"G", 0x1p30}, {"GiB", 0x1p30}, {"GB", 1e9}, {"T", 0x1p40}, {"TiB", 0x1p40}, {"TB", 1e12},
    };
    if (!isdigit((unsigned char)*text)) return false;
    char *end;
    double v = strtod(text, &end);
    while (*end == ' ') end++;
    for (size_t i = 0; i < COUNT(unit); i++) {
        if (strcasecmp(end, unit[i].name) || !(v * unit[i].scale < 0x1p62)) continue;
        *bytes = (int64_t)(v * unit[i].scale);
        return true;
    }
    return false;
}

static bool is_choice(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (const char *at = words; n && at; at = strchr(at, '|')) {
        at += *at == '|';
        if (!strncmp(at, text, n) && (!at[n] || at[n] == '|')) return true;
    }
    return false;
}

int options_parse(Arena *a, const Command *c, const Option *options, uint32_t n, int argc, char **argv, TextList *rest)
{
    struct option longs[MAX_OPTIONS + 2] = {0};
    char shorts[2 * MAX_OPTIONS + 4] = "+:h";
    size_t used = strlen(shorts);
    uint32_t count = 0;
    for (uint32_t i = 0; i < n && i < MAX_OPTIONS; i++) {
        const Option *o = &options[i];
        if (o->name) longs[count++] = (struct option){o->name, o->value ? required_argument : no_argument, NULL, LONG_BASE + (int)i};
        if (o->letter) {
            shorts[used++] = o->letter;
            if (o->value) shorts[used++] = ':';
        }
    }
    longs[count++] = (struct option){"help", no_argument, NULL, 'h'};
    optind = 0;
    opterr = 0;
    while (optind < argc || optind == 0) {
        int got = getopt_long(argc, argv, shorts, longs, NULL);
        if (got == -1) {                                /* not an option: keep it and go on after it */
            if (optind >= argc) break;
            if (!strcmp(argv[optind - 1], "--") && optind > 1) {
                while (optind < argc) vec_push(a, rest, argv[optind++]);
                break;
            }
            vec_push(a, rest, argv[optind++]);
            continue;
        }
        if (got == 'h') {
            print_help(c, options, n);
            return EXIT_OK;
        }
        if (got == ':') {
            usage_error(c, "'%s' needs a value", argv[optind - 1]);
            return EXIT_USAGE;
        }
        if (got == '?' && optopt > 0 && optopt < LONG_BASE && strncmp(argv[optind - 1], "--", 2))
            return unknown_option(c, options, n, (char[]){'-', (char)optopt, 0});
        if (got == '?') return unknown_option(c, options, n, argv[optind - 1]);
        uint32_t which = (uint32_t)(got - LONG_BASE);
        if (got < LONG_BASE)
            for (which = 0; options[which].letter != got;) which++;
        const Option *o = &options[which];
        switch (o->kind) {
        case OPTION_FLAG: *(bool *)o->into = true; break;
        case OPTION_TEXT: *(const char **)o->into = optarg; break;
        case OPTION_BYTES:
            if (read_bytes(optarg, o->into)) break;
            usage_error(c, "--%s wants a number of bytes (64M, 1GiB), not '%s'", o->name, optarg);
            return EXIT_USAGE;
        case OPTION_CHOICE:
            *(const char **)o->into = optarg;
            if (is_choice(o->value, optarg)) break;
            usage_error(c, "--%s is %s, not '%s'", o->name, o->value, optarg);
            return EXIT_USAGE;
        case OPTION_LIST: vec_push(a, (TextList *)o->into, optarg); break;
        case OPTION_INT: case OPTION_LEVEL: {
            char *end;
            errno = 0;
            long v = strtol(optarg, &end, 10);
            if (errno || *end || end == optarg || v < 0 || v > (o->kind == OPTION_LEVEL ? 3 : 1000000000)) {
                if (o->kind == OPTION_LEVEL) usage_error(c, "-%c is 0 to 3, not '%s'", o->letter, optarg);
                else usage_error(c, "--%s wants a whole number, not '%s'", o->name, optarg);
                return EXIT_USAGE;
            }
            *(int *)o->into = (int)v;
            break;
        }
        }
    }
    return -1;
}
