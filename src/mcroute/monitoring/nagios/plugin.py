"""A check by nagiosplugin: findings become metrics, which contexts judge."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence

import nagiosplugin

from ..asking import NoProxy, OtherService
from .findings import Findings, Judge
from .modes import MODES
from .options import parse

__all__ = ("check", "run")

UNANSWERED = "unanswered"
# The line separates text and performance data, the others are not allowed in labels.
_LABEL = str.maketrans("|'=", "___")


def run(arguments: Sequence[str]) -> None:
    """Prints the result, and exits with the state."""
    options = parse(arguments)
    # Only a look-up of names outlasts the timeout of the answers.
    limit_s = math.ceil(options.timeout) + 1
    nagiosplugin.guarded(check(options).main, verbose=options.verbose)(options.verbose, limit_s)


def check(options: argparse.Namespace) -> nagiosplugin.Check:
    """The check that these options, of `parse`, ask for; calling it asks the proxy."""
    look = _Look(lambda: MODES[options.mode].look(options.question))
    return nagiosplugin.Check(
        look,
        _Unanswered(),
        nagiosplugin.ScalarContext(Judge.LIMITS.value, options.warning, options.critical),
        nagiosplugin.ScalarContext(Judge.WARNING.value, warning="0"),
        nagiosplugin.ScalarContext(Judge.CRITICAL.value, critical="0"),
        _Summary(look, options.verbose),
        name="mcroute",
    )


class _Look(nagiosplugin.Resource):
    """Looks once; the findings are kept for the text."""

    def __init__(self, look: Callable[[], Findings]) -> None:
        self._look = look
        self.findings: Findings | None = None

    def probe(self) -> Iterator[nagiosplugin.Metric]:
        try:
            self.findings = self._look()
        except OtherService as error:
            # Nothing is known of the proxy: this is probably another's port.
            raise nagiosplugin.CheckError(error) from None
        except NoProxy as error:
            yield nagiosplugin.Metric(UNANSWERED, str(error))
            return
        for figure in self.findings.figures:
            name = figure.name.translate(_LABEL)
            yield nagiosplugin.Metric(
                name, figure.value, figure.unit, figure.least, figure.most, figure.judge.value
            )


class _Unanswered(nagiosplugin.Context):
    """Judges a proxy that does not answer. It has no performance data."""

    def __init__(self) -> None:
        super().__init__(UNANSWERED)

    def evaluate(self, metric: nagiosplugin.Metric, resource: nagiosplugin.Resource) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Critical, metric.value)


class _Summary(nagiosplugin.Summary):
    """The status line, and the lines below it."""

    def __init__(self, look: _Look, verbose: int) -> None:
        self._look_of = look
        self._verbose = verbose

    def ok(self, results: nagiosplugin.Results) -> str:
        return self.problem(results)

    def problem(self, results: nagiosplugin.Results) -> str:
        findings = self._look_of.findings
        return str(results.first_significant) if findings is None else findings.text

    def verbose(self, results: nagiosplugin.Results) -> Sequence[str]:
        findings = self._look_of.findings
        if findings is None:
            return []
        return findings.problems if self._verbose == 1 else findings.details
