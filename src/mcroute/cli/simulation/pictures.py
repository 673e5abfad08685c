"""Draws the course of a run as SVG or PNG, by the file's suffix; needs the extra `plots`."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from ...simulation.report import Report

__all__ = ("draw",)


def draw(report: Report, path: str | PathLike[str]) -> None:
    """Hit ratio, database load with errors, and latencies, with the times of faults shaded.

    Equal reports make equal files.
    """
    # Or the ids of an SVG are random, and its date is today.
    with rc_context({"svg.hashsalt": "mcroute"}):
        figure = Figure(figsize=(9, 7), layout="constrained")
        hits, loads, times = figure.subplots(3, sharex=True)
        at_s = [moment.at_s for moment in report.moments]
        figures = [moment.figures for moment in report.moments]
        hits.plot(at_s, [_share(one.hit_ratio) for one in figures], color="tab:green")
        hits.set_ylabel("hits, %")
        hits.set_ylim(-2, 102)
        _draw_loads(loads, at_s, report)
        times.plot(at_s, [one.p50_ms or float("nan") for one in figures], label="p50")
        times.plot(at_s, [one.p99_ms or float("nan") for one in figures], label="p99")
        times.set_yscale("log")
        times.set_ylabel("latency, ms")
        times.set_xlabel("seconds")
        times.legend(loc="upper right")
        for axes in (hits, loads, times):
            axes.set_xlim(0, report.duration_s)
            for fault in report.faults:
                axes.axvspan(fault.begins_s, min(fault.ends_s, report.duration_s), color="0.5", alpha=0.2)
        hits.set_title("\n".join(fault.fault for fault in report.faults), fontsize=9)
        has_date = fspath(path).endswith(".svg")
        figure.savefig(path, metadata={"Date": None} if has_date else None)


def _draw_loads(axes: Any, at_s: list[float], report: Report) -> None:
    figures = [moment.figures for moment in report.moments]
    errors = [(one.errors + one.lost) / report.step_s for one in figures]
    axes.plot(at_s, [one.database_per_s for one in figures], color="tab:blue", label="database")
    axes.plot(at_s, errors, color="tab:red", label="errors")
    axes.set_ylabel("per second")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _share(ratio: float | None) -> float:
    return float("nan") if ratio is None else 100 * ratio
