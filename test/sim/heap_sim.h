/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of the simulated process: malloc and its kin of the code under test come here (the
 * simulator is linked with --wrap). It may run out on demand, and it is gone with the process,
 * whatever the process had still to free. One address space: the n-th allocation of the same run is
 * at the same place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The process is gone. */
void heap_sim_reset(void);

/* Allocations belong to the process from here on, until heap_sim_leave; calls nest. Outside they
 * are the C library's. */
void heap_sim_enter(void);
void heap_sim_leave(void);

/* Whoever switches stacks keeps this with them. */
unsigned heap_sim_depth(void);
void heap_sim_set_depth(unsigned depth);

/* The `nth` allocation of the process from now (1: the next) fails, once; 0 takes it back. */
void heap_sim_fail(uint64_t nth);

/* How many have failed. */
uint64_t heap_sim_failures(void);
