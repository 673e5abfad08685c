"""Compiles the probe against the mcroute that this interpreter imports: `python build_probe.py DIRECTORY`.

MCROUTE_BUILD says how, as in setup.py; the package must have been built in the same way.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SANITIZERS = {"asan": "address,undefined", "fuzz": "address,undefined,fuzzer-no-link"}


def build(there: Path) -> None:
    """Leaves the extension module `probe` in the directory."""
    sanitizers = SANITIZERS.get(os.environ.get("MCROUTE_BUILD", ""))
    flags = f"-g -fno-omit-frame-pointer -fsanitize={sanitizers}" if sanitizers else ""
    # The compiler itself must not run under the sanitizer's library, which the tests preload.
    kept = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONMALLOC")}
    kept["CFLAGS"] = f"-O1 {flags}"
    kept["LDFLAGS"] = flags
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    there.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("probe.pyx"), there)
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "--quiet", "--inplace", "probe.pyx"]
    subprocess.run(command, cwd=there, env=kept, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
