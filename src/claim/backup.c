/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/backup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claim/coupon_code.h"
#include "claim/view.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "log/journal.h"
#include "log/journal_copy.h"

enum { EXIT_NO = 1, EXIT_USAGE = 2 };

struct backup {
    const char *from;
    char to[PATH_MAX], making[PATH_MAX]; /* DIR and DIR.tmp */
    const char *config, *jwt_keys;       /* NULL: none */
    bool with_token;

    struct journal_summary journal;
    uint32_t keys, events, events_without_key;
    struct err err;
};

/* FOLDER/NAME at `path`; false when it is too long. */
static bool join(char path[PATH_MAX], const char *folder, const char *name) {
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* ---- Copying ---- */

static int copy_file(struct backup *backup, const char *from_path, const char *name) {
    struct disk *disk = &disk_system;
    char to_path[PATH_MAX];
    if (!join(to_path, backup->making, name))
        return err_set(&backup->err, -ENAMETOOLONG, "%s: its name is too long", from_path);
    int from = disk->open(disk, from_path, DISK_READ);
    if (from < 0)
        return err_set(&backup->err, from, "cannot open %s: %s", from_path, strerror(-from));
    int to = disk->open(disk, to_path, DISK_CREATE_NEW);
    int64_t size = to < 0 ? to : disk->size(disk, from);
    int code = size < 0 ? (int)size : disk_copy(disk, from, to, (uint64_t)size);
    if (code == 0) code = disk->fdatasync(disk, to);
    disk->close(disk, from);
    if (to >= 0) disk->close(disk, to);
    if (code == 0) return 0;
    return err_set(&backup->err, code, "cannot copy %s: %s", from_path, strerror(-code));
}

static int copy_of_folder(struct backup *backup, const char *name) {
    char path[PATH_MAX];
    if (!join(path, backup->from, name))
        return err_set(&backup->err, -ENAMETOOLONG, "%s: its name is too long", name);
    return copy_file(backup, path, name);
}

static void copy_if_key(void *ctx, const char *name) {
    static const char suffix[] = ".key";
    struct backup *backup = ctx;
    size_t bytes = strlen(name), suffix_bytes = sizeof suffix - 1;
    if (backup->err.code != 0 || bytes <= suffix_bytes ||
        strcmp(name + bytes - suffix_bytes, suffix) != 0)
        return;
    backup->keys += copy_of_folder(backup, name) == 0;
}

/* After the journal: a key that an event of it needs was there before the event. */
static int copy_keys(struct backup *backup) {
    int code = disk_system.list(&disk_system, backup->from, copy_if_key, backup);
    if (backup->err.code != 0) return backup->err.code;
    if (code == 0) return 0;
    return err_set(&backup->err, code, "cannot list %s: %s", backup->from, strerror(-code));
}

static int copy_all(struct backup *backup) {
    int code =
        journal_copy(&disk_system, backup->from, backup->making, &backup->journal, &backup->err);
    FAILPOINT("backup_journal_copied");
    if (code == 0) code = copy_keys(backup);
    if (code == 0 && backup->with_token) code = copy_of_folder(backup, "admin.token");
    if (code == 0 && backup->config != NULL)
        code = copy_file(backup, backup->config, "coupond.conf");
    if (code == 0 && backup->jwt_keys != NULL)
        code = copy_file(backup, backup->jwt_keys, "jwt-keys");
    FAILPOINT("backup_before_sync");
    if (code == 0) code = disk_system.sync_directory(&disk_system, backup->making);
    if (code != 0 && backup->err.code == 0)
        err_set(&backup->err, code, "cannot sync %s: %s", backup->making, strerror(-code));
    return code;
}

/* ---- Checking ---- */

static int apply_record(void *ctx, const struct record *record, struct slice encoded) {
    (void)encoded;
    return view_apply(ctx, record, NULL);
}

/* Reads the copy into a view as the server does when it starts. */
static int read_copy(struct backup *backup, struct view *view, struct journal_summary *summary) {
    const struct journal_options options = {.folder = backup->making,
                                            .disk = &disk_system,
                                            .random = &random_system,
                                            .read_only = true};
    struct journal *journal;
    int code = journal_open(&journal, &options, apply_record, view, &backup->err);
    if (code != 0) return code;
    journal_get_summary(journal, summary);
    journal_close(journal);
    return 0;
}

static bool is_same(const struct journal_summary *a, const struct journal_summary *b) {
    return a->segments == b->segments && a->records == b->records && a->bytes == b->bytes &&
           a->first_seq == b->first_seq && a->last_seq == b->last_seq && b->torn_bytes == 0;
}

static void count_events(struct backup *backup, const struct view *view,
                         const struct code_keys *keys) {
    backup->events = view_events_count(view);
    for (uint32_t i = 0; i < backup->events; i++) {
        const struct event *event = view_at(view, i);
        if (code_keys_find(keys, event->key_id) != NULL) continue;
        backup->events_without_key++;
        fprintf(stderr,
                "coupond backup: no key file has the key %016" PRIx64 " of event %.*s, here as in "
                "%s: its claims are refused until that file is back\n",
                event->key_id, (int)event->id.n, event->id.p, backup->from);
    }
}

static int check_copy(struct backup *backup) {
    struct hash_key hash_key;
    struct code_keys keys;
    struct journal_summary found;
    random_fill(&random_system, &hash_key, sizeof hash_key);
    int code = code_keys_load(&keys, backup->making, false, &random_system, &backup->err);
    if (code != 0) return code;
    struct view *view = view_new(&hash_key);
    if (view == NULL) return err_set(&backup->err, -ENOMEM, "no memory to check the copy");
    code = read_copy(backup, view, &found);
    if (code == 0 && !is_same(&backup->journal, &found))
        code = err_set(&backup->err, -EIO, "the copy in %s is not what was copied", backup->making);
    if (code == 0) count_events(backup, view, &keys);
    view_free(view);
    explicit_bzero(&keys, sizeof keys);
    return code;
}

/* ---- The folder ---- */

static int begin(struct backup *backup) {
    struct stat found;
    if (lstat(backup->to, &found) == 0)
        return err_set(&backup->err, -EEXIST, "%s exists; name a folder that does not", backup->to);
    int code = mkdir(backup->making, 0700) == 0 ? 0 : -errno;
    FAILPOINT("backup_begun");
    if (code == 0) return 0;
    return err_set(&backup->err, code, "cannot create %s: %s%s", backup->making, strerror(-code),
                   code == -EEXIST ? " (left by a backup that was cut off, or being made by "
                                     "another; remove it if no other is running)"
                                   : "");
}

/* The folder that `path` is in. */
static void parent_of(const char *path, char parent[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(parent, PATH_MAX, ".");
    else
        snprintf(parent, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int finish(struct backup *backup) {
    char parent[PATH_MAX];
    parent_of(backup->to, parent);
    int code = disk_system.rename(&disk_system, backup->making, backup->to);
    FAILPOINT("backup_renamed");
    if (code == 0) code = disk_system.sync_directory(&disk_system, parent);
    if (code == 0) return 0;
    return err_set(&backup->err, code, "cannot call %s %s: %s", backup->making, backup->to,
                   strerror(-code));
}

static void remove_file(void *ctx, const char *name) {
    char path[PATH_MAX];
    if (join(path, ctx, name)) (void)unlink(path);
}

static void abandon(struct backup *backup) {
    (void)disk_system.list(&disk_system, backup->making, remove_file, backup->making);
    (void)rmdir(backup->making);
}

/* ---- The command ---- */

static int make(struct backup *backup) {
    int code = begin(backup);
    if (code != 0) return code;
    code = copy_all(backup);
    if (code == 0) code = check_copy(backup);
    FAILPOINT("backup_checked");
    if (code == 0) code = finish(backup);
    if (code != 0) abandon(backup);
    return code;
}

static int tell(const struct backup *backup) {
    const struct journal_summary *journal = &backup->journal;
    printf("backup      %s\n", backup->to);
    printf("segments    %" PRIu64 "\n", journal->segments);
    printf("records     %" PRIu64 "\n", journal->records);
    printf("last seq    %" PRIu64 "\n", journal->last_seq);
    printf("events      %" PRIu32 "\n", backup->events);
    printf("keys        %" PRIu32 "\n", backup->keys);
    printf("token       %s\n", backup->with_token ? "yes" : "no");
    printf("config      %s\n", backup->config != NULL ? "yes" : "no");
    printf("jwt keys    %s\n", backup->jwt_keys != NULL ? "yes" : "no");
    if (fflush(stdout) != 0) {
        fprintf(stderr, "coupond backup: cannot write: %s\n", strerror(errno));
        return EXIT_NO;
    }
    return backup->events_without_key == 0 ? 0 : EXIT_NO;
}

int backup_command(const struct options *options, int words, char **word) {
    struct backup backup = {.from = options_get(options, "data-dir")->text,
                            .config = options_get(options, "config")->text,
                            .jwt_keys = options_get(options, "jwt-keys")->text,
                            .with_token = options_get(options, "with-token")->number != 0};
    int bytes = words == 1 ? (int)strnlen(word[0], PATH_MAX) : 0;
    while (bytes > 1 && word[0][bytes - 1] == '/') bytes--;
    if (bytes == 0) {
        fprintf(stderr, "usage: coupond backup DIR [OPTION…]; see coupond backup --help\n");
        return EXIT_USAGE;
    }
    int n = snprintf(backup.making, sizeof backup.making, "%.*s.tmp", bytes, word[0]);
    if (n < 0 || n >= PATH_MAX) {
        fprintf(stderr, "coupond backup: the name of the folder is too long\n");
        return EXIT_USAGE;
    }
    snprintf(backup.to, sizeof backup.to, "%.*s", bytes, word[0]);
    umask(077);
    if (make(&backup) == 0) return tell(&backup);
    fprintf(stderr, "coupond backup: %s\n", backup.err.text);
    return EXIT_NO;
}
