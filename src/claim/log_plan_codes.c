/* SPDX-License-Identifier: Apache-2.0
 *
 * The format of codes, found by the codes.
 */
#include <errno.h>
#include <inttypes.h>

#include "claim/log_plan_private.h"

/* Alphabets that an event may have been given; a code proves which. */
static const char *const alphabets[] = {
    NULL, /* the default */
    "0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHJKLMNPQRSTUVWXYZ23456789",
    "23456789ABCDEFGHJKLMNPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "0123456789ABCDEF",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
};

static bool gives_code(struct coupon_deriver *deriver, const struct code_format *format,
                       struct slice event_id, const struct step *step, struct slice wanted) {
    char code[COUPON_CODE_BYTES_MAX];
    size_t n = coupon_code(deriver, format, event_id, step->serial, step->round, code);
    return slice_eq(slice_of(code, n), wanted);
}

/* A code is a prefix, `length` characters and a check character: each split of it is tried. */
static bool fits_alphabet(struct coupon_deriver *deriver, struct slice alphabet,
                          struct slice event_id, const struct step *step, struct slice wanted,
                          struct code_format *format) {
    for (size_t prefix = 0; prefix <= CODE_PREFIX_BYTES_MAX && prefix + 2 <= wanted.n; prefix++) {
        *format = (struct code_format){.prefix = slice_of(wanted.p, prefix),
                                       .alphabet = alphabet,
                                       .length = (uint8_t)(wanted.n - prefix - 1)};
        if (code_format_problem(format) == NULL &&
            gives_code(deriver, format, event_id, step, wanted))
            return true;
    }
    return false;
}

static bool fits_any_alphabet(struct coupon_deriver *deriver, struct slice event_id,
                              const struct step *step, struct slice wanted,
                              struct code_format *format) {
    for (size_t i = 0; i < ARRAY_LEN(alphabets); i++) {
        struct slice alphabet =
            alphabets[i] == NULL ? code_format_default.alphabet : slice_str(alphabets[i]);
        if (fits_alphabet(deriver, alphabet, event_id, step, wanted, format)) return true;
    }
    return false;
}

static int find_format(struct log_plan *plan, struct planned_event *event,
                       const struct step *step) {
    struct slice wanted = log_plan_text(plan, step->code), id = log_plan_text(plan, event->id);
    for (size_t k = 0; k < plan->keys->count; k++) {
        struct coupon_deriver *deriver = coupon_deriver_new(plan->keys->keys[k].key);
        if (deriver == NULL) return err_set(plan->err, -ENOMEM, "no memory for codes");
        if (fits_any_alphabet(deriver, id, step, wanted, &event->code)) {
            event->key_id = plan->keys->keys[k].id;
            event->deriver = deriver;
            return 0;
        }
        coupon_deriver_free(deriver);
    }
    return err_set(plan->err, -ENOKEY,
                   "event %.*s: no key of --data-dir gives serial %" PRIu32
                   " the code that was told: it is of another key, or of an alphabet that is "
                   "not known here",
                   (int)id.n, id.p, step->serial);
}

int log_plan_look_at_code(struct log_plan *plan, const struct step *step) {
    struct planned_event *event = &plan->events[step->event];
    struct slice id = log_plan_text(plan, event->id);
    if (step->kind != STEP_WIN || step->code == 0) return 0;
    if (event->deriver == NULL) return find_format(plan, event, step);
    if (gives_code(event->deriver, &event->code, id, step, log_plan_text(plan, step->code)))
        return 0;
    return err_set(plan->err, -ENOKEY,
                   "event %.*s: the code of serial %" PRIu32 " is not the one that its key gives",
                   (int)id.n, id.p, step->serial);
}
