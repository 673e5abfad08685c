"""Counters: only the engine's thread writes them, and any thread may read them.

Each counter has 64 bits, which these functions read and write as a whole. Counters have no order among them: a reader
may see a request's reply counted, and not yet the request.
"""

from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(_MSC_VER)
    static __forceinline void mcroute_count(uint64_t *at, uint64_t more) { *(volatile uint64_t *)at += more; }
    static __forceinline void mcroute_zero(uint64_t *at) { *(volatile uint64_t *)at = 0; }
    static __forceinline uint64_t mcroute_counted(uint64_t *at) { return *(volatile uint64_t *)at; }
    static __forceinline void mcroute_sum(double *at, double more) { *(volatile double *)at += more; }
    static __forceinline void mcroute_show(void **at, void *shown) { *(void *volatile *)at = shown; }
    static __forceinline void *mcroute_shown(void **at) { return *(void *volatile *)at; }
    #else
    static inline void mcroute_count(uint64_t *at, uint64_t more) {
        __atomic_store_n(at, __atomic_load_n(at, __ATOMIC_RELAXED) + more, __ATOMIC_RELAXED);
    }
    static inline void mcroute_zero(uint64_t *at) { __atomic_store_n(at, 0, __ATOMIC_RELAXED); }
    static inline uint64_t mcroute_counted(uint64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
    static inline void mcroute_sum(double *at, double more) {
        double sum;
        __atomic_load(at, &sum, __ATOMIC_RELAXED);
        sum += more;
        __atomic_store(at, &sum, __ATOMIC_RELAXED);
    }
    static inline void mcroute_show(void **at, void *shown) { __atomic_store_n(at, shown, __ATOMIC_RELEASE); }
    static inline void *mcroute_shown(void **at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
    #endif
    """
    void counter_add "mcroute_count"(uint64_t* at, uint64_t more)
    void counter_clear "mcroute_zero"(uint64_t* at)
    uint64_t counter_read "mcroute_counted"(uint64_t* at)
    void sum_add "mcroute_sum"(double* at, double more)
    # Publish, and read, a pointer to an object that is complete.
    void show "mcroute_show"(void** at, void* shown)
    void* shown "mcroute_shown"(void** at)
