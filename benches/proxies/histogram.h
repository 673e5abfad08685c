/*
 * Log-linear histogram of durations: HISTOGRAM_FINE buckets for each power of two, so that a quantile is
 * right within 1 / (2 * HISTOGRAM_FINE), from a nanosecond to centuries, in a fixed table.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <math.h>
#include <stdint.h>

enum { HISTOGRAM_BITS = 6, HISTOGRAM_FINE = 1 << HISTOGRAM_BITS, HISTOGRAM_BUCKETS = 64 << HISTOGRAM_BITS };

struct histogram {
    uint64_t count;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < HISTOGRAM_FINE) return (unsigned)ns;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
    return (octave + 1) * HISTOGRAM_FINE + (unsigned)(ns >> octave) - HISTOGRAM_FINE;
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count++;
    h->buckets[histogram_bucket(ns)]++;
}

/* Microseconds that a `share` of all durations does not exceed; 0 of an empty histogram. */
static inline double histogram_quantile_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)h->count), seen = 0;
    unsigned bucket = 0;
    if (!h->count) return 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && (seen += h->buckets[bucket]) < wanted) bucket++;
    if (bucket < HISTOGRAM_FINE) return bucket / 1e3;
    unsigned octave = bucket / HISTOGRAM_FINE - 1;
    double middle = (bucket % HISTOGRAM_FINE) + HISTOGRAM_FINE + 0.5;
    return ldexp(middle, (int)octave) / 1e3;
}

#endif
