"""Words, numbers and keys in a line: small enough to be compiled into each module that reads lines."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from mcroute._protocol.views cimport KEY_MAX

cdef enum:
    WORDS_MAX = 6           # words of a line that are kept; behind them only the last one matters

cdef struct Word:
    const uint8_t* start
    size_t size

cdef struct Line:
    const uint8_t* start
    const uint8_t* end      # before the line end
    Word words[WORDS_MAX]
    Word last
    int count               # of all words
    bint tidy               # single spaces, CRLF

# True for 1 to 250 bytes, none a control character or a space.
cdef inline bint key_is_valid(const uint8_t* key, size_t size) noexcept nogil:
    cdef size_t i
    cdef uint8_t bad = 0
    if size - 1 >= KEY_MAX:     # 0 wraps around
        return False
    for i in range(size):
        bad |= (key[i] <= 0x20) | (key[i] == 0x7F)
    return not bad


cdef inline bint word_is(const Word* word, const char* text, size_t size) noexcept nogil:
    return word.size == size and memcmp(word.start, text, size) == 0


cdef inline bint read_u64(const uint8_t* at, size_t size, uint64_t* number, bint* tidy) noexcept nogil:
    """Plain decimal digits without sign; `tidy` falls when there are leading zeros."""
    cdef uint64_t value = 0
    cdef uint8_t digit
    cdef size_t i
    if size == 0:
        return False
    for i in range(size):
        digit = at[i] - 48
        if digit > 9 or value > 1844674407370955161ULL or (value == 1844674407370955161ULL and digit > 5):
            return False
        value = value * 10 + digit
    if size > 1 and at[0] == 48:
        tidy[0] = False
    number[0] = value
    return True


cdef inline bint read_i64(const uint8_t* at, size_t size, int64_t* number, bint* tidy) noexcept nogil:
    cdef uint64_t value
    cdef bint negative = size > 0 and at[0] == 45
    if not read_u64(at + negative, size - negative, &value, tidy) or value > 9223372036854775807ULL:
        return False
    if negative and value == 0:
        tidy[0] = False
    number[0] = -<int64_t>value if negative else <int64_t>value
    return True


cdef inline void split_line(Line* line) noexcept nogil:
    cdef const uint8_t* at = line.start
    cdef const uint8_t* start
    line.count = 0
    line.last.size = 0
    while at < line.end:
        if at[0] == 32:
            line.tidy = False
            at += 1
            continue
        start = at
        while at < line.end and at[0] != 32:
            at += 1
        line.last.start = start
        line.last.size = at - start
        if line.count < WORDS_MAX:
            line.words[line.count] = line.last
        line.count += 1
        if at < line.end:
            at += 1
            if at == line.end:
                line.tidy = False


# Next key of a get line: from offset, sets key_offset/key_size, returns the offset behind it, 0 at the end.
cdef inline uint32_t request_next_key(const uint8_t* data, uint32_t offset, uint32_t keys_end,
                                      uint32_t* key_offset, uint32_t* key_size) noexcept nogil:
    while offset < keys_end and data[offset] == 32:
        offset += 1
    if offset >= keys_end:
        return 0
    key_offset[0] = offset
    while offset < keys_end and data[offset] != 32:
        offset += 1
    key_size[0] = offset - key_offset[0]
    return offset
