/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite on a disk that fails when told so: from the nth call of one kind on, for a number of
 * calls. Include in one file of a program; failing_vfs_install makes it SQLite's default.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

enum failing_call { FAILING_WRITE, FAILING_SYNC, FAILING_TRUNCATE, FAILING_CALLS };

/* SQLite has a table of functions for each way of locking; so have we. */
struct failing_methods {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;
};

static struct failing_vfs {
    sqlite3_vfs vfs, *real_vfs;
    struct failing_methods tables[4];
    int counts[FAILING_CALLS], fail_at[FAILING_CALLS], fail_count[FAILING_CALLS];
    int code;
} failing_vfs;

static int failing_vfs_turn(enum failing_call call) {
    int number = ++failing_vfs.counts[call], at = failing_vfs.fail_at[call];
    bool fails = at != 0 && number >= at && number < at + failing_vfs.fail_count[call];
    return fails ? failing_vfs.code : SQLITE_OK;
}

static const sqlite3_io_methods *failing_real(sqlite3_file *file) {
    return ((const struct failing_methods *)(const void *)file->pMethods)->real;
}

static int failing_write(sqlite3_file *file, const void *from, int bytes, sqlite3_int64 offset) {
    int code = failing_vfs_turn(FAILING_WRITE);
    return code != SQLITE_OK ? code : failing_real(file)->xWrite(file, from, bytes, offset);
}

static int failing_sync(sqlite3_file *file, int flags) {
    int code = failing_vfs_turn(FAILING_SYNC);
    return code != SQLITE_OK ? code : failing_real(file)->xSync(file, flags);
}

static int failing_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = failing_vfs_turn(FAILING_TRUNCATE);
    return code != SQLITE_OK ? code : failing_real(file)->xTruncate(file, size);
}

static int failing_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                        int *out_flags) {
    (void)vfs;
    int code = failing_vfs.real_vfs->xOpen(failing_vfs.real_vfs, name, file, flags, out_flags);
    if (code != SQLITE_OK) return code;
    struct failing_methods *table = failing_vfs.tables;
    while (table->real != NULL && table->real != file->pMethods) table++;
    assert_true(table < failing_vfs.tables + 3);
    table->real = file->pMethods;
    table->methods = *file->pMethods;
    table->methods.xWrite = failing_write;
    table->methods.xSync = failing_sync;
    table->methods.xTruncate = failing_truncate;
    file->pMethods = &table->methods;
    return SQLITE_OK;
}

static void failing_vfs_install(void) {
    failing_vfs.real_vfs = sqlite3_vfs_find(NULL);
    failing_vfs.vfs = *failing_vfs.real_vfs;
    failing_vfs.vfs.zName = "failing";
    failing_vfs.vfs.xOpen = failing_open;
    assert_int_equal(sqlite3_vfs_register(&failing_vfs.vfs, 1), SQLITE_OK);
}

/* From call `at` of this kind on (1: the next), `count` calls fail with `code`; 0 heals. */
static void failing_vfs_set(enum failing_call call, int at, int count, int code) {
    failing_vfs.counts[call] = 0;
    failing_vfs.fail_at[call] = at;
    failing_vfs.fail_count[call] = count;
    failing_vfs.code = code;
}
