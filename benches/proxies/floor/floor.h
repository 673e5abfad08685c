/*
 * The floor: what routing memcached's get and set costs when nothing else is done. No failures are
 * survived, no other command is known. Built with one or more of these, it shows what each costs:
 *
 *   -DVALIDATION=1   keys, numbers and line ends are looked at byte by byte
 *   -DKEY_CHECK=1    the key of each VALUE is held against the keys that were asked
 *   -DDEADLINES=1    every request has to be answered in time
 *   -DHISTOGRAMS=1   durations by server and command, printed at SIGTERM
 *   -DKEY_ORDER=1    the values of a multiget come in the order of its keys, not server by server
 *
 * The design: level-triggered epoll, and no epoll_ctl unless a write falls short; one connection to each
 * server, shared by all clients; parsed where it was read, forwarded as it came; a multiget is split by
 * server and stays one; each connection is written to once in a turn of the loop.
 *
 *   floor.h      the structures, and buffers       requests.c   from clients to servers
 *   replies.c    back, in order                    main.c       connections and the loop
 */
#ifndef FLOOR_H
#define FLOOR_H

#include "../histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef VALIDATION
#define VALIDATION 0
#endif
#ifndef KEY_CHECK
#define KEY_CHECK 0
#endif
#ifndef DEADLINES
#define DEADLINES 0
#endif
#ifndef HISTOGRAMS
#define HISTOGRAMS 0
#endif
#ifndef KEY_ORDER
#define KEY_ORDER 0
#endif

enum { SERVERS_MAX = 1024, READ_LEAST = 16 << 10, KEEP_MOST = 1 << 20, KEY_MAX = 250 };

struct buffer { char *bytes; size_t begin, end, room; };
struct text { const char *at; size_t length; };

struct session;
struct request {
    struct session *session; /* NULL: its client has left */
    struct request *next;
    unsigned awaited; /* parts whose replies have not come */
    bool is_get, is_split;
    struct buffer reply; /* used only if it is split, or others are before it */
    /* KEY_ORDER: the keys, each behind its length and its server; and where each server's values are in `reply` */
    struct buffer keys, parts;
};
struct part { struct request *request; uint64_t since; size_t key_bytes; };
struct values { unsigned server; size_t at, end; };

struct connection { int fd; bool is_session, is_dirty, is_blocked; struct buffer in, out; };
struct session { struct connection c; struct request *first, **last; struct session *next_gone; bool gone; };
struct server {
    struct connection c;
    struct part *ring;
    unsigned oldest, awaited, room; /* of the ring */
    struct buffer keys;             /* KEY_CHECK: those of the awaited replies, each behind its length */
    struct histogram latency[2];    /* HISTOGRAMS: set, get */
    bool in_split; /* has a part of the multiget that is being split */
    size_t split_keys;
};

extern struct server servers[SERVERS_MAX];
extern unsigned server_count;
extern uint64_t now; /* of this turn; kept with DEADLINES and HISTOGRAMS only */

/* main.c */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *resize(void *memory, size_t size);
void mark_dirty(struct connection *c);

/* requests.c and replies.c: take what has come, as far as it is whole */
void read_requests(struct session *session);
void read_replies(struct server *s);
struct request *new_request(struct session *session, bool is_get);
void release(struct request *r);

/* ---- buffers ---- */

static inline void make_room(struct buffer *b, size_t more)
{
    if (b->room - b->end >= more) return;
    if (b->begin) {
        memmove(b->bytes, b->bytes + b->begin, b->end - b->begin);
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->room - b->end >= more) return;
    b->room = b->room ? 2 * b->room : READ_LEAST;
    if (b->room < b->end + more) b->room = b->end + more;
    b->bytes = resize(b->bytes, b->room);
}

static inline void append(struct buffer *b, const void *bytes, size_t length)
{
    if (!length) return;
    make_room(b, length);
    memcpy(b->bytes + b->end, bytes, length);
    b->end += length;
}

static inline void empty(struct buffer *b)
{
    b->begin = b->end = 0;
    if (b->room <= KEEP_MOST) return;
    free(b->bytes);
    *b = (struct buffer){0};
}

static inline void drop(struct buffer *b, size_t length)
{
    b->begin += length;
    if (b->begin == b->end) empty(b);
}

/* ---- numbers ---- */

/* The number that ends at `end`; without VALIDATION any bytes are digits. */
static inline size_t number_before(const char *end, const char **before)
{
    size_t number = 0, unit = 1;
    const char *at = end;
    while (*--at != ' ') {
        if (VALIDATION && ((uint8_t)(*at - '0') > 9 || end - at > 10)) die("not a number");
        number += (size_t)(*at - '0') * unit;
        unit *= 10;
    }
    if (VALIDATION && at == end - 1) die("a number is missing");
    *before = at;
    return number;
}

#endif
