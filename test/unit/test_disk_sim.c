/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated disk keeps what was synced, forgets only what was not, and fails when told to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/disk_sim.h"

enum { SEEDS = 300 };

static int make(struct disk *disk, const char *path) {
    int fd = disk->open(disk, path, DISK_CREATE_NEW);
    assert_true(fd >= 0);
    return fd;
}

static void write_at(struct disk *disk, int fd, const char *text, uint64_t offset) {
    assert_int_equal(disk_write_all(disk, fd, text, strlen(text), offset), 0);
}

static void assert_content(struct disk_sim *sim, const char *path, const char *text) {
    struct slice bytes = disk_sim_peek(sim, path);
    assert_non_null(bytes.p);
    assert_int_equal(bytes.n, strlen(text));
    assert_memory_equal(bytes.p, text, bytes.n);
}

static void reads_what_was_written(void **state) {
    (void)state;
    struct disk_sim *sim = disk_sim_new(1, 0);
    struct disk *disk = disk_sim_disk(sim);
    int fd = make(disk, "d/a");
    write_at(disk, fd, "world", 6);
    write_at(disk, fd, "hello", 0);
    char text[12] = "";
    assert_int_equal(disk->pread(disk, fd, text, sizeof(text), 0), 11);
    assert_memory_equal(text, "hello\0world", 11);
    assert_int_equal(disk->size(disk, fd), 11);
    assert_int_equal(disk->open(disk, "d/a", DISK_CREATE_NEW), -EEXIST);
    assert_int_equal(disk->open(disk, "d/b", DISK_WRITE), -ENOENT);
    assert_int_equal(disk->rename(disk, "d/a", "d/b"), 0);
    assert_null(disk_sim_peek(sim, "d/a").p);
    assert_int_equal(disk->unlink(disk, "d/b"), 0);
    assert_int_equal(disk->unlink(disk, "d/b"), -ENOENT);
    assert_int_equal(disk_sim_open_files(sim), 1);
    assert_int_equal(disk->close(disk, fd), 0);
    assert_int_equal(disk_sim_open_files(sim), 0);
    disk_sim_free(sim);
}

static void synced_survives_every_crash(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *sim = disk_sim_new(seed, 0);
        struct disk *disk = disk_sim_disk(sim);
        int fd = make(disk, "d/a");
        write_at(disk, fd, "kept", 0);
        assert_int_equal(disk->fdatasync(disk, fd), 0);
        assert_int_equal(disk->sync_directory(disk, "d"), 0);
        write_at(disk, fd, "lost", 2000);
        disk_sim_crash(sim);
        assert_memory_equal(disk_sim_peek(sim, "d/a").p, "kept", 4);
        assert_int_equal(disk_sim_open_files(sim), 0);
        disk_sim_free(sim);
    }
}

/* Every state that a power cut may leave is seen for some seed, and no other. */
static void unsynced_is_torn_at_sectors(void **state) {
    (void)state;
    char zeros[1024] = "", ones[1024], twos[1024];
    memset(ones, '1', sizeof(ones));
    memset(twos, '2', sizeof(twos));
    bool seen[3][3] = {{false}};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *sim = disk_sim_new(seed, 0);
        struct disk *disk = disk_sim_disk(sim);
        disk_sim_put(sim, "d/a", slice_of(zeros, sizeof(zeros)));
        int fd = disk->open(disk, "d/a", DISK_WRITE);
        assert_int_equal(disk_write_all(disk, fd, ones, sizeof(ones), 0), 0);
        assert_int_equal(disk_write_all(disk, fd, twos, sizeof(twos), 0), 0);
        disk_sim_crash(sim);
        struct slice now = disk_sim_peek(sim, "d/a");
        int sector[2];
        for (int i = 0; i < 2; i++) {
            const char *p = now.p + 512 * i;
            sector[i] = p[0] == 0 ? 0 : p[0] - '0';
            const char *wanted = sector[i] == 0 ? zeros : sector[i] == 1 ? ones : twos;
            assert_memory_equal(p, wanted, 512);
        }
        seen[sector[0]][sector[1]] = true;
        disk_sim_free(sim);
    }
    for (int i = 0; i < 9; i++) assert_true(seen[i / 3][i % 3]);
}

static void names_need_a_synced_directory(void **state) {
    (void)state;
    bool seen_old = false, seen_new = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *sim = disk_sim_new(seed, 0);
        struct disk *disk = disk_sim_disk(sim);
        disk_sim_put(sim, "d/old", SLICE("x"));
        assert_int_equal(disk->rename(disk, "d/old", "d/new"), 0);
        disk_sim_crash(sim);
        bool has_old = disk_sim_peek(sim, "d/old").p != NULL;
        bool has_new = disk_sim_peek(sim, "d/new").p != NULL;
        assert_true(has_old != has_new);
        seen_old |= has_old;
        seen_new |= has_new;
        disk_sim_free(sim);
    }
    assert_true(seen_old && seen_new);
}

static void failed_sync_forgets(void **state) {
    (void)state;
    bool has_lost = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *sim = disk_sim_new(seed, 0);
        struct disk *disk = disk_sim_disk(sim);
        disk_sim_put(sim, "d/a", SLICE("...."));
        int fd = disk->open(disk, "d/a", DISK_WRITE);
        write_at(disk, fd, "text", 0);
        disk_sim_fail(sim, DISK_SIM_FDATASYNC, 1, -EIO);
        assert_int_equal(disk->fdatasync(disk, fd), -EIO);
        assert_int_equal(disk->fdatasync(disk, fd), 0);
        assert_content(sim, "d/a", "text");
        disk_sim_crash(sim);
        has_lost |= disk_sim_peek(sim, "d/a").p[0] == '.';
        disk_sim_free(sim);
    }
    assert_true(has_lost);
}

static void faults_hit_the_nth_call(void **state) {
    (void)state;
    struct disk_sim *sim = disk_sim_new(1, 0);
    struct disk *disk = disk_sim_disk(sim);
    int fd = make(disk, "d/a");
    disk_sim_fail(sim, DISK_SIM_PWRITE, 2, -ENOSPC);
    assert_int_equal(disk->pwrite(disk, fd, "ab", 2, 0), 2);
    assert_int_equal(disk->pwrite(disk, fd, "ab", 2, 0), -ENOSPC);
    disk_sim_fail(sim, DISK_SIM_PWRITE, 1, DISK_SIM_SHORT);
    assert_int_equal(disk->pwrite(disk, fd, "abcd", 4, 0), 2);
    assert_int_equal(disk_sim_calls(sim, DISK_SIM_PWRITE), 3);
    assert_int_equal(disk_sim_calls(sim, DISK_SIM_ANY), 4);
    disk_sim_free(sim);
}

static void power_cut_stops_everything(void **state) {
    (void)state;
    struct disk_sim *sim = disk_sim_new(1, 0);
    struct disk *disk = disk_sim_disk(sim);
    int fd = make(disk, "d/a");
    assert_int_equal(disk->sync_directory(disk, "d"), 0);
    disk_sim_cut_power_at(sim, 2);
    write_at(disk, fd, "a", 0);
    assert_int_equal(disk->fdatasync(disk, fd), -EIO);
    assert_int_equal(disk->pwrite(disk, fd, "b", 1, 0), -EIO);
    assert_false(disk_sim_has_power(sim));
    assert_content(sim, "d/a", "a");
    disk_sim_crash(sim);
    assert_true(disk_sim_has_power(sim));
    assert_true(disk->open(disk, "d/a", DISK_READ) >= 0);
    disk_sim_free(sim);
}

static void capacity_ends(void **state) {
    (void)state;
    struct disk_sim *sim = disk_sim_new(1, 10);
    struct disk *disk = disk_sim_disk(sim);
    int fd = make(disk, "d/a");
    assert_int_equal(disk->pwrite(disk, fd, "12345678", 8, 0), 8);
    assert_int_equal(disk->pwrite(disk, fd, "12345678", 8, 8), 2);
    assert_int_equal(disk->pwrite(disk, fd, "12345678", 8, 10), -ENOSPC);
    assert_int_equal(disk->pwrite(disk, fd, "87654321", 8, 0), 8); /* inside: needs no space */
    assert_int_equal(disk->fallocate(disk, fd, 11), -ENOSPC);
    assert_int_equal(disk->unlink(disk, "d/a"), 0);
    int other = make(disk, "d/b");
    assert_int_equal(disk->fallocate(disk, other, 10), 0);
    assert_int_equal(disk->size(disk, other), 10);
    disk_sim_free(sim);
}

static void kill_keeps_the_cache(void **state) {
    (void)state;
    struct disk_sim *sim = disk_sim_new(1, 0);
    struct disk *disk = disk_sim_disk(sim);
    write_at(disk, make(disk, "d/a"), "text", 0);
    disk_sim_kill(sim);
    assert_int_equal(disk_sim_open_files(sim), 0);
    assert_content(sim, "d/a", "text");
    struct disk_sim *clone = disk_sim_clone(sim, 2);
    disk_sim_free(sim);
    disk_sim_crash(clone);
    assert_content(clone, "d/a", "text");
    disk_sim_free(clone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(synced_survives_every_crash),
        cmocka_unit_test(unsynced_is_torn_at_sectors),
        cmocka_unit_test(names_need_a_synced_directory),
        cmocka_unit_test(failed_sync_forgets),
        cmocka_unit_test(faults_hit_the_nth_call),
        cmocka_unit_test(power_cut_stops_everything),
        cmocka_unit_test(capacity_ends),
        cmocka_unit_test(kill_keeps_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
