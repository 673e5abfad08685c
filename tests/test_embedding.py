"""The distribution as somebody else gets it: built, installed elsewhere, embedded in Python and in Cython.

`python -m build` compiles everything anew, from the sdist. Nothing here imports mcroute from the source tree.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer

SOURCE = Path(__file__).parent.parent
EXAMPLE = SOURCE / "examples" / "cython_proxy"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
TIMEOUT_S = 400
BLOCK = re.compile(r"^```(python|cython)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """The command's standard output. A failing test shows the command's error output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MCROUTE_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | {"PYTHONWARNINGS": "error"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the sdist, and the wheel that was built from the sdist."""
    there = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", there, SOURCE)
    run(*build, cwd=there, PYTHONWARNINGS="default")
    return there


@pytest.fixture(scope="module")
def wheel(distribution: Path) -> Path:
    return next(distribution.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that holds the wheel; its dependencies are lent by the running one."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=home, PYTHONWARNINGS="default")
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    # Searched last, and without its own .pth files, one of which may lead to the source tree.
    Path(site, "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def splitter(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the example was compiled, beside the Cython of docs/embedding.md."""
    there = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, there, dirs_exist_ok=True)
    build = ("setup.py", "--quiet", "build_ext", "--inplace")
    run(python, *build, cwd=there, PYTHONWARNINGS="default", CFLAGS="-O1")
    return there


def documented(language: str) -> list[str]:
    return [
        code for name, code in BLOCK.findall((SOURCE / "docs/embedding.md").read_text()) if name == language
    ]


# ---- what is in it ----


def test_the_wheel_holds_what_runs_and_what_is_compiled_against(wheel: Path) -> None:
    held = {
        name.removeprefix("mcroute/") for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name
    }
    package = SOURCE / "src" / "mcroute"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.p*") if path.is_file()}
    modules = {name.removesuffix(".pyx") + SUFFIX for name in files if name.endswith(".pyx")}
    expected = {name for name in files if name.endswith((".py", ".pxd", ".pyi"))} | modules | {"py.typed"}
    assert held == expected


def test_the_wheel_carries_its_license(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_names_its_project(wheel: Path) -> None:
    assert wheel.name.startswith("mcroute_engine-")
    held = zipfile.ZipFile(wheel)
    (metadata,) = (held.read(name).decode() for name in held.namelist() if name.endswith("/METADATA"))
    fields, _, readme = metadata.partition("\n\n")
    assert re.search(r"^Project-URL: Source, https://", fields, re.MULTILINE)
    links = re.findall(
        r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", readme, flags=re.M | re.S)
    )
    assert links and not [link for link in links if not link.startswith("https://")]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into ELF files")
def test_the_wheel_has_no_debug_information(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel)
    for name in (name for name in held.namelist() if name.endswith(SUFFIX)):
        module = held.read(name)
        # The names of an ELF file's sections are plain text in it.
        assert b".shstrtab" in module and b".debug_" not in module and b".symtab" not in module, name


def test_the_sdist_holds_sources_and_nothing_made_from_them(distribution: Path) -> None:
    with tarfile.open(next(distribution.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    assert not [name for name in names if name.endswith((".c", ".so", ".pyd", ".pyc"))]
    held = {name.partition("/")[2] for name in names}
    sources = (SOURCE / "src").rglob("*.pyx")
    assert {path.relative_to(SOURCE).as_posix() for path in sources} <= held
    assert {"LICENSE", "Makefile", "tests/fuzz/probe.pyx", "examples/cython_proxy/splitter.pyx"} <= held


# ---- embedded in Python ----


def test_it_is_the_installed_package_that_is_tested(python: Path) -> None:
    place = run(python, "-c", "import mcroute; print(mcroute.__file__)", cwd=python.parent).strip()
    assert Path(place).is_relative_to(python.parent.parent)


@pytest.mark.parametrize("index", range(len(documented("python"))))
def test_documented_python_runs(python: Path, index: int) -> None:
    run(python, "-c", documented("python")[index], cwd=python.parent)


# ---- embedded in Cython ----


def test_documented_cython_compiles_and_runs(python: Path, tmp_path: Path) -> None:
    (code,) = documented("cython")
    (tmp_path / "documented.pyx").write_text(code)
    compiler = ("-m", "Cython.Build.Cythonize", "--quiet", "--inplace", "documented.pyx")
    run(python, *compiler, cwd=tmp_path, PYTHONWARNINGS="default", CFLAGS="-O1")
    check = """
        from mcroute import Ring
        from documented import owner
        ring = Ring([f"cache{i}" for i in range(5)])
        for key in ("a", "b", "user:42"):
            assert owner(ring, f"get {key}\\r\\n".encode()) == ring.owner(key)
        assert owner(ring, b"version\\r\\n") == owner(ring, b"get a") == owner(ring, b"") == -1
    """
    run(python, "-c", re.sub("^ {8}", "", check, flags=re.MULTILINE), cwd=tmp_path)


def test_the_example_splits_a_pipeline_by_owner(python: Path, splitter: Path) -> None:
    check = """
        from mcroute import Ring
        from splitter import Splitter, reply_size
        names = [f"cache{i}" for i in range(5)]
        ring, keys = Ring(names), [b"k%d" % i for i in range(200)]
        split = Splitter(names).split(b"".join(b"get %b\\r\\n" % key for key in keys) + b"get unfinished")
        taken, outputs, order, close = split
        assert taken == sum(len(b"get %b\\r\\n" % key) for key in keys) and not close
        assert order == [ring.owner(key) for key in keys]
        for i, output in enumerate(outputs):
            assert output == b"".join(b"get %b\\r\\n" % key for key in keys if ring.owner(key) == i)

        requests = b"get a\\r\\nincr a 1\\r\\nget a b\\r\\nwhat\\r\\n"
        _, outputs, order, _ = Splitter(names, links=3).split(requests)
        assert order[0] == order[1] and order[0] // 3 == ring.owner("a")
        assert order[2].startswith(b"SERVER_ERROR ") and order[3] == b"ERROR\\r\\n"
        assert outputs[order[0]] == b"get a\\r\\nincr a 1\\r\\n"

        assert Splitter(names).split(b"set a 0 0 1048577\\r\\nx")[0] == 19 + 1048577 + 2
        assert reply_size(b"VALUE a 0 1\\r\\nx\\r\\nEND\\r\\nSTORED\\r\\n") == 21
        assert reply_size(b"VALUE a 0 1\\r\\nx\\r\\nEND") == 0
        assert reply_size(b"what?\\r\\n") == -1
    """
    run(python, "-c", re.sub("^ {8}", "", check, flags=re.MULTILINE), cwd=splitter)


@pytest.fixture
def example_proxy(python: Path, splitter: Path) -> Iterator[socket.socket]:
    """A client's connection to the example's proxy over two servers."""
    with EmbeddedServer() as one, EmbeddedServer() as two:
        command = [str(python), "proxy.py", one.address, two.address]
        proxy = subprocess.Popen(command, cwd=splitter, stdout=subprocess.PIPE, text=True)
        try:
            assert proxy.stdout is not None
            port = int(proxy.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                yield client
        finally:
            proxy.kill()
            proxy.communicate()


def test_the_example_proxies(example_proxy: socket.socket) -> None:
    keys = [b"key%d" % i for i in range(50)]
    stores = b"".join(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(key), key) for key in keys)
    # Too large: refused at once, and its data is skipped.
    large = b"set large 0 0 1048577\r\n" + b"x" * 1048577 + b"\r\n"
    gets = b"".join(b"get %b\r\n" % key for key in keys)
    expected = b"STORED\r\n" * len(keys) + b"SERVER_ERROR object too large for cache\r\n"
    expected += b"".join(b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (key, len(key), key) for key in keys)
    example_proxy.sendall(stores + large + gets)
    received = b""
    while len(received) < len(expected) and (data := example_proxy.recv(65536)):
        received += data
    assert received == expected
