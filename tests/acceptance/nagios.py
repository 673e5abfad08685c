"""A Nagios of the test's own, whose scheduler runs `check_mcroute` every second."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.preloading import child_environment

__all__ = ("NAGIOS", "Nagios", "Service", "nagios")

# Debian's nagios4-core; older systems and others call it nagios.
NAGIOS = shutil.which("nagios4", path=f"{os.defpath}:/usr/sbin:/usr/local/nagios/bin") or shutil.which(
    "nagios"
)
PLUGIN = Path(sys.executable).with_name("check_mcroute")
EXAMPLE = Path(__file__).parents[2] / "examples" / "nagios.cfg"

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
MAIN = """
cfg_file={home}/objects.cfg
log_file={home}/nagios.log
status_file={home}/status.dat
object_cache_file={home}/objects.cache
precached_object_file={home}/objects.precache
temp_file={home}/nagios.tmp
temp_path={home}
check_result_path={home}/results
lock_file={home}/nagios.lock
command_file={home}/nagios.cmd
query_socket={home}/nagios.qh
nagios_user={user}
nagios_group={user}
check_external_commands=0
check_for_updates=0
use_syslog=0
retain_state_information=0
enable_notifications=0
execute_host_checks=0
interval_length=1
service_inter_check_delay_method=n
check_result_reaper_frequency=1
status_update_interval=1
max_check_result_reaper_time=1
"""
# The templates that the example uses.
TEMPLATES = """
define timeperiod {
    timeperiod_name     always
    alias               always
    sunday              00:00-24:00
    monday              00:00-24:00
    tuesday             00:00-24:00
    wednesday           00:00-24:00
    thursday            00:00-24:00
    friday              00:00-24:00
    saturday            00:00-24:00
}
define command {
    command_name        tell_nobody
    command_line        /bin/true
}
define contact {
    contact_name                    nobody
    host_notification_period        always
    service_notification_period     always
    host_notification_commands      tell_nobody
    service_notification_commands   tell_nobody
}
define host {
    name                generic-host
    register            0
    contacts            nobody
    check_period        always
    max_check_attempts  1
}
define service {
    name                generic-service
    register            0
    contacts            nobody
    check_period        always
    check_interval      1
    retry_interval      1
    max_check_attempts  1
}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What Nagios shows of a service. `state` is "PENDING" before its first check."""

    state: str
    text: str
    perfdata: str


@dataclass(frozen=True, slots=True)
class Nagios:
    home: Path

    def services(self) -> dict[str, Service]:
        """Every service by name, as in the status file that its web pages show."""
        with contextlib.suppress(FileNotFoundError):
            text = (self.home / "status.dat").read_text(encoding="utf-8")
            blocks = re.findall(r"^servicestatus \{\n(.*?)\n\t\}", text, re.DOTALL | re.MULTILINE)
            return dict(map(_service, blocks))
        return {}

    def until(self, name: str, state: str, within_s: float = 40.0) -> Service:
        """The service as soon as it is in this state. Raises AssertionError if it does not get there."""
        give_up_at = time.monotonic() + within_s
        while (service := self.services().get(name)) is None or service.state != state:
            assert time.monotonic() < give_up_at, f"{name} is not {state}, but {service}; {self.log()}"
            time.sleep(0.1)
        return service

    def log(self) -> str:
        return (self.home / "nagios.log").read_text(encoding="utf-8")

    def alerts(self, name: str) -> list[tuple[str, str]]:
        """The changes of state of a service, as (state, text), in order."""
        return re.findall(rf"SERVICE ALERT: proxy-1;{re.escape(name)};(\w+);HARD;1;(.*)", self.log())


def _service(block: str) -> tuple[str, Service]:
    rows = dict(line.strip().partition("=")[::2] for line in block.splitlines())
    state = STATES[int(rows["current_state"])] if rows["has_been_checked"] == "1" else "PENDING"
    return rows["service_description"], Service(state, rows["plugin_output"], rows["performance_data"])


@contextlib.contextmanager
def nagios(home: Path, port: int, peer: int) -> Iterator[Nagios]:
    """Nagios checks the proxy at this port every second, as examples/nagios.cfg has it."""
    assert NAGIOS is not None
    (home / "results").mkdir(parents=True)
    user = pwd.getpwuid(os.geteuid()).pw_name
    (home / "nagios.cfg").write_text(MAIN.format(home=home, user=user))
    objects = EXAMPLE.read_text(encoding="utf-8")
    for written, here in (
        ("/usr/local/bin/check_mcroute", str(PLUGIN)),
        ("/var/lib/nagios4", str(home)),
        ("proxy-2:11311", f"127.0.0.1:{peer}"),
        (" 11311\n", f" {port}\n"),
    ):
        assert objects.count(written) == 1
        objects = objects.replace(written, here)
    (home / "objects.cfg").write_text(TEMPLATES + objects)
    with open(home / "output", "wb") as output:
        # Its workers end with it.
        process = subprocess.Popen(
            [NAGIOS, home / "nagios.cfg"],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=child_environment(),
        )
    try:
        yield Nagios(home)
    finally:
        process.terminate()
        process.wait(20)
