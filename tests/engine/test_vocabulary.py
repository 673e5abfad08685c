"""The engine's words in C are those of the policy in Python."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import mcroute._engine
from mcroute._protocol import COMMAND_NAMES
from mcroute.policy import Pool, PoolRoute, Server, compile_plan
from mcroute.policy.decisions import ServerState
from mcroute.policy.nodes import COMMAND_GROUPS, Constant, Group, Node, Outcome, Plan, SwitchCommand

from .network import Network

C_TEXT = "\n".join(
    (Path(mcroute._engine.__path__[0]) / name).read_text(encoding="utf-8")
    for name in ("vocabulary.pxd", "server_words.pxd")
)

LINES = {
    "get": b"get k\r\n", "gets": b"gets k\r\n", "gat": b"gat 9 k\r\n", "gats": b"gats 9 k\r\n",
    "set": b"set k 0 0 1\r\nx\r\n", "add": b"add k 0 0 1\r\nx\r\n", "replace": b"replace k 0 0 1\r\nx\r\n",
    "append": b"append k 0 0 1\r\nx\r\n", "prepend": b"prepend k 0 0 1\r\nx\r\n",
    "cas": b"cas k 0 0 1 7\r\nx\r\n", "delete": b"delete k\r\n", "incr": b"incr k 1\r\n",
    "decr": b"decr k 1\r\n", "touch": b"touch k 9\r\n", "flush_all": b"flush_all\r\n",
    "mg": b"mg k v\r\n", "ms": b"ms k 1\r\nx\r\n", "md": b"md k\r\n", "ma": b"ma k\r\n",
    "me": b"me k\r\n",
}  # fmt: skip
META_LINES = {
    b"mg k v c\r\n": Group.READ_CAS,
    b"mg k v T9\r\n": Group.READ_TOUCH,
    b"ms k 1 ME\r\nx\r\n": Group.STORE_IF,
    b"ms k 1 C7\r\nx\r\n": Group.STORE_IF,
    b"md k x\r\n": Group.STORE_IF,
    b"mg k v N9\r\n": Group.READ_CAS,
}


def c_enum(name: str) -> dict[str, int]:
    """The members of an enum of the .pxd files; one without a number follows the one before."""
    body = re.search(rf"cdef enum {name}:.*\n((?:    .*\n|\n)+)", C_TEXT)
    assert body, name
    members: dict[str, int] = {}
    for member, number in re.findall(r"^    ([A-Z_]+)(?: = (\d+))?", body[1], re.MULTILINE):
        members[member] = int(number) if number else max(members.values(), default=-1) + 1
    return members


def without(prefix: str, members: dict[str, int], *others: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in members.items() if name not in others}


def test_outcomes() -> None:
    assert c_enum("Outcome") == {outcome.name: outcome.value for outcome in Outcome}
    assert f"OUTCOME_COUNT = {len(Outcome)} " in C_TEXT


def test_groups() -> None:
    members = c_enum("Group")
    assert without("GROUP_", members, "GROUP_LAST_READ", "GROUP_COUNT") == {g.name: g.value for g in Group}
    assert members["GROUP_LAST_READ"] == Group.READ_TOUCH
    assert members["GROUP_COUNT"] == len(Group)


def test_kinds_of_node() -> None:
    """In the order of the union `Node`."""
    names = [re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).upper() for kind in get_args(Node)]
    assert without("NODE_", c_enum("NodeKind"), "NODE_REFILL") == {
        name: number for number, name in enumerate(names)
    }


def test_states_of_a_server() -> None:
    assert without("SERVER_", c_enum("ServerState")) == {state.name: state.value for state in ServerState}


def group_in_the_engine(line: bytes) -> Group:
    """The group whose child answers."""
    plan = compile_plan(PoolRoute(Pool("main", (Server("s0", "127.0.0.1", 1),))))
    groups = Plan(
        nodes=(
            *(Constant(f"group {group.value}") for group in Group),
            SwitchCommand(tuple(range(len(Group)))),
        ),
        root=len(Group),
        pools=plan.pools,
        servers=plan.servers,
        merge=plan.merge,
        missed=plan.missed,
        server_ids=plan.server_ids,
        server_options=plan.server_options,
    )
    net = Network(PoolRoute(plan.pools[0]), 1)
    net.engine.install(groups)
    client = net.client()
    net.send(client, line)
    answer = re.fullmatch(rb"SERVER_ERROR group (\d)\r\n", net.got(client))
    assert answer, line
    return Group(int(answer[1]))


@pytest.mark.parametrize("command", COMMAND_GROUPS)
def test_the_engine_sorts_a_command_as_the_table_says(command: str) -> None:
    assert group_in_the_engine(LINES[command]) == COMMAND_GROUPS[command]


def test_every_other_command_is_answered_by_the_proxy_itself() -> None:
    assert set(COMMAND_NAMES) - set(COMMAND_GROUPS) == {"version", "verbosity", "stats", "quit", "mn"}
    assert set(COMMAND_GROUPS) <= set(COMMAND_NAMES)


@pytest.mark.parametrize("line", META_LINES)
def test_the_flags_of_a_meta_command_decide(line: bytes) -> None:
    assert group_in_the_engine(line) == META_LINES[line]
