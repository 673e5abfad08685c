"""From commands, and the flags of meta commands, to groups."""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport (
    GROUP_ARITHMETIC, GROUP_DELETE, GROUP_FLUSH, GROUP_READ, GROUP_READ_CAS, GROUP_READ_TOUCH, GROUP_STORE,
    GROUP_STORE_IF, GROUP_TOUCH, VARIANT_CAS, VARIANT_DECREMENT, VARIANT_INVALIDATE, VARIANT_TOUCH,
)
from mcroute._protocol cimport (
    CMD_ADD, CMD_CAS, CMD_DECR, CMD_DELETE, CMD_FLUSH_ALL, CMD_GAT, CMD_GATS, CMD_GET, CMD_GETS, CMD_INCR,
    CMD_META_ARITHMETIC, CMD_META_DELETE, CMD_META_GET, CMD_META_NOOP, CMD_META_SET, CMD_SET, CMD_TOUCH,
    request_next_key,
)


cdef int _classic_group(int command) noexcept nogil:
    if command == CMD_GET:
        return GROUP_READ
    if command == CMD_GETS:
        return GROUP_READ_CAS
    if command == CMD_GAT or command == CMD_GATS:
        return GROUP_READ_TOUCH
    if command == CMD_SET:
        return GROUP_STORE
    if CMD_ADD <= command <= CMD_CAS:
        return GROUP_STORE_IF
    if command == CMD_DELETE:
        return GROUP_DELETE
    if command == CMD_INCR or command == CMD_DECR:
        return GROUP_ARITHMETIC
    if command == CMD_TOUCH:
        return GROUP_TOUCH
    if command == CMD_FLUSH_ALL:
        return GROUP_FLUSH
    return -1


cdef bint _has_flag(const uint8_t* data, RequestView* view, const char* letters) noexcept nogil:
    cdef uint32_t at = view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef const char* letter
    while True:
        at = request_next_key(data, at, view.flags_end, &start, &size)
        if at == 0:
            return False
        letter = letters
        while letter[0] != 0:
            if data[start] == <uint8_t>letter[0]:
                return True
            letter += 1


cdef int _meta_group(const uint8_t* data, RequestView* view) noexcept nogil:
    """What depends on one copy's cas, lease or mode is asked of one copy; the rest is like its classic twin."""
    if view.command == CMD_META_SET:
        if view.meta_mode not in (0, b's') or _has_flag(data, view, b"CI"):
            return GROUP_STORE_IF
        return GROUP_STORE
    if view.command == CMD_META_DELETE:
        return GROUP_STORE_IF if _has_flag(data, view, b"CIx") else GROUP_DELETE
    if view.command == CMD_META_ARITHMETIC:
        return GROUP_ARITHMETIC
    if _has_flag(data, view, b"T"):
        return GROUP_READ_TOUCH
    return GROUP_READ_CAS if _has_flag(data, view, b"cNR") else GROUP_READ


cdef int request_group(const uint8_t* data, RequestView* view) noexcept nogil:
    if view.command < CMD_META_GET or view.command == CMD_META_NOOP:
        return _classic_group(view.command)
    return _meta_group(data, view)


cdef int meta_variant(Request* request) noexcept nogil:
    cdef RequestView* view = &request.view
    if view.command == CMD_META_GET and request.group == GROUP_READ_TOUCH:
        return VARIANT_TOUCH
    if view.command == CMD_META_ARITHMETIC and view.meta_mode == b"d":
        return VARIANT_DECREMENT
    # Every other variant belongs to one group, and few requests do.
    if request.group != GROUP_STORE_IF:
        return -1
    if (view.command == CMD_META_SET and view.meta_mode not in (b"a", b"p")
            and _has_flag(request.block.data + request.offset, view, b"C")):
        return VARIANT_CAS
    if view.command == CMD_META_DELETE and _has_flag(request.block.data + request.offset, view, b"I"):
        return VARIANT_INVALIDATE
    return -1


cdef bint meta_vivifies(Request* request) noexcept nogil:
    cdef RequestView* view = &request.view
    if view.command != CMD_META_ARITHMETIC and (view.command != CMD_META_SET or view.meta_mode not in (b'a', b'p')):
        return False
    return _has_flag(request.block.data + request.offset, view, b"N")
