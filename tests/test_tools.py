"""Tools that `make test` needs, so that no test is skipped unnoticed."""

import sys
from importlib.util import find_spec

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop has no Windows version")
def test_uvloop_is_installed() -> None:
    assert find_spec("uvloop"), "tests on uvloop would be skipped; it is in the extra `dev`"


@pytest.mark.parametrize("module", ["Cython", "build", "hypothesis", "pymemcache", "pytest_timeout"])
def test_the_developers_tools_are_installed(module: str) -> None:
    assert find_spec(module), f"{module} is in the extra `dev`"
