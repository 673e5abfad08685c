"""The pytest plugin in a project of somebody else, which does not name it."""

from __future__ import annotations

import sys

import pytest

USES = """
import socket

def test_the_embedded_server_answers(embedded_server):
    with socket.create_connection((embedded_server.host, embedded_server.port), timeout=10) as link:
        link.sendall(b"mn\\r\\n")
        assert link.recv(4) == b"MN\\r\\n"

def test_the_memcached_server_answers(memcached_server):
    with socket.create_connection((memcached_server.host, memcached_server.port), timeout=10) as link:
        link.sendall(b"mn\\r\\n")
        assert link.recv(4) == b"MN\\r\\n"
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEMCACHED", "/no/memcached")


def test_its_fixtures_are_there_and_load_nothing_before_they_are_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import sys

        def pytest_collection_finish():
            assert "mcroute.testing.fixtures" in sys.modules
            private = [name for name in sys.modules if name.startswith("mcroute._")]
            assert private == ["mcroute._version"]
    """)
    pytester.makepyfile(USES)
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines("1 tests skipped: no memcached on the PATH; install it or set $MEMCACHED")


def test_a_conftest_may_name_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["mcroute.testing.fixtures"]')
    pytester.makepyfile(USES)
    pytester.runpytest_inprocess().assert_outcomes(passed=1, skipped=1)


def test_the_plugin_can_be_disabled(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES)
    result = pytester.runpytest_inprocess("-p", "no:mcroute.testing.fixtures")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines("*fixture 'embedded_server' not found")


def test_a_name_that_is_not_there_is_said(pytester: pytest.Pytester) -> None:
    testing = sys.modules["mcroute.testing"]
    with pytest.raises(AttributeError, match=r"'mcroute\.testing' has no attribute 'Server'"):
        testing.Server  # noqa: B018
