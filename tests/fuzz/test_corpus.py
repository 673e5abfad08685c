"""The corpora of the fuzz targets, replayed: seeds, and what once went wrong."""

import functools
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from choices import Broken

from tests.compiling import compile_cython

# The compiler is slow on a busy machine.
pytestmark = pytest.mark.timeout(300)

CORPUS = Path(__file__).parent / "corpus"


def inputs(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[bytes], object]]:
    there = tmp_path_factory.mktemp("probe")
    compile_cython(Path(__file__).with_name("probe.pyx"), there)
    compile_cython(Path(__file__).parents[1] / "engine" / "apart.pyx", there)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(there))
        probe = importlib.import_module("probe")
        apart = importlib.import_module("apart")
        world = importlib.import_module("engine_world")
        rings = importlib.import_module("fuzz_rings")
    return {
        "requests": probe.check_requests,
        "replies": probe.check_replies,
        "engine": world.play,
        "engine apart": functools.partial(world.play, apart=apart),
        "rings": rings.play,
    }


@pytest.mark.parametrize("path", inputs("requests"), ids=lambda path: path.name)
def test_requests(targets: dict[str, Callable[[bytes], object]], path: Path) -> None:
    targets["requests"](path.read_bytes())


@pytest.mark.parametrize("path", inputs("replies"), ids=lambda path: path.name)
def test_replies(targets: dict[str, Callable[[bytes], object]], path: Path) -> None:
    targets["replies"](path.read_bytes())


@pytest.mark.parametrize("path", inputs("engine"), ids=lambda path: path.name)
def test_engine(targets: dict[str, Callable[[bytes], object]], path: Path) -> None:
    targets["engine"](path.read_bytes())


@pytest.mark.parametrize("path", inputs("engine"), ids=lambda path: path.name)
def test_engine_with_python_in_another_thread(
    targets: dict[str, Callable[[bytes], object]], path: Path
) -> None:
    targets["engine apart"](path.read_bytes())


@pytest.mark.parametrize("path", inputs("rings"), ids=lambda path: path.name)
def test_rings(targets: dict[str, Callable[[bytes], object]], path: Path) -> None:
    targets["rings"](path.read_bytes())


def test_the_parsers_read_what_is_there(targets: dict[str, Callable[[bytes], object]]) -> None:
    assert targets["requests"](b"get k\r\nset k 0 0 1\r\nx\r\nwhat?\r\nget unfinished") == 3
    assert targets["replies"](b"VALUE k 0 1\r\nx\r\nEND\r\nSTORED\r\nwhat?\r\n") == 3


def test_the_world_notices_a_broken_promise(targets: dict[str, Callable[[bytes], object]]) -> None:
    clients = importlib.import_module("fuzz_clients")
    client = clients.Client(1)
    client.write(clients.Writer(importlib.import_module("choices").Choices(b"\0")).requests())
    client.sent(len(client.unsent), 1.0)
    client.received += b"VALUE k0 5 9\r\n<k1:1:..>\r\nEND\r\n"
    with pytest.raises(Broken, match="no alien values"):
        client.read(True)
