/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated disk: names, faults, power, and the calls of struct disk over disk_sim_file.
 */
#include "sim/disk_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/disk_sim_file.h"
#include "sim/random_sim.h"

struct name {
    char *path;
    struct disk_sim_file *file;
};

struct names {
    struct name *list;
    size_t count, capacity;
};

/* A change of names that its directory does not know durably yet. */
struct change {
    char *from; /* the name that goes; NULL when a file was created */
    char *to;   /* the name that comes; NULL when a file was unlinked */
    struct disk_sim_file *file;
};

struct handle {
    struct disk_sim_file *file; /* NULL: not open */
    bool is_writable;
};

struct fault {
    uint64_t countdown; /* 1: the next call; 0: none */
    int code;
};

struct disk_sim {
    struct disk disk;
    struct random_sim random;
    uint64_t capacity_bytes;
    struct names now, durable;
    struct change *changes;
    size_t changes_count, changes_capacity;
    struct handle *handles; /* by fd */
    size_t handles_count;
    uint64_t calls[DISK_SIM_CALLS];
    struct fault faults[DISK_SIM_CALLS];
    struct fault power_cut;
    bool has_power;
    bool has_struck;
    struct disk_sim_strike strike;
    struct disk_sim_losses losses; /* of the last crash */
};

enum { FIRST_FD = 1000 }; /* never the fd of something real */

static void *must(void *allocated) {
    ASSERT(allocated != NULL);
    return allocated;
}

static char *copy_of(const char *text) {
    return text == NULL ? NULL : must(strdup(text));
}

static void file_release(struct disk_sim_file *file) {
    ASSERT(file->references > 0);
    if (--file->references == 0) disk_sim_file_free(file);
}

/* ---- Names ---- */

static struct name *names_find(const struct names *names, const char *path) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].path, path) == 0) return &names->list[i];
    }
    return NULL;
}

static void names_remove(struct names *names, const char *path) {
    struct name *name = names_find(names, path);
    if (name == NULL) return;
    free(name->path);
    file_release(name->file);
    *name = names->list[--names->count];
}

static void names_add(struct names *names, const char *path, struct disk_sim_file *file) {
    file->references++; /* first: it may be this very name that goes */
    names_remove(names, path);
    if (names->count == names->capacity) {
        names->capacity = 2 * names->capacity + 8;
        names->list = must(realloc(names->list, names->capacity * sizeof(names->list[0])));
    }
    names->list[names->count++] = (struct name){.path = copy_of(path), .file = file};
}

static void names_clear(struct names *names) {
    while (names->count > 0) names_remove(names, names->list[names->count - 1].path);
}

static void names_copy(struct names *to, const struct names *from) {
    names_clear(to);
    for (size_t i = 0; i < from->count; i++) names_add(to, from->list[i].path, from->list[i].file);
}

static void names_apply(struct names *names, const struct change *change) {
    const struct name *gone = change->from == NULL ? NULL : names_find(names, change->from);
    if (gone != NULL && gone->file == change->file) names_remove(names, change->from);
    if (change->to != NULL) names_add(names, change->to, change->file);
}

/* Shows the change at once and keeps it until the directory is synced. */
static void change_names(struct disk_sim *sim, const char *from, const char *to,
                         struct disk_sim_file *file) {
    if (sim->changes_count == sim->changes_capacity) {
        sim->changes_capacity = 2 * sim->changes_capacity + 8;
        sim->changes = must(realloc(sim->changes, sim->changes_capacity * sizeof(sim->changes[0])));
    }
    struct change change = {.from = copy_of(from), .to = copy_of(to), .file = file};
    file->references++;
    sim->changes[sim->changes_count++] = change;
    names_apply(&sim->now, &change);
}

static bool is_in(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

/* Takes the changes of `folder` (NULL: of all) off the list; `is_kept` says which become durable.
 */
static void settle_changes(struct disk_sim *sim, const char *folder,
                           bool (*is_kept)(struct disk_sim *sim, void *ctx), void *ctx) {
    size_t left = 0;
    for (size_t i = 0; i < sim->changes_count; i++) {
        struct change *change = &sim->changes[i];
        const char *path = change->to != NULL ? change->to : change->from;
        if (folder != NULL && !is_in(path, folder)) {
            sim->changes[left++] = *change;
            continue;
        }
        if (is_kept(sim, ctx)) names_apply(&sim->durable, change);
        free(change->from);
        free(change->to);
        file_release(change->file);
    }
    sim->changes_count = left;
}

static bool keep_all(struct disk_sim *sim, void *ctx) {
    (void)sim, (void)ctx;
    return true;
}

static bool keep_any(struct disk_sim *sim, void *ctx) {
    (void)ctx;
    return random_sim_chance(&sim->random, 128);
}

static bool keep_first(struct disk_sim *sim, void *ctx) {
    uint64_t *left = ctx;
    (void)sim;
    return *left > 0 && (*left)-- > 0;
}

/* ---- Fate ---- */

static bool fault_is_due(struct fault *fault) {
    return fault->countdown > 0 && --fault->countdown == 0;
}

/* Counts the call and says what becomes of it: 0, DISK_SIM_SHORT, or the errno it fails with. A
 * call that fails may have its effect all the same: *has_effect. */
static int fate_of(struct disk_sim *sim, enum disk_sim_call call, bool *has_effect) {
    sim->calls[call]++;
    sim->calls[DISK_SIM_ANY]++;
    *has_effect = false;
    if (!sim->has_power) return -EIO;
    *has_effect = true;
    int code = 0;
    bool is_power_cut = false;
    if (fault_is_due(&sim->faults[call])) code = sim->faults[call].code;
    if (fault_is_due(&sim->faults[DISK_SIM_ANY])) code = sim->faults[DISK_SIM_ANY].code;
    if (fault_is_due(&sim->power_cut)) {
        sim->has_power = false;
        is_power_cut = true;
        code = -EIO;
    }
    if (code != 0) {
        sim->has_struck = true;
        sim->strike = (struct disk_sim_strike){call, code, is_power_cut};
    }
    if (code < 0) *has_effect = random_sim_chance(&sim->random, 128);
    if (code > 0 && call != DISK_SIM_PREAD && call != DISK_SIM_PWRITE) code = 0;
    return code;
}

uint64_t disk_sim_calls(const struct disk_sim *sim, enum disk_sim_call call) {
    return sim->calls[call];
}

void disk_sim_fail(struct disk_sim *sim, enum disk_sim_call call, uint64_t nth, int code) {
    sim->faults[call] = (struct fault){.countdown = nth, .code = code};
}

void disk_sim_cut_power_at(struct disk_sim *sim, uint64_t nth) {
    sim->power_cut = (struct fault){.countdown = nth};
}

bool disk_sim_has_power(const struct disk_sim *sim) {
    return sim->has_power;
}

bool disk_sim_take_strike(struct disk_sim *sim, struct disk_sim_strike *strike) {
    bool has_struck = sim->has_struck;
    sim->has_struck = false;
    *strike = sim->strike;
    return has_struck;
}

struct disk_sim_losses disk_sim_losses(const struct disk_sim *sim) {
    return sim->losses;
}

void disk_sim_set_capacity(struct disk_sim *sim, uint64_t capacity_bytes) {
    sim->capacity_bytes = capacity_bytes;
}

/* ---- Handles ---- */

static struct handle *handle_of(struct disk_sim *sim, int fd) {
    ASSERT(fd >= FIRST_FD && (size_t)(fd - FIRST_FD) < sim->handles_count);
    struct handle *handle = &sim->handles[fd - FIRST_FD];
    ASSERT(handle->file != NULL); /* used after close */
    return handle;
}

static int handle_new(struct disk_sim *sim, struct disk_sim_file *file, bool is_writable) {
    size_t i = 0;
    while (i < sim->handles_count && sim->handles[i].file != NULL) i++;
    if (i == sim->handles_count) {
        sim->handles = must(realloc(sim->handles, (i + 1) * sizeof(sim->handles[0])));
        sim->handles_count++;
    }
    file->references++;
    sim->handles[i] = (struct handle){.file = file, .is_writable = is_writable};
    return FIRST_FD + (int)i;
}

static void handle_close(struct handle *handle) {
    if (handle->file != NULL) file_release(handle->file);
    handle->file = NULL;
}

size_t disk_sim_open_files(const struct disk_sim *sim) {
    size_t count = 0;
    for (size_t i = 0; i < sim->handles_count; i++) count += sim->handles[i].file != NULL;
    return count;
}

/* ---- The calls ---- */

static struct disk_sim *sim_of(struct disk *disk) {
    return CONTAINER_OF(disk, struct disk_sim, disk);
}

static int sim_open(struct disk *disk, const char *path, enum disk_open how) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_OPEN, &has_effect);
    struct name *name = names_find(&sim->now, path);
    if (code == 0 && how == DISK_CREATE_NEW && name != NULL) return -EEXIST;
    if (code == 0 && how != DISK_CREATE_NEW && name == NULL) return -ENOENT;
    if (how == DISK_CREATE_NEW && name == NULL && has_effect) {
        change_names(sim, NULL, path, disk_sim_file_new());
        name = names_find(&sim->now, path);
    }
    return code < 0 ? code : handle_new(sim, name->file, how != DISK_READ);
}

static int sim_close(struct disk *disk, int fd) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_CLOSE, &has_effect);
    handle_of(sim, fd);
    handle_close(&sim->handles[fd - FIRST_FD]); /* as on Linux: closed, whatever it says */
    return code;
}

static ssize_t sim_pread(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_PREAD, &has_effect);
    if (code < 0) return code;
    const struct disk_sim_bytes *now = &handle_of(sim, fd)->file->now;
    if (offset >= now->n) return 0;
    size_t n = size_min(bytes, (size_t)(now->n - offset));
    if (code == DISK_SIM_SHORT) n = (n + 1) / 2;
    memcpy(to, now->p + offset, n);
    return (ssize_t)n;
}

/* Sizes of all files that have a name. */
static uint64_t used_bytes(const struct disk_sim *sim) {
    uint64_t used = 0;
    for (size_t i = 0; i < sim->now.count; i++) used += sim->now.list[i].file->now.n;
    return used;
}

/* How large `file` may become. */
static uint64_t size_limit(const struct disk_sim *sim, const struct disk_sim_file *file) {
    if (sim->capacity_bytes == 0) return UINT64_MAX;
    uint64_t used = used_bytes(sim);
    uint64_t free_bytes = sim->capacity_bytes > used ? sim->capacity_bytes - used : 0;
    return file->now.n + free_bytes;
}

static ssize_t sim_pwrite(struct disk *disk, int fd, const void *from, size_t bytes,
                          uint64_t offset) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_PWRITE, &has_effect);
    struct handle *handle = handle_of(sim, fd);
    ASSERT(handle->is_writable);
    uint64_t limit = size_limit(sim, handle->file);
    if (code == 0 && offset >= limit) return -ENOSPC;
    size_t n = offset >= limit ? 0 : size_min(bytes, (size_t)(limit - offset));
    if (code == DISK_SIM_SHORT) n = (n + 1) / 2;
    if (code < 0) n = has_effect ? (size_t)random_sim_below(&sim->random, n + 1) : 0;
    if (n > 0) disk_sim_file_write(handle->file, from, n, offset);
    return code < 0 ? code : (ssize_t)n;
}

static int sim_fdatasync(struct disk *disk, int fd) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_FDATASYNC, &has_effect);
    struct disk_sim_file *file = handle_of(sim, fd)->file;
    if (code == 0) disk_sim_file_sync(file);
    /* Without power the crash to come decides about the un-synced writes. */
    if (code < 0 && sim->has_power) disk_sim_file_sync_part(file, &sim->random, &sim->losses);
    return code;
}

static int sim_fallocate(struct disk *disk, int fd, uint64_t bytes) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_FALLOCATE, &has_effect);
    struct disk_sim_file *file = handle_of(sim, fd)->file;
    if (code == 0 && bytes > size_limit(sim, file)) return -ENOSPC;
    if (has_effect && bytes > file->now.n && bytes <= size_limit(sim, file))
        disk_sim_file_write(file, NULL, 0, bytes);
    return code;
}

static int64_t sim_size(struct disk *disk, int fd) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_SIZE, &has_effect);
    return code < 0 ? code : (int64_t)handle_of(sim, fd)->file->now.n;
}

static int sim_rename(struct disk *disk, const char *from, const char *to) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_RENAME, &has_effect);
    const struct name *name = names_find(&sim->now, from);
    if (name != NULL && has_effect) change_names(sim, from, to, name->file);
    return code == 0 && name == NULL ? -ENOENT : code;
}

static int sim_unlink(struct disk *disk, const char *path) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_UNLINK, &has_effect);
    const struct name *name = names_find(&sim->now, path);
    if (name != NULL && has_effect) change_names(sim, path, NULL, name->file);
    return code == 0 && name == NULL ? -ENOENT : code;
}

static int sim_sync_directory(struct disk *disk, const char *path) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_SYNC_DIRECTORY, &has_effect);
    if (code == 0) settle_changes(sim, path, keep_all, NULL);
    return code;
}

static int sim_list(struct disk *disk, const char *path,
                    void (*on_name)(void *ctx, const char *name), void *ctx) {
    struct disk_sim *sim = sim_of(disk);
    bool has_effect;
    int code = fate_of(sim, DISK_SIM_LIST, &has_effect);
    if (code < 0) return code;
    for (size_t i = 0; i < sim->now.count; i++) {
        const char *full = sim->now.list[i].path;
        if (is_in(full, path)) on_name(ctx, full + strlen(path) + 1);
    }
    return 0;
}

/* ---- Life and death ---- */

struct disk_sim *disk_sim_new(uint64_t seed, uint64_t capacity_bytes) {
    struct disk_sim *sim = must(calloc(1, sizeof(*sim)));
    sim->disk = (struct disk){.open = sim_open,
                              .close = sim_close,
                              .pread = sim_pread,
                              .pwrite = sim_pwrite,
                              .fdatasync = sim_fdatasync,
                              .fallocate = sim_fallocate,
                              .size = sim_size,
                              .rename = sim_rename,
                              .unlink = sim_unlink,
                              .sync_directory = sim_sync_directory,
                              .list = sim_list};
    random_sim_init(&sim->random, seed);
    sim->capacity_bytes = capacity_bytes;
    sim->has_power = true;
    return sim;
}

void disk_sim_free(struct disk_sim *sim) {
    disk_sim_kill(sim);
    settle_changes(sim, NULL, keep_all, NULL);
    names_clear(&sim->now);
    names_clear(&sim->durable);
    free(sim->now.list);
    free(sim->durable.list);
    free(sim->changes);
    free(sim->handles);
    free(sim);
}

struct disk *disk_sim_disk(struct disk_sim *sim) {
    return &sim->disk;
}

struct disk_sim *disk_sim_clone(const struct disk_sim *sim, uint64_t seed) {
    struct disk_sim *clone = disk_sim_new(seed, sim->capacity_bytes);
    for (size_t i = 0; i < sim->now.count; i++) {
        const struct name *name = &sim->now.list[i];
        disk_sim_put(clone, name->path, slice_of(name->file->now.p, name->file->now.n));
    }
    return clone;
}

void disk_sim_kill(struct disk_sim *sim) {
    for (size_t i = 0; i < sim->handles_count; i++) handle_close(&sim->handles[i]);
}

static void disarm(struct disk_sim *sim) {
    memset(sim->faults, 0, sizeof(sim->faults));
    sim->power_cut = (struct fault){0};
    sim->has_power = true;
}

void disk_sim_resume(struct disk_sim *sim) {
    disk_sim_kill(sim);
    disarm(sim);
}

void disk_sim_crash(struct disk_sim *sim) {
    disk_sim_kill(sim);
    sim->losses = (struct disk_sim_losses){0};
    uint64_t kept = random_sim_below(&sim->random, sim->changes_count + 1);
    bool is_journalled = random_sim_chance(&sim->random, 128);
    settle_changes(sim, NULL, is_journalled ? keep_first : keep_any, &kept);
    for (size_t i = 0; i < sim->durable.count; i++) {
        struct disk_sim_file *file = sim->durable.list[i].file;
        disk_sim_file_sync_part(file, &sim->random, &sim->losses);
        disk_sim_file_revert(file);
    }
    names_copy(&sim->now, &sim->durable);
    disarm(sim);
}

/* ---- The hand ---- */

struct slice disk_sim_peek(const struct disk_sim *sim, const char *path) {
    const struct name *name = names_find(&sim->now, path);
    if (name == NULL) return slice_of(NULL, 0);
    return slice_of(name->file->now.p == NULL ? "" : name->file->now.p, name->file->now.n);
}

void disk_sim_put(struct disk_sim *sim, const char *path, struct slice bytes) {
    struct disk_sim_file *file = disk_sim_file_new();
    disk_sim_file_put(file, bytes.p, bytes.n);
    names_add(&sim->now, path, file);
    names_add(&sim->durable, path, file);
}

void disk_sim_remove(struct disk_sim *sim, const char *path) {
    names_remove(&sim->now, path);
    names_remove(&sim->durable, path);
}

void disk_sim_flip(struct disk_sim *sim, const char *path, uint64_t offset, unsigned char mask) {
    struct disk_sim_file *file = names_find(&sim->now, path)->file;
    struct disk_sim_bytes *contents[] = {&file->now, &file->durable};
    for (size_t i = 0; i < ARRAY_LEN(contents); i++)
        if (offset < contents[i]->n)
            contents[i]->p[offset] = (char)((unsigned char)contents[i]->p[offset] ^ mask);
}

const char *disk_sim_path(const struct disk_sim *sim, size_t index) {
    return index < sim->now.count ? sim->now.list[index].path : NULL;
}
