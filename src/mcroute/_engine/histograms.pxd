"""Log-linear histograms of durations: each power of two of a microsecond is divided into eight equal buckets.

That is HdrHistogram's layout (Gil Tene, 2012) with three significant bits. From 8 microseconds on, a bucket is at
most an eighth as wide as its lower bound, so that its middle is within 6.25 % of each duration in it; below,
it is one microsecond wide. Durations of 2**26 microseconds (67.1 s) or longer are in the last bucket.

Buckets are found by integers: a product of doubles is rounded otherwise by processors that compute with more digits
(x87). A duration counts as the next multiple of 2**-37 s above it (7.3 ps), so that a bound, which is a rounded
double, is never below the microsecond that it stands for.

A duration is a difference of two values of the engine's `now`, which stands still between the driver's calls: it is
as fine as the driver's turns.
"""

from libc.stdint cimport uint64_t

from mcroute._engine.counters cimport counter_add, sum_add

cdef enum:
    SUB_BITS = 3
    LARGEST_BITS = 26
    TICK_BITS = 37              # (67.108864 s << 37) * 1000000 is 2**63
    HISTOGRAM_BUCKETS = ((LARGEST_BITS - SUB_BITS + 1) << SUB_BITS) + 1

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __forceinline int mcroute_top_bit(uint64_t n) {
        unsigned long i;
        _BitScanReverse64(&i, n);
        return (int)i;
    }
    #else
    static inline int mcroute_top_bit(uint64_t n) { return 63 - __builtin_clzll(n); }
    #endif
    """
    int mcroute_top_bit(uint64_t n)

# Consists of 64-bit words only, because observing.pyx copies it word by word.
cdef struct Histogram:
    uint64_t buckets[HISTOGRAM_BUCKETS]
    double sum                  # seconds

cdef inline int histogram_bucket(double seconds) noexcept nogil:
    cdef uint64_t ticks, micros
    cdef int shift
    if not seconds < 67.108864:
        return HISTOGRAM_BUCKETS - 1
    # Rounding can make a difference negative: bucket 0. A product with a power of two is exact.
    ticks = <uint64_t>(seconds * <double>(<uint64_t>1 << TICK_BITS)) + 1 if seconds > 0 else 0
    micros = (ticks * 1000000) >> TICK_BITS
    if micros < 1 << SUB_BITS:
        return <int>micros
    shift = mcroute_top_bit(micros) - SUB_BITS
    return (shift << SUB_BITS) + <int>(micros >> shift)

cdef inline void histogram_add(Histogram* histogram, double seconds) noexcept nogil:
    counter_add(&histogram.buckets[histogram_bucket(seconds)], 1)
    sum_add(&histogram.sum, seconds)
