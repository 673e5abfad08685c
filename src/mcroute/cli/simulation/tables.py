"""A report as text: a table of phases, and what each fault did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...simulation.report import Effect, FaultReport, Figures, Report
    from ...simulation.world import Scenario

__all__ = ("lines_of",)

_BARS = "▁▂▃▄▅▆▇█"
_COURSE = 60  # columns


def lines_of(report: Report, scenario: Scenario) -> Iterator[str]:
    """The lines of a report. Equal runs have equal lines."""
    yield _head(report, scenario)
    yield ""
    yield from _phases(report)
    yield ""
    yield from _courses(report)
    for fault in report.faults:
        yield ""
        yield from _fault(fault, report.slow_ms)


def _head(report: Report, scenario: Scenario) -> str:
    counts = (
        (scenario.proxies, "proxy", "proxies"),
        (scenario.embedded, "embedded client", "embedded clients"),
    )
    routers = " and ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n)
    requests = sum(phase.figures.requests for phase in report.phases)
    servers = len(scenario.plan.servers)
    return (
        f"seed {report.seed}: {requests} requests in {report.duration_s:g} s through {routers} to {servers} "
        f"server{'s' * (servers > 1)} (memcached {scenario.server_options.version})"
    )


# ---- phases ----


def _phases(report: Report) -> Iterator[str]:
    has_lost = any(phase.figures.lost for phase in report.phases)
    head = ["phase", "seconds", "requests", "hits", "database/s", "errors"]
    head += ["unanswered"] * has_lost + [f">{report.slow_ms:g} ms", "p50 ms", "p99 ms", "p99.9 ms"]
    rows = [head]
    for phase in report.phases:
        span = f"{phase.begins_s:g}-{phase.ends_s:g}"
        rows.append([phase.name, span, *_cells(phase.figures, has_lost)])
    yield from _aligned(rows)


def _cells(figures: Figures, has_lost: bool) -> list[str]:
    lost = [str(figures.lost)] * has_lost
    times = [_milliseconds(time) for time in (figures.p50_ms, figures.p99_ms, figures.p999_ms)]
    hits = "-" if figures.hit_ratio is None else f"{figures.hit_ratio:.2%}"
    load = f"{figures.database_per_s:.1f}"
    return [str(figures.requests), hits, load, str(figures.errors), *lost, str(figures.slow), *times]


def _milliseconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.2f}" if time < 100 else f"{time:.0f}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        yield "  ".join((f"{first:{widths[0]}}", *cells))


# ---- the course over time ----


def _courses(report: Report) -> Iterator[str]:
    """One line of bars for each figure, from the run's begin to its end."""
    hits = [None if m.figures.hit_ratio is None else m.figures.hit_ratio for m in report.moments]
    loads: list[float | None] = [moment.figures.database_per_s for moment in report.moments]
    most = max((load for load in loads if load is not None), default=0.0)
    yield f"hits        0-100% |{_bars(hits, 1.0)}|"
    yield f"database  0-{most:4.0f}/s |{_bars(loads, most)}|"


def _bars(values: Sequence[float | None], top: float) -> str:
    width = min(_COURSE, len(values))
    parts = (values[i * len(values) // width : (i + 1) * len(values) // width] for i in range(width))
    return "".join(map(lambda part: _bar([v for v in part if v is not None], top), parts))


def _bar(values: Sequence[float], top: float) -> str:
    if not values:
        return " "
    share = sum(values) / len(values) / top if top else 0.0
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]


# ---- faults ----


def _fault(fault: FaultReport, slow_ms: float) -> Iterator[str]:
    figures = fault.figures
    lost = f", {figures.lost} unanswered by the database" if figures.lost else ""
    yield fault.fault
    yield (
        f"  until {fault.until_s:.1f} s: {figures.requests} requests, {figures.errors} errors, "
        f"{figures.slow} requests above {slow_ms:g} ms{lost}"
    )
    for effect in fault.effects:
        yield f"  {effect.router}: {effect.server} {_effect(effect)}"


def _effect(effect: Effect) -> str:
    if effect.out_after_s is None:
        return "stayed in service"
    if effect.out_after_s < 0:
        out = "was out of service already"
    else:
        out = f"out after {_time(effect.out_after_s)} ({effect.reason})"
    if effect.times_out > 1:
        out += f", {effect.times_out} times"
    return f"{out}, {_back(effect.back_after_s)}, {_emptied(effect)}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _back(after_s: float | None) -> str:
    if after_s is None:
        return "not back"
    if after_s < 0:
        return f"back {-after_s:.1f} s before the fault ended"
    return f"back {after_s:.1f} s after the fault"


def _emptied(effect: Effect) -> str:
    """What has become of the server's items."""
    if effect.flushes:
        return "flushed" if effect.flushes == 1 else f"flushed {effect.flushes} times"
    keys = effect.replayed_keys
    return f"{keys} key{'s' * (keys > 1)} deleted there" if keys else "not flushed"
