"""The demo's result, as a few lines and as an exit status."""

from __future__ import annotations

from .play import Play, Times
from .show import Screen, ms, percent
from .tally import Counts, Phase

__all__ = ("summarize",)

OK, FAILED, BY_SIGNAL = 0, 1, 128


def summarize(play: Play, screen: Screen) -> int:
    """Displays the result and returns the exit status; an interrupted run reports its finished phases."""
    if play.has_begun:
        screen.line()
        screen.tables(play)
        screen.line()
        for line in _story(play.victim, play.times):
            screen.line(line)
        screen.line(_hit_ratios(play.tally.phases))
    total = play.tally.total()
    is_good = not (total.errors or total.stale or total.wrong)
    screen.line(_verdict(total), style="bold green" if is_good else "bold red")
    for example in play.tally.examples:
        screen.line(f"  {example}")
    if play.interrupted_by is not None:
        screen.line(f"interrupted by {play.interrupted_by.name}")
        return BY_SIGNAL + play.interrupted_by
    return OK if is_good else FAILED


def _story(victim: str, times: Times) -> list[str]:
    if times.fault is None:
        return []
    out = "was never noticed" if times.out is None else f"noticed after {ms(times.out - times.fault)}"
    lines = [f"fault: {victim} at {times.fault:.2f} s, {out}"]
    if times.repaired is not None:
        back = "does not serve yet"
        if times.back is not None:
            back = f"serves again {ms(times.back - times.repaired)} later"
        lines.append(f"return: runs again at {times.repaired:.2f} s, {back}")
    return lines


def _hit_ratios(phases: dict[Phase, Counts]) -> str:
    shown = (f"{percent(phases[p].hit_ratio)} {p.value}" for p in (Phase.BEFORE, Phase.DURING, Phase.AFTER))
    return f"hit ratio: {', '.join(shown)}"


def _verdict(total: Counts) -> str:
    return (
        f"{total.requests} requests, {total.errors} errors seen by clients, "
        f"{total.stale} stale and {total.wrong} wrong values"
    )
