"""Virtual time without a fault: no server is put out of service, and a fault would be seen."""

from __future__ import annotations

from dataclasses import replace

from click.testing import CliRunner

from mcroute.simulation.faults import Fault
from mcroute.simulation.peace import hour_of, peace, scenario_of
from mcroute.simulation.world import run


def test_no_server_is_out_without_a_fault() -> None:
    for seed in range(6):
        hour = hour_of(seed, duration_s=200.0)
        assert hour.absences == []
        assert (hour.requests > 500, hour.pauses > 0, hour.failed) == (True, True, 0)


def test_a_grey_server_among_the_same_requests_is_out() -> None:
    scenario = scenario_of(1, duration_s=60.0)
    grey = Fault("slow", "cache-2", 10.0, 40.0, 0.2)
    absences = run(replace(scenario, faults=(*scenario.faults, grey))).absences
    assert {absence.server for absence in absences} == {"cache-2"}


def test_the_command_says_what_it_has_run() -> None:
    result = CliRunner().invoke(peace, ["--hours", "2", "--seconds", "60"])
    assert result.exit_code == 0
    assert "2 runs of 60 s" in result.stdout
    assert "0 ejections" in result.stdout
