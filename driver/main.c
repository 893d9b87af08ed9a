/* main.c - `dlc`: find the subcommand, or compile. */
#include "driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#ifndef DLC_VERSION
#define DLC_VERSION "0.1.0"
#endif

static const Command commands[] = {
    {"compile", "dlc FILE.dl [-o OUT.so|OUT.o|OUT.a]", "Compile a model into a shared object (or .o, .a) and its C header.", command_compile},
    {"check", "dlc check FILE.dl...", "Check models and report every error, without compiling.", command_check},
    {"fmt", "dlc fmt [--check] FILE.dl...", "Format models in place; `-` formats stdin to stdout.", command_fmt},
    {"run", "dlc run FILE.dl [--fn NAME] [--weights FILE] [ARGUMENT=DATA[:KEY][,scale=X]...]", "Compile a model, call one of its functions on data, show the results.", command_run},
    {"train", "dlc train FILE.dl NAME=FILE... [--epochs N] [-o FILE.safetensors]", "Train a model on data; checkpoints, resuming, curves.", command_train},
    {"generate", "dlc generate FILE.dl --weights FILE --tokenizer FILE [--prompt TEXT]", "Continue a text with a decoder model.", command_generate},
    {"tokenize", "dlc tokenize TOKENIZER [FILE]", "Turn text into token ids, or ids into text.", command_tokenize},
    {"summary", "dlc summary FILE.dl", "Show functions, shapes, params, floating-point operations and memory.", command_summary},
    {"bench", "dlc bench FILE.dl [--fn NAME] [--dim NAME=N...]", "Time a function beside the machine's limits, fused against unfused.", command_bench},
    {"inspect", "dlc inspect FILE.dl [--ast | --ir [--after=PASS] | --kernels | --plan | --header | --llvm | --asm]", "Show what the compiler makes of a model, at any stage.", command_inspect},
    {"explain", "dlc explain CODE", "Explain a diagnostic (DL0123), or list them all.", command_explain},
};

static const char examples[] =
    "dlc compiles a text model (.dl) into one self-contained shared object and a C header.\n"
    "\n"
    "  dlc models/digits.dl -o digits.so                       compile: digits.so and digits.h\n"
    "  dlc train models/mlp.dl --set features=4 --set classes=3 --csv iris.csv,normalize --target species\n"
    "                                                          train on data: mlp.safetensors\n"
    "  dlc run models/digits.dl --fn label --weights models/weights/digits.safetensors \\\n"
    "          images=models/data/digits.safetensors:test_x    call a function on data\n"
    "  dlc summary models/transformer.dl                       shapes, params, FLOPs, memory\n"
    "  dlc bench models/transformer.dl --dim B=1 --dim T=128   time it, fused and unfused\n"
    "\n"
    "dlc --help lists every command; dlc COMMAND --help its options.\n";

static void print_commands(void)
{
    printf("dlc %s - a deep-learning graph compiler\n\nusage: dlc FILE.dl [-o OUT.so]\n       dlc COMMAND ...\n\n", DLC_VERSION);
    for (size_t i = 1; i < COUNT(commands); i++) printf("  %-10s %s\n", commands[i].name, commands[i].what);
    printf("\ndlc COMMAND --help shows a command's options; `dlc compile --help` those of compiling.\n");
}

static const Command *command_find(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    return NULL;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs(examples, stdout);
        return EXIT_OK;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_commands();
        return EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("dlc %s\n", DLC_VERSION);
        return EXIT_OK;
    }
    const Command *c = command_find(argv[1]);
    if (c) return c->run(argc - 1, argv + 1);
    /* A word that is no file and is near a command is a misspelt command. */
    const char *names[COUNT(commands)];
    for (size_t i = 0; i < COUNT(commands); i++) names[i] = commands[i].name;
    const char *near = argv[1][0] == '-' || strchr(argv[1], '.') || strchr(argv[1], '/') ? NULL : nearest(argv[1], names, COUNT(commands));
    if (near) {
        fprintf(stderr, "dlc: unknown command '%s'; did you mean '%s'?\n", argv[1], near);
        return EXIT_USAGE;
    }
    return command_compile(argc, argv);
}

/* A file over the user's limit is an error of write(), not a death that leaves half of it behind; and no file that dlc opens
 * may take the number of a closed stdout, or what is printed would go into it. */
static void settle(void)
{
    signal(SIGXFSZ, SIG_IGN);
    int fd;
    do fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* What was printed may still be lost: a full disk shows when the buffer is written. */
int main(int argc, char **argv)
{
    settle();
    int code = dispatch(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "dlc: cannot write the output: %s\n", strerror(errno));
    return code == EXIT_OK ? EXIT_INPUT : code;
}
