"""docs/differences.md as the tests read it: the one list of what mcroute answers differently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
CODE = re.compile(r"`([^`]+)`")
# In requests, K251 stands for a key of 251 bytes, V9 for a value of 9.
RUN = re.compile(rb"\b([KV])(\d+)\b")


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(text: str) -> list[list[list[str]]]:
    """Every table of the page: its head and its rows."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            if not re.fullmatch(r"[|\s:-]+", line):
                found[-1].append(cells(line))
        inside = line.startswith("|")
    return found


def raw(text: str) -> bytes:
    return RUN.sub(
        lambda run: run[1].lower() * int(run[2]),
        text.encode("latin-1").decode("unicode_escape").encode("latin-1"),
    )


def code(cell: str) -> bytes:
    return raw(CODE.findall(cell)[0])


def lines(cell: str) -> bytes:
    r"""The code spans of a cell, each a line, with CRLF unless it ends in ``\n``."""
    found = [raw(span) for span in CODE.findall(cell)]
    sent = b"".join(line if line.endswith(b"\n") else line + b"\r\n" for line in found)
    return sent + (b"\r\n" if cell.endswith(", an empty line") else b"")


@dataclass(frozen=True)
class Row:
    """A request, and what each version of memcached and mcroute answer, as the page says it."""

    name: str
    sent: bytes
    answers: dict[str, str]


class Differences:
    def __init__(self, rows: dict[str, Row], words: dict[str, set[tuple[bytes, bytes]]]) -> None:
        self.rows = rows
        self.words = words

    @classmethod
    def read(cls) -> Differences:
        rows: dict[str, Row] = {}
        words: dict[str, set[tuple[bytes, bytes]]] = {}
        for head, *body in tables(PAGE.read_text()):
            speakers = [name.removeprefix("memcached ") for name in head]
            if head[0] == "difference":
                for name, sent, *answers, _ in body:
                    said = dict(zip(speakers[2:], answers, strict=False))
                    rows[name] = Row(name, lines(sent), said)
            else:
                words[speakers[0]] = {(code(theirs), code(ours)) for theirs, ours in body}
        return cls(rows, words)

    def meant(self, names: frozenset[str], version: str) -> bool:
        """Whether one of the rows says that this version answers otherwise."""
        return any(self._is_meant(self.rows[name].answers, version) for name in names)

    def _is_meant(self, answers: dict[str, str], version: str) -> bool:
        theirs = [answers[version]] if version in answers else answers.values()
        return any(answer != answers["mcroute"] for answer in theirs)

    def same(self, theirs: list[bytes], ours: list[bytes], version: str) -> bool:
        """Line by line, but for the words that the versions of memcached choose differently."""
        if theirs == ours:
            return True
        pairs = self._words_of(version)
        return len(theirs) == len(ours) and all(
            self._is_same_reply(one, other, pairs) for one, other in zip(theirs, ours, strict=True)
        )

    @staticmethod
    def _is_same_reply(theirs: bytes, ours: bytes, pairs: set[tuple[bytes, bytes]]) -> bool:
        said, said_here = theirs.split(b"\r\n"), ours.split(b"\r\n")
        return len(said) == len(said_here) and all(
            one == other or (one, other) in pairs for one, other in zip(said, said_here, strict=True)
        )

    def _words_of(self, version: str) -> set[tuple[bytes, bytes]]:
        """All words for a version that the page does not name."""
        known = {name for row in self.rows.values() for name in row.answers}
        return self.words.get(version, set()) if version in known else set().union(*self.words.values())
