"""The drivers of the engine, and compiled modules of several tests."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.compiling import compile_cython

from . import network

HAS_LOOP = importlib.util.find_spec("mcroute._loop.threads") is not None


@pytest.fixture(
    params=["engine", pytest.param("loop", marks=pytest.mark.skipif(not HAS_LOOP, reason="no epoll"))]
)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tests that use it run by the engine's Python face, and on a native loop: what holds there holds here.

    A mark `python_face` says why a test is about that face alone.
    """
    if request.param == "loop":
        if (mark := request.node.get_closest_marker("python_face")) is not None:
            pytest.skip(mark.args[0])
        from .loop_network import LoopNetwork  # noqa: PLC0415

        monkeypatch.setattr(network, "make", LoopNetwork)
    return str(request.param)


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """apart.pyx: an engine in a thread of its own, without the interpreter."""
    there = tmp_path_factory.mktemp("apart")
    compile_cython(Path(__file__).with_name("apart.pyx"), there)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(there))
        return importlib.import_module("apart")


@pytest.fixture(scope="session")
def missing(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """missing.pyx: threads that miss writes at the same time."""
    there = tmp_path_factory.mktemp("missing")
    compile_cython(Path(__file__).with_name("missing.pyx"), there)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(there))
        return importlib.import_module("missing")
