/* SPDX-License-Identifier: Apache-2.0 */
#include "api/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_bytes(const union address *address) {
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static in_port_t *address_port(union address *address) {
    return address->any.sa_family == AF_INET6 ? &address->v6.sin6_port : &address->v4.sin_port;
}

/* "[::1]:80" or "127.0.0.1:80"; false when it is neither. */
static bool parse_address(const char *text, union address *address) {
    memset(address, 0, sizeof *address);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5)
        return false;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port > 65535) return false;

    char host[INET6_ADDRSTRLEN];
    bool is_v6 = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    size_t host_bytes = (size_t)(colon - text) - (is_v6 ? 2 : 0);
    if (host_bytes >= sizeof host) return false;
    memcpy(host, text + (is_v6 ? 1 : 0), host_bytes);
    host[host_bytes] = '\0';

    address->any.sa_family = is_v6 ? AF_INET6 : AF_INET;
    *address_port(address) = htons((uint16_t)port);
    void *to = is_v6 ? (void *)&address->v6.sin6_addr : (void *)&address->v4.sin_addr;
    return inet_pton(address->any.sa_family, host, to) == 1;
}

static void format_address(const union address *address, char real[LISTEN_ADDRESS_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "";
    bool is_v6 = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family,
              is_v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr,
              host, sizeof host);
    snprintf(real, LISTEN_ADDRESS_BYTES, is_v6 ? "[%s]:%u" : "%s:%u", host,
             ntohs(is_v6 ? address->v6.sin6_port : address->v4.sin_port));
}

/* A bound socket, or a negative errno. */
static int bind_socket(const union address *address, bool reuse_port) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    /* Accepted sockets inherit this: answers leave at once. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, &address->any, address_bytes(address)) != 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

static int listen_failed(struct err *err, int code, const char *address) {
    return err_set(err, code, "cannot listen on %s: %s%s", address, strerror(-code),
                   code == -EADDRINUSE ? " (another program listens there; choose another port, 0 "
                                         "takes a free one)"
                                       : "");
}

/* Without SO_REUSEPORT a port that anyone listens on is refused: our own threads are not there yet,
 * so whoever is there is another program. The port found (0: chosen now) is written to address. */
static int probe_port(union address *address) {
    int fd = bind_socket(address, false);
    if (fd < 0) return fd;
    int code = listen(fd, 1) == 0 ? 0 : -errno;
    socklen_t bytes = sizeof *address;
    if (code == 0 && getsockname(fd, &address->any, &bytes) != 0) code = -errno;
    close(fd);
    return code;
}

static int not_an_address(struct err *err, const char *text) {
    return err_set(err, -EINVAL, "%.80s is not an address like 127.0.0.1:8080 or [::1]:8080",
                   *text == '\0' ? "\"\"" : text);
}

int listener_check(const char *text, struct err *err) {
    union address address;
    return parse_address(text, &address) ? 0 : not_an_address(err, text);
}

int listener_open(const char *text, int backlog, int fds[], size_t count,
                  char real[LISTEN_ADDRESS_BYTES], struct err *err) {
    union address address;
    if (!parse_address(text, &address)) return not_an_address(err, text);
    int code = probe_port(&address);
    if (code != 0) return listen_failed(err, code, text);
    for (size_t i = 0; i < count; i++) {
        fds[i] = bind_socket(&address, true);
        code = fds[i] < 0 ? fds[i] : listen(fds[i], backlog) == 0 ? 0 : -errno;
        if (code != 0) {
            for (size_t open = 0; open < i + (fds[i] >= 0); open++) close(fds[open]);
            return listen_failed(err, code, text);
        }
    }
    format_address(&address, real);
    return 0;
}

static int socket_option(int fd, int name) {
    int value = 0;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

/* Reads the address of a socket that has to be of TCP and listen. */
static int look_at(int fd, union address *address) {
    socklen_t bytes = sizeof *address;
    memset(address, 0, sizeof *address);
    if (socket_option(fd, SO_ACCEPTCONN) != 1 || socket_option(fd, SO_TYPE) != SOCK_STREAM ||
        getsockname(fd, &address->any, &bytes) != 0)
        return -EINVAL;
    bool is_ip = address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
    return is_ip ? 0 : -EINVAL;
}

/* As bind_socket leaves its own. The flag not to block is the socket's, whoever shares it. */
static int prepare_passed(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

static int duplicate(int fd, int fds[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fds[i] >= 0) continue;
        int code = -errno;
        for (size_t open = 0; open < i; open++) close(fds[open]);
        return code;
    }
    return 0;
}

int listener_adopt(int passed, int fds[], size_t count, char real[LISTEN_ADDRESS_BYTES],
                   struct err *err) {
    union address address;
    int code = look_at(passed, &address);
    if (code != 0) {
        close(passed);
        return err_set(err, code, "what was passed is no listening TCP socket");
    }
    code = prepare_passed(passed);
    if (code == 0) code = duplicate(passed, fds, count);
    close(passed);
    if (code != 0) return err_set(err, code, "cannot use the socket: %s", strerror(-code));
    format_address(&address, real);
    return 0;
}

bool listener_is_loopback(const char *real) {
    return strncmp(real, "127.", 4) == 0 || strncmp(real, "[::1]:", 6) == 0;
}
