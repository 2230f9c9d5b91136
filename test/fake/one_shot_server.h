/* SPDX-License-Identifier: Apache-2.0
 *
 * A server for one connection: reads one request, then says exactly what the test wants, in the
 * pieces it wants, and closes. For tests of HTTP clients; included by one .c each.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base.h"

struct one_shot {
    /* Set by the test before one_shot_start; zero means the default. */
    size_t answer_bytes; /* of the answer; its strlen */
    size_t repeats;      /* how often it is sent; once */
    size_t piece_bytes;  /* sent at a time; all */
    int pause_ms;        /* before each piece; none */
    bool is_deaf;        /* accepts nothing, answers nothing */
    /* Set by the server. */
    char port[6];
    char request[4096]; /* NUL-terminated; read it after one_shot_stop */
    size_t request_bytes;
    /* Its own. */
    const char *answer;
    int listener;
    pthread_t thread;
};

static void one_shot_sleep_ms(int ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

static bool one_shot_is_request_whole(const struct one_shot *server) {
    const char *end = memmem(server->request, server->request_bytes, "\r\n\r\n", 4);
    const char *length = memmem(server->request, server->request_bytes, "Content-Length: ", 16);
    if (end == NULL) return false;
    const size_t body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    return (size_t)(server->request + server->request_bytes - end) >= 4 + body;
}

static void one_shot_receive(struct one_shot *server, int fd) {
    while (!one_shot_is_request_whole(server)) {
        const ssize_t n = recv(fd, server->request + server->request_bytes,
                               sizeof server->request - 1 - server->request_bytes, 0);
        if (n <= 0) return;
        server->request_bytes += (size_t)n;
        server->request[server->request_bytes] = '\0';
    }
}

static bool one_shot_send(const struct one_shot *server, int fd) {
    for (size_t sent = 0; sent < server->answer_bytes;) {
        if (server->pause_ms > 0) one_shot_sleep_ms(server->pause_ms);
        const size_t bytes = size_min(server->piece_bytes, server->answer_bytes - sent);
        const ssize_t n = send(fd, server->answer + sent, bytes, MSG_NOSIGNAL);
        if (n < 0) return false;
        sent += (size_t)n;
    }
    return true;
}

static void *one_shot_serve(void *ctx) {
    struct one_shot *server = ctx;
    const int fd = accept(server->listener, NULL, NULL);
    if (fd < 0) return NULL;
    one_shot_receive(server, fd);
    for (size_t i = 0; i < server->repeats && one_shot_send(server, fd); i++) {
    }
    close(fd);
    return NULL;
}

/* Listens on a free port of 127.0.0.1. */
static inline void one_shot_start(struct one_shot *server, const char *answer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    if (server->answer_bytes == 0) server->answer_bytes = strlen(answer);
    if (server->piece_bytes == 0) server->piece_bytes = server->answer_bytes;
    if (server->repeats == 0) server->repeats = 1;
    server->answer = answer;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(server->listener >= 0);
    ASSERT(bind(server->listener, (struct sockaddr *)&address, bytes) == 0);
    ASSERT(listen(server->listener, 4) == 0);
    ASSERT(getsockname(server->listener, (struct sockaddr *)&address, &bytes) == 0);
    snprintf(server->port, sizeof server->port, "%u", (unsigned)ntohs(address.sin_port));
    if (!server->is_deaf)
        ASSERT(pthread_create(&server->thread, NULL, one_shot_serve, server) == 0);
}

/* Waits for the end of the connection; one that never came is given up. */
static inline void one_shot_stop(struct one_shot *server) {
    shutdown(server->listener, SHUT_RDWR);
    if (!server->is_deaf) pthread_join(server->thread, NULL);
    close(server->listener);
}
