"""Reference-counted blocks of memory, and the queues of bytes that wait to be sent.

A block is filled from the front and never rewritten while it has references: requests, kept replies and output
queues hold slices of blocks, so that bytes are read once and sent again without being copied twice.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    BLOCK_CLASSES = 12          # 2 KiB, 4 KiB, ... 4 MiB; larger ones are not kept
    BLOCK_SMALLEST = 2048
    COPY_MAX = 8192             # larger pieces are queued by reference: an iovec is cheaper than the copy

cdef struct BlockPool:
    Block* spare[BLOCK_CLASSES]
    size_t spare_bytes          # kept for the next user
    size_t spare_limit
    uint64_t used_bytes         # capacity of all blocks in use; any thread may read it
    size_t used_share           # bytes for ordinary blocks, see block_of_share
    size_t used_limit           # the share and a reserve, which block_new may use too; beyond, it returns NULL

cdef struct Block:
    Block* next                 # in the pool's list of spare blocks
    BlockPool* pool
    uint32_t refs
    int size_class              # -1: larger than the largest class
    size_t capacity
    size_t fill                 # bytes written so far
    uint8_t* data

cdef struct Slice:
    Block* block                # NULL: an empty slice
    size_t offset
    size_t size

cdef struct OutQueue:
    Slice* ring                 # of `slots` entries, a power of two
    uint32_t slots
    uint32_t head
    uint32_t count
    bint open                   # the last entry's block is ours alone: bytes may be appended to it
    size_t bytes                # waiting
    size_t usual                # bytes that usually wait when output is sent: rises at once, falls slowly

cdef void pool_init(BlockPool* pool, size_t spare_limit) noexcept nogil
cdef void pool_set_share(BlockPool* pool, size_t share) noexcept nogil
cdef void pool_clear(BlockPool* pool) noexcept nogil
# A block of at least `capacity` bytes with one reference; NULL when memory, or the pool's share, is used up.
cdef Block* block_new(BlockPool* pool, size_t capacity) noexcept nogil
# As block_new, but from the share, not from the reserve.
cdef Block* block_of_share(BlockPool* pool, size_t capacity) noexcept nogil
# As block_new, without a limit: for read buffers, without which no connection goes on.
cdef Block* block_always(BlockPool* pool, size_t capacity) noexcept nogil
cdef void block_free(Block* block) noexcept nogil

cdef inline void block_ref(Block* block) noexcept nogil:
    block.refs += 1

cdef inline void block_unref(Block* block) noexcept nogil:
    block.refs -= 1
    if block.refs == 0:
        block_free(block)

cdef inline void slice_unref(Slice* piece) noexcept nogil:
    if piece.block != NULL:
        block_unref(piece.block)
        piece.block = NULL

# Room for `size` bytes at the end of the queue, to be filled by the caller at once; NULL without memory.
cdef uint8_t* out_extend(OutQueue* out, BlockPool* pool, size_t size) noexcept nogil
# Queues a slice by reference. False without memory.
cdef bint out_refer(OutQueue* out, Slice piece) noexcept nogil
cdef void out_sent(OutQueue* out, size_t size) noexcept nogil
# Keeps the oldest `size` bytes only.
cdef void out_cut(OutQueue* out, size_t size) noexcept nogil
cdef void out_clear(OutQueue* out) noexcept nogil

# As out_extend, without a function call if the open block has room.
cdef inline uint8_t* out_room(OutQueue* out, BlockPool* pool, size_t size) noexcept nogil:
    cdef Slice* tail
    cdef uint8_t* room
    if out.open:
        tail = &out.ring[(out.head + out.count - 1) & (out.slots - 1)]
        if tail.block.capacity - tail.block.fill >= size:
            room = tail.block.data + tail.block.fill
            tail.block.fill += size
            tail.size += size
            out.bytes += size
            return room
    return out_extend(out, pool, size)

cdef inline bint out_copy(OutQueue* out, BlockPool* pool, const uint8_t* data, size_t size) noexcept nogil:
    cdef uint8_t* room
    if size == 0:
        # out_sent would never remove an empty piece.
        return True
    room = out_room(out, pool, size)
    if room == NULL:
        return False
    memcpy(room, data, size)
    return True

cdef inline bint out_slice(OutQueue* out, BlockPool* pool, Slice piece) noexcept nogil:
    if piece.size > COPY_MAX:
        return out_refer(out, piece)
    return out_copy(out, pool, piece.block.data + piece.offset, piece.size)
