"""How the samples of a metric are read from an observation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from .._engine.snapshots import ServerSnapshot
from ..policy import Cause, Condition, Outcome, PoolReport, ServerReport
from .observation import Observation, Sample

__all__ = (
    "asks",
    "counted",
    "counted_of_servers",
    "durations",
    "ejections",
    "events",
    "events_waiting",
    "failovers",
    "hedges",
    "journal_keys",
    "journal_overflows",
    "members",
    "memory",
    "of_pools",
    "of_servers",
    "one",
    "refills",
    "replies",
    "reported",
    "requests",
    "retries",
    "skipped",
    "standin_deleted",
    "standin_keys",
    "states",
    "waiting",
)


def one(read: Callable[[Observation], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((), read(seen))]


def counted(name: str) -> Callable[[Observation], Iterable[Sample]]:
    return one(lambda seen: seen.snapshot.counters[name])


def of_servers(read: Callable[[ServerSnapshot], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(server)) for name, server in seen.snapshot.servers.items()]


def reported(read: Callable[[ServerReport], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(server)) for name, server in seen.servers.items()]


def of_pools(read: Callable[[PoolReport], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(pool)) for name, pool in seen.pools.items()]


def members(seen: Observation) -> Iterator[Sample]:
    for pool, servers in seen.members.items():
        for server in servers:
            yield (pool, server), 1


def counted_of_servers(name: str) -> Callable[[Observation], Iterable[Sample]]:
    return of_servers(lambda server: server.counters[name])


# Exported while they are 0, so that rate() sees the first error.
_ERRORS = tuple(outcome for outcome in Outcome if outcome >= Outcome.REFUSED_BY_SERVER)


def _by_outcome(counts: Mapping[Outcome, int]) -> Iterator[tuple[str, int]]:
    for outcome in Outcome:
        if outcome in counts or outcome in _ERRORS:
            yield outcome.name.lower(), counts.get(outcome, 0)


def requests(seen: Observation) -> Iterator[Sample]:
    for (command, outcome), count in seen.snapshot.results.items():
        yield (command, outcome.name.lower()), count


def durations(seen: Observation) -> Iterator[Sample]:
    for command, latencies in seen.snapshot.durations.items():
        yield (command,), latencies


def failovers(seen: Observation) -> Iterator[Sample]:
    for outcome in _ERRORS:
        yield (outcome.name.lower(),), seen.snapshot.failovers.get(outcome, 0)


def retries(seen: Observation) -> Iterator[Sample]:
    yield ("sent",), seen.snapshot.counters["retries"]
    yield ("refused",), seen.snapshot.counters["retries_refused"]


def hedges(seen: Observation) -> Iterator[Sample]:
    counters = seen.snapshot.counters
    for outcome, name in (("sent", "hedges"), ("won", "hedges_won"), ("refused", "hedges_refused")):
        yield (outcome,), counters[name]


def states(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.servers.items():
        for condition in Condition:
            yield (name, condition.value), server.condition is condition


# The engine counts these two causes itself.
_COUNTED_AS = {Cause.FAILURES: "trips", Cause.MISSED_WRITE: "stale_ejections"}


def ejections(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.servers.items():
        # A new server may be unknown to the engine yet.
        counted = seen.snapshot.servers.get(name, ServerSnapshot()).counters
        for cause in Cause:
            by_engine = counted.get(_COUNTED_AS.get(cause, ""), 0)
            yield (name, cause.value), by_engine + server.tally.ejections.get(cause, 0)


def asks(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        for outcome, count in _by_outcome(server.outcomes):
            yield (name, outcome), count


def replies(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        yield (name,), server.latencies


_REFILLS = {
    "stored": "refilled",
    "present": "refills_present",
    "gone": "refills_gone",
    "skipped": "refills_skipped",
    "dropped": "refills_dropped",
    "undone": "refills_undone",
}


def refills(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        for result, counter in _REFILLS.items():
            yield (name, result), server.counters[counter]


def journal_keys(seen: Observation) -> Iterator[Sample]:
    for name, (keys, _) in seen.journals.items():
        yield (name,), keys


def journal_overflows(seen: Observation) -> Iterator[Sample]:
    for name, (_, overflows) in seen.journals.items():
        yield (name,), overflows


def standin_keys(seen: Observation) -> Iterator[Sample]:
    for name, (keys, _) in seen.standins.items():
        yield (name,), keys


def standin_deleted(seen: Observation) -> Iterator[Sample]:
    for name, (_, deleted) in seen.standins.items():
        yield (name,), deleted


def journal_file(part: int) -> Callable[[Observation], Iterator[Sample]]:
    def read(seen: Observation) -> Iterator[Sample]:
        if seen.journal_file is not None:
            yield (), seen.journal_file[part]

    return read


def events(seen: Observation) -> Iterator[Sample]:
    for hook, counts in seen.deliveries.items():
        for result in ("sent", "failed", "dropped"):
            yield (hook, result), getattr(counts, result)


def events_waiting(seen: Observation) -> Iterator[Sample]:
    for hook, counts in seen.deliveries.items():
        yield (hook,), counts.waiting


def memory(seen: Observation) -> Iterator[Sample]:
    for share in ("request", "reply", "link"):
        yield (share,), seen.snapshot.counters[f"{share}_bytes"]


def skipped(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        yield (name, "too_large"), server.counters["too_large"]
        yield (name, "no_memory"), server.counters["discarded_memory"]


def waiting(server: ServerSnapshot) -> int:
    return server.counters["requests"] - server.counters["dropped"] - server.latencies.count
