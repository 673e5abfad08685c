"""The names that `mcroute` offers, where everything is built and where the native loop is not."""

import subprocess
import sys

from tests.preloading import child_environment

WITHOUT_LOOP = """
import asyncio, sys
sys.platform = "darwin"
sys.modules["mcroute._loop"] = None  # cannot be imported
from mcroute import *
Ring, Engine, RequestParser
try:
    import mcroute.native
except ImportError as error:
    print(type(error).__name__, error)
"""


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env=child_environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_all_names_can_be_imported() -> None:
    program = "from mcroute import *; import mcroute; print(set(mcroute.__all__) <= set(dir()))"
    assert run(program) == "True\n"


def test_modules_that_are_not_built_are_named() -> None:
    output = run(WITHOUT_LOOP)
    assert output.startswith("ImportError mcroute.native needs the native loop, which is built on Linux")
