/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_table.h"

#define BIT(phase) (1u << PHASE_##phase)

/* Cells that cannot be hit, and why. */
enum {
    /* A call to the disk is a phase of its own: nothing is idle within it. */
    SIM_NO_CALL = BIT(IDLE),
    /* A segment is begun by the thread that commits, before it writes, and while one is prepared.
     */
    SIM_NOT_ROLLING =
        SIM_NO_CALL | BIT(HANDED) | BIT(SYNC) | BIT(MARK) | BIT(DURABLE) | BIT(PREPARE),
    /* Nothing un-synced is on the disk of a process that does nothing. */
    SIM_NOT_WRITTEN = BIT(IDLE),
    /* Bits are turned while nobody runs: what that does shows at the start. */
    SIM_ONLY_STOPPED = ~BIT(START),
    /* A start is one step of the simulator: what does not come from a call of its own, or of its
     * memory, comes before or behind it. Its first readers have no client and no copy yet. */
    SIM_NOT_STARTING = BIT(START),
};

static const struct {
    const char *name;
    unsigned impossible;
} faults[] = {
#define X(name, text, impossible) {text, (unsigned)(impossible)},
    SIM_FAULTS(X)
#undef X
};

static const char *const phases[] = {
#define X(name, text) text,
    SIM_PHASES(X)
#undef X
};

void sim_table_count(struct sim_table *table, enum sim_fault fault, unsigned bits) {
    table->strikes[fault]++;
    for (unsigned phase = 0; phase < SIM_PHASE_KINDS; phase++)
        table->cells[fault][phase] += bits >> phase & 1;
}

void sim_table_add(struct sim_table *to, const struct sim_table *from) {
    for (unsigned fault = 0; fault < SIM_FAULT_KINDS; fault++) {
        to->strikes[fault] += from->strikes[fault];
        for (unsigned phase = 0; phase < SIM_PHASE_KINDS; phase++)
            to->cells[fault][phase] += from->cells[fault][phase];
    }
}

static bool is_possible(unsigned fault, unsigned phase) {
    return (faults[fault].impossible >> phase & 1) == 0;
}

static void print_row(const struct sim_table *table, unsigned fault) {
    printf("%-31s", faults[fault].name);
    for (unsigned phase = 0; phase < SIM_PHASE_KINDS; phase++) {
        if (is_possible(fault, phase))
            printf(" %8llu", (unsigned long long)table->cells[fault][phase]);
        else
            printf("        -");
    }
    printf("\n");
}

static bool never(unsigned fault, const char *phase) {
    printf("never struck: %s, in phase %s\n", faults[fault].name, phase);
    return false;
}

bool sim_table_print(const struct sim_table *table, bool wants_rows, bool wants_cells) {
    bool is_good = true;
    printf("%-31s", "fault, by phase");
    for (unsigned phase = 0; phase < SIM_PHASE_KINDS; phase++) printf(" %8s", phases[phase]);
    printf("\n");
    for (unsigned fault = 0; fault < SIM_FAULT_KINDS; fault++) print_row(table, fault);
    for (unsigned fault = 0; fault < SIM_FAULT_KINDS; fault++) {
        if (wants_rows && table->strikes[fault] == 0) is_good = never(fault, "(any)");
        for (unsigned phase = 0; phase < SIM_PHASE_KINDS && wants_cells; phase++)
            if (is_possible(fault, phase) && table->cells[fault][phase] == 0)
                is_good = never(fault, phases[phase]);
    }
    return is_good;
}

void sim_table_write(const struct sim_table *table, FILE *to) {
    for (unsigned fault = 0; fault < SIM_FAULT_KINDS; fault++)
        for (unsigned phase = 0; phase < SIM_PHASE_KINDS; phase++)
            if (is_possible(fault, phase))
                fprintf(to, "%s\t%s\t%llu\n", faults[fault].name, phases[phase],
                        (unsigned long long)table->cells[fault][phase]);
}
