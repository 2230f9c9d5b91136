/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets between the simulated process and its clients, as the table that api/ asks
 * (lib/sockets.h), and under its loop the part of libuv that it uses (uv_sim.c, which is linked in
 * its place): so the code under test is all of api/, down to the last line before the system call.
 *
 *     client --send--> up --> [receive]  server  [send] --> room? --> on_answer
 *
 * What the server writes reaches the client at once, as long as there is room in the socket. What
 * the client sends comes in pieces of any size, each with an edge. The events of one wait come in
 * any order, and some of them only in a later one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sockets.h"
#include "sim/random_sim.h"

enum { NET_SIM_UP_BYTES = 16 * 1024, NET_SIM_SOCKETS = 16, NET_SIM_LISTENERS = 5 };

struct net_socket {
    bool is_used;     /* by the client */
    bool is_accepted; /* the server has it */
    bool is_server_closed, is_server_shut;
    bool is_client_shut; /* the client sends no more, and reads on */
    bool is_client_gone;
    void *owner; /* whom its events go to, once it is watched */
    bool wants_room;
    bool has_edge; /* to be told of */
    uint32_t listener;
    size_t room; /* what the client's side still takes */
    size_t up_n, up_at;
    char up[NET_SIM_UP_BYTES];
};

/* What the simulator wants to hear of. */
struct net_sim_sink {
    void *ctx;
    void (*on_answer)(void *ctx, struct net_socket *socket, const char *bytes, size_t n);
    void (*on_closed)(void *ctx, struct net_socket *socket); /* by the server, or with it */
};

/* A new world. */
void net_sim_begin(struct random_sim *random, const struct net_sim_sink *sink);

/* The process is gone, and all its sockets are closed. */
void net_sim_reset(void);

/* The file of the listening socket `listener`, for a server. */
int net_sim_listener_fd(uint32_t listener);

/* A connection in the backlog of `listener`; NULL when all sockets are in use. */
struct net_socket *net_sim_connect(uint32_t listener);
/* False when there is no room for all of it. */
bool net_sim_send(struct net_socket *socket, const char *bytes, size_t n);
/* Whether the client is on the server's machine; others have one of a few addresses. */
bool net_sim_is_local(const struct net_socket *socket);
/* The client's side has room again. */
void net_sim_make_room(struct net_socket *socket, size_t room);
void net_sim_shut(struct net_socket *socket);
/* The client is gone; both ends are. */
void net_sim_leave(struct net_socket *socket);

/* Bytes were sent and not read. */
bool net_sim_is_busy(void);
/* Somebody's socket takes no more. */
bool net_sim_is_choked(void);

/* ---- The server's side ---- */

/* For the thread that serves `listener`. */
struct sockets *net_sim_sockets_new(uint32_t listener);

/* ---- Between net_sim.c and uv_sim.c ---- */

void uv_sim_reset(void);
/* The file of a loop is readable: it has mail. */
bool uv_sim_has_mail(int fd);
/* What the thread of a loop, and of a listener of the same number, waits for. */
const void *net_sim_bell(uint32_t listener);
