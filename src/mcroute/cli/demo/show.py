"""The demo's display: a live table on a terminal, lines of progress elsewhere, a summary at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...policy import State
from .fleet import Condition
from .tally import Counts, Phase, Tally

__all__ = ("Scene", "Screen", "ServerRow", "ms", "percent")

REFRESH_PER_S = 4

_STATE_STYLES = {State.UP: "green", State.EJECTED: "bold red"}
_CONDITION_STYLES = {Condition.RUNNING: "green"}


@dataclass(frozen=True)
class ServerRow:
    name: str
    address: str
    condition: Condition  # the state of the process
    state: State  # the proxy's view of the server


class Scene(Protocol):
    """The data to display now; `tally` changes while it is read."""

    tally: Tally

    def seconds(self) -> float: ...

    def servers(self) -> Sequence[ServerRow]: ...


class Screen:
    """Displays one scene; a context manager that restores the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def begin(self, scene: Scene) -> None:
        """Displays the scene from now on: a few times a second on a terminal."""
        if self._console.is_terminal:
            # Draws in a separate thread, so that no request waits for the terminal.
            self._live = Live(
                console=self._console,
                get_renderable=lambda: _tables(scene),
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            )
            self._live.start()

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def event(self, at_s: float | None, text: str) -> None:
        """Displays an event at `at_s` seconds of the load; on a terminal, above the table."""
        at = "        " if at_s is None else f"{at_s:6.2f} s"
        self.line(f"{at}  {text}")

    def progress(self, scene: Scene) -> None:
        """Displays a line of progress; on a terminal the table shows it all the time."""
        if self._live is not None:
            return
        total = scene.tally.total()
        counts = scene.tally.counts
        states = " ".join(row.state.name.lower() for row in scene.servers())
        self.event(
            scene.seconds(),
            f"requests {total.requests}, hits {percent(counts.hit_ratio)}, errors {total.errors}, "
            f"p99 {ms(counts.latencies.percentile(0.99))}; servers {states}",
        )

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def tables(self, scene: Scene) -> None:
        """Displays the final tables."""
        self._console.print(_tables(scene))

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _tables(scene: Scene) -> RenderableType:
    return Group(_server_table(scene.servers()), "", _traffic_table(scene.tally))


def _server_table(rows: Sequence[ServerRow]) -> Table:
    table = _table("server", "address", "process", "state at the proxy")
    for row in rows:
        condition = Text(row.condition.value, style=_CONDITION_STYLES.get(row.condition, "bold red"))
        state = Text(row.state.name.lower(), style=_STATE_STYLES.get(row.state, "yellow"))
        table.add_row(row.name, row.address, condition, state)
    return table


def _traffic_table(tally: Tally) -> Table:
    numbers = ("requests", "hits", "errors", "stale", "wrong", "p50", "p99", "slowest")
    table = _table("phase", *numbers)
    for column in table.columns[1:]:
        column.justify = "right"
    for phase in Phase:
        if tally.phases[phase].requests:
            table.add_row(phase.value, *_cells(tally.phases[phase]))
    table.add_section()
    table.add_row("all", *_cells(tally.total()))
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _cells(counts: Counts) -> list[RenderableType]:
    faults = (counts.errors, counts.stale, counts.wrong)
    bad = [Text(str(count), style="bold red" if count else "green") for count in faults]
    latencies = counts.latencies
    times = (latencies.percentile(0.5), latencies.percentile(0.99), latencies.slowest_s)
    return [str(counts.requests), percent(counts.hit_ratio), *bad, *(ms(time) for time in times)]


def percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100.0 * ratio:.2f}%"


def ms(seconds: float) -> str:
    return f"{seconds * 1000.0:.1f} ms"
