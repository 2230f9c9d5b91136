/* SPDX-License-Identifier: Apache-2.0 */
#include "rebuild.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "log/kafka_members.h"

enum { EXIT_GOOD = 0, EXIT_NOT_DONE = 1, EXIT_USAGE = 2, SLOW_MS = 2000, TELL_MS = 1000 };

static uint64_t now_ns(void) {
    return clock_monotonic_ns(&clock_system);
}

/* ---- Words ---- */

void rebuild_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("rebuild   ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
}

void rebuild_begins(struct rebuild *rebuild) {
    rebuild->began_ns = rebuild->told_ns = now_ns();
}

bool rebuild_is_slow(struct rebuild *rebuild) {
    uint64_t now = now_ns();
    if (now - rebuild->began_ns < SLOW_MS * UINT64_C(1000000) ||
        now - rebuild->told_ns < TELL_MS * UINT64_C(1000000))
        return false;
    rebuild->told_ns = now;
    return true;
}

/* ---- Who is alive ---- */

int rebuild_check_consumers(const struct rebuild *rebuild, struct err *err) {
    const char *group = options_get(rebuild->options, "kafka-group")->text;
    struct kafka_members *members;
    uint32_t count = 0;
    int code = kafka_members_open(&members, &rebuild->kafka.options, group, err);
    if (code != 0) return code;
    code = kafka_members_count(members, rebuild->timeout_ms, &count, err);
    kafka_members_close(members);
    if (code != 0 || count == 0) return code;
    return err_set(
        err, -EBUSY,
        "refused, nothing was changed: %u consumers of the group %s are alive: stop them "
        "(one that was killed counts for six seconds)",
        count, group);
}

/* ---- The command ---- */

static const struct part {
    const char *name;
    int (*run)(struct rebuild *rebuild, struct err *err);
    bool takes_words, needs_redis, needs_database;
} parts[] = {
    {"redis", rebuild_redis, .takes_words = true, .needs_redis = true},
    {"database", rebuild_database, .needs_database = true},
    {"log", rebuild_log, .takes_words = true, .needs_database = true},
};

static const struct part *find_part(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcmp(parts[i].name, name) == 0) return &parts[i];
    return NULL;
}

static int check_usage(const struct rebuild *rebuild, const struct part *part, struct err *err) {
    const struct options *options = rebuild->options;
    if (strcmp(options_get(options, "mode")->text, "cluster") != 0)
        return err_set(err, -EINVAL, "--rebuild is for --mode cluster");
    if (options_get(options, "repair")->number != 0)
        return err_set(err, -EINVAL, "one of --rebuild and --repair");
    if (rebuild->words > 0 && !part->takes_words)
        return err_set(err, -EINVAL, "unexpected word %s", rebuild->word[0]);
    if (part->needs_redis && options_get(options, "redis")->text == NULL)
        return err_set(err, -EINVAL, "--redis HOST:PORT,… says where Redis is");
    return 0;
}

static int prepare(struct rebuild *rebuild, const struct part *part, struct err *err) {
    int code = check_usage(rebuild, part, err);
    if (code == 0) code = kafka_settings_init(&rebuild->kafka, rebuild->options, err);
    if (code == 0) code = redis_settings_init(&rebuild->redis, rebuild->options, err);
    if (code == 0 && part->needs_database)
        code = database_init(&rebuild->database, rebuild->options, err);
    return code;
}

int rebuild_command(const struct options *options, int words, char **word) {
    const struct part *part = find_part(options_get(options, "rebuild")->text);
    struct rebuild rebuild = {.options = options, .words = words, .word = word};
    struct err err = {0};
    ASSERT(part != NULL); /* the option's choices */
    rebuild.timeout_ms = (uint32_t)options_get(options, "timeout")->number;
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    int code = prepare(&rebuild, part, &err);
    int status = code == -EINVAL ? EXIT_USAGE : EXIT_NOT_DONE;
    if (code == 0) {
        code = part->run(&rebuild, &err);
        status = code == 0 ? EXIT_GOOD : EXIT_NOT_DONE;
    }
    if (code != 0) fprintf(stderr, "coupond verify: --rebuild %s: %s\n", part->name, err.text);
    redis_settings_deinit(&rebuild.redis);
    database_deinit(&rebuild.database);
    kafka_settings_deinit(&rebuild.kafka);
    return status;
}
