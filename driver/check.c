/* check.c - `dlc check` and `dlc fmt`: models as text. */
#include "driver/driver.h"

#include <string.h>

int command_check(int argc, char **argv)
{
    static const Command self = {"check", "dlc check FILE.dl...", "Check models and report every error, without compiling.", NULL};
    Session s;
    session_begin(&s);
    Option options[24];
    uint32_t n = session_options(&s, options);
    TextList rest = {0};
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (!rest.n) {
        usage_error(&self, "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = true;
    for (uint32_t i = 0; i < rest.n; i++) ok &= session_frontend(&s, rest.at[i]) != NULL;
    return session_end(&s, ok);
}

int command_fmt(int argc, char **argv)
{
    static const Command self = {"fmt", "dlc fmt [--check] FILE.dl...", "Format models in place; `-` formats stdin to stdout.", NULL};
    Session s;
    session_begin(&s);
    bool check = false;
    const Option options[] = {{0, "check", NULL, OPTION_FLAG, &check, "change nothing; exit 1 and name the files that would change"}};
    TextList rest = {0};
    int code = options_parse(&s.arena, &self, options, COUNT(options), argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    if (!rest.n) {
        usage_error(&self, "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = true;
    Strings names = {0};
    for (uint32_t i = 0; i < rest.n; i++) {
        const char *path = rest.at[i], *error;
        char *text;
        size_t size;
        if (!file_read(&s.arena, path, 0, &text, &size, &error)) {
            session_error(&s, "%s", error);
            continue;
        }
        names.arena = &s.arena;
        Str out = {.arena = &s.arena};
        uint32_t source = diag_source(&s.diags, path, text, size);
        if (!format_file(&s.arena, &names, &s.diags, source, &out)) continue;
        bool same = out.n == size && !memcmp(out.at, text, size);
        if (!strcmp(path, "-")) {
            if (!check) fwrite(out.at ? out.at : "", 1, out.n, stdout);
            ok &= same || !check;
        } else if (check) {
            if (!same) printf("%s\n", path);
            ok &= same;
        } else if (!same && !file_write(&s.arena, path, out.at, out.n, &error)) {
            session_error(&s, "%s", error);
        }
    }
    return session_end(&s, ok);
}

static void explain_one(DiagCode code) { printf("%s: %s\n\n%s\n", diag_code(code), diag_title(code), diag_explain(code)); }

int command_explain(int argc, char **argv)
{
    static const Command self = {"explain", "dlc explain [CODE...]", "Explain a diagnostic (DL0123), or list them all.", NULL};
    Arena arena = {0};
    TextList rest = {0};
    int code = options_parse(&arena, &self, NULL, 0, argc, argv, &rest);
    if (code < 0) {
        code = EXIT_OK;
        if (!rest.n)
            for (int i = 0; i < DL_COUNT; i++) printf("%s  %s\n", diag_code((DiagCode)i), diag_title((DiagCode)i));
        for (uint32_t i = 0; i < rest.n; i++) {
            DiagCode which;
            if (i) printf("\n");
            if (diag_find(rest.at[i], &which)) {
                explain_one(which);
            } else {
                fprintf(stderr, "dlc: no diagnostic '%s'; `dlc explain` lists them\n", rest.at[i]);
                code = EXIT_INPUT;
            }
        }
    }
    arena_free(&arena);
    return code;
}
