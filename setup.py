"""Compiles the Cython modules on all processors. Everything else is declared in pyproject.toml."""

import os
import re
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("src")

# release (default) | trace: line coverage of .pyx | asan: address and undefined-behaviour sanitizers
# | tsan: thread sanitizer | fuzz: asan and the counters that libFuzzer is steered by; needs clang
BUILD = os.environ.get("MCROUTE_BUILD", "release")
# Developers: a regular build of only the parts or modules named here, as in MCROUTE_ONLY="_hashing,_ring".
ONLY = set(os.environ["MCROUTE_ONLY"].split(",")) if os.environ.get("MCROUTE_ONLY") else None
# How many modules are compiled at a time: as many as this process may use processors.
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

if sys.platform == "win32":
    FLAGS = {"release": ["/O2"], "trace": ["/Od"], "asan": ["/fsanitize=address"]}[BUILD]
else:
    FLAGS = {
        "release": ["-O3", "-g0", "-fno-strict-aliasing"],
        "trace": ["-O0", "-g"],
        "asan": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
        "tsan": ["-O1", "-g", "-fsanitize=thread", "-fno-omit-frame-pointer"],
        "fuzz": ["-O1", "-g", "-fsanitize=address,undefined,fuzzer-no-link", "-fno-omit-frame-pointer"],
    }[BUILD]

# A wheel has no symbols either. What is built in place keeps its functions' names, for perf and gdb.
STRIP = ["-Wl,-s"] if sys.platform == "linux" and BUILD == "release" and "bdist_wheel" in sys.argv else []

# The native loop is for systems that have epoll.
HAS_EPOLL = sys.platform == "linux"


def extension(path: Path) -> Extension:
    return Extension(
        ".".join(path.relative_to(SOURCE).with_suffix("").parts),
        [path.as_posix()],
        extra_compile_args=FLAGS,
        extra_link_args=[*(flag for flag in FLAGS if "sanitize" in flag), *STRIP],
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if BUILD == "trace" else [],
    )


def sources() -> list[Path]:
    """Large modules first: the last one to be compiled would keep one processor busy and the others idle."""
    found = sorted((SOURCE / "mcroute").rglob("*.pyx"), key=lambda path: (-path.stat().st_size, path))
    wanted = [path for path in found if ONLY is None or not ONLY.isdisjoint(path.with_suffix("").parts)]
    return [path for path in wanted if HAS_EPOLL or path.parent.name != "_loop"]


def readme() -> str:
    """README.md with absolute links, since a package index shows it without the pages that it links to."""
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    home, version = (
        re.search(rf'^{name} = "(.*)"$', project, re.MULTILINE)[1] for name in ("Source", "version")
    )
    tree = f"{home}/blob/" + ("main" if "dev" in version else f"v{version}")
    return re.sub(r"\]\((?!\w+:|#)", f"]({tree}/", Path("README.md").read_text(encoding="utf-8"))


# Cython's processes import this file where the system cannot fork.
if __name__ == "__main__":
    setup(
        ext_modules=cythonize(
            [extension(path) for path in sources()],
            nthreads=JOBS,
            # Coverage looks for the .c beside the .pyx; otherwise the source tree stays clean.
            build_dir=None if BUILD == "trace" else f"build/cython-{BUILD}",
            include_path=[str(SOURCE)],
            compiler_directives={
                "language_level": "3",
                "embedsignature": True,
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "freethreading_compatible": True,
                "linetrace": BUILD == "trace",
            },
        ),
        options={"build_ext": {"parallel": JOBS}},
        long_description=readme(),
        long_description_content_type="text/markdown",
    )
