"""Which server owns a key: five distributions behind one immutable table.

A table is built once from names and weights. Ejecting a server never changes it: a lookup is given the
indices to skip, and walks on to the next server of the key's failover order.

    murmur3     160 points per unit of weight; key hash murmur3 x86 32
    ketama      as twemproxy 0.5.0 with its default key hash; names are what twemproxy calls the servers
    modula      as twemproxy 0.5.0 with its default key hash
    jump        Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014
    rendezvous  Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998
"""

cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact
from libc.math cimport floorf
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from mcroute._hashing cimport (
    hash_fnv1a_64_signed,
    hash_md5,
    hash_murmur3_32,
    hash_murmur3_x64_128,
)

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t* PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    SERVERS_MAX = 65536
    MASK_WORDS = 1024           # SERVERS_MAX bits
    POINTS_MAX = 1 << 24        # 128 MiB of points; more weight than that is a mistake
    GROUPS_PER_WEIGHT = 40      # of 4 points each
    JUMP_ROUNDS = 32
    SUFFIX_MAX = 11             # bytes of "-4294967295"

cdef enum Kind:
    MURMUR3
    KETAMA
    MODULA
    JUMP
    RENDEZVOUS

DISTRIBUTIONS = ("murmur3", "ketama", "modula", "jump", "rendezvous")

cdef struct Point:
    uint32_t at                 # place on the circle; of modula, nothing
    uint32_t server

cdef struct RingTable:
    int kind
    int size                    # servers
    uint32_t count              # points, or slots of modula
    # murmur3 and ketama: sorted, with one more point at 2**32 - 1 that stands for the first one, so that the
    # search needs no end check.
    Point* points
    # buckets[h >> shift] is the first point that can be at or behind h: about one step from the answer.
    uint32_t* buckets
    int shift
    uint64_t* seeds             # rendezvous: hash of each server's name

cdef array.array INDICES = array.array("i")


cdef inline uint64_t mix64(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDULL
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return value ^ (value >> 33)


cdef inline uint64_t key64(const uint8_t* key, size_t size) noexcept nogil:
    cdef uint64_t[2] halves
    hash_murmur3_x64_128(key, size, 0, halves)
    return halves[0]


cdef inline bint in_mask(const uint64_t* mask, uint32_t server) noexcept nogil:
    return (mask[server >> 6] >> (server & 63)) & 1


cdef inline void put_in_mask(uint64_t* mask, uint32_t server) noexcept nogil:
    mask[server >> 6] |= <uint64_t>1 << (server & 63)


# ---- points and slots: the failover order is the order of first appearance, walking on from the key

# Index of the first point at or behind the key's place.
cdef inline uint32_t first_point(const RingTable* table, const uint8_t* key, size_t size) noexcept nogil:
    cdef uint32_t at, i
    if table.kind == MURMUR3:
        at = hash_murmur3_32(key, size, 0)
    else:
        at = <uint32_t>hash_fnv1a_64_signed(key, size)
        if table.kind == MODULA:
            return at % table.count
    i = table.buckets[at >> table.shift]
    while table.points[i].at < at:
        i += 1
    return i


cdef int walk_points(const RingTable* table, const uint8_t* key, size_t size, uint64_t* taken,
                     int count, int* out) noexcept nogil:
    cdef uint32_t i = first_point(table, key, size)
    cdef uint32_t _step, server
    cdef int found = 0
    for _step in range(table.count):
        if i >= table.count:
            i -= table.count
        server = table.points[i].server
        if not in_mask(taken, server):
            put_in_mask(taken, server)
            out[found] = <int>server
            found += 1
            if found == count:
                break
        i += 1
    return found


# ---- jump: the failover order is JUMP_ROUNDS further throws, then on from the last one index by index

cdef inline uint64_t next_throw(uint64_t key) noexcept nogil:
    return mix64(key + 0x9E3779B97F4A7C15ULL)


cdef inline int jump(uint64_t key, int size) noexcept nogil:
    cdef int64_t bucket = -1
    cdef int64_t following = 0
    while following < size:
        bucket = following
        key = key * 2862933555777941757ULL + 1
        following = <int64_t>(<double>(bucket + 1) * (2147483648.0 / <double>((key >> 33) + 1)))
    return <int>bucket


cdef int walk_jump(const RingTable* table, const uint8_t* key, size_t size, uint64_t* taken,
                   int count, int* out) noexcept nogil:
    cdef uint64_t thrown = key64(key, size)
    cdef int server = 0
    cdef int found = 0
    cdef int step
    for step in range(JUMP_ROUNDS + table.size):
        if step < JUMP_ROUNDS:
            server = jump(thrown, table.size)
            thrown = next_throw(thrown)
        else:
            server = (server + 1) % table.size
        if not in_mask(taken, server):
            put_in_mask(taken, server)
            out[found] = server
            found += 1
            if found == count:
                break
    return found


# ---- rendezvous: the failover order is by falling score; of equal scores the lower index is first

cdef int best_score(const RingTable* table, uint64_t key, const uint64_t* taken) noexcept nogil:
    cdef uint64_t best = 0
    cdef uint64_t score
    cdef int owner = -1
    cdef int server
    for server in range(table.size):
        if taken != NULL and in_mask(taken, server):
            continue
        score = mix64(key ^ table.seeds[server])
        if owner < 0 or score > best:
            best = score
            owner = server
    return owner


cdef int walk_rendezvous(const RingTable* table, const uint8_t* key, size_t size, uint64_t* taken,
                         int count, int* out) noexcept nogil:
    cdef uint64_t hashed = key64(key, size)
    cdef int found = 0
    cdef int server
    while found < count:
        server = best_score(table, hashed, taken)
        if server < 0:
            break
        put_in_mask(taken, server)
        out[found] = server
        found += 1
    return found


# ---- the public functions

cdef RingTable* ring_table(Ring ring) noexcept:
    return ring.table


cdef int ring_size(const RingTable* table) noexcept nogil:
    return table.size


cdef inline int owner_of(const RingTable* table, const uint8_t* key, size_t size) noexcept nogil:
    if table.kind <= MODULA:
        return <int>table.points[first_point(table, key, size)].server
    if table.kind == JUMP:
        return jump(key64(key, size), table.size)
    return best_score(table, key64(key, size), NULL)


cdef int ring_owner(const RingTable* table, const uint8_t* key, size_t size,
                    const uint64_t* skip) noexcept nogil:
    cdef int owner = owner_of(table, key, size)
    if skip == NULL or not in_mask(skip, owner):
        return owner
    return owner if ring_owners(table, key, size, skip, 1, &owner) else -1


cdef int ring_owners(const RingTable* table, const uint8_t* key, size_t size, const uint64_t* skip,
                     int count, int* out) noexcept nogil:
    cdef uint64_t[MASK_WORDS] taken
    cdef size_t mask_size = (table.size + 63) // 64 * sizeof(uint64_t)
    if count > table.size:
        count = table.size
    if count <= 0:
        return 0
    if skip == NULL:
        memset(taken, 0, mask_size)
    else:
        memcpy(taken, skip, mask_size)
    if table.kind <= MODULA:
        return walk_points(table, key, size, taken, count, out)
    if table.kind == JUMP:
        return walk_jump(table, key, size, taken, count, out)
    return walk_rendezvous(table, key, size, taken, count, out)


# ---- building

# Writes "-<number>" and returns its size.
cdef size_t write_suffix(uint8_t* at, uint32_t number) noexcept nogil:
    cdef uint32_t rest = number
    cdef size_t digits = 1
    cdef size_t i
    while rest >= 10:
        rest //= 10
        digits += 1
    at[0] = 45      # "-"
    for i in range(digits, 0, -1):
        at[i] = 48 + number % 10
        number //= 10
    return digits + 1


# Four points of group `group`; `name` has room for the suffix behind its `size` bytes.
cdef void hash_group(int kind, uint8_t* name, size_t size, uint32_t group, uint32_t* out) noexcept nogil:
    cdef uint64_t[2] halves
    cdef uint8_t[16] digest
    cdef int i
    size += write_suffix(name + size, group)
    if kind == MURMUR3:
        hash_murmur3_x64_128(name, size, 0, halves)
        for i in range(4):
            out[i] = <uint32_t>(halves[i >> 1] >> (32 * (i & 1)))
    else:
        hash_md5(name, size, digest)
        for i in range(4):
            out[i] = (
                digest[4 * i]
                | (<uint32_t>digest[4 * i + 1] << 8)
                | (<uint32_t>digest[4 * i + 2] << 16)
                | (<uint32_t>digest[4 * i + 3] << 24)
            )


cdef Point* add_groups(Point* end, int kind, bytes name, uint32_t server, uint32_t groups) except NULL:
    cdef size_t size = len(name)
    cdef uint32_t[4] at
    cdef uint32_t group
    cdef int i
    cdef uint8_t* text = <uint8_t*>malloc(size + SUFFIX_MAX)
    if text == NULL:
        raise MemoryError
    memcpy(text, <const char*>name, size)
    with nogil:
        for group in range(groups):
            hash_group(kind, text, size, group, at)
            for i in range(4):
                end.at = at[i]
                end.server = server
                end += 1
    free(text)
    return end


# Stable, two bytes a pass: equal points stay in the order in which they were added. `spare` is as long.
# Two passes, so the result is in `points` again.
cdef void sort_points(Point* points, Point* spare, uint32_t count, uint32_t* starts) noexcept nogil:
    cdef int shift = 0
    cdef uint32_t i, digit, total, here
    cdef Point* swap
    while shift < 32:
        memset(starts, 0, 65536 * sizeof(uint32_t))
        for i in range(count):
            starts[(points[i].at >> shift) & 0xFFFF] += 1
        total = 0
        for digit in range(65536):
            here = starts[digit]
            starts[digit] = total
            total += here
        for i in range(count):
            digit = (points[i].at >> shift) & 0xFFFF
            spare[starts[digit]] = points[i]
            starts[digit] += 1
        swap = points
        points = spare
        spare = swap
        shift += 16


cdef int index_points(RingTable* table) except -1:
    cdef int bits = 1
    cdef uint32_t bucket
    cdef uint32_t i = 0
    while bits < 24 and (<uint32_t>1 << bits) < table.count:
        bits += 1
    table.shift = 32 - bits
    table.buckets = <uint32_t*>malloc((<size_t>1 << bits) * sizeof(uint32_t))
    if table.buckets == NULL:
        raise MemoryError
    for bucket in range(<uint32_t>1 << bits):
        while i < table.count and table.points[i].at >> table.shift < bucket:
            i += 1
        table.buckets[bucket] = i
    return 0


# How many groups of 4 points twemproxy 0.5.0 gives a server: every step in single precision, so that
# 25 equal servers have 39 groups each, not 40.
cdef uint32_t ketama_groups(uint32_t weight, uint32_t total, uint32_t servers) noexcept nogil:
    cdef float share = <float>weight / <float>total
    cdef float groups = share * <float>160 / <float>4 * <float>servers
    return <uint32_t>floorf(<float>(<double>groups + 0.0000000001))


cdef int build_points(RingTable* table, list ranked, list groups) except -1:
    cdef uint32_t total = 4 * sum(groups)
    cdef Point* end
    cdef Point* spare
    cdef uint32_t* starts
    table.points = <Point*>malloc((<size_t>total + 1) * sizeof(Point))
    if table.points == NULL:
        raise MemoryError
    end = table.points
    for (name, server), of_server in zip(ranked, groups, strict=True):
        end = add_groups(end, table.kind, name, server, of_server)
    table.count = total
    spare = <Point*>malloc(<size_t>total * sizeof(Point))
    starts = <uint32_t*>malloc(65536 * sizeof(uint32_t))
    if spare == NULL or starts == NULL:
        free(spare)
        free(starts)
        raise MemoryError
    with nogil:
        sort_points(table.points, spare, total, starts)
    free(spare)
    free(starts)
    table.points[total].at = 0xFFFFFFFFU
    table.points[total].server = table.points[0].server
    return index_points(table)


cdef int build_slots(RingTable* table, list ranked, tuple weights) except -1:
    cdef uint32_t slot = 0
    cdef uint32_t _slot, server
    table.count = sum(weights)
    table.points = <Point*>calloc(table.count, sizeof(Point))
    if table.points == NULL:
        raise MemoryError
    for _, server in ranked:
        for _slot in range(<uint32_t>weights[server]):
            table.points[slot].server = server
            slot += 1
    return 0


cdef int build_seeds(RingTable* table, list names) except -1:
    cdef bytes name
    cdef int server
    table.seeds = <uint64_t*>malloc(table.size * sizeof(uint64_t))
    if table.seeds == NULL:
        raise MemoryError
    for server, name in enumerate(names):
        table.seeds[server] = key64(<const uint8_t*><const char*>name, len(name))
    return 0


cdef tuple checked_servers(servers):
    if isinstance(servers, (str, bytes)):
        raise TypeError("servers: expected a sequence of names, not one string")
    names = tuple(servers)
    if not 1 <= len(names) <= SERVERS_MAX:
        raise ValueError(f"servers: expected 1 to {SERVERS_MAX} names, got {len(names)}")
    first = {}
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"servers[{i}]: expected a str, got {type(name).__name__}")
        if not name:
            raise ValueError(f"servers[{i}]: empty name")
        if first.setdefault(name, i) != i:
            raise ValueError(f"servers[{i}]: {name!r} is already servers[{first[name]}]")
    return names


cdef tuple checked_weights(weights, tuple names, str distribution):
    if weights is None:
        return (1,) * len(names)
    weights = tuple(weights)
    if len(weights) != len(names):
        raise ValueError(f"weights: expected {len(names)} of them, one a server, got {len(weights)}")
    for i, weight in enumerate(weights):
        if not isinstance(weight, int):
            raise TypeError(f"weights[{i}]: expected an int, got {type(weight).__name__}")
        if weight < 1:
            raise ValueError(f"weights[{i}]: {weight} is not positive")
        if weight != 1 and distribution in ("jump", "rendezvous"):
            raise ValueError(f"weights[{i}]: {distribution} knows no weights, got {weight}")
    cells = {"murmur3": 4 * GROUPS_PER_WEIGHT, "modula": 1}.get(distribution, 0)
    if sum(weights) * cells > POINTS_MAX or sum(weights) >= 1 << 31:
        raise ValueError(f"weights: their sum, {sum(weights)}, is too large for {distribution}")
    return weights


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


# A copy as exactly bytes or str of what borrow_key does not take.
cdef object owned_key(object key):
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (bytes, bytearray, memoryview)):
        return bytes(memoryview(key))
    raise TypeError(f"key: expected str or bytes-like, got {type(key).__name__}")


cdef int mark(const RingTable* table, object skip, uint64_t* mask) except -1:
    cdef int size = table.size
    cdef int words = (size + 63) // 64
    cdef int i
    if isinstance(skip, int):
        if skip < 0 or skip >> size:
            raise ValueError(f"skip: bits outside of {size} servers")
        for i in range(words):
            mask[i] = (skip >> (64 * i)) & 0xFFFFFFFFFFFFFFFF
        return 0
    memset(mask, 0, words * sizeof(uint64_t))
    for server in skip:
        if not 0 <= server < size:
            raise ValueError(f"skip: index {server} outside of {size} servers")
        put_in_mask(mask, server)
    return 0


cdef int owner_skipping(const RingTable* table, const uint8_t* data, size_t size, object skip) except -1:
    cdef uint64_t[MASK_WORDS] mask
    mark(table, skip, mask)
    cdef int owner = ring_owner(table, data, size, mask)
    if owner < 0:
        raise LookupError("every server is skipped")
    return owner


cdef int route_held(const RingTable* table, tuple held, const uint8_t** data, size_t* sizes, int* out,
                    object skip) except -1:
    cdef uint64_t[MASK_WORDS] mask
    cdef Py_ssize_t count = len(held)
    cdef Py_ssize_t i
    cdef int worst = 0
    cdef list copies = []       # of keys that are neither bytes nor str
    for i in range(count):
        if not borrow_key(held[i], &data[i], &sizes[i]):
            copy = owned_key(held[i])
            copies.append(copy)
            borrow_key(copy, &data[i], &sizes[i])
    if skip is None:
        with nogil:
            for i in range(count):
                out[i] = owner_of(table, data[i], sizes[i])
        return 0
    mark(table, skip, mask)
    with nogil:
        for i in range(count):
            out[i] = ring_owner(table, data[i], sizes[i], mask)
            worst = min(worst, out[i])
    if worst < 0:
        raise LookupError("every server is skipped")
    return 0


@cython.final
cdef class Ring:
    """An immutable ring: `servers` (names), a `distribution` and, if not all 1, `weights` (positive ints).

    Keys are bytes-like or str (hashed as UTF-8). Servers are answered as indices into `servers`; `skip` is an
    iterable of indices or an int with a bit set for each index to pass over: what lies in it takes no keys,
    and no other key moves. Servers in order of (length, bytes) of their names break ties.

    Raises ValueError or TypeError naming the place, as in `servers[2]`; MemoryError.
    """

    def __cinit__(self, servers, str distribution="murmur3", weights=None):
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution: {distribution!r} is none of {', '.join(DISTRIBUTIONS)}")
        self.servers = checked_servers(servers)
        self.weights = checked_weights(weights, self.servers, distribution)
        self.distribution = distribution
        self.table = <RingTable*>calloc(1, sizeof(RingTable))
        if self.table == NULL:
            raise MemoryError
        self.table.kind = DISTRIBUTIONS.index(distribution)
        self.table.size = len(self.servers)
        names = [name.encode() for name in self.servers]
        ranked = sorted(zip(names, range(len(names)), strict=True), key=lambda pair: (len(pair[0]), pair[0]))
        total = sum(self.weights)
        if distribution == "murmur3":
            build_points(self.table, ranked, [GROUPS_PER_WEIGHT * self.weights[i] for _, i in ranked])
        elif distribution == "ketama":
            groups = [ketama_groups(self.weights[i], total, len(names)) for _, i in ranked]
            build_points(self.table, ranked, groups)
        elif distribution == "modula":
            build_slots(self.table, ranked, self.weights)
        elif distribution == "rendezvous":
            build_seeds(self.table, names)

    def __dealloc__(self):
        if self.table != NULL:
            free(self.table.points)
            free(self.table.buckets)
            free(self.table.seeds)
            free(self.table)

    def owner(self, key, skip=None):
        """Index of the server that owns `key`.

        Raises LookupError when every server with a share of the keys is skipped, TypeError for a key that is
        neither str nor bytes-like, ValueError for a `skip` outside of the servers.
        """
        cdef const uint8_t* data = NULL
        cdef size_t size = 0
        if not borrow_key(key, &data, &size):
            key = owned_key(key)
            borrow_key(key, &data, &size)
        if skip is None:
            return owner_of(self.table, data, size)
        return owner_skipping(self.table, data, size, skip)

    def owners(self, key, int n, skip=None):
        """The first `n` distinct servers in the failover order of `key`; fewer when there are no more.

        Raises ValueError when n is negative, else as `owner`.
        """
        cdef const uint8_t* data = NULL
        cdef size_t size = 0
        cdef uint64_t[MASK_WORDS] mask
        if n < 0:
            raise ValueError(f"n: {n} is negative")
        if not borrow_key(key, &data, &size):
            key = owned_key(key)
            borrow_key(key, &data, &size)
        if skip is not None:
            mark(self.table, skip, mask)
        cdef array.array found = array.clone(INDICES, min(n, self.table.size), False)
        cdef int count = ring_owners(
            self.table, data, size, mask if skip is not None else NULL, <int>len(found), found.data.as_ints
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
        cdef array.array found = array.clone(INDICES, count, False)
        cdef const uint8_t** data = <const uint8_t**>malloc((count + 1) * sizeof(uint8_t*))
        cdef size_t* sizes = <size_t*>malloc((count + 1) * sizeof(size_t))
        try:
            if data == NULL or sizes == NULL:
                raise MemoryError
            route_held(self.table, held, data, sizes, found.data.as_ints, skip)
        finally:
            free(data)
            free(sizes)
        return found

    def __len__(self):
        return self.table.size

    def __eq__(self, other):
        if not isinstance(other, Ring):
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash((self.servers, self.distribution, self.weights))

    def __reduce__(self):
        return Ring, (self.servers, self.distribution, self.weights)

    def __repr__(self):
        weights = "" if set(self.weights) == {1} else f", weights={list(self.weights)}"
        return f"Ring({list(self.servers)}, {self.distribution!r}{weights})"
