"""The command line: `mcroute check`, `explain`, `ring`, `proxy`, `demo`. The commands need extras.

`mcroute --help` and `mcroute --version` need none.
"""

import sys
from importlib.util import find_spec

from .. import __version__

__all__ = ("COMMANDS", "main")

# Each command in a line, as `mcroute --help` shows it.
COMMANDS = {
    "check": "Check that the file CONFIG can work, and show what it says.",
    "demo": "Show it at work: four servers, one of which is killed and returns.",
    "explain": "Show which servers a request goes to, in which order, and why.",
    "proxy": "Serve memcached's clients as CONFIG says.",
    "ring": "Where keys are, what a change would move, and whose ring it is.",
}

_PROXY = ("click", "prometheus_client", *(("tomli",) if sys.version_info < (3, 11) else ()))
# The modules of each extra, as pyproject.toml has them.
_EXTRAS = {"proxy": _PROXY, "demo": (*_PROXY, "rich"), "plots": (*_PROXY, "matplotlib")}


def main() -> None:
    """Runs the command of `sys.argv` and exits: 0 done, 2 a mistake in the configuration or the command."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["proxy"]:
        # Before anything else is imported: by default SIGHUP ends a process.
        from .signals import note_signals  # noqa: PLC0415

        note_signals()
    try:
        if len(arguments) == 2 and arguments[0] == "proxy" and not arguments[1].startswith("-"):
            # Without options there is nothing to parse, and a running proxy does without click's 2 MiB.
            from .serving import run_proxy  # noqa: PLC0415

            sys.exit(run_proxy(arguments[1]))
        # Imported late: what they need is an extra, and its absence is explained.
        from .commands import mcroute  # noqa: PLC0415

        mcroute(prog_name="mcroute")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not any(missing in modules for modules in _EXTRAS.values()):
            raise
        _do_without(missing, arguments)


def _do_without(missing: str, arguments: list[str]) -> None:
    if arguments == ["--version"]:
        print(f"mcroute {__version__}")
    elif arguments in ([], ["--help"]):
        print(_help(), file=sys.stdout if arguments else sys.stderr)
        sys.exit(0 if arguments else 2)
    else:
        sys.exit(f"mcroute: this command needs {_needed(_extra_of(missing, arguments))}")


def _extra_of(missing: str, arguments: list[str]) -> str:
    """The extra with all that the command needs."""
    if missing == "rich" or arguments[0] == "demo":
        return "demo"
    return "plots" if missing == "matplotlib" or "--plot" in arguments else "proxy"


def _needed(extra: str) -> str:
    """What is missing of the extra, all of it, and where it comes from."""
    *others, last = (name.replace("_", "-") for name in _EXTRAS[extra] if find_spec(name) is None)
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{names}: pip install 'mcroute-engine[{extra}]'"


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items())
    return "\n".join(
        (
            "Usage: mcroute [OPTIONS] COMMAND [ARGS]...\n",
            "  A routing engine for memcached.\n",
            "Options:",
            "  --version  Show the version and exit.",
            "  --help     Show this message and exit.\n",
            "Commands:",
            *lines,
            f"\nThe commands need {_needed('proxy')}",
        )
    )
