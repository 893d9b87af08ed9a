/* crash_shim.c - LD_PRELOAD for tests of what dlc writes: counts the writes, syncs and renames of .safetensors files and makes
 * one of them go wrong. DLC_FAULT is
 *   kill:N     the N-th is begun, half done where it is a write, and the process killed
 *   full:N     the N-th and all later ones fail with ENOSPC, writes after the first half
 *   once:N     only the N-th
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GO_ON, FAIL };

static int event(void)
{
    static long count;
    const char *fault = getenv("DLC_FAULT");
    const char *colon = fault ? strchr(fault, ':') : NULL;
    if (!colon) return GO_ON;
    long n = atol(colon + 1);
    count++;
    if (!strncmp(fault, "kill", 4)) return count == n ? FAIL : GO_ON;
    return count == n || (count > n && !strncmp(fault, "full", 4)) ? FAIL : GO_ON;
}

static int kills(void) { return !strncmp(getenv("DLC_FAULT"), "kill", 4); }

/* Does the descriptor belong to weights, or to a folder? */
static int watched(int fd)
{
    char link[64], path[4096];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return strstr(path, ".safetensors") != NULL || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
}

ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    if (!watched(fd) || event() == GO_ON) return real(fd, p, n);
    if (n / 2 && real(fd, p, n / 2) < 0) return -1;
    if (kills()) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return -1;
}

int fsync(int fd)
{
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (!watched(fd) || event() == GO_ON) return real(fd);
    if (kills()) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return -1;
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "rename");
    if (!strstr(to, ".safetensors") || event() == GO_ON) return real(from, to);
    if (kills()) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return -1;
}
