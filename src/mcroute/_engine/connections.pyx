"""Bytes in and out of connections."""

from libc.string cimport memcpy

from mcroute._engine.beginnings cimport engine_resume
from mcroute._engine.blocks cimport (
    Block, BlockPool, block_always, block_unref, block_new, block_of_share, out_sent,
)
from mcroute._engine.clock cimport engine_began
from mcroute._engine.counters cimport counter_add
from mcroute._engine.dirty cimport conn_break
from mcroute._engine.link_input cimport link_input, link_skip
from mcroute._engine.links cimport link_partly_answered
from mcroute._engine.multigets cimport session_resume
from mcroute._engine.reclaim cimport RESERVED_MAX, replies_reclaim
from mcroute._engine.session_input cimport session_input
from mcroute._engine.session_refusals cimport requests_reclaim, session_refuse
from mcroute._engine.state cimport CONN_LINK, CONN_SESSION, LINK_CONNECTING, LINK_READY, Engine, Link, Session

cdef enum:
    SCRATCH_SIZE = 64 * 1024    # shared read buffer of connections without a started message
    READ_MIN = 16 * 1024        # least room to read into
    REST_ROOM = 4 * 1024        # room behind a started message of unknown size
    LARGE = 16 * 1024           # messages from this size on are read into a block of their own
    LOW_USE_DIVISOR = 4         # memory is plenty while less than this part of a share is used


# ---- bytes in ----

cdef bint _renew_scratch(Engine* engine) noexcept nogil:
    """Makes room in the shared block: reuses it if no slice refers to it or READ_MIN is free, else takes a new one."""
    cdef Block* block = engine.scratch
    if block != NULL:
        if block.refs == 1:
            block.fill = 0
            return True
        if block.capacity - block.fill >= READ_MIN:
            return True
        block_unref(block)
    engine.scratch = block_always(&engine.uploads, SCRATCH_SIZE)
    return engine.scratch != NULL


cdef size_t _wanted(Conn* conn, size_t room) noexcept nogil:
    """Limits the room to a large message: bytes that follow the message would have to be moved out of its block.

    A line without an end always needs one byte more, which is no size.
    """
    cdef size_t held = conn.input.end - conn.input.start
    cdef size_t whole = conn.input.need if held > 0 else conn.input.large
    return min(room, whole - held) if whole >= LARGE and whole > held + 1 else room


cdef Block* _whole(Conn* conn) noexcept nogil:
    """A block for a message as large as the last one, to avoid a copy, if there is plenty of memory; else NULL."""
    cdef BlockPool* pool = &conn.engine.uploads if conn.kind == CONN_SESSION else &conn.engine.pool
    return block_of_share(pool, conn.input.large) if pool.used_bytes < pool.used_share // LOW_USE_DIVISOR else NULL


cdef uint8_t* conn_buffer(Conn* conn, size_t* size) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef Block* block = conn.input.block
    if conn.is_broken:
        return NULL
    if block == NULL and conn.input.large > 0:
        block = _whole(conn)
        conn.input.block = block
        conn.input.start = 0
        conn.input.end = 0
    if block == NULL:
        if not _renew_scratch(engine):
            # A driver that reads nevertheless would lose a part of the stream.
            conn_break(conn)
            return NULL
        block = engine.scratch
        engine.lent_offset = block.fill
    else:
        if conn.kind == CONN_SESSION and (<Session*>conn).is_paused:
            return NULL
        engine.lent_offset = conn.input.end
    engine.reading = conn
    engine.lent = block
    size[0] = block.capacity - engine.lent_offset
    if block != engine.scratch:
        size[0] = _wanted(conn, size[0])
    return block.data + engine.lent_offset


cdef void _keep_nothing(Conn* conn, bint is_shared) noexcept nogil:
    if is_shared or conn.input.end < LARGE:
        conn.input.large = 0
    if not is_shared:
        block_unref(conn.input.block)
    conn.input.block = NULL


cdef bint _fits(const Conn* conn, size_t rest, size_t room) noexcept nogil:
    """Whether the connection's own block has room for the rest of the message."""
    cdef size_t capacity = conn.input.block.capacity
    if conn.kind == CONN_LINK:
        return capacity - conn.input.start >= room
    return capacity - conn.input.end >= REST_ROOM or (
        conn.input.need > rest + 1 and capacity - conn.input.start >= conn.input.need)


cdef size_t _room(const Conn* conn, size_t rest) noexcept nogil:
    """Room for a server's whole message; for a client's, at most twice the bytes received, whatever it announces."""
    cdef size_t room = max(rest + REST_ROOM, conn.input.need)
    return room if conn.kind == CONN_LINK else min(room, max(2 * rest, <size_t>REST_ROOM))


cdef Block* _own_block(Conn* conn, size_t room) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef Block* own
    if conn.kind == CONN_SESSION:
        own = block_of_share(&engine.uploads, room)
        if own == NULL and requests_reclaim(engine, <Session*>conn, 2 * room):
            own = block_of_share(&engine.uploads, room)
        return own
    own = block_of_share(&engine.pool, room)
    if own == NULL:
        replies_reclaim(engine)
        own = block_of_share(&engine.pool, room)
    return own if own != NULL or room > RESERVED_MAX else block_new(&engine.outbound, room)


cdef void _do_without(Conn* conn, bint is_shared) noexcept nogil:
    """Skips or refuses the started message for want of memory; an unfinished line breaks the connection."""
    if conn.kind == CONN_LINK and link_skip(<Link*>conn):
        _parse(conn, is_shared)
        return
    if conn.kind == CONN_LINK or not session_refuse(<Session*>conn):
        if conn.kind == CONN_SESSION:
            counter_add(&conn.engine.counts.closed_memory, 1)
        conn_break(conn)
    conn.input.end = 0
    _keep_nothing(conn, is_shared)


cdef void _keep_rest(Conn* conn, bint is_shared) noexcept nogil:
    """Moves the bytes of an unfinished message into the connection's own block, if they are not there."""
    cdef size_t rest = conn.input.end - conn.input.start
    cdef size_t room = _room(conn, rest)
    cdef Block* block = conn.input.block
    cdef Block* own
    if rest == 0:
        _keep_nothing(conn, is_shared)
        return
    if conn.input.need >= LARGE:
        conn.input.large = conn.input.need
    if not is_shared and _fits(conn, rest, room):
        return
    own = _own_block(conn, room)
    if own == NULL:
        _do_without(conn, is_shared)
        return
    memcpy(own.data, block.data + conn.input.start, rest)
    if not is_shared:
        block_unref(block)
    conn.input.block = own
    conn.input.start = 0
    conn.input.end = rest
    own.fill = rest


cdef void _parse(Conn* conn, bint is_shared) noexcept nogil:
    if conn.kind == CONN_SESSION:
        session_input(<Session*>conn)
    else:
        link_input(<Link*>conn)
    _keep_rest(conn, is_shared)


cdef void conn_received(Conn* conn, size_t size, double now) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef bint is_shared = conn.input.block == NULL
    if engine.reading != conn or size == 0:
        return
    engine.reading = NULL
    engine_began(engine, now)
    if conn.kind == CONN_SESSION:
        counter_add(&engine.counts.bytes_in, size)
    if is_shared:
        conn.input.block = engine.lent
        conn.input.start = engine.lent_offset
        conn.input.end = engine.lent_offset
    conn.input.end += size
    conn.input.block.fill = conn.input.end
    if conn.input.end - conn.input.start >= conn.input.need:
        _parse(conn, is_shared)
    elif is_shared or conn.input.end == conn.input.block.capacity:
        _keep_rest(conn, is_shared)
    if conn.kind == CONN_LINK and not conn.is_broken:
        link_partly_answered(<Link*>conn, size)
    engine_resume(engine, now)


# ---- bytes out ----

cdef bint _is_held(const Conn* conn) noexcept nogil:
    return conn.kind == CONN_LINK and (<const Link*>conn).state != LINK_READY


cdef size_t conn_sendable(const Conn* conn) noexcept nogil:
    if not _is_held(conn):
        return conn.out.bytes
    return (<const Link*>conn).script_unsent if (<const Link*>conn).state != LINK_CONNECTING else 0


cdef int _held_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil:
    """Cuts the pieces to the handshake, whose last piece may contain requests that have to wait."""
    cdef size_t left = conn_sendable(conn)
    cdef int i
    for i in range(count):
        if left == 0:
            return i
        pieces[i].size = min(pieces[i].size, left)
        left -= pieces[i].size
    return count


cdef int conn_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil:
    cdef int i
    cdef unsigned int slot
    if count > <int>conn.out.count:
        count = <int>conn.out.count
    for i in range(count):
        slot = (conn.out.head + i) & (conn.out.slots - 1)
        pieces[i].base = conn.out.ring[slot].block.data + conn.out.ring[slot].offset
        pieces[i].size = conn.out.ring[slot].size
    return _held_iovecs(conn, pieces, count) if _is_held(conn) else count


cdef void conn_sent(Conn* conn, size_t size) noexcept nogil:
    out_sent(&conn.out, size)
    if _is_held(conn):
        (<Link*>conn).script_unsent -= size
    if conn.kind == CONN_SESSION:
        counter_add(&conn.engine.counts.bytes_out, size)
    if conn.kind == CONN_SESSION and (<Session*>conn).is_paused and conn.input.block != NULL:
        # The bytes that were not parsed may fit now.
        engine_began(conn.engine, conn.engine.now)
        _parse(conn, False)
    if conn.kind == CONN_SESSION and (<Session*>conn).has_rounds:
        engine_began(conn.engine, conn.engine.now)
        session_resume(<Session*>conn)
    engine_resume(conn.engine, conn.engine.now)
