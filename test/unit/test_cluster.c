/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers of a cluster in a world of their own: one topic, one node of Redis, and whatever can
 * happen to them. Each seed is a story; the last part of each lets everything heal, and then
 * everybody has a final answer, and what anybody was told is what the log says.
 */
#include "claim/cluster.h"
#include "claim/settings_watch.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/fake_shard.h"
#include "fake/fake_topic.h"
#include "lib/logger.h"
#include "sim/random_sim.h"

enum {
    SERVERS = 3,
    USERS = 40,
    STOCK = 6,
    STOCK_MORE = 4,
    STEPS = 3000,
    HEAL_STEPS = 20000,
    ANSWER_MS = 2500,
    SNAPSHOTS = 16,
    PART_HOLDERS = 3, /* so that an install has several */
};

static const struct slice event_id = SLICE("e");

/* What a client is about, and what it was told. */
struct person {
    char id[16];
    bool is_asking;
    int server;
    uint64_t token;
    bool may_be_sold_out, may_be_paused; /* since it asks, that was true for a moment */
    uint32_t serial;                     /* told; 0: not yet */
    enum claim_outcome outcome;          /* the last */
    bool is_over;                        /* was told no, for good, or went away */
    bool may_be_reserved; /* an answer that it did not get, or "ask later", left that open */
};

struct server {
    struct cluster *cluster;
    struct view *engine_view, *view; /* the engine's, and a network thread's */
    bool is_making_control;
    uint64_t control_token;
};

static struct world {
    struct clock clock;
    struct random_sim dice;
    int64_t wall_ms;
    uint64_t now_ns, tokens;
    struct consumed consumed;
    struct server servers[SERVERS];
    struct person people[USERS];
    struct view *truth; /* of the whole topic */
    uint64_t judged;    /* of its records */
    struct shard_event snapshots[SNAPSHOTS];
    unsigned snapshots_count;
    bool is_healing;
    uint64_t seed;
    unsigned told_late, fell_back, crashes, restocks, returns;
} world;

static const struct hash_key hash_key = {{1, 2}};

static bool chance(unsigned of_256) {
    return random_sim_chance(&world.dice, of_256);
}

static int64_t wall_ms(const struct clock *clock) {
    (void)clock;
    return world.wall_ms;
}

static uint64_t monotonic_ns(const struct clock *clock) {
    (void)clock;
    return world.now_ns;
}

static uint64_t some_records(void) {
    return world.is_healing ? UINT64_MAX : random_sim_below(&world.dice, 4);
}

#define INSIST(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) fail_msg("seed %" PRIu64 ": %s", world.seed, #condition);                \
    } while (0)

/* ---- the truth ---- */

static const struct judge_state *truth_state(void) {
    const struct event *event = view_find(world.truth, event_id);
    return event == NULL ? NULL : judge_state(event->judge);
}

static void judge_topic(void) {
    while (world.judged < topic.count) {
        struct topic_record *at = &topic.records[world.judged++];
        struct record record;
        size_t bytes;
        INSIST(record_decode(slice_of(at->value, at->bytes), &record, &bytes) == RECORD_OK);
        record.seq = world.judged;
        INSIST(view_apply(world.truth, &record, NULL) == 0);
    }
}

/* What Redis says may be told when it is of a state that the asker's server has read, or a newer
 * one. */
static bool is_redis_up_to_date_for(const struct server *server) {
    const struct event *event = view_find(server->engine_view, event_id);
    const struct shard_event *node = &shard.events[0];
    return event != NULL && node->is_there && node->gen >= judge_state(event->judge)->gen &&
           node->ver >= judge_state(event->judge)->ver;
}

static void note_moments(void) {
    const struct judge_state *truth = truth_state();
    if (truth == NULL) return;
    for (int i = 0; i < USERS; i++) {
        struct person *person = &world.people[i];
        if (!person->is_asking) continue;
        bool is_redis_good = is_redis_up_to_date_for(&world.servers[person->server]);
        if (truth->taken == truth->stock || (is_redis_good && shard_is_full(&shard.events[0])))
            person->may_be_sold_out = true;
        if (truth->paused || (is_redis_good && shard.events[0].status == INSTALL_PAUSED))
            person->may_be_paused = true;
    }
}

/* ---- what servers say ---- */

static void on_records(void *ctx, struct slice records) {
    struct server *server = ctx;
    while (records.n > 0) {
        struct record record;
        size_t bytes;
        INSIST(record_decode(records, &record, &bytes) == RECORD_OK);
        INSIST(view_apply(server->view, &record, NULL) == 0);
        records = slice_of(records.p + bytes, records.n - bytes);
    }
}

static void hear_coupon(struct server *server, struct person *person) {
    struct coupon coupon;
    const struct event *event = view_find(server->view, event_id);
    INSIST(event != NULL);
    INSIST(judge_lookup(event->judge, slice_str(person->id), &coupon) == HOLDING_COUPON);
    INSIST(person->serial == 0 || person->serial == coupon.serial);
    INSIST(!person->is_over);
    person->serial = coupon.serial;
    /* Told is true for ever (I4): the truth has it, whatever the server that told it read. */
    judge_topic();
    INSIST(judge_lookup(view_find(world.truth, event_id)->judge, slice_str(person->id), &coupon) ==
           HOLDING_COUPON);
    INSIST(person->serial == coupon.serial);
}

/* What a restock brought to somebody, a server that has not read of either cannot know. */
static bool has_not_read_of(const struct server *server, const struct person *person) {
    struct coupon coupon;
    return server->view == NULL || judge_lookup(view_find(server->view, event_id)->judge,
                                                slice_str(person->id), &coupon) == HOLDING_NONE;
}

static void hear_sold_out(struct server *server, struct person *person) {
    INSIST(person->serial == 0 || (!world.is_healing && has_not_read_of(server, person)));
    note_moments();
    INSIST(person->may_be_sold_out);
    const struct judge_state *state = judge_state(view_find(server->view, event_id)->judge);
    bool is_current =
        cluster_tail_age_ns(server->cluster, &world.clock) < (uint64_t)CLUSTER_CURRENT_MS * 1000000;
    if (world.is_healing && state->taken == state->stock && is_current) person->is_over = true;
}

/* One that may still come true. */
static bool holds_a_reservation(const struct person *person) {
    struct shard_event *node = &shard.events[0];
    const struct judge_state *truth = truth_state();
    return truth != NULL && node->is_there && node->gen == truth->gen &&
           node->token == shard.token && shard_user_of(node, person->id) != NULL;
}

static void on_answer(void *ctx, uint32_t thread, uint64_t token, enum claim_outcome outcome) {
    (void)thread;
    struct server *server = ctx;
    struct person *person = world.people;
    while (person < world.people + USERS && !(person->is_asking && person->token == token))
        person++;
    INSIST(person < world.people + USERS); /* one answer for each claim */
    person->outcome = outcome;
    switch (outcome) {
    case CLAIM_ISSUED:
    case CLAIM_ALREADY_ISSUED:
        hear_coupon(server, person);
        break;
    case CLAIM_SOLD_OUT:
        hear_sold_out(server, person);
        break;
    case CLAIM_UNAVAILABLE:
        INSIST(person->serial != 0 || person->may_be_reserved || !holds_a_reservation(person));
        world.told_late++;
        break;
    case CLAIM_PENDING:
        person->may_be_reserved = true;
        world.told_late++;
        break;
    case CLAIM_PAUSED:
        note_moments();
        INSIST(person->may_be_paused);
        break;
    case CLAIM_RETURNED:
        person->serial = 0;
        person->is_over = true;
        break;
    case CLAIM_NONE:
        break;
    default:
        INSIST(false);
    }
    person->is_asking = false;
}

static void on_control(void *ctx, uint64_t token, enum control_outcome outcome) {
    struct server *server = ctx;
    INSIST(server->is_making_control && server->control_token == token);
    server->is_making_control = false;
    if (outcome == CONTROL_DONE) engine_cluster_ops.control_seen(server->cluster, token);
}

static void on_failed(void *ctx, int code) {
    (void)ctx, (void)code;
    INSIST(false);
}

static void consumers_are_done_with(uint64_t seq, uint64_t asked_ns) {
    atomic_store(&world.consumed.seq, seq);
    atomic_store(&world.consumed.asked_ns, asked_ns);
}

/* ---- servers ---- */

static bool is_up(const struct server *server) {
    return server->cluster != NULL;
}

static void bring_up(struct server *server) {
    struct err err = {0};
    server->engine_view = view_new(&hash_key);
    const struct cluster_options options = {
        .view = server->engine_view,
        .hash_key = hash_key,
        .clock = &world.clock,
        .random = &world.dice.source,
        .claims_max = 64,
        .winners_max = 32,
        .answer_ms = ANSWER_MS,
        .install_part = PART_HOLDERS,
        .archive_s = 60,
        .consumed = &world.consumed,
        .stall_ms = 1,
        .redis = "one",
    };
    if (cluster_new(&server->cluster, &options, &err) != 0) {
        INSIST(topic.is_away);
        server->cluster = NULL;
        view_free(server->engine_view);
        return;
    }
    server->view = view_clone(server->engine_view);
    server->is_making_control = false;
    const struct engine_sink sink = {server, on_records, on_answer, on_control, on_failed};
    INSIST(cluster_attach(server->cluster, &sink) == server->cluster);
}

static void bring_down(struct server *server) {
    cluster_free(server->cluster, 0);
    view_free(server->engine_view);
    view_free(server->view);
    *server = (struct server){0};
    for (int i = 0; i < USERS; i++) {
        struct person *person = &world.people[i];
        if (!person->is_asking || &world.servers[person->server] != server) continue;
        person->is_asking = false;
        person->may_be_reserved = true;
        if (chance(40)) person->is_over = true; /* does not come back for what may be reserved */
    }
}

static void take_turn(struct server *server) {
    (void)engine_cluster_ops.begin(server->cluster, world.wall_ms);
    struct log *log = cluster_log(server->cluster);
    log->ops->pump(log);
    engine_cluster_ops.end(server->cluster);
}

static void ask_as(struct server *server, struct person *person, enum claim_kind kind) {
    const struct event *event = view_find(server->view, event_id);
    if (event == NULL) return;
    struct claim claim = {.event = event->number, .token = ++world.tokens, .kind = (uint8_t)kind};
    claim.user_id_bytes = (uint8_t)strlen(person->id);
    memcpy(claim.user_id, person->id, claim.user_id_bytes);
    person->is_asking = true;
    person->may_be_sold_out = person->may_be_paused = false;
    person->server = (int)(server - world.servers);
    person->token = world.tokens;
    note_moments();
    engine_cluster_ops.claim(server->cluster, &claim);
}

static void ask(struct server *server, struct person *person) {
    ask_as(server, person, CLAIM_KIND_CLAIM);
}

static void control(struct server *server, struct record record) {
    record.event_id = event_id;
    record.ms = world.wall_ms;
    server->is_making_control = true;
    server->control_token = ++world.tokens;
    engine_cluster_ops.control(server->cluster, &record, server->control_token);
}

static void open_event(struct server *server) {
    control(server,
            (struct record){.type = RECORD_OPEN,
                            .open = {.stock = STOCK,
                                     .ends_ms = TIME_MS_MAX,
                                     .code = {.alphabet = SLICE("0123456789"), .length = 25}}});
}

/* ---- what happens ---- */

static struct server *any_server(void) {
    struct server *server = &world.servers[random_sim_below(&world.dice, SERVERS)];
    return is_up(server) ? server : NULL;
}

static void some_control(struct server *server) {
    const struct judge_state *truth = truth_state();
    if (server->is_making_control || truth == NULL) return;
    switch (random_sim_below(&world.dice, 4)) {
    case 0:
        if (world.restocks > 0) return;
        world.restocks++;
        control(server, (struct record){.type = RECORD_RESTOCK, .restock = {STOCK + STOCK_MORE}});
        break;
    case 1:
        control(server, (struct record){.type = RECORD_PAUSE});
        break;
    case 2:
        control(server, (struct record){.type = RECORD_RESUME});
        break;
    default: {
        struct person *person = &world.people[random_sim_below(&world.dice, USERS)];
        if (person->serial == 0 || person->is_asking || world.returns >= 2) return;
        world.returns++;
        control(server, (struct record){.type = RECORD_RETURN,
                                        .give_back = {.serial = person->serial,
                                                      .user_id = slice_str(person->id)}});
        person->serial = 0;
        person->is_over = true; /* whatever becomes of it, nothing is promised any more */
        break;
    }
    }
}

/* Some command runs, once more, is answered, or is given up. In order but for those that are lost.
 */
static void serve_shard(void) {
    if (shard.commands_count == 0) return;
    size_t index = chance(16) ? random_sim_below(&world.dice, shard.commands_count) : 0;
    struct shard_command *command = &shard.commands[index];
    bool is_late = command->deadline_ms <= world.now_ns / 1000000;
    if (command->client == NULL) {
        if (chance(128)) shard_run(command); /* its server is dead */
        shard_end(index, REDIS_SHUTDOWN);
    } else if (is_late) {
        shard_end(index, REDIS_LATE);
    } else if (command->reply == NULL) {
        shard_run(command);
    } else if (!world.is_healing && chance(12)) {
        shard_run(command); /* its reply was lost */
    } else if (!world.is_healing && chance(8)) {
        shard_end(index, REDIS_LATE);
    } else {
        shard_end(index, REDIS_REPLIED);
    }
}

static void serve_topic(void) {
    for (size_t i = 0; i < ARRAY_LEN(topic.logs); i++) {
        struct kafka_log *log = &topic.logs[i];
        if (!log->is_used || log->waiting_count == 0 || topic.is_away) continue;
        if (!world.is_healing && chance(6))
            topic_drop(log);
        else if (world.is_healing || chance(100))
            topic_land(log);
    }
    judge_topic();
}

static void trouble(void) {
    if (chance(2)) topic.is_away = !topic.is_away;
    if (chance(16)) world.snapshots[world.snapshots_count++ % SNAPSHOTS] = shard.events[0];
    if (chance(1) && world.snapshots_count > 0) {
        unsigned kept = world.snapshots_count < SNAPSHOTS ? world.snapshots_count : SNAPSHOTS;
        shard_fall_back(&world.snapshots[random_sim_below(&world.dice, kept)], 0);
        world.fell_back++;
    }
    struct server *server = &world.servers[random_sim_below(&world.dice, SERVERS)];
    if (is_up(server) && chance(1)) {
        bring_down(server);
        world.crashes++;
    } else if (!is_up(server) && chance(30)) {
        bring_up(server);
    }
}

static void step(void) {
    uint64_t ms = 1 + random_sim_below(&world.dice, chance(4) ? 300 : 8);
    world.now_ns += ms * 1000000;
    world.wall_ms += (int64_t)ms;
    if (!world.is_healing) trouble();
    serve_shard();
    serve_topic();
    note_moments();
    struct server *server = any_server();
    if (server == NULL) return;
    take_turn(server);
    if (truth_state() == NULL && !server->is_making_control) open_event(server);
    struct person *person = &world.people[random_sim_below(&world.dice, USERS)];
    if (!person->is_asking && !person->is_over && chance(world.is_healing ? 200 : 60))
        ask(server, person);
    if (!world.is_healing && chance(2)) some_control(server);
    bool is_to_be_resumed = world.is_healing && truth_state() != NULL && truth_state()->paused;
    if (is_to_be_resumed && !server->is_making_control)
        control(server, (struct record){.type = RECORD_RESUME});
}

/* ---- a story ---- */

static void begin(uint64_t seed) {
    memset(&world, 0, sizeof world);
    memset(&shard, 0, sizeof shard);
    memset(&topic, 0, sizeof topic);
    world.seed = seed;
    world.clock = (struct clock){wall_ms, monotonic_ns};
    world.wall_ms = 1700000000000;
    world.now_ns = 1000000000;
    consumers_are_done_with(UINT64_MAX, UINT64_MAX); /* nobody records */
    random_sim_init(&world.dice, seed);
    world.truth = view_new(&hash_key);
    shard.token = 1;
    shard.time_ms = &world.wall_ms;
    topic.now_ns = &world.now_ns;
    topic.read_max = some_records;
    for (int i = 0; i < USERS; i++)
        snprintf(world.people[i].id, sizeof world.people[i].id, "u%d", i);
    for (int i = 0; i < SERVERS; i++) bring_up(&world.servers[i]);
}

static void end(void) {
    for (int i = 0; i < SERVERS; i++)
        if (is_up(&world.servers[i])) bring_down(&world.servers[i]);
    while (shard.commands_count > 0) shard_end(0, REDIS_SHUTDOWN);
    view_free(world.truth);
}

static bool has_all_been_said(void) {
    const struct judge_state *truth = truth_state();
    if (truth == NULL || truth->taken < truth->stock) return false;
    for (int i = 0; i < USERS; i++)
        if (world.people[i].serial == 0 && !world.people[i].is_over) return false;
    for (int i = 0; i < SERVERS; i++)
        if (view_digest(world.servers[i].view) != view_digest(world.truth)) return false;
    return true;
}

static void heal(void) {
    world.is_healing = true;
    topic.is_away = false;
    for (int i = 0; i < SERVERS; i++)
        if (!is_up(&world.servers[i])) bring_up(&world.servers[i]);
}

static void tell_story(uint64_t seed) {
    begin(seed);
    for (int n = 0; n < STEPS; n++) step();
    heal();
    int n = 0;
    for (; n < HEAL_STEPS && !has_all_been_said(); n++) step();
    const struct judge_state *truth = truth_state();
    if (n == HEAL_STEPS)
        fail_msg("seed %" PRIu64 ": not healed: %u of %u taken, gen %u ver %u; redis gen %u ver %u",
                 seed, truth->taken, truth->stock, truth->gen, truth->ver, shard.events[0].gen,
                 shard.events[0].ver);
    for (int i = 0; i < USERS; i++) {
        struct coupon coupon;
        const struct person *person = &world.people[i];
        if (person->serial == 0) continue;
        INSIST(judge_lookup(view_find(world.truth, event_id)->judge, slice_str(person->id),
                            &coupon) == HOLDING_COUPON);
        INSIST(coupon.serial == person->serial);
    }
    end();
}

/* ---- small stories ---- */

/* All goes well for `ms`, with whoever is up. */
static void let_pass(int ms) {
    world.is_healing = true;
    for (int n = 0; n < ms; n++) {
        world.now_ns += 1000000;
        world.wall_ms++;
        for (int i = 0; i < 8; i++) serve_shard();
        serve_topic();
        for (int i = 0; i < SERVERS; i++)
            if (is_up(&world.servers[i])) take_turn(&world.servers[i]);
    }
}

static void begin_with_an_event(void) {
    begin(1);
    open_event(&world.servers[0]);
    let_pass(50);
    assert_int_equal(shard.events[0].status, INSTALL_OPEN);
}

static void what_dies_before_its_fence_comes_into_force_at_the_next_start(void **state) {
    (void)state;
    begin_with_an_event();
    for (int i = 1; i < SERVERS; i++) bring_down(&world.servers[i]);
    struct server *server = &world.servers[0];
    control(server, (struct record){.type = RECORD_PAUSE});
    serve_topic();
    bring_down(server);
    assert_true(truth_state()->paused);
    bring_up(server);
    let_pass(3000);
    assert_int_equal(shard.events[0].status, INSTALL_PAUSED);
    end();
}

static void what_a_dead_server_reserved_is_written_by_another(void **state) {
    (void)state;
    begin_with_an_event();
    ask(&world.servers[0], &world.people[0]);
    shard_run(&shard.commands[0]);
    bring_down(&world.servers[0]);
    assert_int_equal(shard.events[0].outbox_count, 1);
    let_pass(3000);
    assert_int_equal(truth_state()->taken, 1);
    let_pass(3000);
    assert_int_equal(shard.events[0].outbox_count, 0);
    end();
}

static void whose_reply_was_lost_is_told_issued_all_the_same(void **state) {
    (void)state;
    begin_with_an_event();
    ask(&world.servers[0], &world.people[0]);
    shard_run(&shard.commands[0]);
    shard_run(&shard.commands[0]);
    let_pass(100);
    assert_int_equal(world.people[0].outcome, CLAIM_ISSUED);
    ask(&world.servers[1], &world.people[0]);
    let_pass(100);
    assert_int_equal(world.people[0].outcome, CLAIM_ALREADY_ISSUED);
    end();
}

static void a_reservation_that_the_log_refuses_does_not_come_again(void **state) {
    (void)state;
    begin_with_an_event();
    ask(&world.servers[0], &world.people[0]);
    let_pass(3000);
    assert_int_equal(world.people[0].serial, 1);
    struct shard_event *node = &shard.events[0];
    struct shard_user *other = &node->outbox[node->outbox_count++];
    *other = (struct shard_user){.id = "other", .gen = node->gen, .serial = 1, .seq = 1000};
    other->ms = world.wall_ms;
    let_pass(5000);
    assert_int_equal(shard.events[0].outbox_count, 0);
    assert_int_equal(shard.events[0].gen, truth_state()->gen);
    uint64_t count = topic.count;
    let_pass(5000);
    assert_int_equal(topic.count, count);
    end();
}

static void nothing_is_asked_of_redis_when_all_is_sold(void **state) {
    (void)state;
    begin_with_an_event();
    for (int i = 0; i < STOCK; i++) ask(&world.servers[i % SERVERS], &world.people[i]);
    let_pass(5000);
    assert_int_equal(truth_state()->taken, STOCK);
    assert_int_equal(shard.events[0].outbox_count, 0);
    uint64_t sent = shard.sent;
    let_pass(5000);
    assert_int_equal(shard.sent, sent);
    end();
}

static void an_event_that_is_over_leaves_redis_and_is_answered_all_the_same(void **state) {
    (void)state;
    begin_with_an_event();
    ask(&world.servers[0], &world.people[0]);
    let_pass(3000);
    assert_false(shard.events[0].has_end);
    control(&world.servers[0], (struct record){.type = RECORD_CLOSE});
    let_pass(5000);
    assert_true(shard.events[0].has_end);
    uint64_t sent = shard.sent;
    shard.events[0].is_there = false;
    ask_as(&world.servers[1], &world.people[0], CLAIM_KIND_QUERY);
    ask_as(&world.servers[1], &world.people[1], CLAIM_KIND_QUERY);
    assert_int_equal(world.people[0].outcome, CLAIM_ALREADY_ISSUED);
    assert_int_equal(world.people[1].outcome, CLAIM_NONE);
    let_pass(5000);
    assert_int_equal(shard.sent, sent);
    end();
}

static void the_keys_of_an_event_that_is_over_wait_for_its_consumers(void **state) {
    (void)state;
    begin_with_an_event();
    ask(&world.servers[0], &world.people[0]);
    let_pass(1000);
    consumers_are_done_with(UINT64_MAX, world.now_ns);
    control(&world.servers[0], (struct record){.type = RECORD_CLOSE});
    let_pass(5000);
    assert_false(shard.events[0].has_end); /* nobody was there before it was over */
    uint64_t last = view_offset(world.servers[0].engine_view);
    consumers_are_done_with(last - 1, world.now_ns);
    let_pass(5000);
    assert_false(shard.events[0].has_end);
    consumers_are_done_with(last, world.now_ns);
    let_pass(5000);
    assert_true(shard.events[0].has_end);
    end();
}

static void a_winner_is_told_to_ask_later_at_once_when_the_log_is_long_away(void **state) {
    (void)state;
    begin_with_an_event();
    topic.is_away = true;
    let_pass(CLUSTER_PATIENT_MS + 1);
    ask(&world.servers[0], &world.people[0]);
    let_pass(50);
    assert_false(world.people[0].is_asking);
    assert_int_equal(world.told_late, 1);
    topic.is_away = false;
    let_pass(3000);
    assert_int_equal(truth_state()->taken, 1);
    end();
}

/* ---- many ---- */

static void whatever_happens_all_get_a_final_answer(void **state) {
    (void)state;
    const char *first = getenv("CLUSTER_SEED"), *count = getenv("CLUSTER_SEEDS");
    uint64_t from = first == NULL ? 1 : strtoull(first, NULL, 10);
    uint64_t seeds = count == NULL ? 1000 : strtoull(count, NULL, 10);
    unsigned late = 0, fell_back = 0, crashes = 0, restocks = 0, returns = 0;
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        tell_story(seed);
        late += world.told_late;
        fell_back += world.fell_back;
        crashes += world.crashes;
        restocks += world.restocks;
        returns += world.returns;
    }
    print_message(
        "%u told to ask later, Redis fell back %u times, %u servers died, %u restocks, %u "
        "returns\n",
        late, fell_back, crashes, restocks, returns);
    if (seeds >= 100) assert_true(late && fell_back && crashes && restocks && returns);
}

int main(void) {
    logger_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_dies_before_its_fence_comes_into_force_at_the_next_start),
        cmocka_unit_test(what_a_dead_server_reserved_is_written_by_another),
        cmocka_unit_test(whose_reply_was_lost_is_told_issued_all_the_same),
        cmocka_unit_test(a_reservation_that_the_log_refuses_does_not_come_again),
        cmocka_unit_test(nothing_is_asked_of_redis_when_all_is_sold),
        cmocka_unit_test(an_event_that_is_over_leaves_redis_and_is_answered_all_the_same),
        cmocka_unit_test(the_keys_of_an_event_that_is_over_wait_for_its_consumers),
        cmocka_unit_test(a_winner_is_told_to_ask_later_at_once_when_the_log_is_long_away),
        cmocka_unit_test(whatever_happens_all_get_a_final_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
