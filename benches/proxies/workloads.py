"""The workloads of the load generator: the rows of every table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("SHOWN_ROWS", "WORKLOADS", "Workload", "workloads_named")


@dataclass(frozen=True)
class Workload:
    """One row; `size` is the size of values in bytes, A or A:B for all sizes between."""

    letter: str
    title: str
    options: tuple[str, ...]
    keys: int = 10_000
    size: str = "100"
    is_idle: bool = False  # one request per connection; then only memory is measured

    @property
    def data_options(self) -> list[str]:
        """The load's options that reproduce the same keys and values."""
        return ["--keys", str(self.keys), "--size", self.size]


def _row(letter: str, title: str, options: str, keys: int = 10_000, size: str = "100") -> Workload:
    return Workload(letter, title, tuple(options.split()), keys, size, "--idle" in options)


WORKLOADS = {
    row.letter: row
    for row in (
        _row("a", "1 connection, GET 100 B", ""),
        _row("b", "50 connections, GET:SET 9:1, 100 B", "--connections 50 --sets 10"),
        _row("c", "as b, pipeline of 16", "--connections 50 --sets 10 --depth 16"),
        _row("d", "50 connections, multiget of 24", "--connections 50 --multiget 24"),
        _row("e", "as b, 4 KiB", "--connections 50 --sets 10", 4000, "4096"),
        _row("f", "8 connections, GET:SET 9:1, 100 KiB", "--connections 8 --sets 10", 200, "102400"),
        _row("g", "as b, 1000 connections", "--connections 1000 --sets 10"),
        _row("s", "50 connections, SET 100 B", "--connections 50 --sets 100"),
        _row("p", "1 connection, pipeline of 100, GET 100 B", "--depth 100"),
        _row("w", "as b, window of 16 refilled one by one", "--connections 50 --sets 10 --depth 16 --window"),
        _row("m", "50 connections, multiget of 100", "--connections 50 --multiget 100"),
        _row("z", "as b, Zipf 0.99, 50 to 2000 B", "--connections 50 --sets 10 --zipf 0.99", size="50:2000"),
        _row("i", "10,000 idle connections", "--connections 10000 --idle"),
    )
}
SHOWN_ROWS = "abcdefgi"


def workloads_named(letters: str) -> list[Workload]:
    """Rows by their letters, with or without commas; ValueError names an unknown one."""
    chosen = [letter for letter in letters if letter not in ", "]
    for letter in chosen:
        if letter not in WORKLOADS:
            raise ValueError(f"no workload {letter!r}; there are {''.join(WORKLOADS)}")
    return [WORKLOADS[letter] for letter in chosen]
