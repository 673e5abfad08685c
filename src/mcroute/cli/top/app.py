"""The live view in a terminal; needs textual."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Footer, Static

from ...monitoring.asking import NoProxy
from .figures import Screen, SortBy, sorted_servers
from .lines import COLUMNS, aligned, cells, head, widths

__all__ = ("TopApp",)

_STYLES = {"up": Style.null(), "slow": Style(color="yellow"), "failing": Style(color="red", bold=True)}
_OUT = Style(color="red", bold=True)
_RETURNING = Style(color="yellow")
_RETURNING_STATES = frozenset(("probing", "fencing", "replaying", "flushing"))
_TITLE = Style(bold=True, reverse=True)


def _style(state: str) -> Style:
    return _RETURNING if state in _RETURNING_STATES else _STYLES.get(state, _OUT)


class ServerTable(ScrollView, can_focus=True):
    """The servers, a line each; draws the lines that can be seen, however many there are."""

    DEFAULT_CSS = "ServerTable { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[str, Style]] = []

    def show(self, lines: list[tuple[str, Style]]) -> None:
        """The first line is the title, which stays on top."""
        self._lines = lines
        self.virtual_size = Size(max((len(text) for text, _ in lines), default=0), len(lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        number = top + y if y else 0
        if number >= len(self._lines):
            return Strip.blank(self.size.width)
        text, style = self._lines[number]
        width = self.size.width
        return Strip([Segment(text[left : left + width].ljust(width), style)], width)


class TopApp(App[None]):
    """Asks for a screen every `interval_s` seconds and shows it, until a key or a signal ends it.

    `look` returns the next screen, in a thread; it may raise NoProxy, which is shown.
    """

    CSS = "#head { padding: 0 0 1 0; } #problem { color: red; display: none; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        # Not the question of textual whether to quit.
        Binding("ctrl+c", "quit", show=False, priority=True),
        *(Binding(by.value[0], f"sort('{by.name}')", by.value) for by in SortBy),
    ]

    def __init__(self, address: str, look: Callable[[], Screen], by: SortBy, interval_s: float) -> None:
        super().__init__(ansi_color=True)
        self._address = address
        self._look = look
        self._by = by
        self._interval_s = interval_s
        self._screen: Screen | None = None
        self._is_looking = False

    def compose(self) -> ComposeResult:
        yield Static(f"{self._address}: …", id="head", markup=False)
        yield Static(id="problem", markup=False)
        yield ServerTable()
        yield Footer()

    async def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            # Not in a thread, and not on Windows.
            with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(getattr(signal, name), self.exit)
        self.query_one(ServerTable).focus()
        self.set_interval(self._interval_s, self.look_now)
        self.call_later(self.look_now)

    async def look_now(self) -> None:
        """Takes a sample and shows it."""
        if self._is_looking:
            # The proxy takes longer than the interval.
            return
        self._is_looking = True
        problem = self.query_one("#problem", Static)
        try:
            self._screen = await asyncio.to_thread(self._look)
            problem.display = False
        except NoProxy as error:
            # The last screen stays.
            problem.update(str(error))
            problem.display = True
        finally:
            self._is_looking = False
        self._draw()

    def action_sort(self, by: str) -> None:
        self._by = SortBy[by]
        self._draw()

    def _draw(self) -> None:
        if self._screen is None:
            return
        self.query_one("#head", Static).update("\n".join(head(self._address, self._screen)))
        servers = sorted_servers(self._screen.servers, self._by)
        rows = [cells(row) for row in servers]
        wide = widths(rows)
        lines = [(aligned(COLUMNS, wide), _TITLE)]
        lines += [
            (aligned(row, wide), _style(server.state)) for row, server in zip(rows, servers, strict=True)
        ]
        self.query_one(ServerTable).show(lines)
