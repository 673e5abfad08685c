"""What a primary with backups compiles to."""

from mcroute.policy import Group, Pool, Replicate, compile_plan, explain
from mcroute.policy import nodes as n

THREE = Pool.of("three", ["a:1", "b:1", "c:1"])


def node(write, group):
    plan = compile_plan(Replicate(THREE, copies=3, write=write))
    return plan, plan.nodes[plan.nodes[plan.root].children[group]]


def test_stores_have_a_primary():
    plan, store = node("backup", Group.STORE)
    assert isinstance(store, n.Backup)
    assert [plan.nodes[child] for child in store.children] == [n.Ask(0, rank, True) for rank in range(3)]


def test_all_other_commands_are_as_if_all_copies_were_waited_for():
    for group in Group:
        if group is not Group.STORE:
            (backup, its), (every, other) = node("backup", group), node("all", group)
            assert type(its) is type(other)
            assert [backup.nodes[c] for c in its.children] == [every.nodes[c] for c in other.children]
    assert node("backup", Group.DELETE)[1].need == 3


def test_an_explanation_names_who_answers():
    text = str(explain(compile_plan(Replicate(THREE, copies=2, write="backup")), b"k", "set"))
    assert "the first that can store it answers, then the others follow" in text
