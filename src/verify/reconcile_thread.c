/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/reconcile_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/logger.h"
#include "lib/stopper.h"

enum {
    LOWEST_PRIORITY = 19,
    REST_OF_PASS = 20,        /* rests this many times as long as a pass took */
    FINDINGS_LOGGED_MAX = 20, /* of a pass */
};

struct reconcile_thread {
    struct reconcile_thread_options options;
    struct reconcile_counts counts;
    pthread_t thread;
    struct stopper stopper;
    struct checks last; /* of the last pass, as it found them */
    uint64_t confirmed; /* findings that have been logged */
};

static void tell(struct reconcile_thread *thread, const struct checks *confirmed) {
    uint64_t sum = checks_sum(confirmed);
    for (size_t i = 0; i < CHECKS_COUNT; i++)
        counter_set(&thread->counts.findings[i], confirmed->counts[i]);
    if (sum == thread->confirmed) return; /* they have been told */
    thread->confirmed = sum;
    if (sum == 0) logger_line(LOG_INFO, "verify", "event=findings_gone");
    unsigned told = 0;
    for (size_t i = 0; i < confirmed->count && told < FINDINGS_LOGGED_MAX; i++) {
        const struct check_finding *finding = &confirmed->all[i];
        if (finding->evidence == NULL) continue;
        for (char *quote = finding->evidence; *quote != '\0'; quote++)
            if (*quote == '"') *quote = '\'';
        logger_line(LOG_ERROR, "verify", "event=finding check=%s text=\"%s\"",
                    check_id(finding->check), finding->evidence);
        told++;
    }
}

static void tell_failure(struct reconcile_thread *thread, const struct err *err) {
    static struct logger_limit limit;
    logger_line_limited(&limit, LOG_WARN, "verify", "event=cannot_verify text=\"%s\"", err->text);
    counter_add(&thread->counts.failures, 1);
}

/* R7 of the topic. What cannot be asked is told, and no finding. */
static void check_topic(struct reconcile_thread *thread, struct checks *checks) {
    struct err err = {0};
    if (thread->options.check_topic == NULL) return;
    int code = thread->options.check_topic(thread->options.ctx, &err);
    if (code == -EINVAL)
        checks_add(checks, CHECK_R7, check_item("topic", slice_of("", 0), 0), "%s", err.text);
    else if (code != 0)
        tell_failure(thread, &err);
}

/* One pass, and what it and the one before it agree on. True when it showed any difference. `now`
 * has what the topic shows, and is taken over. */
static bool pass(struct reconcile_thread *thread, struct checks now) {
    struct truth truth;
    struct reconcile_seen seen;
    struct err err = {0};
    truth_init(&truth, &thread->options.reconcile.hash_key);
    int code = reconcile_pass(&thread->options.reconcile, &truth, &now, &seen, &err);
    truth_deinit(&truth);
    if (code == -ECANCELED) {
        checks_deinit(&now);
        return false;
    }
    if (code != 0) {
        tell_failure(thread, &err);
        checks_deinit(&now);
        return false;
    }
    if (seen.reserve_err.code != 0) tell_failure(thread, &seen.reserve_err);
    counter_add(&thread->counts.passes, 1);
    counter_set(&thread->counts.seq, seen.last_seq);
    bool has_differences = now.count != 0;
    struct checks before = thread->last;
    thread->last = now;
    /* Of `before` only what this pass has too is confirmed; its words are the older ones. */
    checks_keep_common(&before, &now);
    tell(thread, &before);
    checks_deinit(&before);
    return has_differences;
}

static void *run(void *argument) {
    struct reconcile_thread *thread = argument;
    const struct reconcile_thread_options *options = &thread->options;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY);
    uint64_t wait_ms = options->every_ms;
    while (stopper_rest(&thread->stopper, wait_ms)) {
        struct checks now = {0};
        check_topic(thread, &now); /* waits, and takes no processor that is to be made up for */
        uint64_t since_ns = clock_monotonic_ns(options->clock);
        bool has_differences = pass(thread, now);
        uint64_t took_ns = clock_monotonic_ns(options->clock) - since_ns;
        counter_set(&thread->counts.last_ns, took_ns);
        counter_set(&thread->counts.last_ms, (uint64_t)clock_wall_ms(options->clock));
        wait_ms = has_differences && options->recheck_ms < options->every_ms ? options->recheck_ms
                                                                             : options->every_ms;
        wait_ms = size_max(wait_ms, took_ns * REST_OF_PASS / 1000000);
    }
    return NULL;
}

struct reconcile_thread *reconcile_thread_start(const struct reconcile_thread_options *options) {
    struct reconcile_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) return NULL;
    thread->options = *options;
    thread->options.reconcile.stops = &thread->stopper.is_stopping;
    stopper_init(&thread->stopper);
    if (pthread_create(&thread->thread, NULL, run, thread) == 0) return thread;
    stopper_deinit(&thread->stopper);
    free(thread);
    return NULL;
}

void reconcile_thread_stop(struct reconcile_thread *thread) {
    if (thread == NULL) return;
    stopper_stop(&thread->stopper);
    pthread_join(thread->thread, NULL);
    stopper_deinit(&thread->stopper);
    checks_deinit(&thread->last);
    free(thread);
}

const struct reconcile_counts *reconcile_thread_counts(const struct reconcile_thread *thread) {
    return &thread->counts;
}

uint64_t reconcile_thread_findings(const struct reconcile_thread *thread) {
    uint64_t sum = 0;
    for (size_t i = 0; i < CHECKS_COUNT; i++) sum += counter_read(&thread->counts.findings[i]);
    return sum;
}
