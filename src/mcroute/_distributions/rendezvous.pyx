"""The highest score owns the key: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998.

    mixed                     hash of name XOR hash of key, mixed; equal: the lower index
    pymemcache                murmur3 of name and key; equal: the greater name
    emcache                   emcache's hash of key and name; equal: the greater hash of the name, the lower index
    mcrouter                  hashes of name and key folded to one number; equal: the higher index
    mcrouter_weighted         the same fold as a fraction u, weight / -ln u; equal: the lower index
"""

from libc.math cimport log
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mcroute._hashing.murmur cimport hash_murmur3_x64_128, hash_murmur64a
from mcroute._hashing.named cimport key_hash_find
from mcroute._distributions.table cimport RingTable, Text, in_mask, mask_add

cdef enum:
    ROOM = 1024                 # bytes for a name and a key; longer ones are joined on the heap

cdef uint64_t TAG_SEED = 4193360111U
cdef uint64_t KEY_SEED = 2718281828U

SCORES = ("mixed", "pymemcache", "emcache", "mcrouter", "mcrouter_weighted")


cdef inline bint is_out(const uint64_t* taken, int server) noexcept nogil:
    return taken != NULL and in_mask(taken, server)


# ---- mixed

cdef inline uint64_t key64(const uint8_t* text, size_t size) noexcept nogil:
    cdef uint64_t[2] halves
    hash_murmur3_x64_128(text, size, 0, halves)
    return halves[0]


cdef inline uint64_t mix64(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDULL
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return value ^ (value >> 33)


cdef int mixed(const RingTable* table, const uint8_t* text, size_t size, const uint64_t* taken) noexcept nogil:
    cdef uint64_t key = key64(text, size)
    cdef uint64_t best = 0
    cdef uint64_t score
    cdef int owner = -1
    cdef int server
    for server in range(table.size):
        if is_out(taken, server):
            continue
        score = mix64(key ^ table.numbers[server])
        if owner < 0 or score > best:
            best = score
            owner = server
    return owner


# ---- of texts that join name and key: the key stays where it is, the names come and go beside it

# The score is the hash of the joined text. Of equal ones, the greater number in the table is better.
cdef int best_joined(const RingTable* table, uint8_t* room, const uint8_t* text, size_t size,
                     const uint64_t* taken, bint name_first) noexcept nogil:
    cdef uint8_t* key = room + table.label_max if name_first else room
    cdef const Text* name
    cdef uint64_t score
    cdef uint64_t best = 0
    cdef int owner = -1
    cdef int server
    if size:
        memcpy(key, text, size)
    for server in range(table.size):
        if is_out(taken, server):
            continue
        name = &table.labels[server]
        memcpy(key - name.size if name_first else key + size, name.data, name.size)
        score = table.hash(key - name.size if name_first else key, name.size + size, table.seed)
        if owner < 0 or score > best or (score == best and table.numbers[server] > table.numbers[owner]):
            best = score
            owner = server
    return owner


cdef int joined(const RingTable* table, const uint8_t* text, size_t size, const uint64_t* taken,
                bint name_first) noexcept nogil:
    cdef uint8_t[ROOM] room
    cdef uint8_t* copy = room
    cdef int owner
    if table.label_max + size > ROOM:
        copy = <uint8_t*>malloc(table.label_max + size)
        if copy == NULL:
            return mixed(table, text, size, taken)
    owner = best_joined(table, copy, text, size, taken, name_first)
    if copy != room:
        free(copy)
    return owner


cdef int pymemcache(const RingTable* table, const uint8_t* text, size_t size,
                    const uint64_t* taken) noexcept nogil:
    return joined(table, text, size, taken, True)


cdef int emcache(const RingTable* table, const uint8_t* text, size_t size,
                 const uint64_t* taken) noexcept nogil:
    return joined(table, text, size, taken, False)


# ---- mcrouter's: CityHash's reduction of 128 bits to 64

cdef inline uint64_t folded(uint64_t high, uint64_t low) noexcept nogil:
    cdef uint64_t value = (low ^ high) * 0x9DDFEA08EB382D69ULL
    value = (high ^ value ^ (value >> 47)) * 0x9DDFEA08EB382D69ULL
    return (value ^ (value >> 47)) * 0x9DDFEA08EB382D69ULL


cdef int mcrouter(const RingTable* table, const uint8_t* text, size_t size,
                  const uint64_t* taken) noexcept nogil:
    cdef uint64_t key = hash_murmur64a(text, size, KEY_SEED)
    cdef double best = 0
    cdef double score
    cdef int owner = -1
    cdef int server
    for server in range(table.size):
        if is_out(taken, server):
            continue
        score = <double>folded(table.numbers[server], key)
        if score >= best:
            best = score
            owner = server
    return owner


cdef int mcrouter_weighted(const RingTable* table, const uint8_t* text, size_t size,
                           const uint64_t* taken) noexcept nogil:
    cdef uint64_t key = hash_murmur64a(text, size, KEY_SEED)
    cdef double best = -1
    cdef double score, fraction
    cdef int owner = -1
    cdef int server
    for server in range(table.size):
        if is_out(taken, server):
            continue
        fraction = <double>(folded(table.numbers[server], key) & 0x1FFFFFFFFFFFFFULL) / 9007199254740992.0
        score = table.weights[server] * (1.0 / -log(fraction))
        if score > best:
            best = score
            owner = server
    return owner


cdef ScoreRule score_rule_find(str name) except NULL:
    if name == "mixed":
        return mixed
    if name == "pymemcache":
        return pymemcache
    if name == "emcache":
        return emcache
    if name == "mcrouter":
        return mcrouter
    if name == "mcrouter_weighted":
        return mcrouter_weighted
    raise ValueError(f"score: {name!r} is none of {', '.join(SCORES)}")


# ---- building

# The number of each server that decides between equal scores.
cdef uint64_t number_of(str rule, bytes name, dict ranked) except? 0:
    cdef const uint8_t* data = <const uint8_t*><const char*>name
    if rule == "mixed":
        return key64(data, len(name))
    if rule == "pymemcache":
        return ranked[name]
    if rule == "emcache":
        return key_hash_find("emcache")(data, len(name), 0)
    return hash_murmur64a(data, len(name), TAG_SEED)


cdef int build_rendezvous(RingTable* table, str name, tuple names) except -1:
    cdef bytes label
    cdef int server
    ranked = {label: rank for rank, label in enumerate(sorted(names))}
    table.numbers = <uint64_t*>malloc(table.size * sizeof(uint64_t))
    table.labels = <Text*>malloc(table.size * sizeof(Text))
    if table.numbers == NULL or table.labels == NULL:
        raise MemoryError
    for server, label in enumerate(names):
        table.numbers[server] = number_of(name, label, ranked)
        table.labels[server] = Text(<const uint8_t*><const char*>label, len(label))
        table.label_max = max(table.label_max, <size_t>len(label))
    return 0


cdef int rendezvous_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return table.score(table, text, size, NULL)


cdef int rendezvous_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                         int* out) noexcept nogil:
    cdef int found = 0
    cdef int server
    while found < count:
        server = table.score(table, text, size, taken)
        if server < 0:
            break
        mask_add(taken, server)
        out[found] = server
        found += 1
    return found
