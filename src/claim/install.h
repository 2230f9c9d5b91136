/* SPDX-License-Identifier: Apache-2.0
 *
 * What is put into Redis in the place of whatever is there: the state of a judge, as the one script
 * that writes it wants it. For whoever has had a FENCE accepted by the log: no WIN of an older
 * generation can come any more, and none of the new one comes before this.
 */
#pragma once

#include "claim/judge.h"
#include "claim/redis_scripts.h"
#include "lib/base.h"

/* Holders in one call: some five milliseconds of a node that others want, too. */
enum { INSTALL_PART_HOLDERS = 1000 };

/* A call with `part` holders behind the first `before`, 0 at first, and afterwards as many as the
 * script says are laid aside. Who gave a coupon back is among the holders, with serial 0: a server
 * that is behind must not reserve for them. 0, to be followed by install_call_deinit, or -ENOMEM.
 * Borrows `keys` and what the judge has. */
int install_call_fill(struct install_call *call, const struct script_keys *keys,
                      const struct judge *judge, uint32_t before, uint32_t part) MUST_CHECK;
