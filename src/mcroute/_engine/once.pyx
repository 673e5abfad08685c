"""Commands that must not run twice: one copy executes them, the others lose the key (decisions/0001-then-node.md).

    ASKING    one child after the other, until one has executed it; then an undo at the others
    LOOKING   asks all children at once whether they have the key, before a command that may create it, and before one
              for whose key a command runs at another child: behind the looks, that one and its undos are done
    ADDING    all children at once, after none had the key: an add is a lock, which no single copy may hold alone

A child that timed out may still execute the command. Then only the success of a later child makes the result known:
instead of a refusal, the client gets the timeout.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.combining cimport combine_take_if_better, hold_if_sent, run_child
from mcroute._engine.groups cimport meta_vivifies
from mcroute._engine.holds cimport hold_key
from mcroute._engine.once_runs cimport (
    once_look_begins, once_look_ends, once_looks, once_run_begins, once_run_ends, once_runs_elsewhere,
)
from mcroute._engine.requests cimport request_is_over
from mcroute._engine.retries cimport failed_over, may_retry
from mcroute._engine.server_words cimport SERVER_UP, word_state
from mcroute._engine.state cimport (
    CARRY_OUT, DELETED, EJECTED, EXISTS, GROUP_ARITHMETIC, GROUP_LAST_READ, GROUP_READ_TOUCH, GROUP_STORE_IF, HIT, LOOK,
    MISS, NODE_ASK, NOT_FOUND, NOT_STORED, NUMBER, OVERLOADED, REFUSED_BY_SERVER, STORED, TIMEOUT, TOUCHED,
    ClientRequest, Engine, Link, PlanNode, PlanTable, Server, walk_key,
)
from mcroute._engine.tokens cimport TAG_BITS, token_of_request
from mcroute._engine.trips cimport server_abandon
from mcroute._engine.undo cimport UNDONE, undo_bit, undo_bits, undo_children, undo_ended
from mcroute._engine.walks cimport walk_end, walk_link, walk_server
from mcroute._protocol cimport CMD_ADD, CMD_META_SET

cdef enum:                      # Walk.cursor
    ASKING = 0
    LOOKING
    ADDING

# Walk.good: children that timed out and may execute the command (ASKING), that stored it (ADDING).
# Walk.absent: children that have nothing under the key, and need no undo (ASKING), that have the key (LOOKING), or that
# timed out (ADDING).

cdef Slice NOTHING = Slice(NULL, 0, 0)


# ---- starting ----

cdef bint _adds(ClientRequest* request) noexcept nogil:
    return request.view.command == CMD_ADD or (request.view.command == CMD_META_SET and request.view.meta_mode == b'e')


cdef bint _creates(ClientRequest* request) noexcept nogil:
    return _adds(request) or meta_vivifies(request)


cdef int _child_of_token(Walk* walk, uint64_t token) noexcept nogil:
    """The child whose server gave the token; -1 for a token of another server."""
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[walk.node]
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    cdef Server* server
    cdef int i
    for i in range(node.child_count):
        server = walk_server(walk.request, &plan.nodes[plan.children[node.children + i]], key, size)
        if server != NULL and server.cas_tag == token & ((1 << TAG_BITS) - 1):
            return i
    return -1


cdef void once_begins(Walk* walk, PlanNode* node) noexcept nogil:
    cdef uint64_t token = 0
    if not token_of_request(walk.request, &token):
        if _creates(walk.request):
            _look(walk)
        else:
            _ask_next(walk)
        return
    walk.next_child = _child_of_token(walk, token)
    if walk.next_child < 0:
        walk_end(walk, EXISTS, NOTHING)
        return
    # No other server knows this token: no child is tried after this one.
    walk.children_asked = node.child_count - 1
    _ask_next(walk)


cdef void _look(Walk* walk) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    # Later requests for the key wait, and do not run between the look and the command.
    hold_key(walk.request)
    walk.has_looked = True
    once_look_begins(walk.request.plan.engine, key, size)
    _run_all(walk, LOOKING, LOOK)


cdef bint _depends(ClientRequest* request) noexcept nogil:
    """Whether its success depends on what the copy has: a set, a touch or a gat does no harm at two copies at once."""
    return request.group == GROUP_STORE_IF or request.group == GROUP_ARITHMETIC


cdef bint _must_look(Walk* walk, int child) noexcept nogil:
    cdef Engine* engine = walk.request.plan.engine
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    if walk.has_looked or not _depends(walk.request):
        return False
    return once_runs_elsewhere(engine, key, size, child) or once_looks(engine, key, size)


cdef void _ask_next(Walk* walk) noexcept nogil:
    cdef int child = walk.next_child % walk.request.plan.nodes[walk.node].child_count
    if _must_look(walk, child):
        walk.next_child = child
        _look(walk)
    else:
        _ask(walk, child)


cdef void _ask(Walk* walk, int child) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    walk.next_child = child + 1
    walk.children_asked += 1
    if _depends(walk.request):
        once_run_begins(walk.request.plan.engine, key, size, child)
    run_child(walk, child, CARRY_OUT)


cdef void _run_all(Walk* walk, int stage, int purpose) noexcept nogil:
    cdef int count = walk.request.plan.nodes[walk.node].child_count
    cdef int i
    walk.cursor = stage
    walk.failure = HIT
    # One more than there are, so that children that end at once do not end the stage before all were asked.
    walk.children_asked = count + 1
    for i in range(count):
        run_child(walk, i, purpose)
    _settle(walk)


cdef void _settle(Walk* walk) noexcept nogil:
    """Counts an ended child in a stage that asks all children at once."""
    walk.children_asked -= 1
    if walk.children_asked > 0:
        return
    if walk.cursor == LOOKING:
        _have_looked(walk)
    else:
        _have_added(walk)


cdef void once_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    if child == UNDONE:
        undo_ended(walk)
    elif walk.cursor == LOOKING:
        _looked(walk, child, outcome)
    elif walk.cursor == ADDING:
        _added(walk, child, outcome, reply)
    else:
        _asked(walk, child, outcome, reply)


# ---- one after the other ----

cdef bint _is_success(ClientRequest* request, int outcome) noexcept nogil:
    """Whether the other copies differ now. The hit of a gat has changed the item's lifetime."""
    if outcome == HIT:
        return request.group == GROUP_READ_TOUCH
    return outcome == STORED or outcome == NUMBER or outcome == DELETED or outcome == TOUCHED


cdef bint _found_nothing(int outcome) noexcept nogil:
    """Whether the copy has nothing under the key. Adds, which would store then, run in other stages."""
    return outcome == MISS or outcome == NOT_FOUND or outcome == NOT_STORED


cdef bint _is_passed(Walk* walk, int child) noexcept nogil:
    """Whether other requests wait on the child's link: they may have stored the key, so that it needs an undo."""
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[plan.children[plan.nodes[walk.node].children + child]]
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    cdef Server* server
    cdef Link* link
    if walk.request.hold != NULL or walk.request.group <= GROUP_LAST_READ or node.kind != NODE_ASK:
        return False
    server = walk_server(walk.request, node, key, size)
    link = walk_link(server, key, size)
    return link != NULL and link.count > 0


cdef bint _goes_on(Walk* walk, int outcome) noexcept nogil:
    if (walk.children_asked >= walk.request.plan.nodes[walk.node].child_count
            or request_is_over(walk.request) or not may_retry(walk.request.plan.engine, outcome)):
        return False
    if outcome > REFUSED_BY_SERVER:
        failed_over(walk.request.plan.engine, outcome)
    return True


cdef void _asked(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    cdef uint32_t bit = undo_bit(walk, child)
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    if _depends(walk.request):
        once_run_ends(walk.request.plan.engine, key, size)
    combine_take_if_better(walk, outcome, reply, True)
    if outcome == TIMEOUT:
        walk.good |= <int>bit
    elif _found_nothing(outcome) and not _is_passed(walk, child):
        walk.absent |= bit
    if (outcome > REFUSED_BY_SERVER or _found_nothing(outcome)) and _goes_on(walk, outcome):
        hold_if_sent(walk, outcome)
        _ask_next(walk)
        return
    if _is_success(walk.request, outcome):
        _undo(walk, undo_bits(walk) & ~bit & ~walk.absent)
    else:
        _end_undone(walk)


cdef void _end_undone(Walk* walk) noexcept nogil:
    """Ends the walk without a success. A child that timed out may still succeed."""
    if walk.good != 0 and walk.request.group > GROUP_LAST_READ:
        # Clients may read the late result: the others must not show the old value.
        combine_take_if_better(walk, TIMEOUT, NOTHING, True)
        _undo(walk, undo_bits(walk) & ~<uint32_t>walk.good & ~walk.absent)
    else:
        walk_end(walk, walk.best, walk.best_reply)


cdef void _undo(Walk* walk, uint32_t bits) noexcept nogil:
    """Ends the walk when the children of these bits have lost the key."""
    if undo_children(walk, bits):
        walk_end(walk, walk.best, walk.best_reply)


# ---- looking ----

cdef bint _ends_runs(Walk* walk, int child) noexcept nogil:
    """Ends what waits at the child, if it is out of service: its answers to that would not be known to this walk."""
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[plan.children[plan.nodes[walk.node].children + child]]
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    cdef Server* server = walk_server(walk.request, node, key, size) if node.kind == NODE_ASK else NULL
    if server == NULL or word_state(server.word) == SERVER_UP:
        return False
    server_abandon(server)
    return True


cdef void _looked(Walk* walk, int child, int outcome) noexcept nogil:
    if outcome == HIT:
        walk.absent |= undo_bit(walk, child)
    elif outcome == TIMEOUT or outcome == REFUSED_BY_SERVER or outcome == OVERLOADED:
        # This server serves, and may have the key. A server that is out of service or lost is restored before reads.
        walk.failure = outcome
    elif outcome == EJECTED and not _creates(walk.request) and not _ends_runs(walk, child):
        # It serves, and is avoided for another thread's sake: what runs there goes on.
        walk.failure = outcome
    _settle(walk)


cdef int _first_bit(uint32_t bits) noexcept nogil:
    cdef int i = 0
    while bits > 1 and not bits & 1:
        bits >>= 1
        i += 1
    return i


cdef bint _has_token(ClientRequest* request) noexcept nogil:
    cdef uint64_t token = 0
    return token_of_request(request, &token)


cdef void _have_looked(Walk* walk) noexcept nogil:
    cdef uint32_t holders = walk.absent
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    once_look_ends(walk.request.plan.engine, key, size)
    walk.cursor = ASKING
    walk.absent = 0
    if request_is_over(walk.request):
        _end_unasked(walk, TIMEOUT)
    elif _has_token(walk.request):
        _ask_behind_looks(walk, walk.next_child, walk.request.plan.nodes[walk.node].child_count - 1)
    elif not _creates(walk.request):
        # The children before were asked already, and may execute the command late: never twice.
        _ask_behind_looks(walk, walk.next_child, walk.next_child)
    elif _adds(walk.request) and holders != 0:
        walk_end(walk, NOT_STORED, NOTHING)
    elif holders == 0 and walk.failure != HIT:
        _end_unasked(walk, walk.failure)
    elif _adds(walk.request):
        _run_all(walk, ADDING, CARRY_OUT)
    else:
        _ask_behind_looks(walk, _first_bit(holders), 0)


cdef void _ask_behind_looks(Walk* walk, int child, int asked) noexcept nogil:
    """Asks the child; `asked` were before it."""
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    walk.children_asked = asked
    if walk.failure != HIT and once_runs_elsewhere(walk.request.plan.engine, key, size, child):
        # A child was not asked, or had no answer: what runs there may not be done.
        _end_unasked(walk, walk.failure)
    else:
        _ask(walk, child)


cdef void _end_unasked(Walk* walk, int outcome) noexcept nogil:
    combine_take_if_better(walk, outcome, NOTHING, True)
    _end_undone(walk)


# ---- adding ----

cdef void _added(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    if outcome == STORED:
        walk.good |= <int>undo_bit(walk, child)
    elif outcome == TIMEOUT:
        walk.absent |= undo_bit(walk, child)
    if outcome == TIMEOUT or outcome == REFUSED_BY_SERVER or outcome == OVERLOADED:
        walk.failure = outcome
    combine_take_if_better(walk, outcome, reply, False)
    _settle(walk)


cdef void _have_added(Walk* walk) noexcept nogil:
    """The outcome is STORED if no copy answers otherwise, and no copy in service fails to answer."""
    cdef uint32_t stored = <uint32_t>walk.good
    cdef uint32_t late = walk.absent
    if walk.best < REFUSED_BY_SERVER and walk.best != STORED:
        # Another proxy's add has won one of the copies.
        _undo(walk, stored | late)
    elif stored != 0 and walk.failure != HIT:
        # The late child may hold another client's value, which must not be deleted.
        combine_take_if_better(walk, walk.failure, NOTHING, True)
        _undo(walk, stored)
    else:
        walk_end(walk, walk.best, walk.best_reply)
