/* symbol.c - what a shared object exports, by the end of its name. Apart from dlc.c because <link.h> and rt.h both use names
 * that begin with RT_. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "host/internal.h"

const char *symbol_ending(void *handle, const char *end)
{
    struct link_map *map = NULL;
    const ElfW(Sym) *symbol = NULL;
    const ElfW(Word) *hash = NULL;
    const char *text = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) || !map) return NULL;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB) symbol = (const void *)d->d_un.d_ptr;
        if (d->d_tag == DT_STRTAB) text = (const void *)d->d_un.d_ptr;
        if (d->d_tag == DT_HASH) hash = (const void *)d->d_un.d_ptr;
    }
    if (!symbol || !text || !hash) return NULL;
    for (uint32_t i = 0; i < hash[1]; i++) {            /* nchain: the number of symbols */
        const char *name = text + symbol[i].st_name;
        size_t n = strlen(name), m = strlen(end);
        if (symbol[i].st_shndx != SHN_UNDEF && n > m && !strcmp(name + n - m, end)) return name;
    }
    return NULL;
}
