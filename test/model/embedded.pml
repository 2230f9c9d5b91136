/* SPDX-License-Identifier: Apache-2.0
 *
 * The embedded mode: network threads with views of their own, one engine, one journal with group
 * commit, an admin who returns and restocks, and crashes at any step.
 *
 *     log[]   | judged by the engine | with the journal | collecting |
 *             0                   decided           flying       appended
 *
 *     view[t] <= decided            how far thread t has applied what the engine sent it
 *     durable <= synced, cached     on the medium; what the journal believes; what a read returns
 *
 * Every step is one d_step of a process with a single state, so that states are what is drawn here
 * and nothing else. What users were told (`told`, `version_told`) outlives every crash, and is what
 * the assertions are about. test/model/run gives the sizes and chooses a wrong variant by name:
 *
 *     ANSWER_BEFORE_FSYNC   the engine judges what is written and not yet synced
 *     FINAL_WHEN_RESERVED   "sold out, final" while the last coupon is only reserved
 *     NO_HOLD               claims go on when a control record is decided, not when all views have it
 *     ACK_EARLY             the admin is answered then, too
 *     ANSWER_OVERTAKES      an answer does not wait for the records that it rests on
 *     TAIL_UNSYNCED         a start serves what it read, without writing and syncing it again
 *     RETRY_FSYNC           an fdatasync that failed is tried again, and believed
 *     RETURNED_COUNTS       whoever hears "you gave it back" before the admin is answered, as may be,
 *                           never hears "you have it" after it
 *     ONLY_HARM             (with a wrong rule) asserts only what people would see: a PASS that a crash
 *                           took away, two holders of one serial, an answer older than one before it
 *     NO_JUDGE              what was hoped for at the reservation is told, not the judge's word, and
 *                           a restart begins with all serials free
 */
#ifndef USERS
#define USERS 2
#endif
#ifndef THREADS
#define THREADS 2
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
#ifndef CRASHES
#define CRASHES 1
#endif

#define SERIALS (STOCK + RESTOCKS)
#define ROUNDS (RETURNS + 1)
#define RECORDS (USERS + RETURNS + RESTOCKS)

#define NOBODY 0 /* users are counted from 1 where 0 means that there is none */

#define WIN 1
#define RETURN 2
#define RESTOCK 3

typedef Record {
    byte type;
    byte who;
    byte serial
};

Record log[RECORDS];
byte appended, flying, decided, cached, synced, durable;
byte view[THREADS];

/* What a user waits for. */
#define IDLE 0
#define QUEUED 1   /* in the engine's mailbox, or held there */
#define WAITING 2  /* in a batch: until `decided` reaches upto */
#define ANSWERED 3 /* in the thread's mailbox, behind the records up to upto */
#define HOPES_COUPON 0
#define HOPES_SOLD_OUT 1
#define HOPES_FINAL 2 /* only the wrong FINAL_WHEN_RESERVED */
byte state[USERS], thread[USERS], upto[USERS], hope[USERS];
#ifdef NO_JUDGE
byte hoped[USERS]; /* the serial reserved, and one more */
bool forgotten;    /* the reserve began anew */
#endif

/* The control record on its way: its claims are held until all views have it. */
byte control; /* the length of the log with it; 0 when there is none */
byte returns_left = RETURNS, restocks_left = RESTOCKS, crashes_left = CRASHES;
#ifdef RETRY_FSYNC
bool has_failed;
#endif

/* What people know, whatever happens to the process. */
byte told[SERIALS * ROUNDS]; /* to whom, by serial and round */
byte version_told;           /* the newest version that anybody was told of */
byte version_asked[USERS];   /* version_told when the user asked */

/* ---- The judge: over the first n records ---- */

hidden byte owner[SERIALS], round[SERIALS], place[SERIALS], since[SERIALS], gave[SERIALS * ROUNDS];
hidden byte barred[USERS];
hidden byte stock, version, taken, i, k, found, serial, last;

inline find_owner(u) { /* found: serial + 1 of user u, or 0 */
    found = 0;
    k = 0;
    do
    :: k < SERIALS ->
       if :: owner[k] == u + 1 -> found = k + 1 :: else fi;
       k++
    :: else -> break
    od
}

inline apply(r) {
    if
    :: log[r].type == WIN ->
       find_owner(log[r].who);
       serial = log[r].serial;
       if
       :: found == 0 && owner[serial] == NOBODY && serial < stock && !barred[log[r].who] ->
          owner[serial] = log[r].who + 1;
          gave[serial * ROUNDS + round[serial]] = log[r].who + 1;
          place[serial] = r + 1;
          since[serial] = version;
          taken++
       :: else
       fi
    :: log[r].type == RETURN ->
       serial = log[r].serial;
       if
       :: owner[serial] == log[r].who + 1 ->
          owner[serial] = NOBODY;
          barred[log[r].who] = true;
          round[serial] = round[serial] + 1;
          taken--;
          version++
       :: else
       fi
    :: log[r].type == RESTOCK -> stock++; version++
    fi
}

inline judge(n) {
    stock = STOCK; version = 0; taken = 0;
    i = 0;
    do
    :: i < SERIALS -> owner[i] = 0; round[i] = 0; place[i] = 0; since[i] = 0; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < SERIALS * ROUNDS -> gave[i] = 0; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < USERS -> barred[i] = false; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < n -> apply(i); i++
    :: else -> break
    od
}

/* ---- What people are told ---- */

/* From now on nobody may be told what held before version v. */
inline note_version(v) {
    if :: v > version_told -> version_told = v :: else fi
}

/* PASS to u for `serial`, as of judge(n). */
inline tell_pass(u, n) {
#ifndef ONLY_HARM
    assert(place[serial] <= durable);                    /* I3: the record is on the medium */
#endif
    k = serial * ROUNDS + round[serial];
    assert(told[k] == NOBODY || told[k] == u + 1);       /* I1: one holder of a serial at a time */
    assert(version >= version_asked[u]);                 /* nothing older than was known before */
    told[k] = u + 1;
    note_version(since[serial])                          /* the version that the win came under */
}

/* "Sold out, final" to u, as of judge(n). */
inline tell_final(u, n) {
#ifndef ONLY_HARM
    assert(n <= durable);
#endif
    assert(taken == stock);                              /* I5: all N are VALID */
    assert(version >= version_asked[u])                  /* I5: and nothing came back since */
}

/* ---- A user at a thread ---- */

/* Decides from the view of t, or asks the engine. */
inline ask(u, t) {
    version_asked[u] = version_told;
    judge(view[t]);
    find_owner(u);
    if
    :: found != 0 -> serial = found - 1; tell_pass(u, view[t])
    :: found == 0 && barred[u] -> /* "you gave it back" */
#ifdef RETURNED_COUNTS
       note_version(version)
#else
       skip
#endif
    :: found == 0 && !barred[u] && taken == stock -> tell_final(u, view[t])
    :: else -> state[u] = QUEUED; thread[u] = t
    fi;
    if :: state[u] != QUEUED -> version_asked[u] = 0 :: else fi
}

inline forget(u) {
    state[u] = IDLE; thread[u] = 0; upto[u] = 0; hope[u] = 0; version_asked[u] = 0;
#ifdef NO_JUDGE
    hoped[u] = 0
#endif
}

/* The engine's answer at the thread: written from the thread's own view. */
inline answer(u) {
    judge(view[thread[u]]);
    find_owner(u);
    if
    :: hope[u] == HOPES_COUPON && found != 0 -> serial = found - 1; tell_pass(u, view[thread[u]])
    :: hope[u] == HOPES_COUPON && found == 0 ->
#ifdef NO_JUDGE
       if
       :: hoped[u] != 0 -> serial = hoped[u] - 1; tell_pass(u, view[thread[u]])
       :: else
       fi
#else
       assert(barred[u]) /* the engine said PASS: the view must have it */
#endif
    :: hope[u] == HOPES_SOLD_OUT && taken == stock -> tell_final(u, view[thread[u]])
    :: hope[u] == HOPES_SOLD_OUT && taken < stock -> skip /* sold out, but not final */
    :: hope[u] == HOPES_FINAL -> tell_final(u, view[thread[u]])
    fi;
    forget(u)
}

/* ---- The engine ---- */

/* found: whether u has a reservation; last: length of the log with the youngest one; owner[]: who
 * holds or has reserved what. After judge(decided). */
inline look_at_reserved(u) {
    last = 0; found = 0;
    i = decided;
    do
    :: i < appended ->
       if
       :: log[i].type == WIN ->
          last = i + 1;
          owner[log[i].serial] = log[i].who + 1;
          if :: log[i].who == u -> found = 1 :: else fi
       :: else
       fi;
       i++
    :: else -> break
    od
}

/* serial: the lowest that may be handed out; `stock` when there is none. */
inline find_free() {
    serial = 0;
    do
    :: serial < stock && owner[serial] != NOBODY -> serial++
    :: else -> break
    od
}

inline wait(u, n, what) { state[u] = WAITING; upto[u] = n; hope[u] = what }
inline reply(u, what) { state[u] = ANSWERED; upto[u] = decided; hope[u] = what }

inline reserve(u) {
    look_at_reserved(u);
#ifdef NO_JUDGE
    if
    :: forgotten ->
       i = 0;
       do
       :: i < SERIALS -> owner[i] = NOBODY; i++
       :: else -> break
       od
    :: else
    fi;
    forgotten = false;
#endif
    find_free();
    if
    :: found != 0 -> wait(u, last, HOPES_COUPON)
    :: found == 0 && serial < stock ->
       assert(appended < RECORDS); /* no user wins twice */
       log[appended].type = WIN;
       log[appended].who = u;
       log[appended].serial = serial;
       appended++;
#ifdef NO_JUDGE
       hoped[u] = serial + 1;
#endif
       wait(u, appended, HOPES_COUPON)
#ifdef FINAL_WHEN_RESERVED
    :: found == 0 && serial == stock -> reply(u, HOPES_FINAL)
#else
    :: found == 0 && serial == stock && last != 0 -> wait(u, last, HOPES_SOLD_OUT)
    :: found == 0 && serial == stock && last == 0 -> reply(u, HOPES_SOLD_OUT)
#endif
    fi
}

inline take_claim(u) {
    judge(decided);
    find_owner(u);
    if
    :: found != 0 -> reply(u, HOPES_COUPON)
    :: found == 0 && barred[u] -> forget(u)
    :: else -> reserve(u)
    fi
}

#ifdef NO_HOLD
#define HELD (control > decided)
#else
#define HELD (control != 0)
#endif

#ifdef ANSWER_BEFORE_FSYNC
#define COMMITTED cached
#else
#define COMMITTED synced
#endif

inline decide_batch() {
    decided = flying;
    judge(decided);
    last = 0;
    do
    :: last < USERS ->
       if
       :: state[last] == WAITING && upto[last] <= decided ->
          find_owner(last);
          state[last] = ANSWERED;
          upto[last] = decided;
#ifndef NO_JUDGE
          if /* the judge refused it: unavailable */
          :: hope[last] == HOPES_COUPON && found == 0 && !barred[last] -> forget(last)
          :: else
          fi
#endif
       :: else
       fi;
       last++
    :: else -> break
    od;
    last = 0
}

/* ---- A crash, and the start behind it ---- */

inline start() {
    appended = cached; flying = cached; decided = cached; synced = cached;
#ifndef TAIL_UNSYNCED
    durable = cached; /* settle: written and synced once more before anybody is answered */
#endif
    control = 0;
#ifdef NO_JUDGE
    forgotten = true;
#endif
    last = 0;
    do
    :: last < USERS -> forget(last); last++
    :: else -> break
    od;
    last = 0;
    do
    :: last < THREADS -> view[last] = decided; last++
    :: else -> break
    od;
    last = appended;
    do
    :: last < RECORDS -> log[last].type = 0; log[last].who = 0; log[last].serial = 0; last++
    :: else -> break
    od
}

/* I4: whoever was told PASS is in the log, in that round; what the admin was told is there. */
inline check_promises() {
    judge(decided);
    i = 0;
    do
    :: i < SERIALS * ROUNDS -> assert(told[i] == NOBODY || gave[i] == told[i]); i++
    :: else -> break
    od;
    assert(version >= version_told)
}

/* ---- Processes ---- */

proctype user(byte u) {
    byte t;
    do
    :: d_step { state[u] == IDLE -> t = 0; ask(u, t) }
#if THREADS > 1
    :: d_step { state[u] == IDLE -> t = 1; ask(u, t); t = 0 }
#endif
#ifndef LIVENESS
    :: d_step { state[u] != IDLE -> forget(u) } /* gives up, or was told "pending" */
#endif
    od
}

proctype claims(byte u) {
    do
    :: d_step { state[u] == QUEUED && !HELD -> take_claim(u) }
    od
}

proctype answers(byte u) {
    do
#ifdef ANSWER_OVERTAKES
    :: d_step { state[u] == ANSWERED -> answer(u) }
#else
    :: d_step { state[u] == ANSWERED && view[thread[u]] >= upto[u] -> answer(u) }
#endif
    od
}

proctype records(byte t) {
    do
    :: d_step { view[t] < decided -> view[t] = view[t] + 1 }
    od
}

proctype engine() {
    do
    :: d_step { flying == decided && appended > flying -> flying = appended }
    :: d_step { flying > decided && COMMITTED == flying -> decide_batch() }
    od
}

proctype journal() {
    do
    :: d_step { cached < flying -> cached = flying }
    :: d_step { cached == flying && synced < cached -> synced = cached; durable = cached }
#ifdef RETRY_FSYNC
    :: d_step { cached == flying && synced < cached && !has_failed -> has_failed = true; synced = cached }
#endif
    od
}

#define ALL_HAVE(n) (view[0] >= (n) && view[THREADS - 1] >= (n))

inline write_control(what) {
    log[appended].type = what;
    log[appended].who = (what == RETURN -> owner[serial] - 1 : 0);
    log[appended].serial = (what == RETURN -> serial : 0);
    appended++;
    control = appended
}

proctype admin() {
    do
    :: d_step {
           control == 0 && returns_left > 0 ->
           judge(decided);
           serial = 0;
           do
           :: serial < SERIALS && owner[serial] == NOBODY -> serial++
           :: else -> break
           od;
           if
           :: serial < SERIALS -> write_control(RETURN); returns_left--
           :: else
           fi
       }
    :: d_step {
           control == 0 && restocks_left > 0 ->
           restocks_left--;
           write_control(RESTOCK)
       }
#ifdef ACK_EARLY
    :: d_step { control != 0 && decided >= control -> judge(control); note_version(version); control = 0 }
#else
    :: d_step { control != 0 && ALL_HAVE(control) -> judge(control); note_version(version); control = 0 }
#endif
    od
}

proctype crash() {
    do
    :: d_step { crashes_left > 0 -> crashes_left--; start(); check_promises() } /* kill -9 */
    :: d_step { /* power cut: of what was not synced a part is there, up to the first bad record */
           crashes_left > 0 && cached > durable ->
           crashes_left--; cached = durable; start(); check_promises()
       }
    :: d_step {
           crashes_left > 0 && cached > durable + 1 ->
           crashes_left--; cached = durable + 1; start(); check_promises()
       }
    od
}

init {
    atomic {
        i = 0;
        do
        :: i < USERS -> run user(i); run claims(i); run answers(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < THREADS -> run records(i); i++
        :: else -> break
        od;
        run engine(); run journal(); run admin(); run crash();
        i = 0
    }
}

#ifdef LIVENESS
/* Every claim ends: it is answered, or its process dies. */
ltl ends { [] ((state[0] != IDLE) -> <> (state[0] == IDLE)) }
#endif
