/* Options, the phases of a run, and the report: one JSON object on stdout. */
#define _GNU_SOURCE
#include "load.h"

#include "../histogram.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_MAX = 600, CONNECTIONS_MAX = 20000, BACKLOG_SAFE = 50 };

struct options options = {
    .connections = 1, .depth = 1, .multiget = 1, .prefix = "", .keys = 10000, .key_length = 24,
    .size_min = 100, .size_max = 100, .seconds = 2, .timeout_s = 5, .seed = 1,
};

static double measured_s;

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) die("out of memory");
    return memory;
}

uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- options ---- */

static const char usage[] =
    "load --port PORT [OPTIONS]: verifying load on a memcached or a proxy of this machine\n"
    "  --connections N   (1)      --depth N       requests in flight on each (1)\n"
    "  --window                   refill one by one, not when a whole batch is answered\n"
    "  --multiget N      keys of a get (1)        --sets PERCENT  of requests (0)\n"
    "  --keys N  (10000)          --key-length N  (24)       --prefix TEXT   of every key\n"
    "  --pools N         keys begin with p00: to pNN:, in turn (0: without)\n"
    "  --size A[:B]      of values (100)          --zipf S        skew of keys (0: none)\n"
    "  --warmup S  (0)            --seconds S     measured (2)\n"
    "  --requests N      end after so many, if sooner         --seed N  (1)\n"
    "  --timeout S       for replies at the end (5)\n"
    "  --watch NAME=PID[,PID...]  CPU time of these over the measured phase; 0 is load itself\n"
    "  --cores N[,N...]  of which the busy time is told\n"
    "  --fill            set every key once, then end\n"
    "  --idle            one get on each connection, a line on stdout, then wait for the end of stdin\n"
    "Status 0: all was right; 1: could not run; 2: errors or misses; 3: wrong or missing replies.\n";

static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= least && value <= most))
        die("%s is not between %g and %g", text, least, most);
    return value;
}

static void size_option(char *text)
{
    char *most = strchr(text, ':');
    if (most) *most++ = 0;
    options.size_min = (uint32_t)number(text, 0, 8 << 20);
    options.size_max = (uint32_t)(most ? number(most, options.size_min, 8 << 20) : options.size_min);
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", 1, 0, 'P'}, {"connections", 1, 0, 'c'}, {"depth", 1, 0, 'd'}, {"window", 0, 0, 'w'},
        {"multiget", 1, 0, 'm'}, {"sets", 1, 0, 's'}, {"keys", 1, 0, 'k'}, {"key-length", 1, 0, 'l'},
        {"prefix", 1, 0, 'p'}, {"pools", 1, 0, 'o'}, {"size", 1, 0, 'b'}, {"zipf", 1, 0, 'z'},
        {"warmup", 1, 0, 'W'}, {"seconds", 1, 0, 't'}, {"requests", 1, 0, 'n'}, {"seed", 1, 0, 'S'},
        {"timeout", 1, 0, 'T'}, {"watch", 1, 0, 'C'}, {"cores", 1, 0, 'K'}, {"fill", 0, 0, 'F'}, {"idle", 0, 0, 'I'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (option) {
        case 'P': options.port = (int)number(optarg, 1, 65535); break;
        case 'c': options.connections = (int)number(optarg, 1, CONNECTIONS_MAX); break;
        case 'd': options.depth = (int)number(optarg, 1, DEPTH_MAX); break;
        case 'w': options.window = true; break;
        case 'm': options.multiget = (int)number(optarg, 1, MULTIGET_MAX); break;
        case 's': options.sets_percent = (int)number(optarg, 0, 100); break;
        case 'k': options.keys = (uint32_t)number(optarg, 1, 1 << 20); break;
        case 'l': options.key_length = (uint32_t)number(optarg, 1, KEY_MAX); break;
        case 'p': options.prefix = optarg; break;
        case 'o': options.pools = (uint32_t)number(optarg, 0, 100); break;
        case 'b': size_option(optarg); break;
        case 'z': options.zipf = number(optarg, 0, 10); break;
        case 'W': options.warmup_s = number(optarg, 0, SECONDS_MAX); break;
        case 't': options.seconds = number(optarg, 0.01, SECONDS_MAX); break;
        case 'n': options.requests = (uint64_t)number(optarg, 1, 1e15); break;
        case 'S': options.seed = (uint64_t)number(optarg, 0, 1e15); break;
        case 'T': options.timeout_s = number(optarg, 0, SECONDS_MAX); break;
        case 'C': watch_add(optarg); break;
        case 'K': watch_cores(optarg); break;
        case 'F': options.task = FILL; break;
        case 'I': options.task = IDLE; break;
        default: die("these are the options:\n%s", usage);
        }
    if (!options.port || optind < argc) die("these are the options:\n%s", usage);
    if ((uint32_t)options.multiget > options.keys) die("a multiget of more keys than there are");
    if (strlen(options.prefix) > KEY_MAX) die("--prefix is longer than a key may be");
}

/* ---- the run ---- */

static struct client **open_clients(void)
{
    struct rlimit files;
    struct client **clients = allocate((size_t)options.connections, sizeof *clients);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    tally.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < options.connections; i++) {
        clients[i] = client_open(i);
        /* A listener whose queue is full lets a second pass, so it gets time to accept. */
        if (i % BACKLOG_SAFE == BACKLOG_SAFE - 1) usleep(2000);
    }
    return clients;
}

static void turn(void)
{
    struct epoll_event events[256];
    int count = epoll_wait(tally.epoll, events, 256, 20);
    for (int i = 0; i < count; i++) client_ready(events[i].data.ptr, events[i].events);
}

static bool is_over(uint64_t end)
{
    if (tally.broken == options.connections || now_ns() >= end) return true;
    if (options.task == LOAD) return options.requests && tally.requests >= options.requests;
    return !tally.in_flight && tally.next_key >= (options.task == FILL ? options.keys : (uint64_t)options.connections);
}

static void run(struct client **clients)
{
    uint64_t warm = now_ns() + (uint64_t)(options.warmup_s * 1e9), start, end;
    for (int i = 0; i < options.connections; i++) client_refill(clients[i]);
    while (now_ns() < warm && tally.broken < options.connections) turn();
    tally.phase = MEASURING;
    watch_begin();
    start = now_ns();
    end = start + (uint64_t)(options.seconds * 1e9);
    while (!is_over(end)) turn();
    measured_s = (double)(now_ns() - start) / 1e9;
    watch_end();
    tally.phase = DRAINING;
    end = now_ns() + (uint64_t)(options.timeout_s * 1e9);
    while (tally.in_flight && now_ns() < end) turn();
    tally.lost += tally.in_flight;
}

/* ---- the report ---- */

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) putchar(*text < ' ' || *text == '"' || *text == '\\' ? '.' : *text);
    putchar('"');
}

static void report(void)
{
    static const struct { const char *name; double share; } quantiles[] = {
        {"p50_us", 0.5}, {"p99_us", 0.99}, {"p999_us", 0.999},
    };
    const struct { const char *name; uint64_t value; } counts[] = {
        {"requests", tally.requests}, {"gets", tally.gets}, {"sets", tally.sets}, {"keys", tally.keys},
        {"hits", tally.hits}, {"misses", tally.misses}, {"refused", tally.refused}, {"wrong", tally.wrong},
        {"lost", tally.lost}, {"out_of_order", tally.out_of_order}, {"asked_keys", tally.asked_keys},
    };
    printf("{\"seconds\": %.6f, \"requests_per_s\": %.1f", measured_s, (double)tally.requests / measured_s);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        printf(", \"%s\": %llu", counts[i].name, (unsigned long long)counts[i].value);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(", \"%s\": %.2f", quantiles[i].name, histogram_quantile_us(&latency, quantiles[i].share));
    watch_print(tally.requests);
    printf(", \"trouble\": ");
    print_text(tally.first_trouble);
    printf("}\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    data_prepare();
    run(open_clients());
    report();
    if (options.task == IDLE) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        poll(&input, 1, SECONDS_MAX * 1000);
    }
    if (tally.wrong || tally.lost) return 3;
    bool unfinished = options.task == FILL && tally.requests < options.keys;
    return unfinished || tally.refused || tally.misses ? 2 : 0;
}
