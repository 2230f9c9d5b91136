/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks by powers of two, each behind a header with its class; a freed one is used again for the
 * next of its class. Fresh memory is taken from one large mapping, from its begin in each life.
 */
#include "sim/heap_sim.h"

#include <string.h>
#include <sys/mman.h>

#include "api/server.h"
#include "lib/base.h"
#include "record/recorder.h"

enum { CLASSES = 31, CLASS_MIN = 5, ARENA_BYTES = 1 << 28 };

struct block {
    struct block *next; /* while free */
    uint32_t class;
    uint32_t magic;
};
enum { HEADER_BYTES = 16, MAGIC_USED = 0x5ed05ed, MAGIC_FREE = 0xf4ee };
static_assert(sizeof(struct block) == HEADER_BYTES, "blocks stay aligned");

static char *arena;
static size_t used;
static struct block *free_blocks[CLASSES];
static unsigned depth;
static uint64_t fail_at, failures;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);

void heap_sim_reset(void) {
    if (arena == NULL) {
        arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ASSERT(arena != MAP_FAILED);
    }
    used = 0;
    memset(free_blocks, 0, sizeof free_blocks);
    fail_at = failures = 0;
}

void heap_sim_enter(void) {
    depth++;
}
void heap_sim_leave(void) {
    ASSERT(depth > 0);
    depth--;
}
unsigned heap_sim_depth(void) {
    return depth;
}
void heap_sim_set_depth(unsigned to) {
    depth = to;
}

void heap_sim_fail(uint64_t nth) {
    fail_at = nth;
}

uint64_t heap_sim_failures(void) {
    return failures;
}

static bool fails(void) {
    if (fail_at == 0 || --fail_at > 0) return false;
    failures++;
    return true;
}

static struct block *block_of(void *p) {
    struct block *block = (struct block *)(void *)((char *)p - HEADER_BYTES);
    ASSERT(block->magic == MAGIC_USED); /* freed twice, or never taken */
    return block;
}

static size_t block_bytes(const struct block *block) {
    return ((size_t)1 << block->class) - HEADER_BYTES;
}

static bool is_ours(const void *p) {
    const char *at = p;
    return arena != NULL && at >= arena && at < arena + ARENA_BYTES;
}

static void *take(size_t bytes) {
    uint32_t class = CLASS_MIN;
    while (((size_t)1 << class) < bytes + HEADER_BYTES) class ++;
    ASSERT(class < CLASSES);
    struct block *block = free_blocks[class];
    if (block != NULL) {
        ASSERT(block->magic == MAGIC_FREE);
        free_blocks[class] = block->next;
    } else {
        ASSERT(used + ((size_t)1 << class) <= ARENA_BYTES);
        block = (struct block *)(void *)(arena + used);
        used += (size_t)1 << class;
    }
    *block = (struct block){.class = class, .magic = MAGIC_USED};
    return (char *)block + HEADER_BYTES;
}

void *__wrap_malloc(size_t bytes) {
    if (depth == 0) return __real_malloc(bytes);
    return fails() ? NULL : take(bytes);
}

/* The buffers of a network thread and of a recorder are their largest part, stand last, and are
 * written before they are read: not zeroing them is half of the price of a start. */
static size_t zeroed_bytes(size_t bytes) {
    const size_t changes_bytes = RECORDER_BATCH_MAX * sizeof(struct store_change);
    if (bytes == sizeof(struct server)) return offsetof(struct server, out.bytes);
    return bytes >= changes_bytes && bytes < changes_bytes + 1024 ? bytes - changes_bytes : bytes;
}

void *__wrap_calloc(size_t count, size_t bytes) {
    if (depth == 0) return __real_calloc(count, bytes);
    ASSERT(bytes == 0 || count <= ARENA_BYTES / bytes);
    void *p = fails() ? NULL : take(count * bytes);
    if (p != NULL) memset(p, 0, zeroed_bytes(count * bytes));
    return p;
}

void *__wrap_realloc(void *p, size_t bytes) {
    if (p != NULL ? !is_ours(p) : depth == 0) return __real_realloc(p, bytes);
    if (fails()) return NULL;
    if (p == NULL) return take(bytes);
    struct block *block = block_of(p);
    if (bytes <= block_bytes(block)) return p;
    void *moved = take(bytes);
    memcpy(moved, p, block_bytes(block));
    __wrap_free(p);
    return moved;
}

void __wrap_free(void *p) {
    if (!is_ours(p)) {
        __real_free(p);
        return;
    }
    struct block *block = block_of(p);
    block->magic = MAGIC_FREE;
    block->next = free_blocks[block->class];
    free_blocks[block->class] = block;
}

char *__wrap_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}
