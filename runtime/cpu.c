/* cpu.c - does this CPU have what the generated code needs? Names are LLVM's. */
#include "runtime/internal.h"

#include <string.h>

/* Registers of cpuid that hold feature bits. */
enum { L1_ECX, L1_EDX, L7_EBX, L7_ECX, L7_EDX, X1_ECX };
/* Register state that the operating system must save: XMM and YMM; also opmask and ZMM. */
#define XCR0_AVX 0x6u
#define XCR0_AVX512 0xe6u

static const struct Feature {
    char    name[16];
    uint8_t reg, bit, xcr0;
} feature[] = {
    {"sse2", L1_EDX, 26, 0},
    {"sse3", L1_ECX, 0, 0},
    {"ssse3", L1_ECX, 9, 0},
    {"sse4.1", L1_ECX, 19, 0},
    {"sse4.2", L1_ECX, 20, 0},
    {"cx16", L1_ECX, 13, 0},
    {"movbe", L1_ECX, 22, 0},
    {"popcnt", L1_ECX, 23, 0},
    {"sahf", X1_ECX, 0, 0},
    {"lzcnt", X1_ECX, 5, 0},
    {"bmi", L7_EBX, 3, 0},
    {"bmi2", L7_EBX, 8, 0},
    {"avx", L1_ECX, 28, XCR0_AVX},
    {"f16c", L1_ECX, 29, XCR0_AVX},
    {"fma", L1_ECX, 12, XCR0_AVX},
    {"avx2", L7_EBX, 5, XCR0_AVX},
    {"gfni", L7_ECX, 8, XCR0_AVX},
    {"vaes", L7_ECX, 9, XCR0_AVX},
    {"vpclmulqdq", L7_ECX, 10, XCR0_AVX},
    {"avx512f", L7_EBX, 16, XCR0_AVX512},
    {"avx512dq", L7_EBX, 17, XCR0_AVX512},
    {"avx512ifma", L7_EBX, 21, XCR0_AVX512},
    {"avx512cd", L7_EBX, 28, XCR0_AVX512},
    {"avx512bw", L7_EBX, 30, XCR0_AVX512},
    {"avx512vl", L7_EBX, 31, XCR0_AVX512},
    {"avx512vbmi", L7_ECX, 1, XCR0_AVX512},
    {"avx512vbmi2", L7_ECX, 6, XCR0_AVX512},
    {"avx512vnni", L7_ECX, 11, XCR0_AVX512},
    {"avx512bitalg", L7_ECX, 12, XCR0_AVX512},
    {"avx512vpopcntdq", L7_ECX, 14, XCR0_AVX512},
    {"avx512fp16", L7_EDX, 23, XCR0_AVX512},
};

#if defined(__x86_64__)
#include <cpuid.h>

void rt_cpu_read(RtCpu *cpu)
{
    uint32_t eax, ebx, ecx, edx;
    memset(cpu, 0, sizeof *cpu);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        cpu->reg[L1_ECX] = ecx;
        cpu->reg[L1_EDX] = edx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        cpu->reg[L7_EBX] = ebx;
        cpu->reg[L7_ECX] = ecx;
        cpu->reg[L7_EDX] = edx;
    }
    if (__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx)) cpu->reg[X1_ECX] = ecx;
    if (cpu->reg[L1_ECX] >> 27 & 1) {                   /* osxsave: xgetbv exists */
        __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        cpu->xcr0 = (uint64_t)edx << 32 | eax;
    }
}
#else
void rt_cpu_read(RtCpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
}
#endif

static bool has(const RtCpu *cpu, const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof feature / sizeof *feature; i++) {
        const struct Feature *f = &feature[i];
        if (strnlen(f->name, sizeof f->name) != n || memcmp(f->name, name, n)) continue;
        return cpu->reg[f->reg] >> f->bit & 1 && (cpu->xcr0 & f->xcr0) == f->xcr0;
    }
    return false;
}

const char *rt_cpu_lacks(const RtCpu *cpu, const char *features, size_t *n)
{
    for (const char *p = features; *p; p += *p == ',') {
        *n = strcspn(p, ",");
        if (*n && !has(cpu, p, *n)) return p;
        p += *n;
    }
    return NULL;
}
