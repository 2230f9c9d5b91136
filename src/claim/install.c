/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/install.h"

static enum install_status status_of(const struct judge_state *state) {
    return state->closed ? INSTALL_ENDED : state->paused ? INSTALL_PAUSED : INSTALL_OPEN;
}

int install_call_fill(struct install_call *call, const struct script_keys *keys,
                      const struct judge *judge, uint32_t before, uint32_t part) {
    const struct judge_state *state = judge_state(judge);
    const struct install_state install = {.gen = state->gen,
                                          .ver = state->ver,
                                          .stock = state->stock,
                                          .starts_ms = state->starts_ms,
                                          .ends_ms = state->ends_ms,
                                          .status = status_of(state),
                                          .holders = judge_members_count(judge)};
    int code = install_call_init(call, keys, &install, before, part);
    struct coupon coupon;
    for (uint32_t n = 0; code == 0 && n < part && judge_member(judge, before + n, &coupon); n++)
        install_call_add(call, coupon.user_id,
                         &(struct script_reservation){
                             .gen = state->gen, .serial = coupon.serial, .ms = coupon.issued_ms});
    return code;
}
