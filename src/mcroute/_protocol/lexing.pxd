"""Words, numbers and keys in a line: small enough to be compiled into each module that reads lines."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mcroute._hashing.words cimport load64, low_bit
from mcroute._protocol.literals cimport DEL, text_is
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

# ---- eight bytes at a time: a word's bytes that are looked for have their top bit set in what these return, the
# first of them for certain (Mycroft's test for a zero byte; what it borrows can only mark later ones)

cdef inline uint64_t marked_zeros(uint64_t word) noexcept nogil:
    return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL


cdef inline uint64_t marked_spaces(uint64_t word) noexcept nogil:
    return marked_zeros(word ^ 0x2020202020202020ULL)


cdef inline uint64_t marked_no_key(uint64_t word) noexcept nogil:
    """Spaces, control characters and DEL."""
    cdef uint64_t low = (word - 0x2121212121212121ULL) & ~word & 0x8080808080808080ULL
    return low | marked_zeros(word ^ 0x7F7F7F7F7F7F7F7FULL)


cdef inline const uint8_t* space_at(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The next space, or the end."""
    cdef uint64_t marks
    while end - at >= 8:
        marks = marked_spaces(load64(at))
        if marks:
            return at + (low_bit(marks) >> 3)
        at += 8
    while at < end and at[0] != c" ":
        at += 1
    return at


cdef inline const uint8_t* key_end(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The next byte that no key has, or the end."""
    cdef uint64_t marks
    while end - at >= 8:
        marks = marked_no_key(load64(at))
        if marks:
            return at + (low_bit(marks) >> 3)
        at += 8
    while at < end and at[0] > c" " and at[0] != DEL:
        at += 1
    return at


# ---- words of a line

# True for 1 to 250 bytes, none a control character or a space.
cdef inline bint key_is_valid(const uint8_t* key, size_t size) noexcept nogil:
    # 0 wraps around.
    return size - 1 < KEY_MAX and key_end(key, key + size) == key + size


cdef inline bint word_is(const Word* word, const char* text) noexcept nogil:
    return text_is(word.start, word.size, text)


cdef inline bint read_u64(const uint8_t* at, size_t size, uint64_t* number, bint* tidy) noexcept nogil:
    """Plain decimal digits without sign; `tidy` falls when there are leading zeros."""
    cdef uint64_t value = 0
    cdef uint8_t digit
    cdef size_t i
    if size == 0:
        return False
    for i in range(size):
        digit = at[i] - c"0"
        if digit > 9 or value > 1844674407370955161ULL or (value == 1844674407370955161ULL and digit > 5):
            return False
        value = value * 10 + digit
    if size > 1 and at[0] == c"0":
        tidy[0] = False
    number[0] = value
    return True


cdef enum:
    SHORT_DIGITS = 10       # of a number that short_number reads: no overflow


cdef inline const uint8_t* short_number(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Behind the first SHORT_DIGITS digits at most, of which there may be none."""
    cdef uint64_t value = 0
    if end - at > SHORT_DIGITS:
        end = at + SHORT_DIGITS
    while at < end and <uint8_t>(at[0] - c"0") <= 9:
        value = value * 10 + <uint8_t>(at[0] - c"0")
        at += 1
    number[0] = value
    return at


cdef inline bint read_i64(const uint8_t* at, size_t size, int64_t* number, bint* tidy) noexcept nogil:
    cdef uint64_t value
    cdef bint negative = size > 0 and at[0] == c"-"
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
        if at[0] == c" ":
            line.tidy = False
            at += 1
            continue
        start = at
        at = space_at(at, line.end)
        line.last.start = start
        line.last.size = at - start
        if line.count < WORDS_MAX:
            line.words[line.count] = line.last
        line.count += 1
        if at < line.end:
            at += 1
            if at == line.end:
                line.tidy = False


cdef inline uint32_t skip_spaces(const uint8_t* data, uint32_t offset, uint32_t end) noexcept nogil:
    while offset < end and data[offset] == c" ":
        offset += 1
    return offset


# Next key of a get line: from offset, sets key_offset/key_size, returns the offset behind it, 0 at the end.
cdef inline uint32_t request_next_key(const uint8_t* data, uint32_t offset, uint32_t keys_end,
                                      uint32_t* key_offset, uint32_t* key_size) noexcept nogil:
    offset = skip_spaces(data, offset, keys_end)
    if offset >= keys_end:
        return 0
    key_offset[0] = offset
    offset = space_at(data + offset, data + keys_end) - data
    key_size[0] = offset - key_offset[0]
    return offset
