/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/random.h"
#include "verify/load_config.h"
#include "verify/load_fetch.h"
#include "verify/load_report.h"
#include "verify/load_status.h"
#include "verify/load_verdict.h"
#include "verify/load_worker.h"

enum { EXIT_GOOD = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, PROGRESS_MS = 1000 };
enum { TOKEN_S = 7 * 24 * 3600 }; /* longer than any run */

/* A run, from its set-up to its report. */
struct load_run {
    struct load_config config;
    struct request_kit kit;
    struct load_signer *signer; /* NULL: no tokens */
    struct load_shared shared;
    struct load_worker *workers;
    struct load_verdict verdict;
    struct history_out history;
    int done_fd;   /* counts the workers that have ended */
    int signal_fd; /* SIGINT and SIGTERM: end early, report all the same */
    bool was_interrupted;
};

static int complain(const char *text, int status) {
    fprintf(stderr, "coupond load: %s\n", text);
    return status;
}

/* Blocks the signals that end a run early, for this thread and all that it starts. */
static int open_signals(struct load_run *run, struct err *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    run->done_fd = eventfd(0, EFD_CLOEXEC);
    if (run->signal_fd < 0 || run->done_fd < 0)
        return err_set(err, -errno, "cannot open a signalfd or an eventfd: %s", strerror(errno));
    return 0;
}

static int open_workers(struct load_run *run, struct err *err) {
    uint32_t threads = run->config.threads;
    run->shared =
        (struct load_shared){.config = &run->config, .kit = &run->kit, .clock = &clock_system};
    if (run->config.history_file != NULL) run->shared.history = &run->history;
    run->shared.users = calloc(run->config.users, 1);
    run->workers = calloc(threads, sizeof *run->workers);
    if (run->shared.users == NULL || run->workers == NULL)
        return err_set(err, -ENOMEM, "no memory for %" PRIu32 " users", run->config.users);
    if (pthread_barrier_init(&run->shared.connected, NULL, threads) != 0)
        return err_set(err, -EAGAIN, "cannot make a barrier");
    for (uint32_t i = 0; i < threads; i++) {
        int failed = worker_init(&run->workers[i], &run->shared, i, run->done_fd);
        if (failed != 0)
            return err_set(err, failed, "cannot prepare a thread: %s", strerror(-failed));
    }
    return 0;
}

static void show_progress(const struct load_run *run, uint64_t *last_answered, unsigned second) {
    uint64_t answered = 0, issued = 0, sold_out = 0, errors = 0;
    for (uint32_t i = 0; i < run->config.threads; i++) {
        struct load_progress *progress = &run->workers[i].progress;
        answered += atomic_load_explicit(&progress->answered, memory_order_relaxed);
        issued += atomic_load_explicit(&progress->issued, memory_order_relaxed);
        sold_out += atomic_load_explicit(&progress->sold_out, memory_order_relaxed);
        errors += atomic_load_explicit(&progress->errors, memory_order_relaxed);
    }
    fprintf(stderr,
            "%4u s  %10" PRIu64 " answered (%" PRIu64 " in the last second)  issued %" PRIu64
            "  sold out %" PRIu64 "  errors %" PRIu64 "\n",
            second, answered, answered - *last_answered, issued, sold_out, errors);
    *last_answered = answered;
}

/* True when all workers have ended. */
static bool wait_second(struct load_run *run, uint64_t end_ns, uint32_t *ended) {
    struct pollfd fds[2] = {{run->done_fd, POLLIN, 0}, {run->signal_fd, POLLIN, 0}};
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns(&clock_system);
        if (now_ns >= end_ns) return false;
        if (poll(fds, 2, (int)((end_ns - now_ns) / 1000000 + 1)) <= 0) continue;
        uint64_t count = 0;
        struct signalfd_siginfo info;
        if (fds[0].revents != 0 && read(run->done_fd, &count, sizeof count) > 0)
            *ended += (uint32_t)count;
        if (*ended == run->config.threads) return true;
        if (fds[1].revents == 0 || read(run->signal_fd, &info, sizeof info) < 0) continue;
        if (run->was_interrupted) _exit(EXIT_FINDING); /* asked twice */
        run->was_interrupted = true;
        atomic_store_explicit(&run->shared.stops, true, memory_order_relaxed);
    }
}

/* Runs the workers to their end. */
static int run_workers(struct load_run *run, struct err *err) {
    uint32_t threads = run->config.threads;
    for (uint32_t i = 0; i < threads; i++) {
        int failed = pthread_create(&run->workers[i].thread, NULL, worker_run, &run->workers[i]);
        if (failed == 0) continue;
        err_set(err, -failed, "cannot start a thread: %s", strerror(failed));
        if (i == 0) return -failed;
        _exit(complain(err->text, EXIT_FINDING)); /* the others wait at the barrier for ever */
    }
    uint64_t start_ns = clock_monotonic_ns(&clock_system), last_answered = 0;
    uint32_t ended = 0;
    for (unsigned second = 1;; second++) {
        if (wait_second(run, start_ns + second * (uint64_t)PROGRESS_MS * 1000000, &ended)) break;
        if (run->config.shows_progress) show_progress(run, &last_answered, second);
    }
    for (uint32_t i = 0; i < threads; i++) pthread_join(run->workers[i].thread, NULL);
    return 0;
}

static int judge(struct load_run *run, struct err *err) {
    struct load_verdict *verdict = &run->verdict;
    verdict->config = &run->config;
    verdict->workers = run->workers;
    verdict->was_interrupted = run->was_interrupted;
    struct err status_err = {0};
    verdict->is_after_known = load_status_read(&run->config, &verdict->after, &status_err) == 0;
    int failed = load_verdict_judge(verdict);
    if (failed != 0) return err_set(err, failed, "cannot judge: %s", strerror(-failed));
    load_fetch_and_compare(verdict);
    load_report_print(verdict, stdout);
    if (run->config.json_file == NULL) return 0;
    return load_report_write_json(verdict, run->config.json_file, err);
}

static int open_history(struct load_run *run, struct err *err) {
    const struct load_config *config = &run->config;
    if (config->history_file == NULL) return 0;
    return history_out_open(&run->history, config->history_file, config->event, config->prefix,
                            &clock_system, err);
}

/* What was heard counts, even where the run itself cannot be judged. */
static int close_history(struct load_run *run, struct err *err) {
    if (run->shared.history == NULL) return 0;
    for (uint32_t i = 0; i < run->config.threads; i++) history_pen_put_away(&run->workers[i].pen);
    return history_out_close(&run->history, err);
}

static int prepare(struct load_run *run, struct err *err) {
    load_config_fit_files(&run->config);
    int failed = load_status_read(&run->config, &run->verdict.before, err);
    if (failed == 0) failed = open_history(run, err);
    if (failed == 0) failed = open_signals(run, err);
    if (failed == 0) failed = open_workers(run, err);
    return failed;
}

/* What is sent: requests, with tokens when there is a key for them. */
static int prepare_requests(struct load_run *run, struct err *err) {
    const struct load_config *config = &run->config;
    if (config->jwt_keys != NULL) {
        int64_t expires_s = clock_wall_ms(&clock_system) / 1000 + TOKEN_S;
        run->signer = load_signer_new(config->jwt_keys, config->jwt_audience, expires_s, err);
        if (run->signer == NULL) return err->code;
    }
    return request_kit_init(&run->kit, config->host, config->event, config->prefix, config->users,
                            run->signer, err);
}

static void close_run(struct load_run *run) {
    for (uint32_t i = 0; run->workers != NULL && i < run->config.threads; i++)
        if (run->workers[i].shared != NULL) worker_deinit(&run->workers[i]);
    free(run->workers);
    load_signer_free(run->signer);
    free(run->shared.users);
    if (run->signal_fd >= 0) close(run->signal_fd);
    if (run->done_fd >= 0) close(run->done_fd);
    load_verdict_deinit(&run->verdict);
}

int load_command(const struct options *options, int words, char **word) {
    struct err err = {0};
    struct load_run run = {.done_fd = -1, .signal_fd = -1};
    if (words > 0) {
        err_set(&err, -EINVAL, "%s: takes no words, only options", word[0]);
        return complain(err.text, EXIT_USAGE);
    }
    int failed = load_config_read(&run.config, options, &random_system, &err);
    if (failed == 0) failed = prepare_requests(&run, &err);
    if (failed != 0) return complain(err.text, failed == -EINVAL ? EXIT_USAGE : EXIT_FINDING);
    failed = prepare(&run, &err);
    if (failed == 0) failed = run_workers(&run, &err);
    if (failed == 0) failed = close_history(&run, &err);
    if (failed == 0) failed = judge(&run, &err);
    int status = EXIT_FINDING;
    if (failed != 0)
        complain(err.text, status);
    else if (load_report_is_good(&run.verdict) && !run.was_interrupted)
        status = EXIT_GOOD;
    close_run(&run);
    return status;
}
