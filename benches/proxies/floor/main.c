/* Connections, the loop, and what it says at its end. */
#define _GNU_SOURCE
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const uint64_t TIMEOUT_NS = 1000000000, LOOK_EVERY_NS = 100000000;

struct server servers[SERVERS_MAX];
unsigned server_count;
uint64_t now;

static int epoll;
static struct connection **dirty;
static size_t dirty_count, dirty_room;
static struct session *gone_sessions;
static volatile sig_atomic_t ending;

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("floor: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *resize(void *memory, size_t size)
{
    if (!(memory = realloc(memory, size))) die("out of memory");
    return memory;
}

/* ---- writing ---- */

void mark_dirty(struct connection *c)
{
    if (c->is_dirty || c->is_blocked) return;
    if (dirty_count == dirty_room) {
        dirty_room = 2 * dirty_room + 64;
        dirty = resize(dirty, dirty_room * sizeof *dirty);
    }
    c->is_dirty = true;
    dirty[dirty_count++] = c;
}

static void flush(struct connection *c)
{
    bool is_blocked = false;
    c->is_dirty = false;
    while (c->out.begin < c->out.end && !is_blocked) {
        ssize_t sent = send(c->fd, c->out.bytes + c->out.begin, c->out.end - c->out.begin, MSG_NOSIGNAL);
        if (sent >= 0) drop(&c->out, (size_t)sent);
        else if (errno == EAGAIN) is_blocked = true;
        else return; /* its read will tell */
    }
    if (is_blocked == c->is_blocked) return;
    struct epoll_event event = {.events = EPOLLIN | (is_blocked ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->is_blocked = is_blocked;
}

/* ---- the loop ---- */

static void leave(struct session *session)
{
    session->gone = true;
    for (struct request *r = session->first; r; r = r->next) r->session = NULL;
    close(session->c.fd);
    session->next_gone = gone_sessions; /* freed when no event of this turn can name it */
    gone_sessions = session;
}

static void bury(void)
{
    for (struct session *session; (session = gone_sessions);) {
        gone_sessions = session->next_gone;
        free(session->c.in.bytes);
        free(session->c.out.bytes);
        free(session);
    }
}

static bool is_gone(struct connection *c)
{
    return c->is_session && ((struct session *)c)->gone;
}

static void on_readable(struct connection *c)
{
    make_room(&c->in, c->in.begin == c->in.end ? READ_LEAST : 1);
    ssize_t got = recv(c->fd, c->in.bytes + c->in.end, c->in.room - c->in.end, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 && !c->is_session) die("a server has left");
    if (got <= 0) return leave((struct session *)c);
    c->in.end += (size_t)got;
    if (c->is_session) read_requests((struct session *)c);
    else read_replies((struct server *)c);
}

static void adopt(struct connection *c, int fd)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    c->fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void on_client(int listener)
{
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    struct session *session = resize(NULL, sizeof *session);
    *session = (struct session){.c.is_session = true};
    session->last = &session->first;
    adopt(&session->c, fd);
}

static void read_clock(void)
{
    static uint64_t looked;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    now = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    if (!DEADLINES || now - looked < LOOK_EVERY_NS) return;
    looked = now;
    for (const struct server *s = servers; s < servers + server_count; s++)
        if (s->awaited && now - s->ring[s->oldest].since > TIMEOUT_NS) die("a request has timed out");
}

static void turn(int listener)
{
    struct epoll_event events[512];
    int count = epoll_wait(epoll, events, 512, DEADLINES ? (int)(LOOK_EVERY_NS / 1000000) : -1);
    if (DEADLINES || HISTOGRAMS) read_clock();
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (!c) {
            on_client(listener);
            continue;
        }
        if (events[i].events & EPOLLOUT) flush(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
    }
    for (size_t i = 0; i < dirty_count; i++)
        if (!is_gone(dirty[i])) flush(dirty[i]);
    dirty_count = 0;
    bury();
}

static void report(void)
{
    static const char *const commands[] = {"set", "get"};
    for (unsigned i = 0; i < server_count; i++)
        for (int command = 0; command < 2; command++) {
            const struct histogram *h = &servers[i].latency[command];
            if (h->count)
                printf("server %u %s: %llu, p50 %.1f us, p99 %.1f us\n", i, commands[command],
                       (unsigned long long)h->count, histogram_quantile_us(h, 0.5), histogram_quantile_us(h, 0.99));
        }
}

static void on_signal(int number)
{
    ending = number;
}

static int socket_at(int port, int (*attach)(int, const struct sockaddr *, socklen_t))
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (attach(fd, (struct sockaddr *)&address, sizeof address)) die("port %d: %s", port, strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc - 2 > SERVERS_MAX) die("floor PORT SERVER_PORT..., at most %d servers", SERVERS_MAX);
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: it ends the wait */
    sigaction(SIGTERM, &action, NULL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    while ((int)server_count < argc - 2) {
        struct server *s = &servers[server_count++];
        adopt(&s->c, socket_at(atoi(argv[server_count + 1]), connect));
    }
    int listener = socket_at(atoi(argv[1]), bind);
    if (listen(listener, 4096)) die("port %s: %s", argv[1], strerror(errno));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
    while (!ending) turn(listener);
    report();
    return 0;
}
