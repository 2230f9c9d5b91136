/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb_error.h"

enum maria_class maria_class_of(unsigned error_number) {
    switch (error_number) {
    case 0:
        return MARIA_FINE;

    case 3:    /* EE_WRITE: a file could not be written */
    case 5:    /* EE_OUTOFMEMORY */
    case 20:   /* EE_DISK_FULL */
    case 1021: /* ER_DISK_FULL */
    case 1026: /* ER_ERROR_ON_WRITE */
    case 1028: /* ER_FILSORT_ABORT */
    case 1030: /* ER_GET_ERRNO: the engine's own, as out of space */
    case 1037: /* ER_OUTOFMEMORY */
    case 1038: /* ER_OUT_OF_SORTMEMORY */
    case 1040: /* ER_CON_COUNT_ERROR: too many connections */
    case 1041: /* ER_OUT_OF_RESOURCES */
    case 1042: /* ER_BAD_HOST_ERROR */
    case 1043: /* ER_HANDSHAKE_ERROR */
    case 1053: /* ER_SERVER_SHUTDOWN */
    case 1077: /* ER_NORMAL_SHUTDOWN */
    case 1078: /* ER_GOT_SIGNAL */
    case 1079: /* ER_SHUTDOWN_COMPLETE */
    case 1080: /* ER_FORCING_CLOSE */
    case 1114: /* ER_RECORD_FILE_FULL: the table is full */
    case 1129: /* ER_HOST_IS_BLOCKED */
    case 1135: /* ER_CANT_CREATE_THREAD */
    case 1152: /* ER_ABORTING_CONNECTION */
    case 1158: /* ER_NET_READ_ERROR */
    case 1159: /* ER_NET_READ_INTERRUPTED */
    case 1160: /* ER_NET_ERROR_ON_WRITE */
    case 1161: /* ER_NET_WRITE_INTERRUPTED */
    case 1180: /* ER_ERROR_DURING_COMMIT */
    case 1184: /* ER_NEW_ABORTING_CONNECTION */
    case 1203: /* ER_TOO_MANY_USER_CONNECTIONS */
    case 1205: /* ER_LOCK_WAIT_TIMEOUT */
    case 1206: /* ER_LOCK_TABLE_FULL */
    case 1213: /* ER_LOCK_DEADLOCK */
    case 1226: /* ER_USER_LIMIT_REACHED */
    case 1290: /* ER_OPTION_PREVENTS_STATEMENT: read_only */
    case 1317: /* ER_QUERY_INTERRUPTED */
    case 1614: /* ER_XA_RBDEADLOCK */
    case 1637: /* ER_TOO_MANY_CONCURRENT_TRXS */
    case 1792: /* ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION */
    case 1836: /* ER_READ_ONLY_MODE */
    case 1927: /* ER_CONNECTION_KILLED */
    case 1969: /* ER_STATEMENT_TIMEOUT */
    case 2002: /* CR_CONNECTION_ERROR */
    case 2003: /* CR_CONN_HOST_ERROR */
    case 2005: /* CR_UNKNOWN_HOST: name servers are away at times, too */
    case 2006: /* CR_SERVER_GONE_ERROR */
    case 2008: /* CR_OUT_OF_MEMORY */
    case 2012: /* CR_SERVER_HANDSHAKE_ERR */
    case 2013: /* CR_SERVER_LOST */
    case 2027: /* CR_MALFORMED_PACKET */
    case 2055: /* CR_SERVER_LOST_EXTENDED */
    case 3024: /* ER_QUERY_TIMEOUT, of MySQL */
    case 3572: /* ER_LOCK_NOWAIT, of MySQL */
    case 4031: /* ER_CLIENT_INTERACTION_TIMEOUT, of MySQL */
        return MARIA_TRANSIENT;

    case 1022: /* ER_DUP_KEY */
    case 1048: /* ER_BAD_NULL_ERROR */
    case 1062: /* ER_DUP_ENTRY */
    case 1169: /* ER_DUP_UNIQUE */
    case 1216: /* ER_NO_REFERENCED_ROW */
    case 1217: /* ER_ROW_IS_REFERENCED */
    case 1264: /* ER_WARN_DATA_OUT_OF_RANGE */
    case 1406: /* ER_DATA_TOO_LONG */
    case 1451: /* ER_ROW_IS_REFERENCED_2 */
    case 1452: /* ER_NO_REFERENCED_ROW_2 */
    case 1557: /* ER_FOREIGN_DUPLICATE_KEY_OLD_UNUSED */
    case 1586: /* ER_DUP_ENTRY_WITH_KEY_NAME */
    case 1690: /* ER_DATA_OUT_OF_RANGE: taken below 0 */
    case 1761: /* ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO */
    case 3819: /* ER_CHECK_CONSTRAINT_VIOLATED, of MySQL */
    case 4025: /* ER_CONSTRAINT_FAILED */
        return MARIA_CONFLICT;

    default:
        return MARIA_FATAL;
    }
}
