/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot path over a socket pair whose other end is the test: windows of requests, answers cut at
 * every byte, endings of every kind. Also tests load_connection.c, which moves the bytes.
 */
#include "verify/load_exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake/load_fixture.h"

#include <cmocka.h>

struct run {
    struct load_fixture fixture;
    struct load_worker *worker;
    struct load_connection *connection;
    int peer;
};

/* Opens the only connection, or opens it again, to a new peer. */
static void connect_peer(struct run *run) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    run->connection->fd = ends[0];
    run->connection->state = CONNECTION_OPEN;
    run->peer = ends[1];
}

static int open_run(void **state) {
    static struct run run;
    fixture_open(&run.fixture, 1000, 100, 1);
    run.worker = &run.fixture.workers[0];
    run.connection = &run.worker->connections[0];
    connect_peer(&run);
    *state = &run;
    return 0;
}

static int close_run(void **state) {
    struct run *run = *state;
    close(run->peer);
    fixture_close(&run->fixture);
    return 0;
}

static void put(const struct run *run, const char *p, size_t n) {
    assert_int_equal(write(run->peer, p, n), n);
}

static int receive_all(struct run *run) {
    return exchange_receive(run->worker, run->connection, false);
}

/* Writes one answer at `out`, which has room for FIXTURE_TEXT_BYTES. */
static size_t add_answer(char *out, const char *status, const char *fields, const char *body) {
    int n = snprintf(out, FIXTURE_TEXT_BYTES,
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, fields, strlen(body), body);
    assert_in_range(n, 1, FIXTURE_TEXT_BYTES - 1);
    return (size_t)n;
}

/* Eight answers: a winner, a sold out, busy, …: every way through the code. */
static size_t window_of_answers(char *out) {
    char body[FIXTURE_TEXT_BYTES];
    size_t n = add_answer(out, "200 OK", "", SOLD_OUT_FINAL);
    n += add_answer(out + n, "200 OK", "", SOLD_OUT_FINAL);
    n += add_answer(out + n, "200 OK", "", coupon_body(body, "issued", "u-002", 1, "C1"));
    n += add_answer(out + n, "200 OK", "", SOLD_OUT_FINAL);
    n += add_answer(out + n, "503 Busy", "Retry-After: 0\r\n", "{}");
    n += add_answer(out + n, "200 OK", "Date: other\r\n", SOLD_OUT_FINAL);
    n += add_answer(out + n, "202 Accepted", "Retry-After: 0\r\n",
                    "{\"success\":null,\"result\":\"pending\"}");
    n += add_answer(out + n, "200 OK", "", SOLD_OUT);
    return n;
}

static void check_window(const struct run *run) {
    const uint64_t *told = run->worker->oracle.told;
    assert_int_equal(told[TOLD_SOLD_OUT_FINAL], 4);
    assert_int_equal(told[TOLD_SOLD_OUT], 1);
    assert_int_equal(told[TOLD_ISSUED], 1);
    assert_int_equal(told[TOLD_BUSY], 1);
    assert_int_equal(told[TOLD_PENDING], 1);
    assert_int_equal(run->worker->in_flight, 0);
    assert_int_equal(run->worker->tally.answered, 8);
    assert_int_equal(run->worker->plan.later_count, 2);
    assert_int_equal(found_in_all(&run->fixture), 0);
}

static void a_window_is_one_write_and_one_read(void **state) {
    struct run *run = *state;
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 0);
    assert_int_equal(run->worker->in_flight, 8);
    char in[8 * REQUEST_BYTES_MAX], expected[REQUEST_BYTES_MAX];
    ssize_t n = read(run->peer, in, sizeof in);
    size_t at = 0;
    for (uint32_t user = 0; user < 8; user++) {
        size_t bytes = request_write(&run->fixture.kit, REQUEST_CLAIM, user, expected);
        assert_memory_equal(in + at, expected, bytes);
        at += bytes;
    }
    assert_int_equal(n, at);
    char out[8 * FIXTURE_TEXT_BYTES];
    size_t bytes = window_of_answers(out);
    put(run, out, bytes);
    assert_int_equal(receive_all(run), 0);
    check_window(run);
}

static void answers_cut_at_every_byte(void **state) {
    struct run *run = *state;
    char out[8 * FIXTURE_TEXT_BYTES];
    size_t bytes = window_of_answers(out);
    for (size_t cut = 1; cut < bytes; cut += 1) {
        assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
        put(run, out, cut);
        assert_int_equal(receive_all(run), 0);
        put(run, out + cut, bytes - cut);
        assert_int_equal(receive_all(run), 0);
        check_window(run);
        close_run(state);
        open_run(state);
    }
}

static void answers_byte_by_byte(void **state) {
    struct run *run = *state;
    char out[8 * FIXTURE_TEXT_BYTES];
    size_t bytes = window_of_answers(out);
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    for (size_t i = 0; i < bytes; i++) {
        put(run, out + i, 1);
        assert_int_equal(receive_all(run), 0);
    }
    check_window(run);
}

static void the_common_answer_is_not_common_to_winners(void **state) {
    struct run *run = *state;
    run->worker->plan.setup.users = 2;
    run->worker->plan.setup.claims = 8; /* user 0, 1, 0, 1, … */
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    char out[FIXTURE_TEXT_BYTES], body[FIXTURE_TEXT_BYTES];
    put(run, out, add_answer(out, "200 OK", "", coupon_body(body, "issued", "u-000", 1, "C1")));
    put(run, out, add_answer(out, "200 OK", "", SOLD_OUT_FINAL));
    assert_int_equal(receive_all(run), 0);
    for (int i = 0; i < 6; i++) put(run, out, add_answer(out, "200 OK", "", SOLD_OUT_FINAL));
    assert_int_equal(receive_all(run), 0);
    /* Those of user 0 had been sent before the coupon was told: no lie yet, but all were looked at.
     */
    assert_int_equal(found_in_all(&run->fixture), 0);
    run->worker->plan.setup.claims = 10;
    assert_int_equal(exchange_fill(run->worker, run->connection, 5), 2);
    for (int i = 0; i < 2; i++) put(run, out, add_answer(out, "200 OK", "", SOLD_OUT_FINAL));
    assert_int_equal(receive_all(run), 0);
    assert_int_equal(found(&run->fixture, FINDING_TAKEN_BACK), 1);
}

static void a_broken_connection_sends_again(void **state) {
    struct run *run = *state;
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    char out[8 * FIXTURE_TEXT_BYTES], in[8 * REQUEST_BYTES_MAX], expected[REQUEST_BYTES_MAX];
    size_t one = add_answer(out, "200 OK", "", SOLD_OUT_FINAL);
    add_answer(out + one, "200 OK", "", SOLD_OUT_FINAL);
    put(run, out, one + 20);
    close(run->peer);
    assert_int_equal(exchange_receive(run->worker, run->connection, true), -ECONNRESET);
    load_connection_close(run->connection);
    assert_int_equal(run->connection->count, 7);
    connect_peer(run);
    assert_int_equal(exchange_resend(run->worker, run->connection, 9), 0);
    assert_int_equal(run->worker->tally.resent, 7);
    assert_true(read(run->peer, in, sizeof in) > 0);
    size_t bytes = request_write(&run->fixture.kit, REQUEST_CLAIM, 1, expected);
    assert_memory_equal(in, expected, bytes); /* begins with the first unanswered one */
    for (int i = 0; i < 7; i++) put(run, out, one);
    assert_int_equal(receive_all(run), 0);
    assert_int_equal(run->worker->in_flight, 0);
    assert_int_equal(found_in_all(&run->fixture), 0);
    assert_true(run->fixture.shared.users[1] & USER_UNSURE);
    assert_false(run->fixture.shared.users[0] & USER_UNSURE);
}

static void what_breaks_each_time_is_given_up(void **state) {
    struct run *run = *state;
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    for (int i = 0; i < EXCHANGE_TRIES_MAX; i++) {
        assert_int_equal(run->connection->count, 8);
        close(run->peer);
        load_connection_close(run->connection);
        connect_peer(run);
        assert_int_equal(exchange_resend(run->worker, run->connection, 9), 0);
    }
    assert_int_equal(found_in_all(&run->fixture), 0);
    close(run->peer);
    load_connection_close(run->connection);
    connect_peer(run);
    assert_int_equal(exchange_resend(run->worker, run->connection, 9), 0);
    assert_int_equal(found(&run->fixture, FINDING_UNANSWERED), 8);
    assert_int_equal(run->worker->in_flight, 0);
}

static void an_announced_close_and_nonsense(void **state) {
    struct run *run = *state;
    char out[FIXTURE_TEXT_BYTES];
    assert_int_equal(exchange_fill(run->worker, run->connection, 1), 8);
    put(run, out, add_answer(out, "200 OK", "Connection: close\r\n", SOLD_OUT_FINAL));
    assert_int_equal(receive_all(run), -EAGAIN);
    assert_int_equal(run->connection->count, 7);
    put(run, "nonsense", 8);
    assert_int_equal(receive_all(run), -EPROTO);
    assert_int_equal(run->connection->count, 6);
    assert_int_equal(found(&run->fixture, FINDING_PROTOCOL), 1);
}

static void an_answer_without_a_request(void **state) {
    struct run *run = *state;
    char out[FIXTURE_TEXT_BYTES];
    put(run, out, add_answer(out, "200 OK", "", SOLD_OUT_FINAL));
    assert_int_equal(receive_all(run), -EPROTO);
    assert_int_equal(found(&run->fixture, FINDING_PROTOCOL), 1);
}

static void a_peer_that_does_not_read(void **state) {
    struct run *run = *state;
    int small = 1; /* the kernel makes a few KiB of it */
    setsockopt(run->connection->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    char sent[64 * 1024], got[sizeof sent];
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 131 >> 3);
    assert_int_equal(load_connection_write(run->connection, slice_of(sent, 60000)), 0);
    assert_non_null(run->connection->rest);
    assert_int_equal(load_connection_write(run->connection, slice_of(sent + 60000, 5536)), 0);
    size_t at = 0;
    while (at < sizeof got) {
        ssize_t n = read(run->peer, got + at, sizeof got - at);
        assert_true(n > 0);
        at += (size_t)n;
        assert_int_equal(load_connection_write_rest(run->connection), 0);
    }
    assert_null(run->connection->rest);
    assert_memory_equal(got, sent, sizeof sent);
}

static void an_open_loop_keeps_its_schedule(void **state) {
    struct run *run = *state;
    struct load_worker *worker = run->worker;
    worker->interval_ns = 1000;
    worker->tally.start_ns = 5000;
    assert_false(exchange_has_work(worker, 4999));
    assert_int_equal(exchange_next_ns(worker), 5000);
    assert_int_equal(exchange_fill(worker, run->connection, 4999), 0);
    assert_int_equal(exchange_fill(worker, run->connection, 5000), 1);
    /* The next are late: made up for in one write, and each keeps its own intended time. */
    assert_int_equal(exchange_fill(worker, run->connection, 20000), 7);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(run->connection->ring[i].intended_ns, 5000 + i * 1000);
        assert_int_equal(run->connection->ring[i].sent_ns, i == 0 ? 5000 : 20000);
    }
    assert_int_equal(exchange_next_ns(worker), 13000);
}

#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, open_run, close_run)

int main(void) {
    const struct CMUnitTest tests[] = {
        RUN_TEST(a_window_is_one_write_and_one_read),
        RUN_TEST(answers_cut_at_every_byte),
        RUN_TEST(answers_byte_by_byte),
        RUN_TEST(the_common_answer_is_not_common_to_winners),
        RUN_TEST(a_broken_connection_sends_again),
        RUN_TEST(what_breaks_each_time_is_given_up),
        RUN_TEST(an_announced_close_and_nonsense),
        RUN_TEST(an_answer_without_a_request),
        RUN_TEST(a_peer_that_does_not_read),
        RUN_TEST(an_open_loop_keeps_its_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
