"""Compiles a Cython source of the tests against the mcroute that this interpreter imports.

As a program: `python tests/compiling.py SOURCE DIRECTORY`. MCROUTE_BUILD says how, as in setup.py; the
package must have been built in the same way.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SANITIZERS = {"asan": "address,undefined", "tsan": "thread", "fuzz": "address,undefined,fuzzer-no-link"}


def compile_cython(source: Path, there: Path) -> None:
    """Leaves the extension module of the source's name in the directory `there`."""
    sanitizers = SANITIZERS.get(os.environ.get("MCROUTE_BUILD", ""))
    flags = f"-g -fno-omit-frame-pointer -fsanitize={sanitizers}" if sanitizers else ""
    # The compiler itself must not run under the sanitizer's library, which the tests preload.
    kept = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONMALLOC")}
    kept["CFLAGS"] = f"-O1 {flags}"
    kept["LDFLAGS"] = flags
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    there.mkdir(parents=True, exist_ok=True)
    if source.parent != there:
        shutil.copy(source, there)
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "--quiet", "--inplace", source.name]
    subprocess.run(command, cwd=there, env=kept, check=True)


if __name__ == "__main__":
    compile_cython(Path(sys.argv[1]), Path(sys.argv[2]))
