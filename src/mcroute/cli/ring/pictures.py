"""Draws shares and moves as SVG or PNG, by the file's suffix; needs the extra `plots`."""

from __future__ import annotations

from os import PathLike

from matplotlib.figure import Figure

from .shares import Diff, Spread

__all__ = ("draw_diff", "draw_spread")

INCH_A_ROW = 0.3


def _figure(rows: int) -> Figure:
    return Figure(figsize=(8, 1.2 + INCH_A_ROW * rows), layout="constrained")


def draw_spread(spread: Spread, path: str | PathLike[str]) -> None:
    """Bars of keys, and of points if there are any, with a mark at the share that the weight gives."""
    figure = _figure(len(spread.servers) * 2)
    axes = figure.add_subplot()
    places = list(range(len(spread.servers)))
    axes.barh([place - 0.2 for place in places], [100 * share for share in spread.keys], 0.4, label="keys")
    if spread.points:
        axes.barh([place + 0.2 for place in places], [100 * s for s in spread.points], 0.4, label="points")
    due = [100 * share for share in spread.weights]
    axes.plot(due, places, "|", color="black", markersize=14, label="by weight")
    axes.set_yticks(places, list(spread.servers))
    axes.invert_yaxis()
    axes.set_xlabel("share, %")
    axes.legend()
    figure.savefig(path)


def draw_diff(diff: Diff, path: str | PathLike[str]) -> None:
    """A cell per pair of servers: the darker, the more keys move from the row's server to the column's."""
    was = sorted({move[0] for move in diff.moves})
    will = sorted({move[1] for move in diff.moves})
    figure = _figure(len(was))
    axes = figure.add_subplot()
    axes.set_title(f"{diff.moved:.1%} of the keys move")
    if diff.moves:
        shares = [[100 * diff.moves.get((row, column), 0.0) for column in will] for row in was]
        image = axes.imshow(shares, cmap="Blues", vmin=0, aspect="auto")
        axes.set_yticks(range(len(was)), was)
        axes.set_xticks(range(len(will)), will, rotation=45, ha="right")
        figure.colorbar(image, label="share of all keys, %")
    figure.savefig(path)
