"""The kinds of node in a plan, and the plan itself.

This is the contract between policy and engine: routes are compiled into these values, the engine walks them
for every request without the interpreter. Nodes refer to each other by index into `Plan.nodes`, children
before parents, so a plan is a table, not a graph of objects. Nothing here knows how to send.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from .server_options import ServerOptions
from .servers import Pool, Server


class Outcome(IntEnum):
    """The result of one ask, or of a whole subtree. The engine classifies replies into these."""

    HIT = 0  # VALUE, VA, HD to a read
    MISS = 1  # END without a value, EN
    STORED = 2  # STORED, HD to a write
    NOT_STORED = 3
    EXISTS = 4
    NOT_FOUND = 5
    DELETED = 6
    TOUCHED = 7
    NUMBER = 8
    OK = 9
    REFUSED_BY_SERVER = 10  # SERVER_ERROR, ERROR, CLIENT_ERROR: the server's own refusal
    EJECTED = 11  # not sent: the server is out of service
    LOST = 12  # not sent, or the link was lost before the reply came
    TIMEOUT = 13  # no reply within the reply timeout; a write may still be executed
    OVERLOADED = 14  # not sent: the link's queue is full


class Group(IntEnum):
    """Commands that policies treat alike, see COMMAND_GROUPS."""

    READ = 0
    READ_CAS = 1  # also mg with c
    READ_TOUCH = 2  # also mg with T
    STORE = 3
    STORE_IF = 4  # also ms with a mode or C
    DELETE = 5
    ARITHMETIC = 6
    TOUCH = 7
    FLUSH = 8


# The group of each routed command. The engine reads this table (_engine/groups.pyx), where flags of a meta
# command may choose another group.
COMMAND_GROUPS = {
    "get": Group.READ,
    "gets": Group.READ_CAS,
    "gat": Group.READ_TOUCH,
    "gats": Group.READ_TOUCH,
    "set": Group.STORE,
    "add": Group.STORE_IF,
    "replace": Group.STORE_IF,
    "append": Group.STORE_IF,
    "prepend": Group.STORE_IF,
    "cas": Group.STORE_IF,
    "delete": Group.DELETE,
    "incr": Group.ARITHMETIC,
    "decr": Group.ARITHMETIC,
    "touch": Group.TOUCH,
    "flush_all": Group.FLUSH,
    "mg": Group.READ,
    "me": Group.READ,
    "ms": Group.STORE,
    "md": Group.DELETE,
    "ma": Group.ARITHMETIC,
}


class Failing(IntEnum):
    """The outcomes after which `First` goes on to its next child."""

    ERROR = 0  # any outcome from REFUSED_BY_SERVER on
    ERROR_OR_MISS = 1
    ERROR_IN_TIME = 2  # any but TIMEOUT, after which the command may still be executed


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the server of this rank among the key's owners in the pool (rank 0 is the owner).

    With `tags_cas`, the clients' CAS tokens carry their server, because the key has other servers too.
    """

    pool: int
    rank: int = 0
    tags_cas: bool = False


@dataclass(frozen=True, slots=True)
class CappedAsk(Ask):
    """An ask of a stand-in: what it stores or touches there lives for `ttl_max_s` seconds at most."""

    ttl_max_s: int = 0


@dataclass(frozen=True, slots=True)
class First:
    """Ask the children in order until one outcome is good enough; else answer the best outcome so far."""

    children: tuple[int, ...]
    failing: Failing = Failing.ERROR
    # Begin at a random child, drawn per request by the engine's generator; the order stays cyclic.
    random_start: bool = False
    # If no outcome is good enough, answer the last one instead of the best one.
    answer_last: bool = False
    # A read whose child is late is asked of the next child too; for asks, and failing=ERROR_OR_MISS.
    hedges: bool = False
    # Copy a hit to the children that were asked before it and missed.
    refills: bool = False


@dataclass(frozen=True, slots=True)
class Gutter(First):
    """A `First` without a random start, whose later children stand in for the earlier ones.

    The engine notes the keys that a stand-in takes. A stand-in is passed over for a key that it took before
    a server of the earlier children was restored, until the key is deleted from the stand-in.
    """


@dataclass(frozen=True, slots=True)
class All:
    """Ask all children at once; answer when `need` are good, or when all have ended.

    The answer is the best outcome by `Plan.merge`. With fewer than `least` good outcomes the answer is an
    error even though a child succeeded. Children that are unfinished at the answer run on, unobserved.
    """

    children: tuple[int, ...]
    need: int
    least: int = 1


@dataclass(frozen=True, slots=True)
class Then:
    """Ask the children in order until one runs the command; undo the key on the others, then answer.

    For commands that must not run on every copy (incr, cas, append, gat). If a child is out of service,
    fails or does not have the key, the next child is asked. When one has run the command, the others get
    a delete of the key (after gat: a touch), and the reply waits for them. A refusal after a timeout
    is answered as the timeout: the late child may have run the command.

    A command that creates the key (add, and meta commands that vivify) first checks whether any child has it.
    An add then goes to all children at once; it succeeds if no child refuses it and none in service fails.
    """

    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Backup:
    """Ask the children in order until one has stored the value; answer; then store it on the rest.

    For stores; the children are asks. If a child is out of service or fails, the next one is asked; a refusal
    is the answer. Later requests for the key wait until the value is on its way to the rest, or noted as
    missed by them.
    """

    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Detach:
    """Run the child unobserved; answer the command's default reply at once."""

    child: int


@dataclass(frozen=True, slots=True)
class SwitchCommand:
    """Continue with the child of the command's group."""

    children: tuple[int, ...]  # one for each Group, in order


@dataclass(frozen=True, slots=True)
class SwitchPrefix:
    """Continue with the child of the longest of `prefixes` that the key begins with."""

    prefixes: tuple[bytes, ...]
    children: tuple[int, ...]  # one for each prefix, then the default


@dataclass(frozen=True, slots=True)
class Constant:
    """Answer without asking: the command's default reply (a miss, NOT_STORED), or SERVER_ERROR and a text."""

    error: str | None = None


@dataclass(frozen=True, slots=True)
class Python:
    """Run a user's route for the request; its `Ask(i)` runs child i."""

    route: object
    children: tuple[int, ...] = ()


Node = Ask | First | All | Then | Detach | SwitchCommand | SwitchPrefix | Constant | Python | Backup


@dataclass(frozen=True, slots=True)
class Plan:
    """An immutable, checked policy: the result of `compile_plan`, which the engine installs."""

    nodes: tuple[Node, ...]
    root: int
    pools: tuple[Pool, ...]
    servers: tuple[Server, ...]  # the union of the pools' servers; a server's id is its index here
    # merge[group][outcome] is a rank: of several copies' outcomes, the one of least rank is answered.
    merge: tuple[tuple[int, ...], ...]
    # missed[group] has a bit for each outcome by which a copy has missed a write.
    missed: tuple[int, ...]
    # A failover after a timeout takes a token. Requests add this share of a token, seconds add the floor.
    retry_share: float = 0.2
    retry_floor_per_s: float = 10.0
    # A hedge takes a token; requests add this share of one.
    hedge_share: float = 0.05
    server_ids: dict[str, int] = field(default_factory=dict, compare=False)
    # By the server's name: the folded options of its pools.
    server_options: Mapping[str, ServerOptions] = field(default_factory=dict, compare=False)
    # Pools of one server each, made by compile_plan: commands without a key reach every server through them.
    parts: frozenset[int] = frozenset()

    @property
    def answers_early(self) -> bool:
        """Whether a write may be answered before all servers that it went to have answered."""
        return any(
            isinstance(node, (Backup, Detach, Python))
            or (isinstance(node, All) and node.need < len(node.children))
            for node in self.nodes
        )

    @property
    def named_pools(self) -> tuple[Pool, ...]:
        """The pools without `parts`."""
        return tuple(pool for index, pool in enumerate(self.pools) if index not in self.parts)

    def nodes_of_keys(
        self,
        key: bytes | None = None,
        *,
        starts: Iterable[int] | None = None,
        without: Collection[int] = (),
    ) -> frozenset[int]:
        """The indices of the nodes that a request for a key may reach: for any key, or for this one.

        `flush_all` has separate nodes. The request begins at one of the nodes `starts`, by default the root,
        and passes none of `without`.
        """
        found: set[int] = set()
        ahead = [self.root] if starts is None else list(starts)
        while ahead:
            index = ahead.pop()
            if index not in found and index not in without:
                found.add(index)
                ahead += _children_of_keys(self.nodes[index], key)
        return frozenset(found)


def _children_of_keys(node: Node, key: bytes | None) -> tuple[int, ...]:
    if isinstance(node, Detach):
        return (node.child,)
    if isinstance(node, SwitchCommand):
        return tuple(child for group, child in enumerate(node.children) if group != Group.FLUSH)
    if isinstance(node, SwitchPrefix) and key is not None:
        fitting = [index for index, prefix in enumerate(node.prefixes) if key.startswith(prefix)]
        longest = max(fitting, key=lambda index: len(node.prefixes[index]), default=-1)
        return (node.children[longest],)
    return () if isinstance(node, Ask | Constant) else node.children
