"""The hashed part of a key, in a spelling, with a prefix and a suffix.

The cuts, by the name that `mcroute.placement` has for them:

    whole       the key
    tag         between the first opening mark and the first closing one behind it, if there is anything
    empty_tag   the same, but the part may be empty
    stop        the part before the first mark, also if that is empty
    before      the part before the first mark, unless the key begins with the mark
    routing     without `/region/cluster/`, and up to `|#|`

The forms:

    bytes       as it is
    characters  UTF-8 in, one byte a character out: the low eight bits of its code point
    repr        as Python's repr of a bytes object: b'key', quotes and backslashes included
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

from mcroute._hashing.utf16 cimport utf8_next
from mcroute._distributions.table cimport KeyRule, Text

cdef enum Cut:
    WHOLE
    TAG
    EMPTY_TAG
    STOP
    BEFORE
    ROUTING

cdef enum Form:
    BYTES
    CHARACTERS
    REPR

CUTS = ("whole", "tag", "empty_tag", "stop", "before", "routing")
FORMS = ("bytes", "characters", "repr")

cdef const uint8_t* HEX = b"0123456789abcdef"


# ---- cutting

# The offset of `what` in the text; the text's end if it is not found.
cdef size_t find(const Text* text, const Text* what) noexcept nogil:
    cdef size_t at = 0
    cdef const void* found
    while what.size and at + what.size <= text.size:
        found = memchr(text.data + at, what.data[0], text.size - at - what.size + 1)
        if found == NULL:
            break
        at = <const uint8_t*>found - text.data
        if memcmp(found, what.data, what.size) == 0:
            return at
        at += 1
    return text.size


cdef void cut_tag(const KeyRule* rule, Text* text) noexcept nogil:
    cdef const uint8_t* end = text.data + text.size
    cdef const uint8_t* opening = <const uint8_t*>memchr(text.data, rule.marks.data[0], text.size)
    cdef const uint8_t* closing
    if opening == NULL:
        return
    opening += 1
    closing = <const uint8_t*>memchr(opening, rule.marks.data[1], end - opening)
    if closing == NULL or (closing == opening and rule.cut == TAG):
        return
    text.data = opening
    text.size = closing - opening


cdef void cut_front(Text* text) noexcept nogil:
    cdef size_t i
    cdef int slashes = 1
    if text.size == 0 or text.data[0] != c"/":
        return
    for i in range(1, text.size):
        slashes += text.data[i] == c"/"
        if slashes == 3:
            text.data += i + 1
            text.size -= i + 1
            return


cdef void cut(const KeyRule* rule, Text* text) noexcept nogil:
    cdef size_t at
    if rule.cut == TAG or rule.cut == EMPTY_TAG:
        cut_tag(rule, text)
        return
    if rule.cut == ROUTING:
        cut_front(text)
    at = find(text, &rule.marks)
    if at > 0 or rule.cut != BEFORE:
        text.size = at


cdef inline bint begins_with(const Text* text, const Text* what) noexcept nogil:
    return what.size > 0 and text.size >= what.size and memcmp(text.data, what.data, what.size) == 0


# ---- spelling: each writes to `to` and returns where it stopped

cdef uint8_t* write_text(uint8_t* to, const Text* text) noexcept nogil:
    if text.size:
        memcpy(to, text.data, text.size)
    return to + text.size


cdef uint8_t* write_characters(uint8_t* to, const Text* text) noexcept nogil:
    cdef const uint8_t* at = text.data
    cdef const uint8_t* end = at + text.size
    cdef uint32_t point
    while at < end:
        at += utf8_next(at, end - at, &point)
        to[0] = <uint8_t>point
        to += 1
    return to


cdef inline uint8_t* write_escaped(uint8_t* to, uint8_t byte) noexcept nogil:
    to[0] = c"\\"
    if byte == c"\t" or byte == c"\n" or byte == c"\r":
        to[1] = c"t" if byte == c"\t" else c"n" if byte == c"\n" else c"r"
        return to + 2
    to[1] = c"x"
    to[2] = HEX[byte >> 4]
    to[3] = HEX[byte & 15]
    return to + 4


cdef uint8_t* write_repr(uint8_t* to, const Text* text) noexcept nogil:
    cdef uint8_t quote = c"'"
    cdef uint8_t byte
    cdef size_t i
    if text.size and memchr(text.data, c"'", text.size) != NULL and memchr(text.data, c'"', text.size) == NULL:
        quote = c'"'
    to[0] = c"b"
    to[1] = quote
    to += 2
    for i in range(text.size):
        byte = text.data[i]
        if byte < c" " or byte > c"~":
            to = write_escaped(to, byte)
            continue
        if byte == quote or byte == c"\\":
            to[0] = c"\\"
            to += 1
        to[0] = byte
        to += 1
    to[0] = quote
    return to + 1


cdef void key_read(const KeyRule* rule, const uint8_t* key, size_t size, KeyText* text) noexcept nogil:
    cdef Text part = Text(key, size)
    cdef uint8_t* start
    cdef uint8_t* end
    cdef size_t need
    text.owned = NULL
    if begins_with(&part, &rule.strip):
        part.data += rule.strip.size
        part.size -= rule.strip.size
    if rule.cut != WHOLE:
        cut(rule, &part)
    text.data = part.data
    text.size = part.size
    if rule.form == BYTES and rule.prefix.size + rule.suffix.size == 0:
        return
    need = (4 * part.size + 3 if rule.form == REPR else part.size) + rule.prefix.size + rule.suffix.size
    start = text.room
    if need > ROOM:
        start = text.owned = <uint8_t*>malloc(need)
        if start == NULL:
            return
    end = start
    if begins_with(&part, &rule.lead):
        end = write_text(end, &rule.lead)
        part.data += rule.lead.size
        part.size -= rule.lead.size
    end = write_text(end, &rule.prefix)
    if rule.form == REPR:
        end = write_repr(end, &part)
    elif rule.form == CHARACTERS:
        end = write_characters(end, &part)
    else:
        end = write_text(end, &part)
    end = write_text(end, &rule.suffix)
    text.data = start
    text.size = end - start


cdef void key_release(KeyText* text) noexcept nogil:
    free(text.owned)


cdef inline Text lend(bytes data) noexcept:
    return Text(<const uint8_t*><const char*>data, len(data))


cdef bint key_rule_fill(KeyRule* rule, what) except -1:
    rule.cut = CUTS.index(what.cut)
    rule.form = FORMS.index(what.form)
    rule.marks = lend(what.marks)
    rule.strip = lend(what.strip)
    rule.prefix = lend(what.prefix)
    rule.suffix = lend(what.suffix)
    rule.lead = lend(what.lead)
    return what.cut != "whole" or what.form != "bytes" or bool(what.strip or what.prefix or what.suffix)
