"""The engine's structures, and their owners.

    Engine ─┬─ Session (a client)  ── ClientRequest …            replies are sent in this order
            ├─ Server ── Link      ── Expected, Expected …      replies arrive in this order
            └─ PlanTable           ── nodes, pools               shared by the requests that started on it

A ClientRequest holds the client's bytes and the reply as far as it is known. For every node of the plan that is at
work for it there is a Walk; the walks of `ask` nodes stand in a link's queue of expected replies.

Times and durations are in seconds of the driver's clock; sizes are in bytes.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from mcroute._engine.blocks cimport Block, BlockPool, OutQueue, Slice
from mcroute._engine.counts cimport DESYNC_MAX, Desync, EngineCounts, ServerCounts
from mcroute._engine.deadlines cimport Deadline, Deadlines
from mcroute._engine.histograms cimport Histogram
from mcroute._engine.journal cimport Journal, JournalBounds, OrphanKey
from mcroute._engine.prefixes cimport PrefixTable
from mcroute._engine.refill_list cimport Refills
# Modules that use the structures need plans and outcomes too, and cimport them from here.
from mcroute._engine.vocabulary cimport (
    OUTCOME_COUNT, GROUP_READ, GROUP_READ_CAS, GROUP_READ_TOUCH, GROUP_LAST_READ, GROUP_STORE, GROUP_STORE_IF,
    GROUP_DELETE, GROUP_ARITHMETIC, GROUP_TOUCH, GROUP_FLUSH, GROUP_COUNT, HIT, MISS, STORED, NOT_STORED, EXISTS,
    NOT_FOUND, DELETED, TOUCHED, NUMBER, OK, REFUSED_BY_SERVER, EJECTED, LOST, TIMEOUT, OVERLOADED, CARRY_OUT,
    UNDO, LOOK, NODE_ASK, NODE_FIRST, NODE_ALL, NODE_THEN, NODE_DETACH, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX,
    NODE_CONSTANT, NODE_PYTHON, NODE_BACKUP, NODE_REFILL, VARIANT_TOUCH, VARIANT_CAS, VARIANT_DECREMENT,
    VARIANT_INVALIDATE, VARIANT_COUNT,
    OF_KNOWN_KEYS, OF_ANY_KEY, OF_NO_KEY, Authentication, Group, Outcome, Purpose, NodeKind, Variant,
)
from mcroute._engine.server_words cimport ServerWord
from mcroute._protocol cimport COMMAND_COUNT, Limits, RequestView
from mcroute._ring cimport RingTable

cdef enum:
    COPIES_MAX = 8              # owners of a key that a plan may ask
    HOLD_BUCKETS = 1024         # a power of two
    SCRIPT_MAX = 4              # steps of a handshake
    GREETING_MAX = 96
    LINKS_MAX = 16              # to one server
    NAME_MAX = 128              # bytes of a server's name in error lines, with the final NUL
    FAULT_MAX = 192             # bytes of the reason why a server cannot be used, likewise
    TEXT_WORDS = 40             # of 8 bytes, for both texts
    RETRIES_MAX = 100           # tokens that the retry budget holds
    HEDGES_MAX = 100            # tokens that the hedge budget holds
    VALUE_MAX_UNKNOWN = 1 << 20  # bytes, memcached's default: for a server that has not reported its limit
    NO_COMMAND = COMMAND_COUNT  # of an answer to bytes that did not become a request, such as refused ones

cdef struct Engine
cdef struct Hold
cdef struct Link
cdef struct PlanNode
cdef struct ClientRequest
cdef struct Route
cdef struct RouteEvent
cdef struct Server
cdef struct Session
cdef struct Walk

# Nodes and multigets call walks; walks call nodes and multigets by these pointers, which plans.pyx sets.
ctypedef void (*NodeBegins)(Walk* walk, PlanNode* node) noexcept nogil
ctypedef void (*ChildEnds)(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
ctypedef void (*WalkEnds)(Walk* walk, int outcome, Slice reply) noexcept nogil

cdef struct PlanNode:
    int kind
    NodeBegins begins           # called when a walk reaches the node; not for an ask or a switch
    ChildEnds child_ends        # `number` is the child's Walk.number
    int pool                    # ask
    int rank                    # ask
    bint tags_cas               # ask: CAS tokens carry their server
    int children                # first of its children in PlanTable.children
    int child_count
    int need                    # all
    int least                   # all
    bint on_miss                # first: after a miss the next child is asked
    bint random_start           # first
    bint answer_last            # first
    bint stops_late             # first: no child is asked after a timeout
    bint hedges                 # first: a child that is late is not waited for, see hedges.pxd
    bint refills                # first: a hit is copied to the children before it that missed
    bint is_gutter              # first: its later children stand in for the earlier ones
    int ttl_max                 # ask: the longest lifetime of an item there, in seconds; 0: as the client says
    int text                    # constant: index into PlanTable.texts, -1 for the default reply
    PrefixTable* prefixes       # switch by prefix: the child for a prefix; the last child is for all other keys
    void* route                 # python: the user's object, which the plan keeps alive

cdef struct Text:
    uint8_t* data
    size_t size

cdef struct PlanPool:
    const RingTable* ring
    int* server_ids             # ring index -> server id
    int size

cdef struct PlanTable:
    uint32_t refs               # requests that started on it, and the engine while it is installed
    Engine* engine
    PlanTable* next_unsettled   # in the driver's list
    int root
    int node_count
    PlanNode* nodes             # and one more, the node of refills, which no other node has as a child
    int* children
    Text* texts
    int text_count
    PlanPool* pools
    int pool_count
    double deadline             # of a request: the longest of the pools'
    double shortest             # of all timeouts: no request is overdue earlier than this after it began
    uint8_t merge[GROUP_COUNT][OUTCOME_COUNT]
    uint32_t missed[GROUP_COUNT]    # a bit for each outcome by which a copy has missed a write
    bint has_copies             # more than one server may be asked for a key
    int ttl_max                 # the longest of its asks
    bint caps_lifetimes         # one of its asks does
    bint answers_early          # a write may be answered before all servers that it went to have answered
    WalkEnds part_ends          # of a multiget: a walk for keys of one link
    WalkEnds key_ends           # a walk for one key
    WalkEnds hedged_part_ends   # of a multiget: a part with hedges, or one of its hedges
    double retry_share
    double retry_floor
    double hedge_share

cdef struct Description:        # of a server, for error lines: see faults.pxd
    uint64_t version            # odd while it is being written
    uint64_t words[TEXT_WORDS]  # its name, then the reason why it cannot be used; both end in NUL

cdef enum:
    NOT_LOST = -1               # no connection was lost since the last one was made

cdef struct Server:
    int id
    Server* next                # all servers of the engine, the newest first; read from other threads
    ServerWord* word            # shared with the engines of other threads, or &own_word
    ServerWord own_word
    Journal* journal            # shared with the engines of other threads, or own_journal
    Journal* own_journal        # NULL: not needed
    uint32_t ghosts             # timed-out writes on this engine's links; the state word counts them too
    uint16_t cas_tag            # differs among the servers of a plan
    uint32_t failures           # in a row, since the supervisor restored the server
    uint32_t trip_after
    bint is_abandoned           # its requests are failing over just now
    uint64_t outs_seen          # ServerWord.outs at the last failover: the requests that waited then are done
    uint64_t ups_seen           # ServerWord.ups at the last failure: earlier failures do not count
    double reply_timeout
    double hedge_after          # reads that wait for longer are hedged; 0: none are
    uint64_t value_max          # bytes: larger values are skipped
    uint64_t value_set          # bytes, from the configuration; 0: not configured
    uint64_t item_size_max      # bytes, the largest value that the server stores; 0: not reported
    bint has_wide_flags         # it stores client flags of 64 bits
    double noticed_at           # time of the last server_notice that was counted
    Link* links[LINKS_MAX]
    int link_count
    ServerCounts counts
    Desync desync
    Description* description    # shared with the engines of other threads, or &own_description
    Description own_description
    int lost_error              # errno of its last lost connection, 0: the server closed it; NOT_LOST
    Histogram* replies          # durations of replies; NULL before the first reply

cdef enum ConnKind:
    CONN_SESSION
    CONN_LINK

cdef struct Input:
    Block* block                # holds bytes [start, end) that are not a whole message yet; NULL: none
    size_t start
    size_t end
    size_t need                 # parsing needs this many bytes
    size_t scanned              # bytes at the start that contain no line end
    size_t large                # size of the last message if it was large: the next one is probably as large

cdef struct Conn:
    int kind
    bint is_dirty               # in Engine.dirty: has something to send, or is to be closed
    bint is_closing             # to be closed once its output is sent
    bint is_broken              # to be closed at once; nothing more is read or sent
    bint is_first               # no message has been parsed on it yet
    Engine* engine
    Input input
    OutQueue out
    uint64_t swallow            # bytes of a refused data block, or of a skipped reply, still to be discarded
    uint64_t id
    void* user                  # the driver's own pointer

cdef struct Session:
    Conn conn
    ClientRequest* head
    ClientRequest* tail
    uint32_t in_flight
    bint is_batch               # all requests in flight, or answered and not sent, have arrived in one piece
    bint has_rounds             # one of its multigets may be between two rounds: see Rounds
    bint is_paused              # too many requests in flight or bytes unsent: parsing stops until there are fewer
    bint is_binary              # its client speaks the binary protocol: each request is refused
    bint closes_behind          # to be closed after the swallowed bytes
    bint has_rest               # more keys follow of a get whose line is too long to be stored: it runs in parts
    bint rest_is_void           # those keys are discarded: a part has failed
    bint rest_has_items         # items of that get were written: a later error closes the session
    uint8_t rest_command
    Session* next               # all sessions of the engine
    Session* previous

cdef enum ReplyShape:
    SHAPE_LINE                  # one line
    SHAPE_GET                   # VALUE items until END
    SHAPE_META_GET              # one line, and a data block behind VA

cdef enum Skipped:
    SKIPPED_NOTHING = 0
    SKIPPED_TOO_LARGE           # a value larger than Server.value_max
    SKIPPED_NO_MEMORY           # for a value

cdef struct Expected:
    Walk* walk                  # NULL: an orphan, whose reply is discarded
    double sent_at
    uint32_t opaque             # meta: the opaque that the reply must carry
    uint8_t shape
    uint8_t command
    uint8_t step                # of the handshake, from 1; 0: a request
    uint8_t skipped             # reason why a part of the reply was skipped, see Skipped
    uint8_t is_ghost            # it timed out, and may still change something
    uint8_t is_copied           # an orphaned write that another copy may have: refused or lost, it is missed here
    uint32_t slot               # of a ghost, see claims.pxd
    OrphanKey* key              # of an orphan with is_copied; NULL: unknown

cdef enum LinkState:
    LINK_CLOSED
    LINK_CONNECTING             # requests queue, up to the same bounds
    LINK_GREETING               # connected: the handshake is sent, and requests queue behind it
    LINK_READY

cdef struct Link:
    Conn conn
    Server* server
    int state
    Expected* ring              # of `slots` entries, a power of two
    uint32_t slots
    uint32_t head
    uint32_t count
    uint32_t orphans
    uint32_t overdue            # number of the oldest expected replies that are known to be overdue
    uint32_t waiting            # number of these with a walk that waits
    uint32_t hedge_next         # position of the next request that may be hedged; earlier than head: head
    bint is_stalled             # its server answers nothing, while others do, see hedges.pyx
    size_t partial_size         # bytes of a reply since the last progress
    double progress_at          # the last progress, see links.pxd
    double rate_since           # the rate of replies is measured from this time, and from this head
    uint32_t rate_head
    Text script[SCRIPT_MAX]     # required prefixes of the replies to the handshake's steps
    int script_size
    size_t script_unsent        # bytes of the handshake, which stand first in the output
    char greeting[GREETING_MAX]  # the last reply to the handshake, without its line end
    int greeting_size
    Walk* group                 # the part for this link of the multiget being split right now, or NULL

cdef struct KeyState:           # half a cache line: multigets have many, and each is looked at four times
    Block* block                # holds its VALUE line and data, after they have arrived
    uint32_t item_offset
    uint32_t item_size
    uint32_t offset             # of the key in the request
    int32_t next                # key of the same part, -1 at the end
    uint32_t tried              # children of its first node before the present one
    uint8_t size
    uint8_t best                # best Outcome of those children

cdef inline Slice key_item(const KeyState* key) noexcept nogil:
    return Slice(key.block, key.item_offset, key.item_size)

cdef struct Walk:
    Walk* parent                # NULL: the root
    ClientRequest* request
    Link* link                  # ask: the link on which it waits, at `position`
    Slice best_reply
    Walk* spare                 # in the list of spare walks
    Route* route                # of a python node; of the refill node its Refill
    int node
    int next_child
    int children_asked          # first, then: number of children tried, or running; all, hedged part: number running
    # all: number of children that succeeded; then: bits of children, see once.pyx; first: children that run beside
    # one; part: see hedged_gets.pyx
    int good
    uint32_t position           # ask: in its link's queue; others: undos under way
    int32_t first_key           # of a multiget's part, -1: the request has one key
    int32_t cursor              # of a part: the key that comes next; all, first: 1 once answered; then: its stage
    uint32_t absent             # of a part: keys without an item yet; others: bits of children, see undo.pxd
    int server                  # ask: the server's id, -1 if none
    int number                  # below a python node: in the order of the asks; else: index of the child, or UNDONE
    uint8_t best                # Outcome with the least rank so far
    uint8_t best_rank
    # all: Outcome of the last child that failed; first: the hedge's number plus 1; hedged part: its Outcome plus 1
    uint8_t failure
    uint8_t purpose             # Purpose of an ask
    uint8_t missed              # first: bits of children that missed, and are to be refilled
    # True or false, in a byte each.
    uint8_t is_group
    uint8_t is_embedded         # ClientRequest.walk
    uint8_t tags_cas            # ask: as its node's
    uint8_t is_detached         # its outcome is discarded
    uint8_t has_looked          # then: at all children

cdef struct Rounds:             # of a multiget that asks for keys, and writes items, round by round
    uint32_t first              # key of the present round
    uint32_t end                # behind its last key
    uint32_t hits               # of the rounds before
    bint is_begun               # items have been written: an error closes the session

cdef struct ClientRequest:      # small, since thousands are in flight and none of them stays in the cache
    Deadline deadline
    ClientRequest* next         # behind it in its session, or in the list of spare ones
    Session* session            # NULL: a call, or no session waits for the reply any more
    uint64_t call               # number of a call; 0: a session's request, or a call whose result is unwanted
    PlanTable* plan
    ClientRequest* next_deferred  # in Engine.deferred or Engine.taken
    uint64_t deferred           # its number after deferred_take; 0: not taken
    ClientRequest* next_waiting  # behind the same hold, or in Engine.waiting or Engine.released
    Hold* hold                  # of its key; NULL: later requests for the key need not wait
    RequestView view
    Block* block                # the client's bytes, from `offset`
    size_t offset
    Slice reply                 # kept while earlier replies are not there yet
    Block* key_block            # multiget: its KeyStates
    KeyState* keys
    Walk* parts                 # multiget: parts that are not asked yet
    uint32_t key_count
    uint32_t groups_open        # multiget: parts without an outcome
    uint32_t start              # multiget: random number of the first child, for nodes with random_start
    uint32_t walks              # walks at work for it, and lists in which it waits
    uint32_t claim              # its slot, plus 1; 0: none
    uint32_t blamed             # the server that it failed at, plus 1; 0: none
    uint32_t twins              # multiget: KeyStates of hedges, see hedged_gets.pxd
    uint8_t blamed_for          # Outcome at that server
    uint8_t group               # policy.nodes.Group
    uint8_t outcome             # Outcome of the answer
    uint8_t failure             # multiget: Outcome of a key that failed; HIT: no key failed
    uint8_t is_done             # the reply is known (true or false)
    uint8_t is_answered         # and the reply is written, taken or discarded
    uint8_t is_asking           # multiget: its parts are being asked, one after the other
    uint8_t is_in_rounds        # multiget: its Rounds follow its KeyStates
    uint8_t is_released         # in Engine.released to go on with its next round
    uint8_t is_stalled          # in Engine.stalled: a round is over, and its client has not read enough yet
    uint8_t has_missed          # multiget: keys were missed at a copy whose misses are refilled
    uint8_t verdict             # of a delete in place of a refused write: the error for its client; 0: none
    uint8_t has_ghosts          # another engine's ghost of its key may be executed at any time
    Walk walk                   # of the plan's root, or of a multiget's only part

cdef inline Rounds* request_rounds(ClientRequest* request) noexcept nogil:
    return <Rounds*>(request.keys + request.key_count)

# The key of the walk; of a multiget's part the first key.
cdef inline const uint8_t* walk_key(Walk* walk, size_t* size) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef inline const uint8_t* data = request.block.data + request.offset
    if walk.first_key >= 0:
        size[0] = request.keys[walk.first_key].size
        return data + request.keys[walk.first_key].offset
    size[0] = request.view.key_size
    return data + request.view.key_offset

# Whether the ask is a write that another copy may take: if it does not reach its server, the server has missed it.
cdef inline bint walk_is_copied(const Walk* walk) noexcept nogil:
    return (walk.parent != NULL and walk.purpose != LOOK
            and (walk.request.group > GROUP_LAST_READ or walk.purpose == UNDO))

cdef struct OnceRuns:           # commands under way of the keys of a slot, see once_runs.pxd
    uint32_t count
    int32_t child               # of their node, the copy that all of them are at; -1: they are at several
    uint32_t looks              # commands that look at all copies before they are asked of one

cdef struct Hold:               # see holds.pxd
    Hold* next                  # in its bucket
    ClientRequest* request
    ClientRequest* first        # request that waits behind it
    ClientRequest* last
    uint32_t key_hash

cdef enum:                      # numbers of route events that are no child's
    ROUTE_BEGINS = -1
    ROUTE_OVER = -2             # the request's deadline has come: later orders of the route have no effect

cdef struct RouteEvent:         # an event for a user's route, see custom.pxd
    RouteEvent* next
    uint64_t serial             # of the route
    Route* route                # when the route begins; else NULL
    int number                  # of the child that ended, or one of the above
    int outcome
    Slice piece                 # the child's reply; when the route begins, the key

cdef struct RouteOrder:         # an order of a user's route
    RouteOrder* next
    Route* route
    int child                   # to be asked; -1: the route has ended, with this outcome and these bytes
    int number                  # of the event when the child has ended
    int outcome
    const uint8_t* data
    size_t size

cdef struct RouteOrders:
    RouteOrder* first
    RouteOrder* last
    RouteEvent* done            # events that the runner has processed

cdef struct Route:              # a user's route at work for one request
    Deadline deadline           # its request's, until it is over
    # The interpreter's thread reads these fields; they do not change after ROUTE_BEGINS.
    uint64_t serial
    void* source                # the user's object
    int child_count
    uint8_t group               # of the request, policy.nodes.Group
    uint8_t command
    # The interpreter's thread writes this field; no allocation, so that a route can end without memory.
    RouteOrder end
    # Fields for the engine's thread alone.
    Walk* walk                  # NULL: it is over
    PlanTable* plan             # keeps `source` alive
    RouteEvent* over            # the later ROUTE_OVER; allocated at the beginning, so that it needs no memory then

cdef struct Deferred:             # the driver's copy of a request that it is to answer
    Deferred* next
    uint64_t number
    size_t size
    char[1] line                # `size` bytes: the command line without its end

cdef struct Claims:             # see claims.pxd
    uint64_t ghosts             # in all slots
    uint64_t closed             # calls of claims_close without their claims_open: no engine takes a claim
    uint64_t* slots

cdef struct Engine:
    BlockPool pool              # replies, and other output to clients
    BlockPool uploads           # clients' requests, from their first bytes on
    BlockPool outbound          # output to servers; its reserve also takes small replies, so that links stay in step
    double reclaim_failed_at    # time of the last search for a session to close that found none
    JournalBounds journals      # of the servers' own journals
    Limits limits               # value_max: the next one's, or the largest of the plan's servers'
    uint64_t value_set          # bytes, from the configuration; 0: not configured
    int authentication          # sets that count as authentication, see Authentication
    PlanTable* plan
    Server** servers            # by id
    Server* newest_server
    int server_count
    double now
    double shortest             # of the plan's timeouts and the servers' hedge_after
    double next_check           # time when a request or link may next be overdue
    Block* scratch              # read buffer of connections that hold no part of a message
    Conn* reading               # the connection that the lent buffer belongs to
    Block* lent
    size_t lent_offset
    Deadlines requests          # in flight
    Deadlines stalled           # multigets that wait for their clients, in no order
    uint32_t round_keys         # number of keys in a multiget's first round
    ClientRequest* spare_requests
    Walk* spare_walks
    Session* sessions
    ClientRequest* finished     # calls that have ended, in this order, and whose results are not taken yet
    ClientRequest* last_finished
    ClientRequest* deferred     # requests for the driver to answer, in order of arrival
    ClientRequest* last_deferred
    ClientRequest* taken        # by the driver, and not answered yet
    uint32_t deferred_count       # in `deferred` and `taken`
    uint32_t deferred_max
    Hold* holds[HOLD_BUCKETS]
    uint32_t hold_count
    OnceRuns* once_runs         # by hash of the key
    ClientRequest* released     # requests to begin after a hold's end, or to go on with after a round
    ClientRequest* last_released
    Claims* claims              # shared with the engines of other threads; NULL: there are none
    int claimant                # this engine's number there
    uint32_t* slot_ghosts       # this engine's ghosts, by slot
    uint64_t ghosts             # this engine's ghosts, in all slots
    ClientRequest* waiting      # requests that wait for other engines, in order of arrival
    ClientRequest* last_waiting
    uint32_t waiting_reads      # number of these that hold no key
    bint is_resuming            # claims_resume is running: these requests begin, or wait again
    Refills* refills
    uint32_t refills_reading    # number of these that a write of their key spoils
    bint wakes_others           # the driver is to wake other engines, which wait for a slot that was released
    bint is_ending
    Deadlines routes            # routes that are not over
    uint32_t route_count        # routes whose memory is not freed, also those that are over
    uint32_t routes_max
    uint64_t next_route
    RouteEvent* events          # for the users' routes, in the order in which they happened
    RouteEvent* last_event
    uint32_t calls              # submitted calls whose results are not taken yet
    uint32_t calls_max
    Conn** dirty                # connections for the driver to look at
    uint32_t dirty_count
    uint32_t dirty_room
    uint32_t pipeline_max       # requests in flight a session
    size_t out_max              # unsent bytes a session before it is paused
    uint32_t next_opaque
    uint32_t queue_max          # expected replies a link
    size_t link_out_max         # unsent bytes a link
    uint32_t orphans_max        # with more orphans a link is closed
    double orphan_age           # seconds that the oldest of them may wait
    uint64_t next_id
    Server* late_server         # the server that has just timed out, while its walk ends; else NULL
    bint is_failing_over        # all requests that waited on a server fail over: they cost no token
    double retry_tokens
    double retry_filled_at
    uint64_t retry_counted      # requests that have earned their share already
    double hedge_tokens
    uint64_t hedge_counted      # requests that have earned their share of these
    uint64_t random             # state of the generator
    EngineCounts counts
