/* SPDX-License-Identifier: Apache-2.0
 *
 * Named places in the code at which a test can end the process as kill -9 does. A build has them
 * with -Dfailpoints=true only; any other has not a byte of them.
 *
 *     COUPOND_FAILPOINT=after_write_before_sync:3    dies when it is there for the third time
 *
 * A name says what has been done and what has not. test/integration/test_failpoints.py finds every
 * FAILPOINT("…") of the sources by itself and sees to it that each one is reached, died at and
 * recovered from.
 */
#pragma once

/* Counts, and does not return at the time that the environment says. Any thread. */
void failpoint_reach(const char *name);

#ifdef COUPOND_FAILPOINTS
#define FAILPOINT(name) failpoint_reach(name)
#else
#define FAILPOINT(name) ((void)0)
#endif
