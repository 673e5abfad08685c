/*
 * The load generator: bounded, reproducible, and it believes nothing. One thread, one epoll, loopback only.
 *
 *   data.c     what each key's value, flags and size are, and chance
 *   client.c   one connection: makes requests, checks replies
 *   watch.c    what processes and cores spent meanwhile
 *   main.c     options, phases, the report
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_MAX = 250, MULTIGET_MAX = 256, DEPTH_MAX = 1024, LINE_MAX_BYTES = 512 };

enum task { LOAD, FILL, IDLE };

struct options {
    enum task task;
    int port, connections, depth, multiget, sets_percent;
    bool window; /* refill one by one; otherwise the next batch waits until the last one is answered */
    const char *prefix;
    uint32_t keys, key_length, pools, size_min, size_max;
    double zipf, warmup_s, seconds, timeout_s;
    uint64_t requests, seed;
};
extern struct options options;

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *allocate(size_t count, size_t size);
uint64_t now_ns(void);

/* data.c */
void data_prepare(void);
uint32_t random_below(uint32_t bound);
uint32_t random_key(void);
const char *key_name(uint32_t key);
const uint8_t *key_value(uint32_t key);
uint32_t key_size(uint32_t key);
uint32_t key_flags(uint32_t key);

/* client.c */
struct client;
enum phase { WARMING, MEASURING, DRAINING };

struct tally {
    enum phase phase;
    int epoll;
    uint64_t requests, gets, sets, keys, hits, misses; /* ended in the measured phase; misses ever */
    uint64_t refused;                                  /* error replies */
    uint64_t wrong;                                    /* replies that cannot be true */
    uint64_t out_of_order;                             /* keys of a multiget, allowed */
    uint64_t lost;                                     /* requests that got no reply */
    uint64_t asked_keys;                               /* issued, ever */
    uint64_t in_flight, next_key;
    int broken; /* connections */
    char first_trouble[200];
};
extern struct tally tally;
extern struct histogram latency;

struct client *client_open(int number);
void client_ready(struct client *client, uint32_t events);
void client_refill(struct client *client);

/* watch.c */
void watch_add(char *option);   /* NAME=PID[,PID...] */
void watch_cores(char *option); /* N[,N...] */
void watch_begin(void);
void watch_end(void);
void watch_print(uint64_t requests);

#endif
