/* SPDX-License-Identifier: Apache-2.0
 *
 * What the number of an error of MariaDB or MySQL, of the server (1000 and up) or of the client
 * library (2000 and up), says about what to do. Pure.
 */
#pragma once

enum maria_class {
    MARIA_FINE,
    MARIA_TRANSIENT, /* it may work later: locks, connections, a full disk, a replica for now */
    MARIA_CONFLICT,  /* a constraint refuses the row: database and log disagree, or it is there */
    MARIA_FATAL,     /* no waiting helps: rights, tables of another shape, a mistake of ours */
};

/* 0 is fine; a number that is not known is fatal. */
enum maria_class maria_class_of(unsigned error_number);
