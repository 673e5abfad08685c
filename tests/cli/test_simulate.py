"""mcroute simulate: every example, tables, files, mistakes, an interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcroute.cli.commands import mcroute
from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.simulation.faults import FAULTS
from tests.simulation.worlds import look_instead, take_only

EXAMPLES = Path(__file__).parents[2] / "examples"
FLEET = str(EXAMPLES / "fleet.toml")
SCRIPTS = sorted((EXAMPLES / "faults").glob("*.toml"))
SHORT = """
[workload]
duration_s = 6
keys = 50

[[faults]]
kind = "kill"
server = "cache-1"
at_s = 2
for_s = 1
"""


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(mcroute, ["simulate", *map(str, args)])


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_example_breaks_no_law(script: Path) -> None:
    result = run(FLEET, "--faults", script, "--check")
    assert result.exit_code == 0, result.output
    faults = script.read_text().count("[[faults]]")
    assert result.stdout.count("  until ") == faults
    assert "no violation" in result.stdout.splitlines()[-1]


def test_the_examples_show_every_kind_of_fault() -> None:
    texts = "".join(script.read_text() for script in SCRIPTS)
    assert [kind for kind in FAULTS if f'kind = "{kind}"' not in texts] == []


def test_copies_end_an_overload_that_lasts_without_them() -> None:
    """The page of the simulation shows this run."""
    script = EXAMPLES / "faults" / "overload.toml"
    hits = {}
    for config in ("fleet.toml", "fleet-without-copies.toml"):
        lines = run(EXAMPLES / config, "--faults", script).stdout.splitlines()
        after = next(line for line in lines if line.startswith("after"))
        hits[config] = float(next(word for word in after.split() if word.endswith("%"))[:-1])
    assert hits["fleet.toml"] > 95
    assert hits["fleet-without-copies.toml"] < 70


def test_one_seed_writes_the_same_bytes(tmp_path: Path, short: Path) -> None:
    pytest.importorskip("matplotlib")
    found = []
    for number, seed in enumerate((1, 1, 2)):
        data, chart = tmp_path / f"{number}.json", tmp_path / f"{number}.svg"
        result = run(FLEET, "--faults", short, "--seed", str(seed), "--json", data, "--plot", chart)
        assert result.exit_code == 0, result.output
        found.append((result.stdout, data.read_bytes(), chart.read_bytes()))
    assert found[0] == found[1]
    assert all(part != other for part, other in zip(found[0], found[2], strict=True))


def test_output_does_not_depend_on_the_hash_seed(short: Path) -> None:
    command = [sys.executable, "-m", "mcroute", "simulate", FLEET, "--faults", str(short), "--check"]
    outputs = {
        subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_charts_are_drawn(tmp_path: Path, short: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    chart = tmp_path / f"chart.{kind}"
    assert run(FLEET, "--faults", short, "--plot", chart).exit_code == 0
    assert chart.read_bytes().startswith({"svg": b"<?xml", "png": b"\x89PNG"}[kind])


def test_the_figures_as_json(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "figures.json"
    assert run(FLEET, "--faults", short, "--proxies", "2", "--embedded", "1", "--json", path).exit_code == 0
    figures = json.loads(path.read_text())
    assert [phase["name"] for phase in figures["phases"]] == ["before", "kill of cache-1", "after"]
    [fault] = figures["faults"]
    assert [effect["router"] for effect in fault["effects"]] == ["proxy-1", "proxy-2", "client-1"]
    assert all(0 <= effect["out_after_s"] < 2 for effect in fault["effects"])
    assert sum(m["figures"]["requests"] for m in figures["moments"]) == pytest.approx(1200, rel=0.2)


def test_a_broken_law_is_a_story_and_exit_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(AsyncioControl, "flush", look_instead)
    monkeypatch.setattr(AsyncioControl, "delete", take_only)
    script = tmp_path / "script.toml"
    warm = SHORT.replace('"kill"', '"kill-warm"').replace("duration_s = 6", "duration_s = 12\nreads = 0.5")
    script.write_text(warm)
    result = run(FLEET, "--faults", script, "--check")
    assert result.exit_code == 1
    assert "stale value" in result.stdout
    assert "serves again" in result.stdout


UNIX = '[pools.main]\nservers = ["10.0.0.1:11211", "unix:/tmp/x"]\n'


@pytest.mark.parametrize(
    ("config", "script", "text"),
    [
        ("", SHORT, "there is no pool"),
        (UNIX, SHORT, "config.toml: pools.main.servers[1]: a simulation has no unix sockets"),
        (None, SHORT.replace("kill", "kil"), "script.toml: faults[0].kind"),
        (None, SHORT.replace("cache-1", "cache-9"), "did you mean cache-"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(
    tmp_path: Path, config: str | None, script: str, text: str
) -> None:
    (tmp_path / "config.toml").write_text(Path(FLEET).read_text() if config is None else config)
    (tmp_path / "script.toml").write_text(script)
    result = run(tmp_path / "config.toml", "--faults", tmp_path / "script.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_router_is_needed(short: Path) -> None:
    result = run(FLEET, "--faults", short, "--proxies", "0")
    assert result.exit_code == 2
    assert "at least one" in result.stderr


def test_a_file_that_cannot_be_written(short: Path, tmp_path: Path) -> None:
    result = run(FLEET, "--faults", short, "--json", tmp_path / "none" / "figures.json")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_it_cleanly(tmp_path: Path, short: Path) -> None:
    script = tmp_path / "long.toml"
    script.write_text(SHORT.replace("duration_s = 6", "duration_s = 80000"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mcroute", "simulate", FLEET, "--faults", str(script)],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # State files of proxies are there while the simulation runs.
        while not list(temporary.iterdir()) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
