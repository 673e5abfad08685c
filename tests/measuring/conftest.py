from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benches.proxies.building import compiled_load, compiler

Report = dict[str, Any]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which this session compiles the C programs, which are for Linux."""
    if sys.platform != "linux" or not compiler():
        pytest.skip("there is no C compiler, or no epoll")
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def load(programs: Path) -> Callable[..., Report]:
    """Runs the load generator with these options: its report, exit status and complaints."""
    program = compiled_load(programs)

    def run(port: int, *options: str) -> Report:
        command = [str(program), "--port", str(port), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        report: Report = json.loads(done.stdout or "{}")
        return report | {"status": done.returncode, "complaints": done.stderr}

    return run
