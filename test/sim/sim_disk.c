/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk between the server's threads and disk_sim: every call of a thread lets the others go
 * first, may take long, and tells what struck it; so a process can end, and a fault strike, between
 * any two calls of a commit.
 */
#include <errno.h>

#include "sim/heap_sim.h"
#include "sim/sim_world.h"

/* Longer than the MARK behind a commit, shorter than a batch. */
enum { MARK_BYTES_MAX = 64 };

static struct sim_world *world_of(struct disk *disk) {
    return CONTAINER_OF(disk, struct sim_world, watched);
}

static enum sim_fault fault_of(const struct disk_sim_strike *strike) {
    if (strike->is_power_cut) return FAULT_POWER_CUT_IN_CALL;
    switch (strike->call) {
    case DISK_SIM_PWRITE:
        return strike->code == DISK_SIM_SHORT ? FAULT_WRITE_SHORT
               : strike->code == -ENOSPC      ? FAULT_WRITE_ENOSPC
                                              : FAULT_WRITE_EIO;
    case DISK_SIM_FDATASYNC:
        return FAULT_SYNC_EIO;
    case DISK_SIM_PREAD:
        return FAULT_READ_EIO;
    case DISK_SIM_OPEN:
        return FAULT_OPEN_EIO;
    case DISK_SIM_FALLOCATE:
        return FAULT_ALLOCATE_ENOSPC;
    case DISK_SIM_RENAME:
        return FAULT_RENAME_EIO;
    case DISK_SIM_SYNC_DIRECTORY:
        return FAULT_FOLDER_EIO;
    default:
        return FAULT_OTHER_EIO;
    }
}

static void note_commit(struct sim_world *world, enum disk_sim_call call, size_t bytes) {
    enum sim_commit *commit = &world->server.commit;
    if (call == DISK_SIM_FDATASYNC && *commit == COMMIT_WRITES) *commit = COMMIT_SYNCS;
    /* What was synced before was the head of a new segment. */
    bool is_mark = call != DISK_SIM_RENAME && bytes <= MARK_BYTES_MAX;
    if (*commit == COMMIT_MARKS && !is_mark) *commit = COMMIT_WRITES;
}

static struct disk *begin(struct disk *disk, enum disk_sim_call call, size_t bytes) {
    struct sim_world *world = world_of(disk);
    enum thread_role role = threads_sim_current();
    if (role == THREAD_COMMITTER) note_commit(world, call, bytes);
    if (role != THREAD_MAIN) threads_sim_yield();
    if (role != THREAD_MAIN && world->swarm.disk_slow_ns != 0 && sim_chance(world, 16)) {
        sim_struck(world, FAULT_SLOW_DISK);
        (void)threads_sim_wait(&role, threads_sim_now_ns() + 1 +
                                          sim_below(world, world->swarm.disk_slow_ns));
    }
    heap_sim_leave();
    return disk_sim_disk(world->disk);
}

static int64_t end(struct disk *disk, enum disk_sim_call call, int64_t result) {
    struct sim_world *world = world_of(disk);
    struct disk_sim_strike strike;
    if (disk_sim_take_strike(world->disk, &strike)) {
        sim_struck(world, fault_of(&strike));
        sim_trace(world, "  struck: call %d code %d%s", (int)strike.call, strike.code,
                  strike.is_power_cut ? ", power cut" : "");
    } else if (result == -ENOSPC) {
        sim_struck(world, FAULT_DISK_FULL);
    }
    if (result < 0) world->server.was_struck = true;
    if (call == DISK_SIM_FDATASYNC && result == 0 && threads_sim_current() == THREAD_COMMITTER &&
        world->server.commit == COMMIT_SYNCS)
        world->server.commit = COMMIT_MARKS;
    heap_sim_enter();
    return result;
}

static int watched_open(struct disk *disk, const char *path, enum disk_open how) {
    struct disk *real = begin(disk, DISK_SIM_OPEN, 0);
    return (int)end(disk, DISK_SIM_OPEN, real->open(real, path, how));
}

static int watched_close(struct disk *disk, int fd) {
    struct disk *real = begin(disk, DISK_SIM_CLOSE, 0);
    return (int)end(disk, DISK_SIM_CLOSE, real->close(real, fd));
}

static ssize_t watched_pread(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    struct disk *real = begin(disk, DISK_SIM_PREAD, bytes);
    return (ssize_t)end(disk, DISK_SIM_PREAD, real->pread(real, fd, to, bytes, offset));
}

static ssize_t watched_pwrite(struct disk *disk, int fd, const void *from, size_t bytes,
                              uint64_t offset) {
    struct disk *real = begin(disk, DISK_SIM_PWRITE, bytes);
    return (ssize_t)end(disk, DISK_SIM_PWRITE, real->pwrite(real, fd, from, bytes, offset));
}

static int watched_fdatasync(struct disk *disk, int fd) {
    struct disk *real = begin(disk, DISK_SIM_FDATASYNC, 0);
    return (int)end(disk, DISK_SIM_FDATASYNC, real->fdatasync(real, fd));
}

static int watched_fallocate(struct disk *disk, int fd, uint64_t bytes) {
    struct disk *real = begin(disk, DISK_SIM_FALLOCATE, 0);
    return (int)end(disk, DISK_SIM_FALLOCATE, real->fallocate(real, fd, bytes));
}

static int64_t watched_size(struct disk *disk, int fd) {
    struct disk *real = begin(disk, DISK_SIM_SIZE, 0);
    return end(disk, DISK_SIM_SIZE, real->size(real, fd));
}

static int watched_rename(struct disk *disk, const char *from, const char *to) {
    struct disk *real = begin(disk, DISK_SIM_RENAME, 0);
    return (int)end(disk, DISK_SIM_RENAME, real->rename(real, from, to));
}

static int watched_unlink(struct disk *disk, const char *path) {
    struct disk *real = begin(disk, DISK_SIM_UNLINK, 0);
    return (int)end(disk, DISK_SIM_UNLINK, real->unlink(real, path));
}

static int watched_sync_directory(struct disk *disk, const char *path) {
    struct disk *real = begin(disk, DISK_SIM_SYNC_DIRECTORY, 0);
    return (int)end(disk, DISK_SIM_SYNC_DIRECTORY, real->sync_directory(real, path));
}

struct relay {
    void (*on_name)(void *ctx, const char *name);
    void *ctx;
};

static void relay_name(void *ctx, const char *name) {
    const struct relay *relay = ctx;
    heap_sim_enter();
    relay->on_name(relay->ctx, name);
    heap_sim_leave();
}

static int watched_list(struct disk *disk, const char *path,
                        void (*on_name)(void *ctx, const char *name), void *ctx) {
    struct disk *real = begin(disk, DISK_SIM_LIST, 0);
    struct relay relay = {on_name, ctx};
    return (int)end(disk, DISK_SIM_LIST, real->list(real, path, relay_name, &relay));
}

void sim_disk_watch(struct sim_world *world) {
    world->watched = (struct disk){.open = watched_open,
                                   .close = watched_close,
                                   .pread = watched_pread,
                                   .pwrite = watched_pwrite,
                                   .fdatasync = watched_fdatasync,
                                   .fallocate = watched_fallocate,
                                   .size = watched_size,
                                   .rename = watched_rename,
                                   .unlink = watched_unlink,
                                   .sync_directory = watched_sync_directory,
                                   .list = watched_list};
}
