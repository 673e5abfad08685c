"""What several tests of the engine need compiled."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.compiling import compile_cython


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """apart.pyx: an engine in a thread of its own, without the interpreter."""
    there = tmp_path_factory.mktemp("apart")
    compile_cython(Path(__file__).with_name("apart.pyx"), there)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(there))
        return importlib.import_module("apart")
