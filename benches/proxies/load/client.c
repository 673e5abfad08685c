/* One connection: it makes requests, and holds each reply against what was asked. */
#define _GNU_SOURCE
#include "load.h"

#include "../histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MOST = 256 * 1024, COMPLAINTS_MOST = 8, SHOWN = 60 };

struct request {
    uint64_t since;
    bool is_set, refused;
    uint32_t *keys; /* those before `answered` have come, the others are awaited */
    int count, answered;
};

struct client {
    int fd, number;
    bool broken, blocked; /* blocked: waits until more can be written */
    char *out;
    size_t out_begin, out_end, out_room;
    struct request *ring; /* of options.depth */
    unsigned oldest, in_flight;
    char line[LINE_MAX_BYTES]; /* the beginning of a reply line whose end has not come */
    size_t line_length;
    bool in_value;
    uint32_t key, checked; /* the value that is coming, and how many of its bytes have */
};

struct tally tally;
struct histogram latency;

static void __attribute__((format(printf, 1, 2))) note_trouble(const char *format, ...)
{
    va_list arguments;
    if (tally.first_trouble[0]) return;
    va_start(arguments, format);
    vsnprintf(tally.first_trouble, sizeof tally.first_trouble, format, arguments);
    va_end(arguments);
}

/* The bytes that follow make no sense any more: the connection ends, and what it waited for is lost. */
static bool __attribute__((format(printf, 2, 3))) give_up(struct client *c, const char *format, ...)
{
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (tally.wrong++ < COMPLAINTS_MOST) fprintf(stderr, "load: connection %d: %s\n", c->number, text);
    note_trouble("%s", text);
    c->broken = true;
    tally.broken++;
    tally.lost += c->in_flight;
    tally.in_flight -= c->in_flight;
    c->in_flight = 0;
    close(c->fd);
    return false;
}

/* ---- requests ---- */

static char *grow(struct client *c, size_t more)
{
    if (c->out_room - c->out_end < more) {
        c->out_room = 2 * (c->out_end + more);
        if (!(c->out = realloc(c->out, c->out_room))) die("out of memory");
    }
    return c->out + c->out_end;
}

static void write_set(struct client *c, uint32_t key)
{
    uint32_t size = key_size(key);
    char *at = grow(c, options.key_length + size + 64), *start = at;
    at += sprintf(at, "set %.*s %u 0 %u\r\n", (int)options.key_length, key_name(key), key_flags(key), size);
    memcpy(at, key_value(key), size);
    memcpy(at + size, "\r\n", 2);
    c->out_end += (size_t)(at - start) + size + 2;
}

static void write_get(struct client *c, const struct request *r)
{
    char *at = grow(c, (size_t)r->count * (options.key_length + 1) + 8), *start = at;
    memcpy(at, "get", 3);
    at += 3;
    for (int i = 0; i < r->count; i++) {
        *at++ = ' ';
        memcpy(at, key_name(r->keys[i]), options.key_length);
        at += options.key_length;
    }
    memcpy(at, "\r\n", 2);
    c->out_end += (size_t)(at - start) + 2;
}

/* No key twice in one multiget: servers and proxies differ in what they say to that. */
static void choose_keys(struct request *r)
{
    static uint32_t *used, now;
    if (!used) used = allocate(options.keys, sizeof *used);
    now++;
    for (int i = 0; i < r->count; i++) {
        do r->keys[i] = random_key();
        while (used[r->keys[i]] == now);
        used[r->keys[i]] = now;
    }
}

static void ask(struct client *c, uint64_t now)
{
    struct request *r = &c->ring[(c->oldest + c->in_flight) % (unsigned)options.depth];
    r->since = now;
    r->refused = false;
    r->answered = 0;
    r->is_set = options.task == FILL || (options.task == LOAD && (int)random_below(100) < options.sets_percent);
    r->count = options.task != LOAD || r->is_set ? 1 : options.multiget;
    if (options.task == FILL) r->keys[0] = (uint32_t)tally.next_key++;
    else choose_keys(r);
    if (r->is_set) write_set(c, r->keys[0]);
    else write_get(c, r);
    c->in_flight++;
    tally.in_flight++;
    tally.asked_keys += (uint64_t)r->count;
    if (options.task == IDLE) tally.next_key++;
}

static void wait_for_room(struct client *c, bool wait)
{
    struct epoll_event event = {.events = wait ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (c->blocked != wait) epoll_ctl(tally.epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->blocked = wait;
}

static void flush(struct client *c)
{
    while (c->out_begin < c->out_end) {
        ssize_t sent = send(c->fd, c->out + c->out_begin, c->out_end - c->out_begin, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            wait_for_room(c, true);
            return;
        }
        if (sent < 0) {
            give_up(c, "cannot write: %s", strerror(errno));
            return;
        }
        c->out_begin += (size_t)sent;
    }
    c->out_begin = c->out_end = 0;
    wait_for_room(c, false);
}

static bool may_ask(void)
{
    switch (options.task) {
    case FILL: return tally.next_key < options.keys;
    case IDLE: return tally.next_key < (uint64_t)options.connections;
    default: return tally.phase != DRAINING;
    }
}

void client_refill(struct client *c)
{
    if (c->broken || c->blocked || (c->in_flight && !options.window)) return;
    if (options.task == IDLE && c->ring->since) return; /* each connection asks once */
    uint64_t now = now_ns();
    while (c->in_flight < (unsigned)options.depth && may_ask()) ask(c, now);
    flush(c);
}

/* ---- replies ---- */

static void end_request(struct client *c, uint64_t now)
{
    struct request *r = &c->ring[c->oldest];
    if (!r->is_set && !r->refused && r->answered < r->count) {
        tally.misses += (uint64_t)(r->count - r->answered);
        note_trouble("a miss of %.*s", (int)options.key_length, key_name(r->keys[r->answered]));
    }
    if (tally.phase == MEASURING) {
        tally.requests++;
        *(r->is_set ? &tally.sets : &tally.gets) += 1;
        tally.keys += (uint64_t)r->count;
        tally.hits += (uint64_t)r->answered;
        histogram_add(&latency, now - r->since);
    }
    c->oldest = (c->oldest + 1) % (unsigned)options.depth;
    c->in_flight--;
    tally.in_flight--;
}

/* Finds the awaited key of this name; keys may come in any order, but each only once. */
static bool find_key(struct client *c, struct request *r, const char *name, size_t length)
{
    for (int i = r->answered; length == options.key_length && i < r->count; i++) {
        uint32_t key = r->keys[i];
        if (memcmp(name, key_name(key), length)) continue;
        if (i > r->answered) tally.out_of_order++;
        r->keys[i] = r->keys[r->answered];
        r->keys[r->answered++] = key;
        c->key = key;
        return true;
    }
    int shown = length < SHOWN ? (int)length : SHOWN;
    return give_up(c, "a value of %.*s, which was not asked for or has come before", shown, name);
}

/* A number, the byte that ends it skipped; UINT64_MAX if there is none. */
static uint64_t take_number(char **at, char end)
{
    char *start = *at;
    uint64_t number = 0;
    while (**at >= '0' && **at <= '9' && *at - start < 10) number = number * 10 + (uint64_t)(*(*at)++ - '0');
    if (*at == start || *(*at)++ != end) return UINT64_MAX;
    return number;
}

static bool begin_value(struct client *c, struct request *r, char *line)
{
    char *name = line + strlen("VALUE "), *at = strchr(name, ' ');
    size_t length = at ? (size_t)(at++ - name) : 0;
    uint64_t flags = at ? take_number(&at, ' ') : UINT64_MAX;
    uint64_t size = flags < UINT64_MAX ? take_number(&at, 0) : UINT64_MAX;
    if (size == UINT64_MAX) return give_up(c, "not a line of a value: %.*s", SHOWN, line);
    if (!find_key(c, r, name, length)) return false;
    if (flags != key_flags(c->key) || size != key_size(c->key))
        return give_up(c, "%.*s; it has flags %u and size %u", SHOWN, line, key_flags(c->key), key_size(c->key));
    c->in_value = true;
    c->checked = 0;
    return true;
}

static bool is_error(const char *line)
{
    return !strcmp(line, "ERROR") || !strncmp(line, "SERVER_ERROR", 12) || !strncmp(line, "CLIENT_ERROR", 12);
}

static bool on_line(struct client *c, char *line, uint64_t now)
{
    struct request *r = &c->ring[c->oldest];
    if (!c->in_flight) return give_up(c, "a reply without a request: %.*s", SHOWN, line);
    if (is_error(line)) {
        tally.refused++;
        r->refused = true;
        note_trouble("%s", line);
    } else if (!r->is_set && !strncmp(line, "VALUE ", 6)) {
        return begin_value(c, r, line);
    } else if (strcmp(line, r->is_set ? "STORED" : "END")) {
        return give_up(c, "%.*s as reply to a %s", SHOWN, line, r->is_set ? "set" : "get");
    }
    end_request(c, now);
    return true;
}

/* Checks as much of a value and its CR LF as has come. Returns the bytes of that, or -1. */
static ssize_t on_value(struct client *c, const char *bytes, size_t length)
{
    uint32_t size = key_size(c->key), rest = size + 2 - c->checked;
    size_t taken = length < rest ? length : rest;
    size_t of_value = c->checked < size ? size - c->checked : 0;
    if (of_value > taken) of_value = taken;
    bool is_right = !memcmp(bytes, key_value(c->key) + c->checked, of_value);
    for (size_t i = of_value; i < taken; i++) is_right &= bytes[i] == "\r\n"[c->checked + i - size];
    if (!is_right) return give_up(c, "other bytes in %.*s", (int)options.key_length, key_name(c->key)), -1;
    c->checked += (uint32_t)taken;
    c->in_value = c->checked < size + 2;
    return (ssize_t)taken;
}

/* Takes up to one line. Returns its bytes, or -1. */
static ssize_t on_text(struct client *c, const char *bytes, size_t length, uint64_t now)
{
    const char *end = memchr(bytes, '\n', length);
    size_t taken = end ? (size_t)(end - bytes) + 1 : length;
    if (c->line_length + taken >= sizeof c->line) return give_up(c, "a line without an end"), -1;
    memcpy(c->line + c->line_length, bytes, taken);
    c->line_length += taken;
    if (!end) return (ssize_t)taken;
    size_t text = c->line_length - 2;
    if (c->line_length < 2 || memcmp(c->line + text, "\r\n", 2)) return give_up(c, "a line without CR"), -1;
    c->line[text] = 0;
    if (strlen(c->line) != text) return give_up(c, "a line with a zero byte"), -1;
    c->line_length = 0;
    return on_line(c, c->line, now) ? (ssize_t)taken : -1;
}

static void on_bytes(struct client *c)
{
    static char bytes[READ_MOST];
    ssize_t length = recv(c->fd, bytes, sizeof bytes, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
        give_up(c, "%s with %u requests in flight", length ? strerror(errno) : "it was closed", c->in_flight);
        return;
    }
    uint64_t now = now_ns();
    for (ssize_t at = 0, taken; at < length; at += taken) {
        taken = c->in_value ? on_value(c, bytes + at, (size_t)(length - at))
                            : on_text(c, bytes + at, (size_t)(length - at), now);
        if (taken < 0) return;
    }
    client_refill(c);
}

void client_ready(struct client *c, uint32_t events)
{
    if (!c->broken && events & EPOLLOUT) {
        flush(c);
        client_refill(c);
    }
    if (!c->broken && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_bytes(c);
}

struct client *client_open(int number)
{
    struct client *c = allocate(1, sizeof *c);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    uint32_t *keys = allocate((size_t)options.depth * (size_t)options.multiget, sizeof *keys);
    int on = 1;
    c->number = number;
    c->ring = allocate((size_t)options.depth, sizeof *c->ring);
    for (int i = 0; i < options.depth; i++) c->ring[i].keys = keys + i * options.multiget;
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&there, sizeof there))
        die("connection %d to port %d: %s", number, options.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(tally.epoll, EPOLL_CTL_ADD, c->fd, &event);
    return c;
}
