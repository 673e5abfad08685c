"""The ring, which maps a key to its server: `Ring`, and functions for C code: `from mcroute._ring cimport ring_owner`.

A table is built once from a placement (see `mcroute.placement`). Ejections never change it: a lookup skips the
given indices, and continues with the next server of the key's failover order.
"""

cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from mcroute._distributions.building cimport table_bytes, table_fill, table_free
from mcroute._distributions.keys cimport KeyText, key_release, key_read
from mcroute._distributions.points cimport points_owner, points_owners
from mcroute._distributions.table cimport MASK_WORDS, RingTable, in_mask, mask_words, mask_add

from mcroute.placement import own_placement

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t* PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef array.array INDICES = array.array("i")


# ---- the public functions

cdef RingTable* ring_table(Ring ring) noexcept:
    return ring.table


cdef int ring_size(const RingTable* table) noexcept nogil:
    return table.size


cdef int owner_of_part(const RingTable* table, const uint8_t* key, size_t size) noexcept nogil:
    cdef KeyText text
    cdef int owner
    key_read(&table.key, key, size, &text)
    owner = table.owner(table, text.data, text.size)
    key_release(&text)
    return owner


cdef inline int owner_of(const RingTable* table, const uint8_t* key, size_t size) noexcept nogil:
    return owner_of_part(table, key, size) if table.reads_key else table.owner(table, key, size)


cdef int ring_owner(const RingTable* table, const uint8_t* key, size_t size,
                    const uint64_t* skip) noexcept nogil:
    cdef int owner = owner_of(table, key, size)
    if skip == NULL or not in_mask(skip, owner):
        return owner
    return owner if ring_owners(table, key, size, skip, 1, &owner) else -1


cdef void ring_owner_each(const RingTable* table, const uint8_t** keys, size_t* sizes, size_t count,
                          int* out) noexcept nogil:
    cdef size_t i
    if table.owner == points_owner and not table.reads_key:
        points_owners(table, keys, sizes, count, out)
        return
    for i in range(count):
        out[i] = owner_of(table, keys[i], sizes[i])


cdef int walk_from(const RingTable* table, const uint8_t* key, size_t size, uint64_t* taken, int count,
                   int* out) noexcept nogil:
    cdef KeyText text
    cdef int found
    if not table.reads_key:
        return table.walk(table, key, size, taken, count, out)
    key_read(&table.key, key, size, &text)
    found = table.walk(table, text.data, text.size, taken, count, out)
    key_release(&text)
    return found


cdef int ring_owners(const RingTable* table, const uint8_t* key, size_t size, const uint64_t* skip,
                     int count, int* out) noexcept nogil:
    cdef uint64_t[MASK_WORDS] room
    cdef uint64_t* taken = room
    cdef size_t mask_size = mask_words(table) * sizeof(uint64_t)
    cdef int found
    count = min(count, table.size)
    if count <= 0:
        return 0
    if mask_words(table) > MASK_WORDS:
        taken = <uint64_t*>malloc(mask_size)
        if taken == NULL:
            return 0
    if skip == NULL:
        memset(taken, 0, mask_size)
    else:
        memcpy(taken, skip, mask_size)
    found = walk_from(table, key, size, taken, count, out)
    if taken != room:
        free(taken)
    return found


# ---- Python

cdef inline int borrow_key(object key, const uint8_t** data, size_t* size) except -1:
    cdef Py_ssize_t length
    if PyBytes_CheckExact(key):
        data[0] = <const uint8_t*>PyBytes_AS_STRING(key)
        size[0] = PyBytes_GET_SIZE(key)
    elif not PyUnicode_CheckExact(key):
        return 0
    elif PyUnicode_IS_COMPACT_ASCII(key):
        data[0] = PyUnicode_1BYTE_DATA(key)
        size[0] = PyUnicode_GET_LENGTH(key)
    else:
        data[0] = <const uint8_t*>PyUnicode_AsUTF8AndSize(key, &length)
        size[0] = length
    return 1


# The key as exactly bytes or str, for types that borrow_key does not accept.
cdef object owned_key(object key):
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (bytes, bytearray, memoryview)):
        return bytes(memoryview(key))
    raise TypeError(f"key: expected str or bytes-like, got {type(key).__name__}")


# The mask of skipped servers, as bytes.
cdef bytearray mark(const RingTable* table, object skip):
    cdef bytearray held = bytearray(mask_words(table) * sizeof(uint64_t))
    cdef uint64_t* mask = <uint64_t*><char*>held
    cdef int size = table.size
    if isinstance(skip, int):
        raise TypeError("skip: an iterable of indices is expected, not an int: skip=[index] for one server")
    for server in skip:
        if not 0 <= server < size:
            raise ValueError(f"skip: index {server} outside of {size} servers")
        mask_add(mask, server)
    return held


cdef inline const uint64_t* words_of(bytearray mask) noexcept:
    return <const uint64_t*><char*>mask if mask is not None else NULL


cdef int owner_skipping(const RingTable* table, const uint8_t* data, size_t size, bytearray mask) except -1:
    cdef int owner = ring_owner(table, data, size, words_of(mask))
    if owner < 0:
        raise LookupError("every server that may own the key is skipped")
    return owner


cdef int route_held(const RingTable* table, tuple held, const uint8_t** data, size_t* sizes, int* out,
                    bytearray mask) except -1:
    cdef Py_ssize_t count = len(held)
    cdef Py_ssize_t i
    cdef int worst = 0
    cdef list copies = []       # of keys that are neither bytes nor str
    cdef const uint64_t* words = words_of(mask)
    for i in range(count):
        if not borrow_key(held[i], &data[i], &sizes[i]):
            copy = owned_key(held[i])
            copies.append(copy)
            borrow_key(copy, &data[i], &sizes[i])
    with nogil:
        if words == NULL:
            ring_owner_each(table, data, sizes, count, out)
        else:
            for i in range(count):
                out[i] = ring_owner(table, data[i], sizes[i], words)
                worst = min(worst, out[i])
    if worst < 0:
        raise LookupError("every server that may own a key is skipped")
    return 0


# The ring without these servers: the system's own, if it recomputes its points. The latest one is kept.
cdef Ring ring_without(Ring ring, bytearray mask):
    cdef const uint64_t* words = words_of(mask)
    cdef int i
    if ring.inherited is None or not ring.inherited.recomputes:
        return ring
    out = frozenset([i for i in range(ring.table.size) if in_mask(words, i)])
    if not out:
        return ring
    with cython.critical_section(ring):
        rebuilt = ring.rebuilt
        if rebuilt is None or rebuilt[0] != out:
            left = ring.inherited.without(out)
            has_points = any([groups for _, _, groups in left.placement.laid])
            rebuilt = ring.rebuilt = (out, Ring(left) if has_points else None)
    # If no remaining server has a share of the keys, the others are skipped in the usual way.
    return ring if rebuilt[1] is None else rebuilt[1]


cdef object inherited_type():
    # Imported late: mcroute's own distributions do not need the table of systems.
    from mcroute.placement import Inherited

    return Inherited


@cython.final
cdef class Ring:
    """An immutable ring: `servers` (names), a `distribution` and, if not all 1, `weights` (positive ints).

    Keys are bytes-like or str (hashed as UTF-8). Methods return indices into `servers`; `skip` is an iterable of
    indices: skipped servers get no keys, and the other servers keep theirs. Ties go to the server that comes first
    by (length, bytes) of its name.

    `Ring.like` places keys as another client or proxy does; its placement may also be given as `servers`.

    Raises ValueError or TypeError naming the place, as in `servers[2]`; MemoryError.
    """

    def __cinit__(self, servers, str distribution="murmur3", weights=None):
        if not isinstance(servers, (list, tuple)) and isinstance(servers, inherited_type()):
            if distribution != "murmur3" or weights is not None:
                raise TypeError("distribution, weights: they are in what was inherited")
            self.inherited = servers
            self.servers = servers.names
            self.weights = servers.weights
            self.distribution = servers.system
            self.placement = servers.placement
        else:
            self.placement, self.servers, self.weights = own_placement(servers, distribution, weights)
            self.distribution = distribution
        self.table = <RingTable*>calloc(1, sizeof(RingTable))
        if self.table == NULL:
            raise MemoryError
        table_fill(self.table, self.placement)

    def __dealloc__(self):
        table_free(self.table)

    @classmethod
    def like(cls, str system, servers, *, str out="skip", str keys="client", **options):
        """A ring that places keys as `system` does, with the system's names of options and its defaults.

        `servers` are in the system's notation, or tuples (host, port, weight, name), or objects with these
        attributes; for systems that only count them, their number. With `out` "skip", a skipped server's keys go to the
        next candidate; with "theirs", the system's own rule applies: it may move other keys too, or give no server.
        `keys` are those of the application ("client"), or those on the "wire", where they begin with the client's
        prefix.

        Raises ConfigError, a ValueError, with the reason, for anything that the system does not support or refuses.
        Issues PlacementWarning for surprising behaviour. docs/placement.md has every system.
        """
        from mcroute.placement import inherit

        return cls(inherit(system, servers, out=out, keys=keys, **options))

    def owner(self, key, skip=None):
        """Index of the server that owns `key`.

        Raises LookupError when every server with a share of the keys is skipped, TypeError for a key that is
        neither str nor bytes-like or a `skip` that is no iterable, ValueError for one outside of the servers.
        """
        cdef const uint8_t* data = NULL
        cdef size_t size = 0
        cdef Ring ring = self
        if not borrow_key(key, &data, &size):
            key = owned_key(key)
            borrow_key(key, &data, &size)
        if skip is None:
            return owner_of(self.table, data, size)
        mask = mark(self.table, skip)
        ring = ring_without(self, mask)
        return owner_skipping(ring.table, data, size, mask)

    def owners(self, key, int n, skip=None):
        """The first `n` distinct servers in the failover order of `key`; fewer when there are no more.

        Raises ValueError when n is negative, else as `owner`.
        """
        cdef const uint8_t* data = NULL
        cdef size_t size = 0
        cdef bytearray mask = None
        cdef Ring ring = self
        if n < 0:
            raise ValueError(f"n: {n} is negative")
        if not borrow_key(key, &data, &size):
            key = owned_key(key)
            borrow_key(key, &data, &size)
        if skip is not None:
            mask = mark(self.table, skip)
            ring = ring_without(self, mask)
        cdef array.array found = array.clone(INDICES, min(n, self.table.size), False)
        cdef int count = ring_owners(
            ring.table, data, size, words_of(mask), <int>len(found), found.data.as_ints
        )
        return found[:count].tolist()

    def candidates(self, key, skip=None):
        """Every server with a share of the keys, in the failover order of `key`: `owner` first.

        Raises as `owner`.
        """
        return self.owners(key, self.table.size, skip)

    def route_many(self, keys, skip=None):
        """The owner of each of `keys`, as array.array("i"). Hashes and looks up without the GIL.

        Raises as `owner`.
        """
        cdef tuple held = tuple(keys)
        cdef Py_ssize_t count = len(held)
        cdef bytearray mask = None
        cdef Ring ring = self
        if skip is not None:
            mask = mark(self.table, skip)
            ring = ring_without(self, mask)
        cdef array.array found = array.clone(INDICES, count, False)
        cdef const uint8_t** data = <const uint8_t**>malloc((count + 1) * sizeof(uint8_t*))
        cdef size_t* sizes = <size_t*>malloc((count + 1) * sizeof(size_t))
        try:
            if data == NULL or sizes == NULL:
                raise MemoryError
            route_held(ring.table, held, data, sizes, found.data.as_ints, mask)
        finally:
            free(data)
            free(sizes)
        return found

    def shares(self):
        """The share of each server, from 0 to 1: of the points on the circle, or of the slots.

        None for distributions without points, whose shares are even, or follow the weights.
        """
        cdef uint64_t total = 0
        cdef size_t i
        if self.table.count == 0:
            return None
        found = [0] * self.table.size
        for i in range(self.table.count):
            if self.table.points != NULL:
                found[self.table.points[i].server] += 1
            else:
                found[self.table.slots[i] if self.table.slots != NULL else i] += 1
            total += 1
        return [points / total for points in found]

    def __len__(self):
        return self.table.size

    def __sizeof__(self):
        """Bytes of the ring's table, without Python objects such as names and addresses."""
        return object.__sizeof__(self) + table_bytes(self.table)

    def __eq__(self, other):
        if not isinstance(other, Ring):
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash((self.inherited or (self.servers, self.weights), self.distribution))

    def __reduce__(self):
        if self.inherited is not None:
            return Ring, (self.inherited,)
        return Ring, (self.servers, self.distribution, self.weights)

    def __repr__(self):
        if self.inherited is not None:
            return f"Ring.{self.inherited!r}"
        weights = "" if set(self.weights) == {1} else f", weights={list(self.weights)}"
        return f"Ring({list(self.servers)}, {self.distribution!r}{weights})"
