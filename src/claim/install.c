/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/install.h"

#include <errno.h>

enum { HOLDERS_MAX = 400000 /* what one command can bring: Redis takes a million words */ };

static enum install_status status_of(const struct judge_state *state) {
    return state->closed ? INSTALL_ENDED : state->paused ? INSTALL_PAUSED : INSTALL_OPEN;
}

int install_call_fill(struct install_call *call, const struct script_keys *keys,
                      const struct judge *judge) {
    const struct judge_state *state = judge_state(judge);
    const struct install_state install = {.gen = state->gen,
                                          .ver = state->ver,
                                          .stock = state->stock,
                                          .starts_ms = state->starts_ms,
                                          .ends_ms = state->ends_ms,
                                          .status = status_of(state)};
    uint32_t members = judge_members_count(judge);
    if (members > HOLDERS_MAX) return -E2BIG;
    if (install_call_init(call, keys, &install, members) != 0) return -ENOMEM;
    struct coupon coupon;
    for (uint32_t n = 0; judge_member(judge, n, &coupon); n++)
        install_call_add(call, coupon.user_id,
                         &(struct script_reservation){
                             .gen = state->gen, .serial = coupon.serial, .ms = coupon.issued_ms});
    return 0;
}
