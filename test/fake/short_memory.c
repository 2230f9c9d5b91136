/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that runs out: preloaded into the real server, the SHORT_MEMORY-th allocation from the
 * begin of the process (of the environment) is refused. With SHORT_MEMORY_COUNT, the number of them
 * is left in that file at the end. Those of libcrypto are left alone: version 3.0 does not survive
 * it while it sets itself up. Not for programs that bring an allocator of their own, as those with
 * a sanitizer do.
 */
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *before, size_t bytes);

static atomic_long calls;
static long refused; /* 0: none */
static uintptr_t libcrypto, libcrypto_end;

static int find_libcrypto(struct dl_phdr_info *library, size_t bytes, void *unused) {
    (void)bytes, (void)unused;
    if (strstr(library->dlpi_name, "libcrypto") == NULL) return 0;
    libcrypto = library->dlpi_addr;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        uintptr_t end = libcrypto + library->dlpi_phdr[i].p_vaddr + library->dlpi_phdr[i].p_memsz;
        if (library->dlpi_phdr[i].p_type == PT_LOAD && end > libcrypto_end) libcrypto_end = end;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *number = getenv("SHORT_MEMORY");
    dl_iterate_phdr(find_libcrypto, NULL);
    calls = 0;
    if (number != NULL) refused = strtol(number, NULL, 10);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("SHORT_MEMORY_COUNT");
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    if (file == NULL) return;
    fprintf(file, "%ld\n", (long)calls);
    fclose(file);
}

static bool is_refused(void *caller) {
    if ((uintptr_t)caller >= libcrypto && (uintptr_t)caller < libcrypto_end) return false;
    if (atomic_fetch_add(&calls, 1) + 1 != refused) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes) {
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *before, size_t bytes) {
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_realloc(before, bytes);
}
