"""Compiles the load generator and the floors if they are missing or older than their sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ("BUILD", "HERE", "SWITCHES", "compiled_floor", "compiled_load", "compiler")

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "proxies"

# Features of the floor beside routing.
SWITCHES = ("VALIDATION", "KEY_CHECK", "DEADLINES", "HISTOGRAMS", "KEY_ORDER")


def compiler() -> str | None:
    return shutil.which("cc")


def compiled_load(where: Path = BUILD) -> Path:
    return _compiled("load", where / "load", [])


def compiled_floor(*switches: str, where: Path = BUILD) -> Path:
    """The floor with these of SWITCHES."""
    name = "-".join(("floor", *(switch.lower() for switch in switches)))
    return _compiled("floor", where / name, [f"-D{switch}=1" for switch in switches])


def _compiled(program: str, target: Path, flags: list[str]) -> Path:
    """Raises CalledProcessError, after the compiler has printed the reason."""
    sources = sorted((HERE / program).glob("*.c"))
    read = [*sources, *(HERE / program).glob("*.h"), HERE / "histogram.h"]
    if target.exists() and target.stat().st_mtime >= max(path.stat().st_mtime for path in read):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete: two runs at once must not execute half a program.
    fresh = target.with_suffix(f".{os.getpid()}")
    warnings = ["-Wall", "-Wextra", "-Werror"]
    command = ["cc", "-O2", "-g", *warnings, *flags, "-o", str(fresh), *map(str, sources), "-lm"]
    subprocess.run(command, check=True)
    fresh.rename(target)
    return target
