/* Every value, its size and its flags are functions of the key's number, so every reply can be checked. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Values are windows on this many bytes of noise: as many different values as there may be keys. */
enum { NOISE = 1 << 20, SNARE_EVERY = 89, SNARE_ROOM = 48 };

/* What a proxy stumbles over that looks for the end of a reply instead of counting bytes. */
static const char *const snares[] = {
    "\r\n", "\r\nEND\r\n", "\r\nSTORED\r\n", "\r\nVALUE a 0 2\r\nxy\r\nEND\r\n", "\nEN\r\nHD\r\n",
    "\r\nSERVER_ERROR no\r\n", "\r\nERROR\r\n", "\r\nget a b\r\n", "\r\nset a 0 0 2\r\n",
};

static char *names;
static uint8_t *noise;
static uint64_t chance;
static double *zipf_sums;
static uint32_t zipf_step;

static uint64_t scramble(uint64_t x) /* the finaliser of SplitMix64 */
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t random_bits(void)
{
    return scramble(chance += 0x9e3779b97f4a7c15u);
}

uint32_t random_below(uint32_t bound)
{
    return (uint32_t)((random_bits() >> 32) * bound >> 32);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* Popular ranks are stepped over the key numbers, which are otherwise in the order of the names. */
static void prepare_zipf(void)
{
    double sum = 0;
    zipf_sums = allocate(options.keys, sizeof *zipf_sums);
    for (uint32_t rank = 0; rank < options.keys; rank++) zipf_sums[rank] = sum += pow(rank + 1, -options.zipf);
    zipf_step = options.keys / 2 + 1;
    while (common_divisor(zipf_step, options.keys) != 1) zipf_step++;
}

uint32_t random_key(void)
{
    if (!zipf_sums) return random_below(options.keys);
    double at = (double)(random_bits() >> 11) * 0x1p-53 * zipf_sums[options.keys - 1];
    uint32_t low = 0, high = options.keys - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (zipf_sums[middle] < at) low = middle + 1;
        else high = middle;
    }
    return (uint32_t)((uint64_t)low * zipf_step % options.keys);
}

/* "PREFIX000123", or with pools "p23:PREFIX000123": a proxy that routes by prefix sees all pools alike. */
static void prepare_names(void)
{
    char start[KEY_MAX + 32], name[2 * KEY_MAX];
    names = allocate(options.keys, options.key_length);
    for (uint32_t key = 0; key < options.keys; key++) {
        int used = options.pools ? snprintf(start, sizeof start, "p%02u:", key % options.pools) : 0;
        used += snprintf(start + used, sizeof start - (size_t)used, "%s", options.prefix);
        int digits = (int)options.key_length - used;
        int length = snprintf(name, sizeof name, "%s%0*u", start, digits > 0 ? digits : 1, key);
        if (length != (int)options.key_length) die("keys of %u bytes cannot hold %s", options.key_length, name);
        memcpy(names + (size_t)key * options.key_length, name, options.key_length);
    }
}

static void prepare_noise(void)
{
    size_t size = NOISE + options.size_max, kinds = sizeof snares / sizeof *snares;
    noise = allocate(size, 1);
    for (size_t at = 0; at < size; at++) noise[at] = (uint8_t)(scramble(at / 8 + 1) >> at % 8 * 8);
    for (size_t at = 0, kind = 0; at + SNARE_ROOM < size; at += SNARE_EVERY, kind++)
        memcpy(noise + at, snares[kind % kinds], strlen(snares[kind % kinds]));
}

void data_prepare(void)
{
    if (options.keys > NOISE) die("at most %d keys", NOISE);
    chance = scramble(options.seed);
    prepare_names();
    prepare_noise();
    if (options.zipf > 0) prepare_zipf();
}

const char *key_name(uint32_t key)
{
    return names + (size_t)key * options.key_length;
}

const uint8_t *key_value(uint32_t key)
{
    return noise + key * 2246822519u % NOISE; /* odd, and NOISE a power of two: no two keys have one window */
}

uint32_t key_size(uint32_t key)
{
    return options.size_min + (uint32_t)(scramble(key) % (options.size_max - options.size_min + 1));
}

uint32_t key_flags(uint32_t key)
{
    return (uint32_t)(scramble(~(uint64_t)key) & 0xffff);
}
