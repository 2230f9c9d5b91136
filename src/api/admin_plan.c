/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_plan.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/coupon_code.h"
#include "lib/rfc3339.h"
#include "log/record.h"

/* Everything that making a plan needs. */
struct making {
    const struct options *options;
    const char *event; /* word[1], or NULL */
    const char *user;  /* who calls */
    json_t *body;
    struct err *err;
};

enum { OPTIONS_OF_VERB_MAX = 9 };

struct verb {
    const char *name;
    int words; /* itself and what it needs behind it */
    const char *usage;
    const char *options[OPTIONS_OF_VERB_MAX]; /* beside those of every verb */
    const char *method;
    const char *path; /* %s is the event */
    enum admin_answer answer;
    int (*fill)(struct making *making); /* checks the options and fills the body */
};

static const char *text_of(const struct making *making, const char *name) {
    const char *text = options_get(making->options, name)->text;
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static int refuse_missing(const struct making *making, const char *option, const char *what) {
    return err_set(making->err, -EINVAL, "--%s is missing: %s", option, what);
}

static int put(struct making *making, const char *key, json_t *value) {
    if (json_object_set_new(making->body, key, value) == 0) return 0;
    return err_set(making->err, -EINVAL, "%s is not UTF-8 text", key);
}

/* ---- what the options of the verbs hold ---- */

static int put_count(struct making *making, const char *option, const char *key) {
    const struct option_value *value = options_get(making->options, option);
    if (value->text == NULL) return refuse_missing(making, option, "how many coupons there are");
    if (value->number < 1 || value->number > STOCK_MAX)
        return err_set(making->err, -EINVAL, "--%s must be a whole number from 1 to %d", option,
                       STOCK_MAX);
    return put(making, key, json_integer(value->number));
}

/* `*ms` stays as it is when the option is absent. */
static int put_instant(struct making *making, const char *option, const char *key, int64_t *ms) {
    const char *text = text_of(making, option);
    if (text == NULL) return 0;
    if (!rfc3339_parse(slice_str(text), ms))
        return err_set(making->err, -EINVAL,
                       "--%s must be an instant like 2026-12-01T09:00:00Z or "
                       "2026-12-01T18:00:00+09:00, not %.60s",
                       option, text);
    return put(making, key, json_string(text));
}

static int put_schedule(struct making *making) {
    int64_t starts_ms = TIME_MS_MIN, ends_ms = TIME_MS_MAX;
    int result = put_instant(making, "starts", "starts_at", &starts_ms);
    if (result == 0) result = put_instant(making, "ends", "ends_at", &ends_ms);
    if (result == 0 && starts_ms >= ends_ms)
        result = err_set(making->err, -EINVAL, "--ends must be later than --starts");
    return result;
}

/* Only what is given is sent; it is checked together with the defaults that the server adds. */
static int put_code(struct making *making) {
    struct code_format format = code_format_default;
    const char *prefix = text_of(making, "code-prefix");
    const char *alphabet = text_of(making, "code-alphabet");
    const struct option_value *length = options_get(making->options, "code-length");
    if (prefix == NULL && alphabet == NULL && length->text == NULL) return 0;
    if (prefix != NULL) format.prefix = slice_str(prefix);
    if (alphabet != NULL) format.alphabet = slice_str(alphabet);
    if (length->text != NULL) {
        if (length->number < 1 || length->number > CODE_LENGTH_MAX)
            return err_set(making->err, -EINVAL, "--code-length must be a number from 1 to %d",
                           CODE_LENGTH_MAX);
        format.length = (uint8_t)length->number;
    }
    const char *problem = code_format_problem(&format);
    if (problem != NULL) return err_set(making->err, -EINVAL, "%s", problem);
    json_t *code = json_object();
    if (prefix != NULL) json_object_set_new(code, "prefix", json_string(prefix));
    if (alphabet != NULL) json_object_set_new(code, "alphabet", json_string(alphabet));
    if (length->text != NULL) json_object_set_new(code, "length", json_integer(format.length));
    return put(making, "code", code);
}

static int put_line(struct making *making, const char *key, const char *text, size_t bytes_max) {
    if (text == NULL) return 0;
    if (strlen(text) > bytes_max)
        return err_set(making->err, -EINVAL, "--%s is longer than %zu bytes", key, bytes_max);
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return err_set(making->err, -EINVAL, "--%s must not hold control characters", key);
    return put(making, key, json_string(text));
}

/* Who and why: with every write. */
static int put_who(struct making *making) {
    const char *name = text_of(making, "operator");
    if (name == NULL) name = making->user;
    if (name == NULL || name[0] == '\0') name = "cli";
    const int result = put_line(making, "operator", name, OPERATOR_BYTES_MAX);
    return result != 0 ? result
                       : put_line(making, "reason", text_of(making, "reason"), REASON_BYTES_MAX);
}

/* ---- the verbs ---- */

static int fill_create(struct making *making) {
    int result = put(making, "event_id", json_string(making->event));
    if (result == 0) result = put_count(making, "stock", "total_stock");
    if (result == 0) result = put_schedule(making);
    return result == 0 ? put_code(making) : result;
}

static int fill_restock(struct making *making) {
    return put_count(making, "to", "total_stock");
}

static int fill_reschedule(struct making *making) {
    if (text_of(making, "starts") == NULL && text_of(making, "ends") == NULL)
        return err_set(making->err, -EINVAL, "give --starts, --ends or both");
    return put_schedule(making);
}

static int fill_return(struct making *making) {
    const char *user = text_of(making, "user");
    if (user == NULL) return refuse_missing(making, "user", "whose coupon comes back");
    if (!user_id_is_valid(slice_str(user)))
        return err_set(making->err, -EINVAL,
                       "--user must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ + - and begin "
                       "with a letter, a digit or _");
    return put(making, "user_id", json_string(user));
}

static int fill_nothing(struct making *making) {
    (void)making;
    return 0;
}

#define EVENT_PATH "/admin/v1/events/%s"

static const struct verb verbs[] = {
    {"create",
     2,
     "create EVENT --stock N [--starts RFC3339] [--ends RFC3339]\n"
     "                           [--code-prefix P] [--code-alphabet A] [--code-length L]",
     {"stock", "starts", "ends", "code-prefix", "code-alphabet", "code-length"},
     "POST",
     "/admin/v1/events",
     ADMIN_ANSWER_EVENT,
     fill_create},
    {"list", 1, "list", {0}, "GET", "/admin/v1/events", ADMIN_ANSWER_EVENTS, fill_nothing},
    {"show", 2, "show EVENT", {0}, "GET", EVENT_PATH, ADMIN_ANSWER_EVENT, fill_nothing},
    {"restock",
     2,
     "restock EVENT --to N",
     {"to"},
     "POST",
     EVENT_PATH "/restock",
     ADMIN_ANSWER_EVENT,
     fill_restock},
    {"pause", 2, "pause EVENT", {0}, "POST", EVENT_PATH "/pause", ADMIN_ANSWER_EVENT, fill_nothing},
    {"resume",
     2,
     "resume EVENT",
     {0},
     "POST",
     EVENT_PATH "/resume",
     ADMIN_ANSWER_EVENT,
     fill_nothing},
    {"reschedule",
     2,
     "reschedule EVENT [--starts RFC3339] [--ends RFC3339]",
     {"starts", "ends"},
     "POST",
     EVENT_PATH "/reschedule",
     ADMIN_ANSWER_EVENT,
     fill_reschedule},
    {"close", 2, "close EVENT", {0}, "POST", EVENT_PATH "/close", ADMIN_ANSWER_EVENT, fill_nothing},
    {"return",
     2,
     "return EVENT --user U",
     {"user"},
     "POST",
     EVENT_PATH "/return",
     ADMIN_ANSWER_EVENT,
     fill_return},
    {"export",
     2,
     "export EVENT [--format csv|ndjson]",
     {"format"},
     "GET",
     EVENT_PATH "/export",
     ADMIN_ANSWER_EXPORT,
     fill_nothing},
};

static bool is_write(const struct verb *verb) {
    return strcmp(verb->method, "POST") == 0;
}

static int refuse_verb(struct err *err) {
    size_t n = (size_t)snprintf(err->text, sizeof err->text, "usage: coupond event");
    for (size_t i = 0; i < ARRAY_LEN(verbs) && n < sizeof err->text; i++)
        n += (size_t)snprintf(err->text + n, sizeof err->text - n, "%s %s", i == 0 ? "" : " |",
                              verbs[i].name);
    if (n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - n, "\n       coupond event --help tells more");
    err->code = -EINVAL;
    return err->code;
}

static int refuse_usage(const struct verb *verb, struct err *err) {
    return err_set(err, -EINVAL, "usage: coupond event %s%s", verb->usage,
                   is_write(verb) ? " [--reason TEXT] [--operator NAME]" : "");
}

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    return NULL;
}

static bool takes_option(const struct verb *verb, const char *name) {
    for (size_t i = 0; i < OPTIONS_OF_VERB_MAX && verb->options[i] != NULL; i++)
        if (strcmp(verb->options[i], name) == 0) return true;
    return false;
}

/* True when `name` belongs to some verbs and not to others. */
static bool is_option_of_verbs(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (takes_option(&verbs[i], name)) return true;
    return strcmp(name, "reason") == 0 || strcmp(name, "operator") == 0;
}

/* A flag that the verb does not take is a mistake; in the environment or a file it waits for those
 * that do. */
static int check_flags(const struct verb *verb, const struct options *options, struct err *err) {
    for (size_t i = 0; i < options->count; i++) {
        const char *name = options->table[i].name;
        if (options->values[i].source != OPTION_FLAG || !is_option_of_verbs(name)) continue;
        const bool is_who = strcmp(name, "reason") == 0 || strcmp(name, "operator") == 0;
        if (is_who ? !is_write(verb) : !takes_option(verb, name))
            return err_set(err, -EINVAL, "%s takes no --%s\nusage: coupond event %s", verb->name,
                           name, verb->usage);
    }
    return 0;
}

static void set_path(struct admin_plan *plan, const struct verb *verb,
                     const struct making *making) {
    const char *mark = strstr(verb->path, "%s");
    const int before = mark == NULL ? (int)strlen(verb->path) : (int)(mark - verb->path);
    const bool is_export = verb->answer == ADMIN_ANSWER_EXPORT;
    const int n = snprintf(plan->path, sizeof plan->path, "%.*s%s%s%s%s", before, verb->path,
                           mark == NULL ? "" : making->event, mark == NULL ? "" : mark + 2,
                           is_export ? "?format=" : "",
                           is_export ? options_get(making->options, "format")->text : "");
    ASSERT(n > 0 && (size_t)n < sizeof plan->path);
}

static int fill_plan(struct admin_plan *plan, const struct verb *verb, struct making *making) {
    int result = verb->fill(making);
    if (result == 0 && is_write(verb)) result = put_who(making);
    if (result != 0) return result;
    plan->method = verb->method;
    plan->answer = verb->answer;
    set_path(plan, verb, making);
    if (!is_write(verb)) return 0;
    plan->body = json_dumps(making->body, JSON_COMPACT);
    return plan->body != NULL ? 0 : err_set(making->err, -EINVAL, "out of memory");
}

int admin_plan_make(struct admin_plan *plan, const struct options *options, const char *user,
                    int words, char **word, struct err *err) {
    *plan = (struct admin_plan){0};
    const struct verb *verb = words > 0 ? find_verb(word[0]) : NULL;
    if (verb == NULL) return refuse_verb(err);
    if (words != verb->words) return refuse_usage(verb, err);
    int result = check_flags(verb, options, err);
    if (result != 0) return result;
    struct making making = {.options = options, .user = user, .err = err};
    making.event = words > 1 ? word[1] : NULL;
    if (making.event != NULL && !event_id_is_valid(slice_str(making.event)))
        return err_set(err, -EINVAL, "EVENT must be 1 to 64 characters of A-Z a-z 0-9 _ -");
    making.body = json_object();
    if (making.body == NULL) return err_set(err, -EINVAL, "out of memory");
    result = fill_plan(plan, verb, &making);
    json_decref(making.body);
    return result;
}

void admin_plan_free(struct admin_plan *plan) {
    free(plan->body);
    plan->body = NULL;
}
