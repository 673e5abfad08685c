"""Writes the generated parts of docs/routes.md: what routes compile to, and the table of merging.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the rest of the page is written by hand.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from mcroute.policy import (
    AllAsync,
    AllFastest,
    AllMajority,
    AllSync,
    Failover,
    Group,
    MissFailover,
    Outcome,
    Plan,
    Pool,
    PoolRoute,
    Replicate,
    Route,
    Warm,
    compile_plan,
)
from mcroute.policy.merge import MERGE_ORDER
from mcroute.policy.nodes import (
    COMMAND_GROUPS,
    All,
    Ask,
    Backup,
    Detach,
    Failing,
    First,
    Node,
    SwitchCommand,
    Then,
)
from mcroute.policy.routes import WriteMode

PAGE = Path(__file__).parent / "routes.md"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# What meta commands fall under depends on their flags, which the table of explain() does not know.
META = {
    Group.READ: "`mg`, `me`",
    Group.READ_CAS: "`mg` with `c`, `N` or `R`",
    Group.READ_TOUCH: "`mg` with `T`",
    Group.STORE: "`ms`",
    Group.STORE_IF: "`ms` with `C`, `I` or a mode; `md` with `C`, `I` or `x`",
    Group.DELETE: "`md`",
    Group.ARITHMETIC: "`ma`",
}

O = Outcome  # noqa: E741  a table is read better in short words

# What servers, or routes that ask none, come to. Every command can come to MISS: that is what Null answers.
ANSWERS = {
    Group.READ: {O.HIT, O.MISS},
    Group.READ_CAS: {O.HIT, O.MISS},
    Group.READ_TOUCH: {O.HIT, O.MISS},
    Group.STORE: {O.STORED, O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS},
    Group.STORE_IF: {O.STORED, O.DELETED, O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS},
    Group.DELETE: {O.DELETED, O.NOT_FOUND, O.MISS},
    Group.ARITHMETIC: {O.NUMBER, O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS},
    Group.TOUCH: {O.TOUCHED, O.NOT_FOUND, O.MISS},
    Group.FLUSH: {O.OK, O.MISS},
}
FAILURES = {outcome for outcome in Outcome if outcome >= O.REFUSED_BY_SERVER}

MAIN = Pool.of("main", ["cache1:11211", "cache2:11211", "cache3:11211"])
CHILDREN = [PoolRoute(Pool.of(name, [f"{name}:11211"])) for name in ("a", "b", "c")]
SHOWN: dict[str, Route] = {
    "PoolRoute": PoolRoute(MAIN),
    "Replicate": Replicate(MAIN, copies=3),
    "Failover": Failover(CHILDREN),
    "MissFailover": MissFailover(CHILDREN),
    "Warm": Warm(Pool.of("a", ["a:11211"]), Pool.of("b", ["b:11211"])),
    "AllSync": AllSync(CHILDREN),
    "AllMajority": AllMajority(CHILDREN),
    "AllFastest": AllFastest(CHILDREN),
    "AllAsync": AllAsync(CHILDREN),
}


def page() -> str:
    return PART.sub(lambda part: f"{part[1]}{_part(part[2])}\n{part[3]}", PAGE.read_text(encoding="utf-8"))


def _part(name: str) -> str:
    if name in PARTS:
        return PARTS[name]()
    route = SHOWN[name]
    return f"{inspect.getdoc(type(route))}\n\n{_table(('commands', 'what is done'), _behaviour(route))}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(heads), "|" + "---|" * len(heads), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _name(group: Group) -> str:
    return f"`{group.name.lower()}`"


# ---- what a route compiles to ----


def _behaviour(route: Route) -> Iterator[tuple[str, str]]:
    """One row for the groups of commands that are treated alike."""
    plan = compile_plan(route)
    rows: dict[str, list[Group]] = {}
    for group in Group:
        rows.setdefault(_said(plan, _node(plan, group)), []).append(group)
    for text, groups in rows.items():
        yield ", ".join(map(_name, groups)), text


def _node(plan: Plan, group: Group) -> Node:
    root = plan.nodes[plan.root]
    return plan.nodes[root.children[group]] if isinstance(root, SwitchCommand) else root


def _said(plan: Plan, node: Node) -> str:
    if isinstance(node, Ask):
        return "asked of the key's server"
    if isinstance(node, First):
        start = ", beginning anywhere" if node.random_start else ""
        until = UNTIL[node.failing]
        return f"asked of one after the other until {until}{start}"
    if isinstance(node, All):
        return f"sent to all {len(node.children)} at once; {_acknowledged(node)}"
    if isinstance(node, Then):
        return (
            "done by the first that can; answered when the others are deleted (`gat`: touched); `add`: on all"
        )
    assert isinstance(node, Detach)
    return "answered at once, as by an empty cache; sent to all, whose replies nobody awaits"


UNTIL = {
    Failing.ERROR: "one does not fail",
    Failing.ERROR_OR_MISS: "one has the key",
    Failing.ERROR_IN_TIME: "one does not fail, or times out",
}


BACKED_UP = (
    "answered by the first copy that serves; then the others get what it has stored. Touches: as deletes"
)


def _acknowledged(node: All) -> str:
    """When a write to all is answered, and what it takes to be no error."""
    if node.need < len(node.children):
        assert node.need == node.least
        some = "the first" if node.need == 1 else f"the first {node.need}"
        return f"answered with {some} that did not fail, an error if there are fewer"
    enough = "all" if node.least == node.need else "one"
    return f"answered when each has answered or failed, an error unless {enough} answered"


# ---- tables ----


def _groups() -> str:
    rows = []
    for group in Group:
        words = (word for word, its in COMMAND_GROUPS.items() if its is group)
        classic = [f"`{word}`" for word in words if not re.fullmatch("m.", word)]
        rows.append((_name(group), ", ".join(classic), META.get(group, "")))
    return _table(("group", "classic", "meta"), rows)


def _writes() -> str:
    rows = []
    for write in get_args(WriteMode):
        plan = compile_plan(Replicate(MAIN, copies=3, write=write))
        store, delete = (_node(plan, group) for group in (Group.STORE, Group.DELETE))
        assert isinstance(store, All | Backup) and isinstance(delete, All)
        stored = BACKED_UP if isinstance(store, Backup) else _acknowledged(store)
        rows.append((f'`write="{write}"`', stored, _acknowledged(delete)))
    return _table(("of 3 copies", "stores and touches", "deletes"), rows)


def _merging() -> str:
    rows = []
    for group, order in MERGE_ORDER.items():
        answers = [f"`{o.name}`" for o in order if o in ANSWERS[group]]
        failures = [f"`{o.name}`" for o in order if o in FAILURES]
        rows.append((_name(group), ", ".join(answers), ", ".join(failures)))
    return _table(("group", "answers, best first", "then failures, best first"), rows)


PARTS: dict[str, Callable[[], str]] = {"groups": _groups, "writes": _writes, "merging": _merging}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
