"""Blocks of memory from a bounded pool, and output queues over them."""

from libc.stdlib cimport free, malloc
from libc.string cimport memset

from mcroute._engine.counters cimport counter_add

cdef enum:
    OPEN_MAX = 8 * BLOCK_SMALLEST   # a block into which pieces are copied
    RESERVE_MIN = 4 << 20


cdef void pool_init(BlockPool* pool, size_t spare_limit) noexcept nogil:
    memset(pool, 0, sizeof(BlockPool))
    pool.spare_limit = spare_limit


cdef void pool_set_share(BlockPool* pool, size_t share) noexcept nogil:
    pool.used_share = share
    pool.used_limit = share + max(share // 4, <size_t>RESERVE_MIN)


cdef void pool_clear(BlockPool* pool) noexcept nogil:
    cdef Block* block
    cdef int size_class
    for size_class in range(BLOCK_CLASSES):
        while pool.spare[size_class] != NULL:
            block = pool.spare[size_class]
            pool.spare[size_class] = block.next
            free(block)
    pool.spare_bytes = 0


cdef Block* block_new(BlockPool* pool, size_t capacity) noexcept nogil:
    return _block(pool, capacity, pool.used_limit)


cdef Block* block_of_share(BlockPool* pool, size_t capacity) noexcept nogil:
    return _block(pool, capacity, pool.used_share)


cdef Block* block_always(BlockPool* pool, size_t capacity) noexcept nogil:
    return _block(pool, capacity, <size_t>-1)


cdef Block* _block(BlockPool* pool, size_t capacity, size_t limit) noexcept nogil:
    cdef int size_class = 0
    cdef size_t room = BLOCK_SMALLEST
    cdef Block* block
    while room < capacity and size_class < BLOCK_CLASSES:
        room *= 2
        size_class += 1
    if size_class == BLOCK_CLASSES:
        size_class = -1
        room = capacity
    if pool.used_bytes + room > limit:
        return NULL
    if size_class >= 0 and pool.spare[size_class] != NULL:
        block = pool.spare[size_class]
        pool.spare[size_class] = block.next
        pool.spare_bytes -= room
    else:
        block = <Block*>malloc(sizeof(Block) + room)
        if block == NULL:
            return NULL
        block.pool = pool
        block.size_class = size_class
        block.capacity = room
        block.data = <uint8_t*>(block + 1)
    block.next = NULL
    block.refs = 1
    block.fill = 0
    counter_add(&pool.used_bytes, room)
    return block


cdef void block_free(Block* block) noexcept nogil:
    cdef BlockPool* pool = block.pool
    counter_add(&pool.used_bytes, 0 - <uint64_t>block.capacity)
    if block.size_class < 0 or pool.spare_bytes + block.capacity > pool.spare_limit:
        free(block)
        return
    pool.spare_bytes += block.capacity
    block.next = pool.spare[block.size_class]
    pool.spare[block.size_class] = block


cdef bint _widen(OutQueue* out) noexcept nogil:
    """Doubles the ring of slices, oldest first."""
    cdef uint32_t slots = out.slots * 2 if out.slots else 4
    cdef Slice* ring = <Slice*>malloc(slots * sizeof(Slice))
    cdef uint32_t i
    if ring == NULL:
        return False
    for i in range(out.count):
        ring[i] = out.ring[(out.head + i) & (out.slots - 1)]
    free(out.ring)
    out.ring = ring
    out.slots = slots
    out.head = 0
    return True


cdef uint8_t* out_extend(OutQueue* out, BlockPool* pool, size_t size) noexcept nogil:
    # The first block fits the usual output of a turn, mostly one short reply: one piece makes the cheapest system
    # call. Output beyond the usual size is probably long.
    cdef size_t room = min(out.usual, <size_t>OPEN_MAX) if out.bytes == 0 else <size_t>OPEN_MAX
    cdef Block* block
    if out.count == out.slots and not _widen(out):
        return NULL
    block = block_new(pool, size if size > room else room)
    if block == NULL:
        return NULL
    block.fill = size
    out.ring[(out.head + out.count) & (out.slots - 1)] = Slice(block, 0, size)
    out.count += 1
    out.bytes += size
    out.open = True
    return block.data


cdef bint out_refer(OutQueue* out, Slice piece) noexcept nogil:
    if out.count == out.slots and not _widen(out):
        return False
    block_ref(piece.block)
    out.ring[(out.head + out.count) & (out.slots - 1)] = piece
    out.count += 1
    out.bytes += piece.size
    out.open = False
    return True


cdef void out_sent(OutQueue* out, size_t size) noexcept nogil:
    cdef Slice* piece
    if size > 0:
        out.usual = out.bytes if out.bytes > out.usual else (7 * out.usual + out.bytes) // 8
    out.bytes -= size
    while size > 0:
        piece = &out.ring[out.head]
        if piece.size > size:
            piece.offset += size
            piece.size -= size
            return
        size -= piece.size
        slice_unref(piece)
        out.head = (out.head + 1) & (out.slots - 1)
        out.count -= 1
    if out.count == 0:
        out.open = False


cdef void out_cut(OutQueue* out, size_t size) noexcept nogil:
    cdef Slice* last
    while out.bytes > size:
        last = &out.ring[(out.head + out.count - 1) & (out.slots - 1)]
        if last.size > out.bytes - size:
            last.size -= out.bytes - size
            out.bytes = size
            break
        out.bytes -= last.size
        slice_unref(last)
        out.count -= 1
    # The next bytes begin a block of their own.
    out.open = False


cdef void out_clear(OutQueue* out) noexcept nogil:
    while out.count > 0:
        slice_unref(&out.ring[out.head])
        out.head = (out.head + 1) & (out.slots - 1)
        out.count -= 1
    free(out.ring)
    memset(out, 0, sizeof(OutQueue))
