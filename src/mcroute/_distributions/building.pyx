"""A placement, which is Python, laid out as the table of a ring."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from mcroute._distributions.const_shard cimport const_shard_owner
from mcroute._distributions.furc cimport furc_owner, weighted_furc_owner
from mcroute._distributions.jump cimport jump_owner, jump_walk
from mcroute._distributions.keys cimport key_rule_fill
from mcroute._distributions.layout cimport build_points, build_slots, points_to_slots
from mcroute._distributions.points cimport (
    points_owner, points_walk, slots_owner, slots_walk, wide_owner, wide_walk,
)
from mcroute._distributions.rehash cimport walk_rule_find
from mcroute._distributions.rendezvous cimport (
    build_rendezvous, rendezvous_owner, rendezvous_walk, score_rule_find,
)
from mcroute._distributions.table cimport OwnerRule, Point, RingTable, Text
from mcroute._hashing.named cimport key_hash_find

cdef enum:
    PECL_SLOTS = 1024
    PECL_STEP = 0x3FFFFF        # the circle in as many


cdef int use_slots(RingTable* table) noexcept:
    table.owner = slots_owner
    table.walk = slots_walk
    return 0


cdef int use_points(RingTable* table, placement) except -1:
    build_points(table, placement.laid, placement.point_hash, placement.words)
    table.above = placement.above
    table.owner = wide_owner if table.wide != NULL else points_owner
    table.walk = wide_walk if table.wide != NULL else points_walk
    if placement.find == "points_to_slots":
        points_to_slots(table, PECL_SLOTS, PECL_STEP)
        use_slots(table)
    return 0


cdef int use_modulo(RingTable* table, placement) except -1:
    if placement.laid:
        build_slots(table, [(server, slots) for _, server, slots in placement.laid])
    else:
        table.count = placement.size
    return use_slots(table)


# NULL for distributions that do not number their servers.
cdef OwnerRule numbered_owner_find(str name) except? NULL:
    if name == "jump":
        return jump_owner
    if name == "furc":
        return furc_owner
    if name == "weighted_furc":
        return weighted_furc_owner
    if name == "const_shard":
        return const_shard_owner
    return NULL


cdef int use_rendezvous(RingTable* table, placement) except -1:
    table.score = score_rule_find(placement.find)
    build_rendezvous(table, placement.find, placement.labels)
    table.owner = rendezvous_owner
    table.walk = rendezvous_walk
    return 0


cdef int copy_weights(RingTable* table, tuple weights) except -1:
    cdef int i
    table.weights = <double*>malloc(table.size * sizeof(double))
    if table.weights == NULL:
        raise MemoryError
    for i in range(table.size):
        table.weights[i] = weights[i]
    return 0


cdef int table_fill(RingTable* table, placement) except -1:
    table.size = placement.size
    table.hash = key_hash_find(placement.hash)
    table.seed = placement.seed
    table.text_max = placement.text_max
    table.reads_key = key_rule_fill(&table.key, placement.key)
    if placement.weights:
        copy_weights(table, placement.weights)
    if placement.find.startswith("points"):
        use_points(table, placement)
    elif placement.find == "modulo":
        use_modulo(table, placement)
    elif numbered_owner_find(placement.find) != NULL:
        table.owner = numbered_owner_find(placement.find)
        table.walk = jump_walk
    else:
        use_rendezvous(table, placement)
    if placement.walk:
        table.walk = walk_rule_find(placement.walk)
    return 0


cdef void table_free(RingTable* table) noexcept:
    if table == NULL:
        return
    free(table.points)
    free(table.buckets)
    free(table.wide)
    free(table.slots)
    free(table.numbers)
    free(table.weights)
    free(table.labels)
    free(table)


cdef size_t table_bytes(const RingTable* table) noexcept:
    cdef size_t points = 0
    cdef size_t servers = 0
    if table.points != NULL:
        points += sizeof(Point) + 2 * sizeof(uint64_t) * (table.wide != NULL)
    if table.slots != NULL:
        points += sizeof(uint32_t)
    servers += sizeof(uint64_t) * (table.numbers != NULL) + sizeof(double) * (table.weights != NULL)
    servers += sizeof(Text) * (table.labels != NULL)
    points *= table.count
    if table.buckets != NULL:
        points += sizeof(uint32_t) << (32 - table.shift)
    return sizeof(RingTable) + points + servers * table.size
