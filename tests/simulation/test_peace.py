"""Virtual time without a fault: no server is put out of service, and a fault would be seen."""

from __future__ import annotations

from click.testing import CliRunner

from mcroute.simulation.faults import Fault
from mcroute.simulation.peace import hour_of, peace


def test_no_server_is_out_without_a_fault() -> None:
    for seed in range(4):
        hour = hour_of(seed, duration_s=200.0)
        assert hour.ejections == []
        assert (hour.requests > 100, hour.pauses > 0, hour.failed) == (True, True, 0)


def test_a_grey_server_among_the_same_requests_is_out() -> None:
    grey = Fault("slow", "cache-2", 20.0, 60.0, 0.2)
    hour = hour_of(1, duration_s=60.0, faults=[grey])
    assert hour.ejections
    assert all("cache-2" in ejection and "slower than the other" in ejection for ejection in hour.ejections)


def test_one_seed_is_one_hour() -> None:
    assert hour_of(2, duration_s=60.0) == hour_of(2, duration_s=60.0)


def test_the_command_says_what_it_has_run() -> None:
    result = CliRunner().invoke(peace, ["--hours", "2", "--seconds", "60"])
    assert result.exit_code == 0
    assert "2 runs of 60 s" in result.stdout
    assert "0 ejections" in result.stdout
