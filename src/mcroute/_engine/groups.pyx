"""Maps commands, and the flags of meta commands, to groups."""

from libc.stdint cimport int8_t, uint32_t

from mcroute._engine.state cimport (
    GROUP_DELETE, GROUP_FLUSH, GROUP_READ, GROUP_READ_CAS, GROUP_READ_TOUCH, GROUP_STORE, GROUP_STORE_IF, VARIANT_CAS,
    VARIANT_DECREMENT, VARIANT_INVALIDATE, VARIANT_TOUCH,
)
from mcroute._protocol cimport (
    CMD_META_ARITHMETIC, CMD_META_DELETE, CMD_META_GET, CMD_META_SET, COMMAND_COUNT, request_next_key,
)

from mcroute._protocol import commands
from mcroute.policy import nodes

# By command, as policy.nodes.Group; -1: it is not routed.
cdef int8_t[COMMAND_COUNT] GROUPS
cdef int _index
for _index, _name in enumerate(commands.COMMAND_NAMES):
    GROUPS[_index] = nodes.COMMAND_GROUPS.get(_name, -1)


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


cdef int _meta_group(int group, const uint8_t* data, RequestView* view) noexcept nogil:
    """Requests that depend on one copy's cas, lease or mode go to one copy; others go as their classic commands."""
    if group == GROUP_STORE and (view.meta_mode not in (0, b's') or _has_flag(data, view, b"CI")):
        return GROUP_STORE_IF
    if group == GROUP_DELETE and _has_flag(data, view, b"CIx"):
        return GROUP_STORE_IF
    if group == GROUP_READ and _has_flag(data, view, b"T"):
        return GROUP_READ_TOUCH
    if group == GROUP_READ and _has_flag(data, view, b"cNR"):
        return GROUP_READ_CAS
    return group


cdef int request_group(const uint8_t* data, RequestView* view) noexcept nogil:
    cdef int group = GROUPS[view.command]
    return group if view.command < CMD_META_GET else _meta_group(group, data, view)


cdef int meta_variant(ClientRequest* request) noexcept nogil:
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


cdef bint request_may_store(ClientRequest* request) noexcept nogil:
    if request.group == GROUP_READ_CAS:
        return (request.view.command == CMD_META_GET
                and _has_flag(request.block.data + request.offset, &request.view, b"N"))
    return request.group not in (GROUP_READ, GROUP_DELETE, GROUP_FLUSH)


cdef bint meta_vivifies(ClientRequest* request) noexcept nogil:
    cdef RequestView* view = &request.view
    if view.command != CMD_META_ARITHMETIC and (view.command != CMD_META_SET or view.meta_mode not in (b'a', b'p')):
        return False
    return _has_flag(request.block.data + request.offset, view, b"N")
