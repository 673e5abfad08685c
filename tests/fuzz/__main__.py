"""Fuzzes one target: `python tests/fuzz requests [corpus directories and options of libFuzzer]`.

`make fuzz` runs it, and builds what it needs: package and probe with sanitizers and libFuzzer's counters.
"""

import sys

import atheris
import engine_world
import fuzz_rings
import probe

TARGETS = {
    "requests": probe.check_requests,
    "replies": probe.check_replies,
    "engine": engine_world.play,
    "rings": fuzz_rings.play,
}


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: target(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
