/* isolate.c - see isolate.h. */
#include "tests/random/isolate.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void *shared_alloc(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) abort();
    return p;
}

void shared_free(void *p, size_t n) { munmap(p, n); }

/* What a process that died said last: of an assertion, without the program's name. */
static void last_words(FILE *said, char *text, size_t cap)
{
    char line[1024];
    text[0] = 0;
    rewind(said);
    while (fgets(line, sizeof line, said)) {
        line[strcspn(line, "\n")] = 0;
        const char *assertion = strstr(line, "Assertion"), *error = strstr(line, "ERROR: "), *runtime = strstr(line, "runtime error: ");
        const char *what = assertion ? assertion : error ? error : runtime;
        if (what && !text[0]) snprintf(text, cap, "%s", what);
    }
}

bool isolated(Isolated *work, void *user, unsigned seconds, Failure *failure)
{
    Failure *shared = shared_alloc(sizeof *shared);
    FILE *said = tmpfile();
    fflush(NULL);
    pid_t pid = said ? fork() : -1;
    if (pid < 0) abort();
    if (pid == 0) {
        dup2(fileno(said), 2);
        alarm(seconds);
        _exit(work(user, shared) ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    *failure = *shared;
    shared_free(shared, sizeof *shared);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok && !(WIFEXITED(status) && WEXITSTATUS(status) == 1)) {
        char words[96];
        last_words(said, words, sizeof words);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) snprintf(failure->kind, sizeof failure->kind, "no end");
        else if (WIFSIGNALED(status)) snprintf(failure->kind, sizeof failure->kind, "signal %d %s", WTERMSIG(status), words);
        else snprintf(failure->kind, sizeof failure->kind, "exit code %d %s", WEXITSTATUS(status), words);
    }
    fclose(said);
    return ok;
}
