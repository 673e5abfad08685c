"""The command line, by the conventions of the monitoring plugins."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from nagiosplugin import Range

from ..._version import __version__
from ...errors import ConfigError
from ...policy import Server
from .modes import MODES
from .question import Question

__all__ = ("parse",)

UNKNOWN = 3
PORT = 11311
TIMEOUT_S = 10.0
TIMEOUT_MAX_S = 3600.0
READS_MIN = 100


class _Parser(argparse.ArgumentParser):
    """By the guidelines, a mistake, --help and --version are all UNKNOWN, and their text goes to stdout."""

    def error(self, message: str) -> NoReturn:
        print(f"MCROUTE UNKNOWN - {message}\n{self.format_usage()}", end="")
        sys.exit(UNKNOWN)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            print(message, end="")
        sys.exit(UNKNOWN)

    def format_help(self) -> str:
        return f"check_mcroute {__version__}\n\n{super().format_help()}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Has `question`, `mode`, `warning`, `critical`, `timeout` and `verbose`. Exits if they are mistaken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    mode = MODES[options.mode]
    options.warning = mode.warning if options.warning is None else options.warning
    options.critical = mode.critical if options.critical is None else options.critical
    if options.mode == "server" and not options.server:
        parser.error("--mode server needs --server NAME")
    if options.mode == "configuration" and not options.peer:
        parser.error("--mode configuration needs --peer HOST:PORT")
    try:
        options.question = Question(
            proxy=_proxy(options.hostname, options.port),
            timeout_s=options.timeout,
            servers=options.server,
            pools=options.pool,
            peers=[Server.parse(peer, place="--peer") for peer in options.peer],
            state_file=options.state,
            reads_min=options.min_reads,
        )
    except ConfigError as error:
        parser.error(str(error))
    return options


def _parser() -> _Parser:
    modes = "\n".join(f"  {name:14} {_about(name)}" for name in MODES)
    parser = _Parser(
        prog="check_mcroute",
        description="Checks a running mcroute proxy by its own `stats`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"modes, what their ranges are about, and the ranges if none are given:\n{modes}\n\n"
        "A range is START:END, and alerts outside of it; START is 0 if missing, ~ is no bound;\n"
        "@START:END alerts inside. A proxy that does not answer is CRITICAL.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-V", "--version", action="version", version=f"check_mcroute {__version__}\n")
    add(
        "-H",
        "--hostname",
        default="127.0.0.1",
        metavar="HOST",
        help="the proxy's host, or the path of its unix socket",
    )
    add("-p", "--port", type=int, default=PORT, help="the proxy's port (%(default)s)")
    add("-m", "--mode", choices=MODES, default="servers", metavar="MODE", help="see below (%(default)s)")
    add("-w", "--warning", type=_range, metavar="RANGE", help="WARNING outside of this range")
    add("-c", "--critical", type=_range, metavar="RANGE", help="CRITICAL outside of this range")
    add(
        "-t",
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="for the whole check (%(default)g)",
    )
    add("-v", "--verbose", action="count", default=0, help="a line for each problem; -vv: for each server")
    add("--server", action="append", default=[], metavar="NAME", help="only this server; may be repeated")
    add("--pool", action="append", default=[], metavar="NAME", help="only this pool; may be repeated")
    add(
        "--peer",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="a proxy to compare with; may be repeated",
    )
    add(
        "--state",
        default="",
        metavar="FILE",
        help="hits: keeps the counts, for the ratio since the last check",
    )
    add(
        "--min-reads",
        type=int,
        default=READS_MIN,
        metavar="N",
        help="hits: fewer reads are not judged (%(default)s)",
    )
    return parser


def _about(name: str) -> str:
    mode = MODES[name]
    ranges = [f"-{letter} {text}" for letter, text in (("w", mode.warning), ("c", mode.critical)) if text]
    return f"{mode.summary} ({' '.join(ranges) or 'none'})"


def _proxy(host: str, port: int) -> Server:
    if host.startswith(("/", "unix:")):
        return Server.parse(host, place="--hostname")
    return Server("proxy", host.strip("[]"), port)


def _range(text: str) -> str:
    try:
        Range(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range") from None
    return text


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) <= TIMEOUT_MAX_S:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to {TIMEOUT_MAX_S:g}")
