/* split.c - object files of a module. Generating code is most of a compilation's time, so the functions of a module
 * that is worth it are divided among two modules, and both are generated at the same time.
 *
 * The second module is a copy (through bitcode, in a context of its own) in which the functions of the first half and all
 * tables are mere declarations; what either half needs of the other becomes hidden instead of internal. The division
 * goes by size and order alone, so the same program gives the same bytes.
 */
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <pthread.h>
#include <string.h>

#include "codegen/llvm/llvm.h"

enum { WORTH_IT = 1200 };               /* instructions: below, a thread and a copy cost more than they save */

/* ---- which functions go ------------------------------------------------------------------------------------------ */

static uint32_t instructions(LLVMValueRef f)
{
    uint32_t n = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
    return n;
}

static bool is_local(LLVMValueRef v)
{
    LLVMLinkage l = LLVMGetLinkage(v);
    return l == LLVMInternalLinkage || l == LLVMPrivateLinkage;
}

/* Names of the local functions that move to the second module: each goes to the half that is smaller so far. What is exported
 * stays. NULL: not worth it. */
static Map *choose(Arena *a, LLVMModuleRef m)
{
    uint32_t all = 0, half[2] = {0};
    for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f)) all += instructions(f);
    if (all < WORTH_IT) return NULL;
    Map *moved = map_new(a);
    for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f)) {
        uint32_t n = instructions(f), to = n && is_local(f) && half[1] < half[0];
        half[to] += n;
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        if (to) map_set(moved, name, length, f);
    }
    return map_count(moved) ? moved : NULL;
}

static bool is_moved(const Map *moved, LLVMValueRef f)
{
    size_t n;
    const char *name = LLVMGetValueName2(f, &n);
    return map_get(moved, name, n) != NULL;
}

/* ---- two modules of one --------------------------------------------------------------------------------------------- */

static void make_hidden(LLVMValueRef v)
{
    if (!is_local(v)) return;
    LLVMSetLinkage(v, LLVMExternalLinkage);
    LLVMSetVisibility(v, LLVMHiddenVisibility);
}

/* v becomes a declaration of the same name, or goes if nothing uses it. */
static void undefine(LLVMModuleRef m, LLVMValueRef v, bool function)
{
    size_t n;
    const char *name = LLVMGetValueName2(v, &n);
    char copy[256];
    n = n < sizeof copy ? n : sizeof copy;
    memcpy(copy, name, n);
    LLVMTypeRef type = LLVMGlobalGetValueType(v);
    if (LLVMGetFirstUse(v)) {
        LLVMValueRef declared = function ? LLVMAddFunction(m, "", type) : LLVMAddGlobal(m, type, "");
        LLVMReplaceAllUsesWith(v, declared);
        LLVMSetValueName2(v, "", 0);
        LLVMSetValueName2(declared, copy, n);
        LLVMSetVisibility(declared, LLVMHiddenVisibility);
    }
    if (function) LLVMDeleteFunction(v);
    else LLVMDeleteGlobal(v);
}

/* Keep the bodies of the functions that moved (or of the others), declare the rest. */
static void keep(LLVMModuleRef m, const Map *moved, bool want)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(m), next; f; f = next) {
        next = LLVMGetNextFunction(f);
        if (!LLVMGetFirstBasicBlock(f)) continue;
        if (is_moved(moved, f) == want) make_hidden(f);
        else undefine(m, f, true);
    }
}

/* Tables and constants stay where they are; those that the second module uses must be visible to it. */
static void share_globals(LLVMModuleRef first, LLVMModuleRef second)
{
    for (LLVMValueRef g = LLVMGetFirstGlobal(second), next; g; g = next) {
        next = LLVMGetNextGlobal(g);
        if (LLVMIsDeclaration(g)) continue;
        undefine(second, g, false);
    }
    for (LLVMValueRef g = LLVMGetFirstGlobal(second); g; g = LLVMGetNextGlobal(g)) {
        size_t n;
        LLVMValueRef defined = LLVMGetNamedGlobal(first, LLVMGetValueName2(g, &n));
        if (defined) make_hidden(defined);
    }
}

/* Bitcode refers to unnamed values by number; the two modules need names. */
static void name_globals(LLVMModuleRef m)
{
    uint32_t number = 0;
    for (LLVMValueRef g = LLVMGetFirstGlobal(m); g; g = LLVMGetNextGlobal(g)) {
        size_t n;
        LLVMGetValueName2(g, &n);
        if (n) continue;
        char name[32];
        LLVMSetValueName2(g, name, (size_t)snprintf(name, sizeof name, "dlc.%u", number++));
    }
}

/* ---- generating --------------------------------------------------------------------------------------------------------- */

typedef struct Half {
    LLVMModuleRef        module;
    LLVMTargetMachineRef machine;
    LLVMMemoryBufferRef  object;
    char                *message;       /* LLVM's, on failure */
} Half;

static void *generate(void *user)
{
    Half *h = user;
    if (LLVMTargetMachineEmitToMemoryBuffer(h->machine, h->module, LLVMObjectFile, &h->message, &h->object)) h->object = NULL;
    return NULL;
}

static bool take(Emit *e, Half *h, LlvmObject *out, const char **error)
{
    if (!h->object) {
        *error = arena_printf(e->arena, "LLVM cannot write the generated code: %s", h->message ? h->message : "no reason given");
        LLVMDisposeMessage(h->message);
        return false;
    }
    out->size = LLVMGetBufferSize(h->object);
    out->bytes = arena_copy(e->arena, LLVMGetBufferStart(h->object), out->size);
    LLVMDisposeMemoryBuffer(h->object);
    return true;
}

bool llvm_objects(Emit *e, LlvmObject object[2], uint32_t *n, const char **error)
{
    *n = 1;
    Map *moved = choose(e->arena, e->module);
    if (!moved) return llvm_object(e, &object[0].bytes, &object[0].size, error);
    name_globals(e->module);
    LLVMMemoryBufferRef bitcode = LLVMWriteBitcodeToMemoryBuffer(e->module);
    LLVMContextRef context = LLVMContextCreate();
    Half first = {.module = e->module, .machine = e->machine}, second = {0};
    bool parsed = !LLVMParseBitcodeInContext2(context, bitcode, &second.module);
    LLVMDisposeMemoryBuffer(bitcode);
    second.machine = parsed ? llvm_machine(e->arena, e->target, error) : NULL;
    if (!second.machine) {
        LLVMContextDispose(context);
        return llvm_object(e, &object[0].bytes, &object[0].size, error);
    }
    keep(second.module, moved, true);
    share_globals(first.module, second.module);
    keep(first.module, moved, false);

    pthread_t thread;
    bool threaded = !pthread_create(&thread, NULL, generate, &second);
    generate(&first);
    if (threaded) pthread_join(thread, NULL);
    else generate(&second);
    bool ok = take(e, &first, &object[0], error);
    ok = take(e, &second, &object[1], error) && ok;
    *n = 2;
    LLVMDisposeModule(second.module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(second.machine);
    return ok;
}
