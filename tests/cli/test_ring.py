"""mcroute ring: owners, spread, diff, detect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mcroute import Ring
from mcroute.cli.commands import mcroute
from mcroute.cli.ring.detection import Sample, detect
from mcroute.cli.ring.shares import bar, diff_rings, generated_keys, spread_ring
from mcroute.cli.ring.sweeps import tried
from mcroute.placement import SYSTEMS
from tests.golden import adapter

SERVERS = [f"10.0.0.{i}:11211" for i in range(1, 6)]
VECTORS = Path(__file__).parents[1] / "vectors" / "placement"
VECTOR_KEYS = [bytes.fromhex(line) for line in (VECTORS / "keys.txt").read_text().split()]
CASES = [case for path in sorted(VECTORS.glob("*.json")) for case in json.loads(path.read_text())]
# Options that keys and servers do not reveal.
TOLD = {"salt", "tags", "weights", "seed", "prefix", "username", "password", "resolved", "vnodes", "replicas"}


def run(*args: str) -> Result:
    return CliRunner().invoke(mcroute, ["ring", *args])


def config(there: Path, name: str, servers: list[str], more: str = "") -> str:
    path = there / name
    path.write_text(f"[pools.main]\nservers = {json.dumps(servers)}\n{more}")
    return str(path)


def test_owners_are_shown_in_order(tmp_path: Path) -> None:
    path = config(tmp_path, "a.toml", SERVERS)
    ring = Ring(SERVERS)
    result = run("owner", path, "user:1", "user:2", "--count", "2")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{key}  {' '.join(SERVERS[i] for i in ring.owners(key, 2))}" for key in ("user:1", "user:2")
    ]


def test_the_spread_has_a_bar_for_each_server(tmp_path: Path) -> None:
    result = run("spread", config(tmp_path, "a.toml", SERVERS), "--keys", "5000")
    lines = result.output.splitlines()
    assert result.exit_code == 0 and len(lines) == 6
    assert all(
        line.startswith(server) and "points" in line for line, server in zip(lines, SERVERS, strict=False)
    )
    assert "█" * 20 in lines[0]
    assert "times the share that its weight gives" in lines[-1]


def test_a_spread_is_measured_against_the_weights() -> None:
    spread = spread_ring(Ring(["a", "b"], weights=[1, 3]), generated_keys(20_000))
    assert spread.weights == [0.25, 0.75]
    assert sum(spread.keys) == pytest.approx(1)
    assert spread.points == [0.25, 0.75]
    assert 1 <= spread.worst < 1.2
    assert spread_ring(Ring(["a", "b"], "jump"), generated_keys(1000)).points is None


def test_a_diff_shows_the_keys_that_move_between_servers(tmp_path: Path) -> None:
    old, new = config(tmp_path, "old.toml", SERVERS), config(tmp_path, "new.toml", SERVERS[:4])
    lines = run("diff", old, new, "--keys", "20000").output.splitlines()
    assert 15 < float(lines[0].partition("%")[0]) < 25
    assert len(lines) == 5
    assert all(line.startswith(f"{SERVERS[4]} -> ") for line in lines[1:])
    assert run("diff", old, old).output == "0.0% of the keys move\n"


def test_a_diff_has_a_share_for_each_pair() -> None:
    diff = diff_rings(Ring(SERVERS), Ring(SERVERS, "jump"), generated_keys(5000))
    assert len(diff.moves) == 20
    assert diff.moved == pytest.approx(0.8, abs=0.05)
    assert diff.sorted()[0][1] == max(diff.moves.values())


def test_bars_are_as_long_as_their_share() -> None:
    assert bar(1, 1) == "█" * 40
    assert bar(0.5, 1) == "█" * 20
    assert bar(0, 1) == bar(0, 0) == ""
    assert len(bar(1 / 3, 1)) == 14


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_pictures_are_drawn(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    old, new = config(tmp_path, "old.toml", SERVERS), config(tmp_path, "new.toml", SERVERS[:4])
    head = {"svg": b"<?xml", "png": b"\x89PNG"}[kind]
    for command in (["spread", old], ["diff", old, new], ["diff", old, old]):
        path = tmp_path / f"{command[0]}.{kind}"
        assert run(*command, "--keys", "1000", "--plot", str(path)).exit_code == 0
        assert path.read_bytes().startswith(head)


# ---- detect


def sample_file(there: Path, ring: Ring, count: int = 200) -> str:
    path = there / "sample"
    keys = [f"user:{i}:profile" for i in range(count)]
    path.write_text("".join(f"{key} {SERVERS[ring.owner(key)]}\n" for key in keys))
    return str(path)


def test_detect_names_the_system_and_its_options(tmp_path: Path) -> None:
    path = config(tmp_path, "a.toml", SERVERS)
    sample = sample_file(tmp_path, Ring.like("twemproxy", SERVERS, hash="murmur", distribution="modula"))
    result = run("detect", path, "--sample", sample)
    assert result.exit_code == 0
    assert result.output.startswith("100.0% of 200 keys are explained by:\n")
    assert "  twemproxy hash='murmur' distribution='modula'\n" in result.output
    assert result.output.count("twemproxy") == 1
    assert run("detect", path, "--sample", sample, "--all").output.count("twemproxy") > 1


def test_detect_uses_given_options(tmp_path: Path) -> None:
    path = config(tmp_path, "a.toml", SERVERS)
    sample = sample_file(tmp_path, Ring.like("libmc", SERVERS, prefix="app:"))
    assert "libmc" not in run("detect", path, "--sample", sample).output
    assert "libmc prefix='app:'" in run("detect", path, "--sample", sample, "--given", 'prefix="app:"').output


def test_detect_finds_a_system_when_one_server_was_out() -> None:
    ring = Ring.like("python-memcached", SERVERS, out="theirs")
    keys = [b"user:%d" % i for i in range(200)]
    sample = Sample(keys, [ring.owner(key, [2]) for key in keys])
    found = [candidate.system for candidate in detect(SERVERS, sample, out=[2]) if candidate.share == 1]
    assert "python-memcached" in found


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case["case"])
def test_detect_finds_the_system_of_a_vector(case: dict[str, Any]) -> None:
    pairs = [(key, owner) for key, owner in zip(VECTOR_KEYS, case["owners"], strict=True) if owner >= 0][:200]
    options = adapter.options_of(case)
    given = {name: value for name, value in options.items() if name in TOLD}
    sample = Sample([key for key, _ in pairs], [owner for _, owner in pairs])
    found = detect(adapter.servers_of(case), sample, given=given, out=case.get("removed", ()))
    assert case["system"] in {candidate.system for candidate in found if candidate.share == 1}


@pytest.mark.parametrize("system", SYSTEMS)
def test_defaults_are_tried_of_every_system(system: str) -> None:
    combinations = [*tried(system), *tried(system, ejecting=True)]
    assert {} in combinations or system == "elasticache-java"
    known = {option.name for option in SYSTEMS[system].options}
    assert all(options.keys() <= known for options in combinations)


# ---- mistakes


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["owner", "none.toml", "k"], "cannot be read"),
        (["owner", "{a}", "k", "--pool", "man"], "did you mean main?"),
        (["spread", "{a}", "--key-file", "{empty}"], "the file has no keys"),
        (["detect", "{a}", "--sample", "{empty}"], "the file has no keys"),
        (["detect", "{a}", "--sample", "{odd}"], "line 1: expected a key, a blank and a server"),
        (["detect", "{a}", "--sample", "{stranger}"], "line 2: no server is called 'x:1'"),
        (["detect", "{a}", "--sample", "{good}", "--out", "x:1"], "--out: no server"),
        (["detect", "{a}", "--sample", "{good}", "--given", "prefix"], "--given"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, args: list[str], text: str) -> None:
    files = {
        "a": config(tmp_path, "a.toml", SERVERS),
        "empty": "",
        "odd": "key\n",
        "stranger": f"k {SERVERS[0]}\nk x:1\n",
        "good": f"k {SERVERS[0]}\n",
    }
    for name in ("empty", "odd", "stranger", "good"):
        (tmp_path / name).write_text(files[name])
        files[name] = str(tmp_path / name)
    result = run(*(arg.format(**files) for arg in args))
    assert result.exit_code == 2
    assert text in result.stderr


def test_detect_reports_that_no_system_explains_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "sample"
    path.write_text("".join(f"key:{i} {SERVERS[i * i % 5]}\n" for i in range(100)))
    result = run("detect", config(tmp_path, "a.toml", SERVERS), "--sample", str(path))
    assert result.exit_code == 1
    assert "no known system explains" in result.stderr
