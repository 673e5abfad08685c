"""Explains what a plan does with a key: walks the plan without sending, and prints the steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .nodes import (
    COMMAND_GROUPS,
    All,
    Ask,
    Backup,
    CappedAsk,
    Constant,
    Detach,
    Failing,
    First,
    Group,
    Gutter,
    Node,
    Plan,
    Python,
    SwitchCommand,
    SwitchPrefix,
    Then,
)  # fmt: skip

__all__ = ("Explanation", "explain")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One step of the walk and its sub-steps. `server` and `rank` are set for an ask."""

    text: str
    children: tuple[Explanation, ...] = ()
    server: str = ""
    rank: int = 0
    is_ejected: bool = False

    def servers(self) -> tuple[str, ...]:
        """The servers that would be asked, in order, as long as none answers; ejected ones are omitted."""
        own = (self.server,) if self.server and not self.is_ejected else ()
        below = (name for child in self.children for name in child.servers())
        return tuple(dict.fromkeys((*own, *below)))

    def all_servers(self) -> tuple[str, ...]:
        """All servers of the steps, in order, ejected ones too."""
        own = (self.server,) if self.server else ()
        return tuple(dict.fromkeys((*own, *(n for child in self.children for n in child.all_servers()))))

    def __str__(self) -> str:
        lines = [self.text]
        for child in self.children:
            lines += ("  " + line for line in str(child).splitlines())
        return "\n".join(lines)


def explain(plan: Plan, key: bytes, command: str = "get", ejected: Collection[str] = ()) -> Explanation:
    """The servers that `command` on `key` would go to, in order, and why.

    `ejected` holds the names of servers to treat as ejected; a mapping has their reasons as values, as
    `Supervisor.reasons` has. Raises ValueError for a command that is not routed. Pools of several servers
    need the compiled ring.
    """
    if command not in COMMAND_GROUPS:
        raise ValueError(f"{command!r} is not a routed command")
    tree = _Walk(plan, key, COMMAND_GROUPS[command], ejected).explain(plan.root)
    return Explanation(f"{command} {key.decode(errors='backslashreplace')}", (tree,))


class _Walk:
    """One explanation under construction."""

    def __init__(self, plan: Plan, key: bytes, group: Group, ejected: Collection[str]) -> None:
        self.plan = plan
        self.key = key
        self.group = group
        self.ejected = ejected

    def explain(self, index: int) -> Explanation:
        node = self.plan.nodes[index]
        if isinstance(node, Ask):
            return self._ask(node)
        if isinstance(node, Constant):
            return Explanation(_constant(node))
        if isinstance(node, SwitchCommand):
            return self.explain(node.children[self.group])
        if isinstance(node, SwitchPrefix):
            return self._switch_prefix(node)
        children = (node.child,) if isinstance(node, Detach) else node.children
        return Explanation(_combinator(node), tuple(self.explain(child) for child in children))

    def _ask(self, node: Ask) -> Explanation:
        pool = self.plan.pools[node.pool]
        if len(pool.servers) == 1:
            server = pool.servers[0].name
        else:
            owners = list(pool.ring().owners(self.key, node.rank + 1))
            if len(owners) <= node.rank:
                return Explanation(f"ask no server: the key has no copy {node.rank} in {pool.name}")
            server = pool.servers[owners[node.rank]].name
        is_ejected = server in self.ejected
        role = "owner" if node.rank == 0 else f"copy {node.rank}"
        where = f"every server of {pool.name.split(chr(0))[0]}" if node.pool in self.plan.parts else pool.name
        shown = role if node.pool not in self.plan.parts else "one"
        text = f"ask {server} ({shown} of {where})"
        if isinstance(node, CappedAsk):
            text += f", which keeps values for {node.ttl_max_s} s at most"
        if is_ejected:
            why = f": {self.ejected[server]}" if isinstance(self.ejected, Mapping) else ""
            text += f" - ejected, not asked{why}"
        return Explanation(text, (), server, node.rank, is_ejected)

    def _switch_prefix(self, node: SwitchPrefix) -> Explanation:
        fitting = [i for i, prefix in enumerate(node.prefixes) if self.key.startswith(prefix)]
        if not fitting:
            return Explanation("no prefix matches: default", (self.explain(node.children[-1]),))
        best = max(fitting, key=lambda i: len(node.prefixes[i]))
        prefix = node.prefixes[best].decode(errors="backslashreplace")
        return Explanation(f"prefix {prefix}", (self.explain(node.children[best]),))


def _constant(node: Constant) -> str:
    return "answer like an empty cache" if node.error is None else f"answer SERVER_ERROR {node.error}"


def _combinator(node: Node) -> str:
    if isinstance(node, First):
        until = {
            Failing.ERROR: "no error",
            Failing.ERROR_OR_MISS: "a hit",
            Failing.ERROR_IN_TIME: "no error, or a timeout",
        }[node.failing]
        begins = ", from any on" if node.random_start else ""
        if isinstance(node, Gutter):
            begins = "; the later ones only stand in"
        return f"one after the other until {until}{begins}" + (", hedged" if node.hedges else "")
    if isinstance(node, All):
        return f"all {len(node.children)} at once, answer after {node.need} good, {node.least} at least"
    if isinstance(node, Then):
        return "the first that can do it, then undo the key on the others; an add on all"
    if isinstance(node, Backup):
        return "the first that can store it answers, then the others follow"
    if isinstance(node, Detach):
        return "without waiting, answer like an empty cache"
    assert isinstance(node, Python)
    return f"{type(node.route).__name__} decides among"
