/* gemm_code.c - micro-kernels made, linked by ld and opened within one program (see gemm_code.h). */
#include "bench/gemm_code.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "codegen/llvm/llvm.h"

void gemm_code_dense_at(const RtEnv *e, int64_t batch, int64_t offset[3])
{
    for (int i = 0; i < 3; i++) offset[i] = batch * e->dim[i];
}

/* Link the object's bytes and open the result; nothing stays on disk. */
static void *open_object(Arena *a, const void *bytes, size_t n, const char **error)
{
    char dir[] = "/tmp/dlc-gemm-XXXXXX";
    void *handle = NULL;
    if (!mkdtemp(dir)) {
        *error = "cannot make a temporary folder";
        return NULL;
    }
    const char *object = path_join(a, dir, "code.o"), *library = path_join(a, dir, "code.so");
    if (file_write(a, object, bytes, n, error)) {
        const char *command = arena_printf(a, "ld -shared -Bsymbolic -z noexecstack -o %s %s", library, object);
        if (system(command)) *error = "ld failed";
        else if (!(handle = dlopen(library, RTLD_NOW | RTLD_LOCAL))) *error = arena_printf(a, "%s", dlerror());
    }
    unlink(object), unlink(library), rmdir(dir);
    return handle;
}

bool gemm_code_open(Arena *a, const char *cpu, DType dtype, GemmCode *out, const char **error)
{
    CodegenOptions options = {.cpu = cpu, .level = 2};
    const void *bytes;
    size_t n;
    double start = time_now();
    Emit *e = llvm_begin(a, &options, "gemm", error);
    if (!e) return false;
    Module *m = module_new(a, NULL, "gemm");
    Dim *any = dim_sym(m, m, "n");
    micro_need(e, dtype, m, any, any, true);
    LLVMValueRef table = micro_family(e, dtype, error);
    bool ok = table != NULL;
    if (ok) {
        LLVMSetLinkage(table, LLVMExternalLinkage);
        LLVMSetValueName2(table, "micro", 5);
        out->target = e->target->name;
        ok = llvm_object(e, &bytes, &n, error);
    }
    llvm_end(e);
    out->milliseconds = (time_now() - start) * 1e3;
    void *handle = ok ? open_object(a, bytes, n, error) : NULL;
    if (!handle) return false;
    out->micro = dlsym(handle, "micro");
    out->kernels = 0;
    for (int i = 0; i < RT_ROW_SETS; i++) {
        out->kernels += out->micro->full[i] != NULL;
        for (int v = 0; v < RT_MAX_VECTORS; v++) out->kernels += out->micro->masked[i][v] != NULL;
    }
    return true;
}
