"""The engine's random generator: with equal seeds, engines draw equal numbers."""

from libc.stdint cimport uint64_t

from mcroute._engine.state cimport Engine

cdef inline uint64_t random_number(Engine* engine) noexcept nogil:
    """xorshift64* (Vigna 2014)."""
    engine.random ^= engine.random >> 12
    engine.random ^= engine.random << 25
    engine.random ^= engine.random >> 27
    return (engine.random * <uint64_t>0x2545F4914F6CDD1D) >> 11
