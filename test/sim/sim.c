/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator: many worlds, a seed each, until one of them breaks a promise.
 *
 *     sim [--seed S] [--seeds N] [--steps K] [--seconds T] [--jobs J] [--verbose]
 *         [--report FILE] [--replay FILE]
 *
 * Runs seeds S to S + N - 1 for K steps each, for at most T seconds, in J processes. Every 50th
 * seed is run twice: both runs have to be the same to the last word. Exit status 0 when all is
 * well; 1 with the violation and the command that replays it. --report writes what was done as
 * `name TAB count` lines. --replay runs the seeds of a file first: lines of `seed steps`, each with
 * its story behind #.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "sim/heap_sim.h"
#include "sim/sim_world.h"

enum {
    TWICE_EVERY = 50,
    JOBS_MAX = 64,
    PROGRESS_S = 30,
    SEEDS_FOR_ALL_COUNTS = 500,
    /* Of the table of faults by phase: its rows, its cells. */
    SEEDS_FOR_ALL_ROWS = 2000,
    SEEDS_FOR_ALL_CELLS = 50000,
};

struct arguments {
    uint64_t seed, seeds, steps, seconds, jobs;
    bool is_verbose;
    const char *report, *replay;
};

/* What the processes of a run share. */
struct job {
    atomic_uint_least64_t done;
    bool has_failed;
    struct sim_counts counts;
};
struct run {
    atomic_bool is_over; /* somebody has found something, or the time is up */
    struct job jobs[JOBS_MAX];
};

static struct sim_world world;

/* For the signal handler: an assertion of the simulator's own shall name its seed, too. */
static char replay[160];

static void on_abort(int signal_number) {
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, replay, strlen(replay));
    (void)ignored;
}

/* ---- Arguments ---- */

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: sim [--seed S] [--seeds N] [--steps K] [--seconds T] [--jobs J] "
                    "[--verbose] [--report FILE] [--replay FILE]\n");
    exit(2);
}

static uint64_t number_of(const char *text) {
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "sim: %s is not a number\n", text);
        exit(2);
    }
    return number;
}

static struct arguments read_arguments(int argc, char **argv) {
    struct arguments arguments = {
        .seed = 1, .seeds = 2000, .steps = SIM_STEPS, .seconds = 1000000, .jobs = 1};
    struct {
        const char *name;
        uint64_t *number;
        const char **text;
    } words[] = {{"--seed", &arguments.seed, NULL},    {"--seeds", &arguments.seeds, NULL},
                 {"--steps", &arguments.steps, NULL},  {"--seconds", &arguments.seconds, NULL},
                 {"--jobs", &arguments.jobs, NULL},    {"--report", NULL, &arguments.report},
                 {"--replay", NULL, &arguments.replay}};
    bool has_seeds = false, has_seed = false;
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        arguments.is_verbose |= strcmp(argv[i], "--verbose") == 0;
        if (strcmp(argv[i], "--verbose") == 0) continue;
        has_seed |= strcmp(argv[i], "--seed") == 0;
        has_seeds |= strcmp(argv[i], "--seeds") == 0;
        while (k < ARRAY_LEN(words) && strcmp(argv[i], words[k].name) != 0) k++;
        if (k == ARRAY_LEN(words) || i + 1 == argc) usage();
        i++;
        if (words[k].text != NULL)
            *words[k].text = argv[i];
        else
            *words[k].number = number_of(argv[i]);
    }
    if (has_seed && !has_seeds) arguments.seeds = 1;
    if (arguments.jobs < 1 || arguments.jobs > JOBS_MAX) usage();
    return arguments;
}

/* ---- One seed ---- */

/* Lives one life; its hash. False and the violation printed when something was broken. */
static bool run_seed(uint64_t seed, uint64_t steps, bool is_verbose, struct sim_counts *counts,
                     uint64_t *hash) {
    snprintf(replay, sizeof replay,
             "replay: sim --seed %" PRIu64 " --steps %" PRIu64 " --verbose\n", seed, steps);
    sim_world_init(&world, seed, counts, is_verbose);
    bool is_good = sim_world_run(&world, steps);
    *hash = world.hash;
    if (!is_good)
        printf("seed %" PRIu64 ", step %" PRIu64 ": %s\n%s", seed, world.step, world.violation,
               replay);
    sim_world_deinit(&world);
    return is_good;
}

static bool run_seed_again(uint64_t seed, uint64_t steps, uint64_t hash) {
    static struct sim_counts ignored;
    uint64_t again;
    if (!run_seed(seed, steps, false, &ignored, &again)) return false;
    if (again == hash) return true;
    printf("seed %" PRIu64 ": two runs differ: %016" PRIx64 " and %016" PRIx64 "\n", seed, hash,
           again);
    return false;
}

/* The seeds that have found something once. */
static bool run_list(const struct arguments *arguments, struct sim_counts *counts) {
    FILE *list = fopen(arguments->replay, "r");
    char line[512];
    uint64_t seed, steps, hash, count = 0;
    bool is_good = list != NULL;
    if (list == NULL) fprintf(stderr, "sim: cannot read %s\n", arguments->replay);
    while (is_good && fgets(line, sizeof line, list) != NULL) {
        if (line[0] == '#' || line[0] == '\n') continue;
        is_good = sscanf(line, "%" SCNu64 " %" SCNu64, &seed, &steps) == 2 &&
                  run_seed(seed, steps, false, counts, &hash) && run_seed_again(seed, steps, hash);
        count++;
    }
    if (list != NULL) fclose(list);
    printf("%" PRIu64 " seeds of %s replayed\n", count, arguments->replay);
    return is_good;
}

/* ---- Many ---- */

static void run_job(const struct arguments *arguments, struct run *run, uint64_t index) {
    struct job *job = &run->jobs[index];
    for (uint64_t i = index; i < arguments->seeds && !atomic_load(&run->is_over);
         i += arguments->jobs) {
        uint64_t seed = arguments->seed + i, hash = 0;
        bool is_good =
            run_seed(seed, arguments->steps, arguments->is_verbose, &job->counts, &hash) &&
            (seed % TWICE_EVERY != 0 || run_seed_again(seed, arguments->steps, hash));
        if (arguments->seeds == 1) printf("seed %" PRIu64 ": hash %016" PRIx64 "\n", seed, hash);
        atomic_fetch_add(&job->done, 1);
        if (is_good) continue;
        job->has_failed = true;
        atomic_store(&run->is_over, true);
    }
}

static uint64_t now_s(void) {
    return clock_monotonic_ns(&clock_system) / 1000000000u;
}

static uint64_t seeds_done(struct run *run, uint64_t jobs) {
    uint64_t done = 0;
    for (uint64_t i = 0; i < jobs; i++) done += atomic_load(&run->jobs[i].done);
    return done;
}

/* Waits for the processes, and says now and then how far they are. */
static bool wait_for_jobs(const struct arguments *arguments, struct run *run) {
    uint64_t begun_s = now_s(), told_s = begun_s, left = arguments->jobs;
    bool is_good = true;
    while (left > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            left--;
            is_good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!is_good) atomic_store(&run->is_over, true);
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        if (now_s() - begun_s >= arguments->seconds) atomic_store(&run->is_over, true);
        if (now_s() - told_s < PROGRESS_S) continue;
        told_s = now_s();
        printf("%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " s\n",
               seeds_done(run, arguments->jobs), arguments->seeds, told_s - begun_s);
        fflush(stdout);
    }
    return is_good;
}

static bool run_jobs(const struct arguments *arguments, struct run *run) {
    if (arguments->seeds == 1 || (arguments->jobs == 1 && arguments->is_verbose)) {
        run_job(arguments, run, 0);
        return !run->jobs[0].has_failed;
    }
    fflush(stdout);
    for (uint64_t i = 0; i < arguments->jobs; i++) {
        pid_t pid = fork();
        ASSERT(pid >= 0);
        if (pid != 0) continue;
        run_job(arguments, run, i);
        fflush(stdout);
        exit(run->jobs[i].has_failed ? 1 : 0);
    }
    return wait_for_jobs(arguments, run);
}

/* ---- What was done ---- */

static void add_counts(struct sim_counts *to, const struct sim_counts *from) {
#define X(name) to->name += from->name;
    SIM_COUNTS(X)
    SIM_COUNTS_RARE(X)
#undef X
    sim_table_add(&to->table, &from->table);
}

static bool print_counts(const struct sim_counts *counts, uint64_t seeds) {
    bool is_good = true;
    int column = 0;
#define X(name)                                                                                    \
    printf("%-28s %12" PRIu64 "%s", #name, counts->name, ++column % 2 == 0 ? "\n" : "    ");
    SIM_COUNTS(X)
    SIM_COUNTS_RARE(X)
#undef X
    printf("\n\n");
#define X(name)                                                                                    \
    if (seeds >= SEEDS_FOR_ALL_COUNTS && counts->name == 0) {                                      \
        printf("never happened: %s\n", #name);                                                     \
        is_good = false;                                                                           \
    }
    SIM_COUNTS(X)
#undef X
    return sim_table_print(&counts->table, seeds >= SEEDS_FOR_ALL_ROWS,
                           seeds >= SEEDS_FOR_ALL_CELLS) &&
           is_good;
}

static bool write_report(const char *path, const struct arguments *arguments, uint64_t seeds,
                         const struct sim_counts *counts) {
    FILE *to = fopen(path, "w");
    if (to == NULL) {
        fprintf(stderr, "sim: cannot write %s\n", path);
        return false;
    }
    fprintf(to, "seeds\t%" PRIu64 "\nfrom\t%" PRIu64 "\nsteps_each\t%" PRIu64 "\n", seeds,
            arguments->seed, arguments->steps);
#define X(name) fprintf(to, #name "\t%" PRIu64 "\n", counts->name);
    SIM_COUNTS(X)
    SIM_COUNTS_RARE(X)
#undef X
    sim_table_write(&counts->table, to);
    return fclose(to) == 0;
}

int main(int argc, char **argv) {
    struct arguments arguments = read_arguments(argc, argv);
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(run != MAP_FAILED);
    signal(SIGABRT, on_abort);
    static struct sim_counts counts;
    uint64_t begun_ns = clock_monotonic_ns(&clock_system);
    if (arguments.replay != NULL && !run_list(&arguments, &counts)) return 1;
    bool is_good = run_jobs(&arguments, run);
    uint64_t done = seeds_done(run, arguments.jobs);
    for (uint64_t i = 0; i < arguments.jobs; i++) add_counts(&counts, &run->jobs[i].counts);
    printf("%" PRIu64 " seeds of %" PRIu64 " steps in %.1f s, every %dth twice\n", done,
           arguments.steps, (double)(clock_monotonic_ns(&clock_system) - begun_ns) / 1e9,
           TWICE_EVERY);
    is_good = print_counts(&counts, is_good ? done : 0) && is_good;
    if (arguments.report != NULL && is_good)
        is_good = write_report(arguments.report, &arguments, done, &counts);
    return is_good ? 0 : 1;
}
