"""Builds the bare loop in its folder if needed, and serves: serve.py PORT SERVER_PORT... [--copies N]"""

import argparse
import importlib
import signal
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

import mcroute
from mcroute._engine.engine import Engine
from mcroute.policy import Pool, PoolRoute, Replicate, Server, compile_plan

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "bare_loop"


def build() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    extension = Extension("bare_loop", [str(HERE / "bare_loop.pyx")], extra_compile_args=["-O3"])
    modules = cythonize(
        [extension],
        build_dir=str(BUILD),
        include_path=[str(Path(mcroute.__file__).parents[1])],
        compiler_directives={"language_level": "3", "cdivision": True},
        quiet=True,
    )
    command = build_ext(Distribution({"name": "bare_loop", "ext_modules": modules}))
    command.build_lib = command.build_temp = str(BUILD)
    command.ensure_finalized()
    command.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, nargs="?")
    parser.add_argument("servers", type=int, nargs="*")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--build", action="store_true", help="only build")
    options = parser.parse_args()
    if options.build or not list(BUILD.glob("bare_loop*.so")):
        build()
    if options.build:
        return
    sys.path.insert(0, str(BUILD))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    servers = tuple(Server(f"s{i}", "127.0.0.1", port) for i, port in enumerate(options.servers))
    pool = Pool("main", servers)
    route = PoolRoute(pool) if options.copies == 1 else Replicate(pool, copies=options.copies)
    importlib.import_module("bare_loop").serve(Engine(compile_plan(route)), options.port, options.servers)


if __name__ == "__main__":
    main()
