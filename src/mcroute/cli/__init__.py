"""The command line: `mcroute check`, `explain`, `ring`, `simulate`, `proxy`, `top`, `demo`. Most need extras.

`mcroute --help` and `mcroute --version` need none.
"""

import sys
from importlib.util import find_spec

from .._version import __version__
from .summaries import COMMANDS

__all__ = ("main",)

_PROXY = ("click", "prometheus_client", *(("tomli",) if sys.version_info < (3, 11) else ()))
# The modules of each extra, as pyproject.toml has them.
_EXTRAS = {
    "proxy": _PROXY,
    "demo": (*_PROXY, "rich"),
    "top": (*_PROXY, "textual"),
    "plots": (*_PROXY, "matplotlib"),
}


def main() -> None:
    """Runs the command of `sys.argv` and exits with its status; 2 is a mistake of the user's."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["proxy"]:
        # First of all: until a handler is set, SIGHUP ends the process.
        from .signals import note_signals  # noqa: PLC0415

        note_signals()
        from .lean_asyncio import import_asyncio  # noqa: PLC0415

        import_asyncio()
    try:
        if len(arguments) == 2 and arguments[0] == "proxy" and not arguments[1].startswith("-"):
            # Without options there is nothing to parse, and a running proxy saves click's 2 MiB.
            from .serving import run_proxy  # noqa: PLC0415

            sys.exit(run_proxy(arguments[1]))
        # Imported late: the commands need extras, and a missing extra gets a message.
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
    """The extra that has everything that the command needs."""
    if arguments[0] == "top":
        return "top"
    if missing == "rich" or arguments[0] == "demo":
        return "demo"
    return "plots" if missing == "matplotlib" or "--plot" in arguments else "proxy"


def _needed(extra: str) -> str:
    """The missing packages of the extra, and how to install them."""
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
