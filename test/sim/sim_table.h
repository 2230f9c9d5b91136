/* SPDX-License-Identifier: Apache-2.0
 *
 * Which trouble struck in which phase of a claim's way, counted over all seeds. A cell that stays
 * empty is a case that the simulator only seems to test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* X(NAME, what the table calls it, phases in which it cannot strike) */
/* clang-format off */
#define SIM_FAULTS(X)                                                                              \
    X(KILL, "kill -9", 0)                                                                          \
    X(POWER_CUT, "power cut between calls", 0)                                                     \
    X(POWER_CUT_IN_CALL, "power cut within a call", SIM_NO_CALL)                                   \
    X(LOST_WRITE, "un-synced write lost", SIM_NOT_WRITTEN)                                         \
    X(TORN_WRITE, "un-synced write torn", SIM_NOT_WRITTEN)                                         \
    X(WRITE_EIO, "write: EIO", SIM_NO_CALL)                                                        \
    X(WRITE_ENOSPC, "write: ENOSPC", SIM_NO_CALL)                                                  \
    X(WRITE_SHORT, "write: short", SIM_NO_CALL)                                                    \
    X(SYNC_EIO, "fdatasync: EIO", SIM_NO_CALL)                                                     \
    X(READ_EIO, "read: EIO", SIM_NO_CALL)                                                          \
    X(OPEN_EIO, "open: EIO", SIM_NO_CALL)                                                          \
    X(ALLOCATE_ENOSPC, "fallocate: ENOSPC", SIM_NO_CALL)                                           \
    X(RENAME_EIO, "rename: EIO", SIM_NOT_ROLLING)                                                  \
    X(FOLDER_EIO, "sync of the folder: EIO", SIM_NOT_ROLLING)                                      \
    X(OTHER_EIO, "close, size, list, unlink: EIO", SIM_NO_CALL)                                    \
    X(DISK_FULL, "disk full", SIM_NO_CALL)                                                         \
    X(SLOW_DISK, "slow disk", SIM_NO_CALL | SIM_NOT_STARTING)                                                    \
    X(BIT_ROT, "bit rot", SIM_ONLY_STOPPED)                                                        \
    X(CLOCK_FORWARD, "clock set forward", SIM_NOT_STARTING)                                        \
    X(CLOCK_BACK, "clock set back", SIM_NOT_STARTING)                                              \
    X(NO_MEMORY, "an allocation fails", 0)                                                         \
    X(STORE_BUSY, "copy: busy", SIM_NOT_STARTING)                                                  \
    X(STORE_UNKNOWN, "copy: commit not heard of", SIM_NOT_STARTING)                                \
    X(STORE_DAMAGED, "copy: damaged", SIM_NOT_STARTING)                                            \
    X(STORE_WIPED, "copy: deleted", SIM_NOT_STARTING)                                              \
    X(CLIENT_LEAVES, "a client vanishes", SIM_NOT_STARTING)                                        \
    X(CLIENT_SLOW, "a client does not read", SIM_NOT_STARTING)                                     \
    X(STOP, "an orderly stop", SIM_NOT_STARTING)
/* X(NAME, what the table calls it) */
#define SIM_PHASES(X)                                                                              \
    X(START, "start")     /* the journal is being read */                                          \
    X(IDLE, "idle")       /* none of those that follow */                                          \
    X(ASKED, "asked")     /* requests that no thread has read, claims in the engine's mailbox */   \
    X(HANDED, "handed")   /* a batch with the log, not yet taken up */                             \
    X(WRITE, "write")     /* being written */                                                      \
    X(SYNC, "sync")       /* being synced */                                                       \
    X(MARK, "mark")       /* durable; its mark being written */                                    \
    X(DURABLE, "durable") /* durable, not judged */                                                \
    X(TELL, "tell")       /* judged; records and answers in the mailboxes of network threads */    \
    X(ANSWER, "answer")   /* answers written that the client's socket does not take */             \
    X(CONTROL, "control") /* an admin write is under way */                                        \
    X(PREPARE, "prepare") /* the next segment is being made */                                     \
    X(COPY, "copy")       /* the copy is behind the log */
/* clang-format on */

enum sim_fault {
#define X(name, ...) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_KINDS
};
enum sim_phase {
#define X(name, ...) PHASE_##name,
    SIM_PHASES(X)
#undef X
        SIM_PHASE_KINDS
};

struct sim_table {
    uint64_t strikes[SIM_FAULT_KINDS];
    uint64_t cells[SIM_FAULT_KINDS][SIM_PHASE_KINDS];
};

/* `phases` are bits 1 << enum sim_phase: all that the process is in, at once. */
void sim_table_count(struct sim_table *table, enum sim_fault fault, unsigned phases);
void sim_table_add(struct sim_table *to, const struct sim_table *from);

/* Prints it. False, and says which, when a fault that is wanted, or a cell of it that can be hit,
 * is empty. */
bool sim_table_print(const struct sim_table *table, bool wants_rows, bool wants_cells);

/* One line a cell: fault TAB phase TAB count. */
void sim_table_write(const struct sim_table *table, FILE *to);
