/* target.c - the rows of targets.def: which CPU code is generated for, and whether it can be. */
#include <string.h>

#include "codegen/llvm/emit.h"

#define ROWS(...) {__VA_ARGS__}
static const Target targets[] = {
#define TARGET(name, cpu, bytes, regs, fma, mask, gather, rows, vectors, features, scalef32, scalef64) \
    {name, cpu, bytes, regs, fma, mask, gather, ROWS rows, vectors, features, scalef32, scalef64},
#include "codegen/llvm/targets.def"
#undef TARGET
};

const Target *target_row(uint32_t i)
{
    return i < COUNT(targets) ? &targets[i] : NULL;
}

/* Is every feature of the comma-separated list `want` switched on in LLVM's "+sse2,+avx2,-avx512f,..."? */
static bool has_features(const char *have, const char *want)
{
    while (*want) {
        size_t n = strcspn(want, ",");
        bool found = false;
        for (const char *h = have; *h && !found; h += h[strcspn(h, ",")] == ',' ? strcspn(h, ",") + 1 : strcspn(h, ",")) {
            found = h[0] == '+' && strcspn(h + 1, ",") == n && !memcmp(h + 1, want, n);
        }
        if (!found) return false;
        want += n;
        if (*want == ',') want++;
    }
    return true;
}

const Target *target_find(Arena *a, const char *cpu, const char **tune, const char **error)
{
    *tune = NULL;
    if (cpu && strcmp(cpu, "host")) {
        Str names = {.arena = a};
        for (uint32_t i = 0; i < COUNT(targets); i++) {
            if (!strcmp(cpu, targets[i].name)) return &targets[i];
            str_fmt(&names, ", %s", targets[i].name);
        }
        *error = arena_printf(a, "unknown CPU \"%s\": known are host%s", cpu, names.at);
        return NULL;
    }
    char *host = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    const Target *found = NULL;
    for (uint32_t i = 0; i < COUNT(targets) && !found; i++) {
        if (has_features(features, targets[i].features)) found = &targets[i];
    }
    /* LLVM says "generic" for a CPU newer than itself: then the row's own schedule is the better guess. */
    if (strcmp(host, "generic")) *tune = arena_strndup(a, host, strlen(host));
    LLVMDisposeMessage(host);
    LLVMDisposeMessage(features);
    if (!found) *error = "this machine's CPU has not even the features of the row \"generic\"";
    return found;
}

uint32_t target_lanes(const Target *t, DType dtype)
{
    return t->bytes / (uint32_t)dtype_size(dtype);
}

static bool supports_dtype(DType t)
{
    return t == DT_f64 || t == DT_f32 || t == DT_i64 || t == DT_i32 || t == DT_u8 || t == DT_bool;
}

bool target_supports(Arena *a, const Kernel *k, const char **error)
{
    if (k->axes.n > POINT_AXES) {
        *error = arena_printf(a, "%s: %u loop axes are more than the %d supported", k->name, k->axes.n, POINT_AXES);
        return false;
    }
    for (uint32_t i = 0; i < k->operands.n; i++) {
        if (supports_dtype(k->operands.at[i].dtype)) continue;
        *error = arena_printf(a, "%s: %s is not supported in compiled code yet", k->name, dtype_name(k->operands.at[i].dtype));
        return false;
    }
    for (uint32_t i = 0; i < k->body.n; i++) {
        if (supports_dtype(k->body.at[i].dtype)) continue;
        *error = arena_printf(a, "%s: %s is not supported in compiled code yet", k->name, dtype_name(k->body.at[i].dtype));
        return false;
    }
    return true;
}
