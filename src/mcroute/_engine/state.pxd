"""The engine's structures: who holds what.

    Engine ─┬─ Session (a client)  ── ClientRequest …            replies leave in this order
            ├─ Server ── Link      ── Expected, Expected …      replies arrive in this order
            └─ PlanTable           ── nodes, pools               shared by the requests that started on it

A ClientRequest holds the client's bytes and the reply as far as it is known. For every node of the plan that is at
work for it there is a Walk; the walks of `ask` nodes stand in a link's queue of expected replies.

Times are the driver's, and durations too, in seconds; sizes are in bytes.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from mcroute._engine.blocks cimport Block, BlockPool, OutQueue, Slice
from mcroute._engine.counts cimport DESYNC_MAX, Desync, EngineCounts, ServerCounts
from mcroute._engine.deadlines cimport Deadline, Deadlines
from mcroute._engine.histograms cimport Histogram
from mcroute._engine.prefixes cimport PrefixTable
# Plans and outcomes are spoken of wherever the structures are.
from mcroute._engine.vocabulary cimport (
    OUTCOME_COUNT, GROUP_READ, GROUP_READ_CAS, GROUP_READ_TOUCH, GROUP_LAST_READ, GROUP_STORE, GROUP_STORE_IF,
    GROUP_DELETE, GROUP_ARITHMETIC, GROUP_TOUCH, GROUP_FLUSH, GROUP_COUNT, HIT, MISS, STORED, NOT_STORED, EXISTS,
    NOT_FOUND, DELETED, TOUCHED, NUMBER, OK, REFUSED_BY_SERVER, EJECTED, LOST, TIMEOUT, OVERLOADED, CARRY_OUT,
    UNDO, LOOK, NODE_ASK, NODE_FIRST, NODE_ALL, NODE_THEN, NODE_DETACH, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX,
    NODE_CONSTANT, NODE_PYTHON, VARIANT_TOUCH, VARIANT_CAS, VARIANT_DECREMENT, VARIANT_INVALIDATE, VARIANT_COUNT,
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
    NAME_MAX = 128              # bytes of a server's name as clients are told it, with a NUL behind it
    FAULT_MAX = 192             # and of why it cannot be used
    TEXT_WORDS = 40             # of 8 bytes, for both
    RETRIES_MAX = 100           # tokens that the retry budget holds
    VALUE_MAX_UNKNOWN = 1 << 20  # bytes: of a server that does not say, memcached's default
    NO_COMMAND = COMMAND_COUNT  # of what was refused before it was a request

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

# Nodes and multigets call walks, which call them: the plan has their functions, see plans.pyx.
ctypedef void (*NodeBegins)(Walk* walk, PlanNode* node) noexcept nogil
ctypedef void (*ChildEnds)(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
ctypedef void (*WalkEnds)(Walk* walk, int outcome, Slice reply) noexcept nogil

cdef struct PlanNode:
    int kind
    NodeBegins begins           # a walk has come to the node, which is no ask and no switch
    ChildEnds child_ends        # `number` is the child's Walk.number
    int pool                    # ask
    int rank                    # ask
    bint tags_cas               # ask: CAS tokens carry their server
    int children                # first of its children in PlanTable.children
    int child_count
    int need                    # all
    int least                   # all
    bint on_miss                # first: a miss is not good enough
    bint random_start           # first
    bint answer_last            # first
    bint stops_late             # first: nothing is asked after a timeout
    int text                    # constant: index into PlanTable.texts, -1 for the default reply
    PrefixTable* prefixes       # switch by prefix: which child; the last one is for all other keys
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
    PlanNode* nodes
    int* children
    Text* texts
    int text_count
    PlanPool* pools
    int pool_count
    double deadline             # of a request: the longest of the pools'
    double shortest             # of all timeouts: nothing is overdue sooner than that after it began
    uint8_t merge[GROUP_COUNT][OUTCOME_COUNT]
    uint32_t missed[GROUP_COUNT]    # a bit for each outcome by which a copy has missed a write
    bint has_copies             # more than one server may be asked for a key
    bint answers_early          # a write may be answered before all servers that it went to have answered
    WalkEnds part_ends          # of a multiget: a walk for keys of one link
    WalkEnds key_ends           # a walk for one key
    double retry_share
    double retry_floor

cdef struct Description:        # of a server, as clients are told: see faults.pxd
    uint64_t version            # odd while it is being written
    uint64_t words[TEXT_WORDS]  # its name, then why it cannot be used; both end in NUL

cdef enum:
    NOT_LOST = -1               # since the last connection was made

cdef struct Server:
    int id
    Server* next                # all servers of the engine, the newest first; read from other threads
    ServerWord* word            # shared with the engines of other threads, or
    ServerWord own_word
    uint32_t ghosts             # timed-out writes on this engine's links, as counted in the word too
    uint16_t cas_tag            # differs among the servers of a plan
    uint32_t failures           # in a row, since the supervisor has put it into service
    uint32_t trip_after
    uint64_t outs_seen          # of the word's: what waited then has failed over
    uint64_t ups_seen           # of the word's: failures of before do not count
    double reply_timeout
    uint64_t value_max          # bytes: larger values are not kept
    uint64_t value_set          # that bound as the configuration has it; 0: it does not say
    uint64_t value_said         # the largest value that the server stores; 0: it has not said
    bint has_wide_flags         # it keeps client flags of 64 bits
    double noticed_at           # when the driver was last to look at it
    Link* links[LINKS_MAX]
    int link_count
    ServerCounts counts
    Desync desync
    Description* description    # shared with the engines of other threads, or
    Description own_description
    int lost_error              # errno of its last lost connection, 0: the server closed it; NOT_LOST
    Histogram* replies          # how long they took; NULL before the first

cdef enum ConnKind:
    CONN_SESSION
    CONN_LINK

cdef struct Input:
    Block* block                # holds bytes [start, end) that are not a whole message yet; NULL: none
    size_t start
    size_t end
    size_t need                 # nothing can be parsed before so many bytes are there
    size_t scanned              # so many of them hold no line end
    size_t large                # size of the last message if it was large: the next one is probably too

cdef struct Conn:
    int kind
    bint is_dirty               # in Engine.dirty: has something to send, or is to be closed
    bint is_closing             # to be closed once its output is sent
    bint is_broken              # to be closed at once; nothing more is read or sent
    bint is_first               # no message has been parsed on it yet
    Engine* engine
    Input input
    OutQueue out
    uint64_t swallow            # bytes of a refused data block, or of a reply that is not kept, still to be skipped
    uint64_t id
    void* user                  # the driver's

cdef struct Session:
    Conn conn
    ClientRequest* head
    ClientRequest* tail
    uint32_t in_flight
    bint is_batch               # what is in flight, or answered and not sent, has come all at once
    bint has_rounds             # its first request waits to go on, or will: see Rounds
    bint is_paused              # too much in flight or unsent: nothing is parsed until that shrinks
    bint is_binary              # its client speaks the binary protocol: each request is refused
    bint closes_behind          # to be closed behind what is swallowed
    bint has_rest               # keys of a get follow whose line is too long to be kept: it is asked for in parts
    bint rest_is_void           # they are read past: a part has failed
    bint rest_has_items         # of that get, which have been written: an error behind them closes the session
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
    Walk* walk                  # NULL: an orphan, whose reply is dropped
    double sent_at
    uint32_t opaque             # meta: what the reply must carry
    uint8_t shape
    uint8_t command
    uint8_t step                # of the handshake, from 1; 0: a request
    uint8_t skipped             # why a part of the reply was read past, see Skipped
    uint8_t is_ghost            # its client was told that it timed out, and it may still change something
    uint8_t is_copied           # an orphan: a write that another copy may have; refused or lost, it is missed here
    uint32_t slot               # of a ghost, see claims.pxd

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
    uint32_t overdue            # the oldest of them, which have been looked at for that
    uint32_t waiting            # of these, those that somebody waits for
    size_t unheard              # bytes since the last sign of life
    double heard_at             # the last sign of life, see links.pxd
    double paced_at             # since then the head has moved on from there: how fast replies come
    uint32_t paced_head
    Text script[SCRIPT_MAX]     # what the replies to the handshake's steps begin with
    int script_size
    size_t script_unsent        # bytes of the handshake, which stand first in the output
    char greeting[GREETING_MAX]  # the last of these replies, without its line end
    int greeting_size
    Walk* group                 # the part for this link of the multiget being split right now, or NULL

cdef struct KeyState:           # half a cache line: multigets have many, and each is looked at four times
    Block* block                # holds its VALUE line and data, once they came
    uint32_t item_offset
    uint32_t item_size
    uint32_t offset             # of the key in the request
    int32_t next                # key of the same part, -1 at the end
    uint32_t tried              # children of its first node before the present one
    uint8_t size
    uint8_t best                # Outcome of those

cdef inline Slice key_item(const KeyState* key) noexcept nogil:
    return Slice(key.block, key.item_offset, key.item_size)

cdef struct Walk:
    Walk* parent                # NULL: the root
    ClientRequest* request
    Link* link                  # ask: where it waits, and under which number
    Slice best_reply
    Walk* spare                 # in the list of spare walks
    Route* route                # of a python node
    int node
    int next_child
    int children_asked          # first, then: how many were tried, or run; all: how many run
    int good                    # all: how many succeeded; then: bits of children, see once.pyx
    uint32_t position           # ask: in its link's queue; others: undos under way
    int32_t first_key           # of a multiget's part, -1: the request has one key
    int32_t cursor              # of a part: the key that comes next; all: 1 once it has answered; then: its stage
    uint32_t absent             # of a part: keys without an item yet; others: bits of children, see undo.pxd
    int server                  # ask: whose id, -1 if none
    int number                  # python: in the order in which they were asked; others: index of the child, or UNDONE
    uint8_t best                # Outcome with the least rank so far
    uint8_t best_rank
    uint8_t failure             # all: Outcome of the last child that failed
    uint8_t purpose             # Purpose of an ask
    # True or false, in a byte each.
    uint8_t is_group
    uint8_t is_embedded         # ClientRequest.walk
    uint8_t tags_cas            # ask: as its node's
    uint8_t is_detached         # its outcome is nobody's

cdef struct Rounds:             # of a multiget whose items are asked for, and written, piece by piece
    uint32_t first              # key of the present round
    uint32_t end                # behind its last key
    uint32_t hits               # of the rounds before
    bint is_begun               # items have been written: an error closes the session

cdef struct ClientRequest:      # small, since thousands are in flight and none of them stays in the cache
    Deadline deadline
    ClientRequest* next         # behind it in its session, or in the list of spare ones
    Session* session            # NULL: a call, or nobody waits for the reply any more
    uint64_t call               # number of a request of the embedding process; 0: a session's, or forgotten
    PlanTable* plan
    ClientRequest* next_deferred  # to the driver
    uint64_t deferred           # its number among those that wait for the driver; 0: it is none
    ClientRequest* next_waiting  # behind the same hold, for other engines, or to be begun now
    Hold* hold                  # of its key; NULL: later requests for the key need not wait
    RequestView view
    Block* block                # the client's bytes, from `offset`
    size_t offset
    Slice reply                 # kept while earlier replies are not there yet
    Block* key_block            # multiget: its KeyStates
    KeyState* keys
    Walk* parts                 # multiget: not asked yet
    uint32_t key_count
    uint32_t groups_open        # multiget: parts without an outcome
    uint32_t start              # multiget: where the children begin that are tried from a random one on
    uint32_t walks              # at work for it
    uint32_t claim              # its slot, plus 1; 0: none
    uint32_t blamed             # the server that it failed at, plus 1; 0: none
    uint8_t blamed_for          # Outcome of that
    uint8_t group               # policy.nodes.Group
    uint8_t outcome             # Outcome of the answer
    uint8_t failure             # multiget: Outcome of a key that could not be asked; HIT: there is none
    uint8_t is_done             # the reply is known (true or false)
    uint8_t is_answered         # and handed to the session
    uint8_t is_asking           # multiget: its parts, one after the other
    uint8_t is_in_rounds        # multiget: behind its KeyStates there are Rounds
    uint8_t is_released         # in Engine.released to go on with its next round
    uint8_t is_stalled          # in Engine.stalled: a round is over, and its client has not taken enough yet
    uint8_t verdict             # of a delete in place of a refused write: the error that its client is told; 0: none
    uint8_t is_haunted          # another engine's ghost of its key may be executed any time
    Walk walk                   # of the plan's root, or of a multiget's only part

cdef inline Rounds* request_rounds(ClientRequest* request) noexcept nogil:
    return <Rounds*>(request.keys + request.key_count)

# The key that the walk is about.
cdef inline const uint8_t* walk_key(Walk* walk, size_t* size) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef inline const uint8_t* data = request.block.data + request.offset
    if walk.first_key >= 0:
        size[0] = request.keys[walk.first_key].size
        return data + request.keys[walk.first_key].offset
    size[0] = request.view.key_size
    return data + request.view.key_offset

# Whether the ask is a write which another copy may take: one that does not reach its server is a missed write there.
cdef inline bint walk_is_copied(const Walk* walk) noexcept nogil:
    return (walk.parent != NULL and walk.purpose != LOOK
            and (walk.request.group > GROUP_LAST_READ or walk.purpose == UNDO))

cdef struct Hold:               # see holds.pxd
    Hold* next                  # in its bucket
    ClientRequest* request
    ClientRequest* first        # that waits behind it
    ClientRequest* last
    uint32_t key_hash

cdef enum:                      # numbers of route events that are no child's
    ROUTE_BEGINS = -1
    ROUTE_OVER = -2             # the request's deadline has come: what the route orders is of no effect any more

cdef struct RouteEvent:         # what a user's route has to be told, see custom.pxd
    RouteEvent* next
    uint64_t serial             # of the route
    Route* route                # where it begins; else NULL
    int number                  # of the child that ended, or one of the above
    int outcome
    Slice piece                 # the child's reply; where the route begins, the key

cdef struct RouteOrder:         # what a user's route wants
    RouteOrder* next
    Route* route
    int child                   # is to be asked; -1: the route has ended, with this outcome and these bytes
    int number                  # under which the child's end is told
    int outcome
    const uint8_t* data
    size_t size

cdef struct RouteOrders:
    RouteOrder* first
    RouteOrder* last
    RouteEvent* done            # events that have been told

cdef struct Route:              # a user's route at work for one request
    Deadline deadline           # its request's, until it is over
    # As it is told to the interpreter's thread, and unchanged from then on.
    uint64_t serial
    void* source                # the user's object
    int child_count
    uint8_t group               # of the request, policy.nodes.Group
    uint8_t command
    # That thread's, so that a route can end without memory.
    RouteOrder end
    # The engine's.
    Walk* walk                  # NULL: it is over
    PlanTable* plan             # keeps `source` alive
    RouteEvent* over            # to come; made at the beginning, so that it comes without memory too

cdef struct Deferred:             # a request that the driver is to answer, as it is told
    Deferred* next
    uint64_t number
    size_t size
    char[1] line                # `size` bytes: the command line without its end

cdef struct Claims:             # see claims.pxd
    uint64_t ghosts             # in all slots
    uint64_t closed             # engines with requests under way that claim nothing, and would have to by now
    uint64_t* slots

cdef struct Engine:
    BlockPool pool              # replies, and what else goes to clients
    BlockPool uploads           # clients' requests, from their first bytes on
    BlockPool outbound          # what is queued for servers; its reserve also keeps links in step
    double relieved_at          # when nobody was found last who could give up replies
    Limits limits               # value_max: the next one's, or the largest of the plan's servers'
    uint64_t value_set          # as the driver was told; 0: nothing
    int authentication          # what is taken for it, see Authentication
    PlanTable* plan
    Server** servers            # by id
    Server* newest_server
    int server_count
    double now
    double next_check           # when the oldest request or link may next be overdue
    Block* scratch              # what is read goes here, if nothing of the connection waits
    Conn* reading               # the connection that the lent buffer belongs to
    Block* lent
    size_t lent_offset
    Deadlines requests          # in flight
    Deadlines stalled           # those of them that wait for their clients, in no order
    uint32_t round_keys         # so many keys of a multiget are asked for at first
    ClientRequest* spare_requests
    Walk* spare_walks
    Session* sessions
    ClientRequest* finished     # calls whose results are to be taken, in the order in which they ended
    ClientRequest* last_finished
    ClientRequest* deferred     # for the driver to answer, in the order in which they came
    ClientRequest* last_handed
    ClientRequest* taken        # by the driver, and not answered yet
    uint32_t deferred_count       # in both
    uint32_t deferred_max
    Hold* holds[HOLD_BUCKETS]
    uint32_t hold_count
    ClientRequest* released     # behind holds that are no more, or between rounds, in the order in which they came
    ClientRequest* last_released
    Claims* claims              # shared with the engines of other threads; NULL: there are none
    int claimant                # this engine's number there
    uint32_t* slot_ghosts       # those of this engine, by slot
    uint64_t ghosts             # and of all slots
    ClientRequest* waiting      # for other engines, in the order in which they came
    ClientRequest* last_waiting
    uint32_t waiting_reads      # of these, those that hold no key
    bint is_resuming            # they begin, or wait on
    bint wakes_others           # something that they wait for was released: for the driver to tell them
    bint is_ending
    Deadlines routes            # that are not over
    uint32_t route_count        # with those that are over, and not told or not left yet
    uint32_t routes_max
    uint64_t next_route
    RouteEvent* events          # for the users' routes, in the order in which they happened
    RouteEvent* last_event
    uint32_t calls              # submitted, and not taken yet
    uint32_t calls_max
    Conn** dirty                # connections for the driver to look at
    uint32_t dirty_count
    uint32_t dirty_room
    uint32_t pipeline_max       # requests in flight a session
    size_t out_max              # unsent bytes a session before it is paused
    uint32_t next_opaque
    uint32_t queue_max          # expected replies a link
    size_t link_out_max         # unsent bytes a link
    uint32_t orphans_max        # of a link, before it is given up
    double orphan_age           # seconds that the oldest of them may wait
    uint64_t next_id
    Server* late_server         # whose timeout is being dealt with, or NULL
    bint is_failing_over        # all that waited on a server goes on elsewhere: that costs no token
    double retry_tokens
    double retry_filled_at
    uint64_t retry_counted      # requests that have earned their share already
    uint64_t random             # state of the generator
    EngineCounts counts
