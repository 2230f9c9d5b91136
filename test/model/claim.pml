/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster mode: a reservation in a shard of two nodes whose replication may be late, cut or rolled
 * back; a log that is totally ordered; records that land late; whoever recovers fences through the log.
 *
 *     user --claim--> node 0 or 1, whichever says that it is a master --reserved-->
 *          --publish--> flying --land--> log: the judge's verdict --read back--> told
 *
 * Each step is one d_step of a process with a single state. `told` outlives everything, and is what
 * the assertions are about. test/model/run gives the sizes and chooses a rule by name:
 *
 *     (none)         the design: told after the acknowledgement and the read-back verdict
 *     TELL_RESERVED  told when the script has answered
 *     TELL_WAITED    told when every replica has it, too (WAIT)
 *     TELL_HAVE      told when the script says that the user has a reservation already
 *     TELL_ACKED     told when the log has acknowledged the record, without the judge's verdict
 *     FAIL_ON_DOUBT  a record whose fate is unknown is told as a loss
 *     NO_SERIAL_RULE the judge forgets to ask who holds the serial
 *     ONLY_HARM      (with a wrong rule) asserts only what people would see: two holders of one serial
 *     NO_TOKEN       (right) reservations without the token of the incarnation: safety does not rest on it
 */
#ifndef USERS
#define USERS 2
#endif
#ifndef STOCK
#define STOCK 1
#endif
#ifndef RETURNS
#define RETURNS 0
#endif
#ifndef RESTOCKS
#define RESTOCKS 0
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef RECOVERERS
#define RECOVERERS 1
#endif
#ifndef FENCES
#define FENCES 2 /* that may land; at least one for each control record */
#endif

#define SERIALS (STOCK + RESTOCKS)
#define ROUNDS (RETURNS + 1)
#define NOBODY 0 /* users are counted from 1 where 0 means that there is none */

/* ---- The shard ---- */

typedef Node {
    bool is_master;        /* believes so */
    byte gen, stock;       /* gen 0: the event's keys are not there */
    byte token, incarnation;
    byte owner[SERIALS]
};
Node node[2];   /* 0 is the master at first */
Node disk;      /* what a power cut of node 0 leaves: its state at the last fsync */
bool link = true;
byte incarnations = 1;

/* ---- The log, judged ---- */

byte holder[SERIALS], round[SERIALS], gave[SERIALS * ROUNDS];
byte log_gen = 1, log_stock = STOCK;
bool barred[USERS];
bool is_fence_due; /* a control record has landed: FENCE and install follow */

/* ---- People ---- */

#define IDLE 0
#define RESERVED 1  /* the script said WIN or HAVE */
#define PUBLISHED 2 /* its record was given to the log */
#define WON 3       /* the app may tell PASS */
byte state[USERS], serial[USERS], gen[USERS], won_round[USERS];
byte told[SERIALS * ROUNDS];
#ifdef TELL_HAVE
bool had[USERS];
#endif
#ifdef FAIL_ON_DOUBT
bool told_no[USERS];
#endif

/* A record on its way to the log; it may land when nobody waits for it any more. */
bool is_flying[USERS];
byte flying_serial[USERS], flying_gen[USERS];

/* ---- Recovery ---- */

typedef Recoverer {
    byte phase; /* 0 none, 1 its FENCE is on its way, 2 its FENCE is in the log */
    byte gen, stock;
    byte owner[SERIALS]
};
Recoverer recoverer[RECOVERERS];

byte faults_left = FAULTS, fences_left = FENCES, returns_left = RETURNS, restocks_left = RESTOCKS;

hidden byte i, found, vacant, holds;

inline copy_node(to, from) {
    to.gen = from.gen; to.stock = from.stock; to.token = from.token;
    i = 0;
    do
    :: i < SERIALS -> to.owner[i] = from.owner[i]; i++
    :: else -> break
    od;
    i = 0
}

/* ---- A claim ---- */

inline forget(u) {
    state[u] = IDLE; serial[u] = 0; gen[u] = 0; won_round[u] = 0;
#ifdef TELL_HAVE
    had[u] = false
#endif
}

inline find(n, u) { /* found, vacant: a serial and one more, or 0 */
    found = 0; vacant = 0;
    i = 0;
    do
    :: i < SERIALS ->
       if
       :: node[n].owner[i] == u + 1 && found == 0 -> found = i + 1
       :: i < node[n].stock && node[n].owner[i] == NOBODY && vacant == 0 -> vacant = i + 1
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0
}

#ifdef NO_TOKEN
#define FENCED(n) false
#else
#define FENCED(n) (node[n].token != node[n].incarnation)
#endif

/* The script, in one piece. NOSTATE, FENCED and SOLD_OUT leave the user as it was. */
inline claim(u, n) {
    find(n, u);
    if
    :: node[n].gen == 0 -> skip
    :: node[n].gen != 0 && found != 0 ->
       state[u] = RESERVED; serial[u] = found - 1; gen[u] = node[n].gen;
#ifdef TELL_HAVE
       had[u] = true
#endif
    :: node[n].gen != 0 && found == 0 && !FENCED(n) && vacant != 0 ->
       node[n].owner[vacant - 1] = u + 1;
       state[u] = RESERVED; serial[u] = vacant - 1; gen[u] = node[n].gen
    :: else -> skip
    fi
}

inline forget_flying(u) { is_flying[u] = false; flying_serial[u] = 0; flying_gen[u] = 0 }

#ifdef NO_SERIAL_RULE
#define SERIAL_IS_FREE(s) true
#else
#define SERIAL_IS_FREE(s) (holder[s] == NOBODY)
#endif

/* The judge on WIN{flying_gen, flying_serial, u}. found: VALID or DUP. */
inline judge_win(u) {
    found = 0; holds = 0;
    i = 0;
    do
    :: i < SERIALS ->
       if :: holder[i] == u + 1 -> holds = i + 1 :: else fi;
       i++
    :: else -> break
    od;
    i = flying_serial[u];
    if
    :: holds == i + 1 -> found = 1 /* DUP */
    :: flying_gen[u] == log_gen && holds == 0 && !barred[u] && i < log_stock && SERIAL_IS_FREE(i) ->
       holder[i] = u + 1;
       gave[i * ROUNDS + round[i]] = u + 1;
       found = 1;
#ifdef FAIL_ON_DOUBT
       assert(!told_no[u]) /* never FAIL on doubt */
#endif
    :: else -> skip /* VOID */
    fi;
    i = 0
}

#ifdef TELL_ACKED
#define MAY_BE_TOLD true
#else
#define MAY_BE_TOLD (found != 0)
#endif

inline land(u) {
    judge_win(u);
    if
    :: state[u] == PUBLISHED && serial[u] == flying_serial[u] && gen[u] == flying_gen[u] ->
       if
       :: MAY_BE_TOLD -> state[u] = WON; won_round[u] = round[serial[u]]
       :: else -> forget(u) /* claims again */
       fi
    :: else -> skip /* nobody waits for it */
    fi;
    forget_flying(u)
}

inline tell(u) {
    i = serial[u] * ROUNDS + won_round[u];
    assert(told[i] == NOBODY || told[i] == u + 1);  /* I1: one holder of a serial at a time */
    assert(serial[u] < log_stock);                  /* I1: of N */
#ifndef ONLY_HARM
    assert(gave[i] == u + 1);                       /* I3, I4: the log has it, VALID */
#endif
    told[i] = u + 1;
    forget(u);
    i = 0
}

/* ---- Processes ---- */

proctype claims(byte u) {
    do
    :: d_step { state[u] == IDLE && node[0].is_master -> claim(u, 0) }
    :: d_step { state[u] == IDLE && node[1].is_master -> claim(u, 1) }
    od
}

proctype publishes(byte u) {
    do
    :: d_step {
           state[u] == RESERVED -> /* one on its way is as good as lost; the relay may send it again */
           is_flying[u] = true; flying_serial[u] = serial[u]; flying_gen[u] = gen[u];
           state[u] = PUBLISHED
       }
    od
}

proctype lands(byte u) {
    do
    :: d_step { is_flying[u] -> land(u) }
    od
}

proctype tells(byte u) {
    do
    :: d_step { state[u] == WON -> tell(u) }
#ifdef TELL_RESERVED
    :: d_step { state[u] == RESERVED -> tell(u) }
#endif
#ifdef TELL_HAVE
    :: d_step { state[u] == RESERVED && had[u] -> tell(u) }
#endif
#ifdef TELL_WAITED
    :: d_step {
           state[u] == RESERVED && link && node[0].is_master && !node[1].is_master &&
           node[0].owner[serial[u]] == u + 1 ->
           copy_node(node[1], node[0]);
           tell(u)
       }
#endif
    od
}

/* What happens to a claim's app and its record without anybody's fault being counted. */
proctype doubts(byte u) {
    do
#ifndef LIVENESS
    :: d_step { /* the app dies, or its deadline passes: "pending" */
           state[u] != IDLE ->
#ifdef FAIL_ON_DOUBT
           if :: state[u] == PUBLISHED -> told_no[u] = true :: else fi;
#endif
           forget(u)
       }
    :: d_step { is_flying[u] -> forget_flying(u) } /* never lands */
#endif
    :: d_step { state[u] == PUBLISHED && !is_flying[u] -> state[u] = RESERVED } /* sends it again */
    od
}

/* The relay publishes what a node's outbox holds, for apps that died. */
inline relay(n, s) {
    found = node[n].owner[s] - 1;
    if
    :: !is_flying[found] ->
       is_flying[found] = true; flying_serial[found] = s; flying_gen[found] = node[n].gen
    :: else -> skip
    fi
}

proctype outbox(byte n) {
    do
    :: d_step { node[n].gen != 0 && node[n].owner[0] != NOBODY -> relay(n, 0) }
#if SERIALS > 1
    :: d_step { node[n].gen != 0 && node[n].owner[1] != NOBODY -> relay(n, 1) }
#endif
    od
}

proctype replication() {
    do
    :: d_step { link && node[0].is_master && !node[1].is_master -> copy_node(node[1], node[0]) }
    :: d_step { link && node[1].is_master && !node[0].is_master -> copy_node(node[0], node[1]) }
    :: d_step { node[0].is_master -> copy_node(disk, node[0]) } /* fsync, once a second */
    od
}

proctype bus() {
    do
    :: d_step { /* a zombie learns of it, and becomes the other's replica */
           node[0].is_master && node[1].is_master ->
           if
           :: node[0].incarnation < node[1].incarnation ->
              node[0].is_master = false; copy_node(node[0], node[1])
           :: else -> node[1].is_master = false; copy_node(node[1], node[0])
           fi;
           link = true
       }
    od
}

inline promote(n) {
    faults_left--;
    incarnations++;
    node[n].is_master = true; /* the other one may not know, and go on as a zombie */
    node[n].incarnation = incarnations
}

inline wipe(n) {
    faults_left--;
    node[n].gen = 0; node[n].stock = 0;
    i = 0;
    do
    :: i < SERIALS -> node[n].owner[i] = NOBODY; i++
    :: else -> break
    od;
    i = 0
}

proctype faults() {
    do
    :: d_step { faults_left > 0 && link -> faults_left--; link = false }
    :: d_step { faults_left > 0 && !node[1].is_master -> promote(1) }
    :: d_step { faults_left > 0 && !node[0].is_master -> promote(0) }
    :: d_step { /* power cut, and back before anybody noticed */
           faults_left > 0 && node[0].is_master ->
           faults_left--; incarnations++;
           copy_node(node[0], disk);
           node[0].incarnation = incarnations
       }
    :: d_step { faults_left > 0 && node[0].is_master -> wipe(0) }
    od
}

/* A control record lands, and FENCE with install.lua must follow it. */
proctype admin() {
    do
    :: d_step {
           returns_left > 0 && !is_fence_due && holder[0] != NOBODY ->
           returns_left--;
           barred[holder[0] - 1] = true;
           holder[0] = NOBODY;
           round[0] = round[0] + 1;
           is_fence_due = true
       }
    :: d_step {
           restocks_left > 0 && !is_fence_due -> restocks_left--; log_stock++; is_fence_due = true
       }
    od
}

/* The shard wants it: a master is behind the log, or no longer the process that was installed. */
#define WANTS(n) (node[n].is_master && (node[n].gen < log_gen || node[n].token != node[n].incarnation))
#ifdef LIVENESS
#define MAY_RECOVER (is_fence_due || WANTS(0) || WANTS(1))
#define MAY_INSTALL(n) (node[n].is_master && node[n].incarnation >= node[1 - n].incarnation)
#else
#define MAY_RECOVER true /* a fence nobody needed does no harm */
#define MAY_INSTALL(n) node[n].is_master
#endif

inline give_up(r) {
    recoverer[r].phase = 0; recoverer[r].gen = 0; recoverer[r].stock = 0;
    i = 0;
    do
    :: i < SERIALS -> recoverer[r].owner[i] = NOBODY; i++
    :: else -> break
    od;
    i = 0
}

/* VALID iff gen == current + 1: of two fences exactly one wins. The state at the own FENCE is kept. */
inline land_fence(r) {
    if
    :: recoverer[r].gen == log_gen + 1 && fences_left > 0 ->
       fences_left--;
       log_gen = recoverer[r].gen;
       is_fence_due = false;
       recoverer[r].phase = 2;
       recoverer[r].stock = log_stock;
       i = 0;
       do
       :: i < SERIALS -> recoverer[r].owner[i] = holder[i]; i++
       :: else -> break
       od
    :: else -> give_up(r)
    fi;
    i = 0
}

inline install(r, n) {
    if
    :: node[n].gen < recoverer[r].gen ->
       node[n].gen = recoverer[r].gen;
       node[n].stock = recoverer[r].stock;
       node[n].token = node[n].incarnation;
       i = 0;
       do
       :: i < SERIALS -> node[n].owner[i] = recoverer[r].owner[i]; i++
       :: else -> break
       od
    :: else -> skip
    fi;
    give_up(r)
}

proctype recovers(byte r) {
    do
    :: d_step {
           recoverer[r].phase == 0 && fences_left > 0 && MAY_RECOVER ->
           recoverer[r].phase = 1; recoverer[r].gen = log_gen + 1
       }
    :: d_step { recoverer[r].phase == 1 -> land_fence(r) }
    :: d_step { recoverer[r].phase == 2 && MAY_INSTALL(0) -> install(r, 0) }
    :: d_step { recoverer[r].phase == 2 && MAY_INSTALL(1) -> install(r, 1) }
#ifndef LIVENESS
    :: d_step { recoverer[r].phase != 0 -> give_up(r) } /* dies */
#endif
    od
}

inline begin(n) {
    n.gen = 1; n.stock = STOCK; n.token = 1; n.incarnation = 1
}

init {
    atomic {
        begin(node[0]); begin(node[1]); begin(disk);
        node[0].is_master = true;
        i = 0;
        do
        :: i < USERS ->
           run claims(i); run publishes(i); run lands(i); run tells(i); run doubts(i); i++
        :: else -> break
        od;
        run outbox(0); run outbox(1); run replication(); run bus(); run faults(); run admin();
        i = 0;
        do
        :: i < RECOVERERS -> run recovers(i); i++
        :: else -> break
        od;
        i = 0
    }
}

#ifdef LIVENESS
/* Every record that was reserved gets its end: it is told, or the user claims anew. */
ltl ends { [] ((state[0] != IDLE) -> <> (state[0] == IDLE)) }
#endif
