"""The command line: answers on stdout, mistakes as one line on stderr and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcroute.cli.commands import mcroute
from mcroute.cli.summaries import COMMANDS

CONFIG = """
[pools.main]
servers = ["a:1", "b:1", "c:1"]
[pools.spare]
servers = ["s:1"]
[pools.old]
servers = ["o:1"]
[route]
type = "failover"
children = ["main", "spare"]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "mcroute.toml"
    path.write_text(CONFIG)
    return str(path)


def run(*args: str) -> Result:
    return CliRunner().invoke(mcroute, args)


def test_check_shows_the_parsed_configuration(config):
    result = run("check", config)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "pool main: 3 servers, 1 copy of each key, murmur3",
        "pool spare: 1 server, 1 copy of each key, murmur3",
        "pool old: 1 server, not used by the route, murmur3",
        f"{config}: ok",
    ]


@pytest.mark.parametrize("command", [["check"], ["explain"]])
def test_a_mistake_in_the_file_is_one_line_and_exit_code_2(command, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[pools.main]\nservers = ['a:0']")
    result = run(*command, str(path))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"Error: {path}: pools.main.servers[0]: port 0 is not between 1 and 65535\n"


def test_explain_shows_servers_in_order_and_passes_over_ejected_ones(config):
    result = run("explain", config, "user:1")
    assert result.exit_code == 0
    head, first, owner, spare, servers = result.output.splitlines()
    assert (head, first) == ("get user:1", "  one after the other until no error")
    assert spare == "    ask s:1 (owner of spare)"
    name = owner.split()[1]
    assert servers == f"servers: {name}, s:1"
    without = run("explain", config, "user:1", "--ejected", name, "--command", "set").output.splitlines()
    assert without[0] == "set user:1"
    assert without[2] == f"{owner} - ejected, not asked"
    assert without[-1] == "servers: s:1"


def test_explain_takes_several_keys(config):
    blocks = run("explain", config, "a", "b").output.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["get a", "get b"]


def test_a_flush_has_no_key_and_reaches_every_server(config):
    result = run("explain", config, "--command", "flush_all")
    assert result.output.splitlines()[-1] == "servers: a:1, b:1, c:1, s:1"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["k", "--ejected", "a:2"], "--ejected: no server is named 'a:2'; did you mean a:1?"),
        ([], "a key is missing"),
        (["k", "--command", "flush_all"], "flush_all has no key"),
        (["two words"], "'two words' is not a key: 1 to 250 bytes without blanks and control characters"),
        (["k" * 251], "is not a key"),
        (["k", "--command", "quit"], "'quit' is not one of"),
    ],
)
def test_a_key_that_cannot_be_explained_is_refused(config, args, message):
    result = run("explain", config, *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_command_runs_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "mcroute", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert result.stdout.startswith("mcroute ")


def run_without(missing, *arguments):
    # A module that is None in sys.modules cannot be imported.
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing})); from mcroute.cli import main; main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


EXTRAS = ["click", "prometheus_client", "rich", "textual", "matplotlib"]


@pytest.mark.parametrize(
    ("missing", "arguments", "needed"),
    [
        (["click"], ["check", "x"], "click: pip install 'mcroute-engine[proxy]'"),
        (["rich"], ["demo"], "rich: pip install 'mcroute-engine[demo]'"),
        (
            EXTRAS,
            ["proxy", "x", "--threads", "1"],
            "click and prometheus-client: pip install 'mcroute-engine[proxy]'",
        ),
        (EXTRAS, ["check", "--help"], "click and prometheus-client: pip install 'mcroute-engine[proxy]'"),
        (EXTRAS, ["demo"], "click, prometheus-client and rich: pip install 'mcroute-engine[demo]'"),
        (EXTRAS, ["top"], "click, prometheus-client and textual: pip install 'mcroute-engine[top]'"),
        (
            EXTRAS,
            ["ring", "spread", "x", "--plot", "y"],
            "click, prometheus-client and matplotlib: pip install 'mcroute-engine[plots]'",
        ),
    ],
)
def test_a_missing_dependency_is_named_at_once(missing, arguments, needed):
    result = run_without(missing, *arguments)
    assert result.returncode == 1
    assert result.stderr == f"mcroute: this command needs {needed}\n"


def test_version_and_help_need_no_extra():
    assert run_without(EXTRAS, "--version").stdout == run_without([], "--version").stdout
    result = run_without(EXTRAS, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert f"  {name} " in result.stdout and summary in result.stdout
    assert "pip install 'mcroute-engine[proxy]'" in result.stdout
    result = run_without(EXTRAS)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: mcroute ")


def test_commands_are_as_the_help_without_extras_says():
    assert {name: each.get_short_help_str(100) for name, each in mcroute.commands.items()} == COMMANDS


def test_the_library_needs_no_extra():
    program = "import sys; sys.modules['click'] = None; import mcroute.policy, mcroute.config"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
