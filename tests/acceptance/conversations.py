"""Conversations with a memcached, made by chance from a seed: every command, with good and bad arguments.

A message knows the names of the rows of docs/differences.md that it falls under, so that a test leaves out
the ones that are meant to be answered differently.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Message:
    """One request as a client would send it, right or wrong."""

    data: bytes
    rows: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Conversation:
    """Whole messages, and the beginning of one more.

    With `marks`, each message is followed by a no-op, so that the replies can be distinguished.
    """

    messages: tuple[Message, ...]
    tail: bytes
    marks: bool


RETRIEVAL = ("get", "gets", "gat", "gats")
STORAGE = ("set", "add", "replace", "append", "prepend", "cas")
OTHERS = ("delete", "incr", "decr", "touch", "flush_all", "verbosity", "version", "stats")
META = ("mg", "ms", "md", "ma", "mn", "me")
UNKNOWN = ("bogus", "GET", "Set", "getx", "m", "mx", "mgx", "g", "misbehave", "x" * 300)

# Up to 30 days from now; more is a point in time, which the two servers would count differently.
GOOD_TIMES = ("0", "100", "-1", "2592000", "05", "-2147483648")
GOOD_COUNTS = ("0", "1", "5", "007", "2147483648", "4294967295", "4294967297", "18446744073709551615")
# No memcached accepts these as numbers.
UNREADABLE = ("x", "1x", "x1", "1e3", "0x1", "1.5", "18446744073709551616", "9" * 30, "--1", "noreply")
# Some do, and what they make of them depends on the version and on the place: here, where it is neither the
# client flags nor the lifetime of a store.
ODD = {
    "+5": "a number out of its form",
    "-0": "a number out of its form",
    "-9223372036854775809": "a number out of its form",
    "2147483648": "a number out of its form",
    "4294967297": "a number out of its form",
    "-": "a bare minus sign",
    "-5": "",
    "9223372036854775808": "",
}


FLAGS = {
    "mg": "bcfhklqstuvvvvNRTOOEC",
    "ms": "bckqFIMMTOOCEs",
    "md": "qbkITOCEx",
    "ma": "bqkvctNJDMTOCE",
}


class Speaker:
    """Makes the messages of one conversation, over a handful of keys that are its own."""

    def __init__(self, rng: Random, name: str, may_flush: bool = False) -> None:
        self.rng = rng
        self.name = name
        self.may_flush = may_flush
        self.rows: set[str] = set()
        self.is_sound = True
        self.were_sound = True
        self.is_long = False

    def conversation(self) -> Conversation:
        messages = tuple(self.message() for _ in range(self.rng.randint(1, 14)))
        tail = self.message().data if self.rng.random() < 0.2 else b""
        # A request that one server refuses at once, the other may refuse at its end, which never comes.
        tail = tail if self.is_sound else b""
        cut = self.rng.randint(0, max(0, len(tail) - 1))
        return Conversation(messages, tail[:cut], self.rng.random() < 0.7)

    def message(self) -> Message:
        self.rows = set()
        self.were_sound &= self.is_sound
        self.is_sound = True
        self.is_long = False
        kind = self.rng.choices(
            (self.retrieval, self.storage, self.other, self.meta, self.unknown), (25, 25, 20, 40, 3)
        )[0]
        data = kind()
        return Message(data, frozenset(self.rows))

    # ---- words ----

    def some(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def seldom(self, chance: float = 0.06) -> bool:
        return self.rng.random() < chance

    def fault(self, chance: float, row: str = "") -> bool:
        """Whether to make a mistake here, and which row of the page it falls under."""
        if self.rng.random() >= chance:
            return False
        self.is_sound = False
        if row:
            self.rows.add(row)
        return True

    def key(self) -> str:
        if self.seldom():
            return self.odd_key()
        return f"{self.name}{self.rng.randrange(4)}"

    def counter(self) -> str:
        """A key that only gets values to count with: of blanks, 1.6.18 reads on into other memory."""
        if self.seldom():
            return self.odd_key()
        return f"{self.name}n{self.rng.randrange(2)}"

    def odd_key(self) -> str:
        kind = self.some("longest", "too long", "control", "high", "noreply")
        if kind == "too long":
            self.is_long = self.fault(1)
        elif kind == "control":
            self.fault(1, "a control character in a key")
        return {
            "longest": self.name.ljust(250, "k"),
            "too long": self.name.ljust(self.rng.choice((251, 700)), "k"),
            "control": self.name + self.some("\x01", "\t", "\x7f", "\x1f"),
            "high": self.name + "\xc3\xa4\xff\x80",
            "noreply": "noreply",
        }[kind]

    def number(self, good: Sequence[str], place: str = "") -> str:
        if self.fault(0.03):
            return self.rng.choice(UNREADABLE)
        if not self.fault(0.04):
            return self.rng.choice(good)
        text = self.rng.choice(tuple(ODD))
        if place == "client flags":
            self.rows.add("client flags that are no 32 bits")
        elif place == "lifetime":
            self.rows.update(["a plus sign before a lifetime"] if text == "+5" else [])
        else:
            self.rows.update([ODD[text]] if ODD[text] else [])
        return text

    def value(self, key: str) -> bytes:
        kind = self.rng.random()
        if kind < 0.35 or not key.startswith(self.name) or key.startswith(self.name + "n"):
            return self.some("0", "1", "5", "99", "x", "1x", str(2**64 - 1), str(2**64)).encode()
        # Behind a wrong line, a value may be taken for a line: too long a one ends the conversation.
        if kind < 0.95 or not (self.is_sound and self.were_sound):
            size = self.rng.choice((0, 1, 3, 40, 500))
            return bytes(self.rng.choices(b"abc \r\n\x00\xff", k=size)).replace(b"MN\r\n", b"")
        return b"v" * self.rng.choice((3000, 20_000, 100_000))

    def line(self, words: list[str]) -> bytes:
        """The words, in nearly always orderly spacing, with an end of line."""
        gap = "  " if self.seldom(0.03) else " "
        text = gap.join(words)
        if self.seldom(0.03):
            text += " "
        if self.fault(0.01, "a blank before the command"):
            text = " " + text
        end = b"\n" if self.seldom() else b"\r\n"
        if text.strip() == "mn" and end == b"\n":
            self.rows.add("mn with a bare line feed")
        return text.encode("latin-1") + end

    def finish(self, words: list[str]) -> list[str]:
        """With noreply now and then, or with words too many or too few."""
        if self.seldom(0.15):
            words.append("noreply")
            if not self.is_sound:
                self.rows.add("noreply and a fault")
        if self.fault(0.03):
            del words[self.rng.randint(1, len(words)) :]
        if self.fault(0.03, "words too many"):
            words.extend(self.rng.choices(("1", "x", "0", "noreply"), k=self.rng.randint(1, 9)))
        return words

    # ---- commands ----

    def retrieval(self) -> bytes:
        name = self.some(*RETRIEVAL)
        words = [name]
        if name.startswith("gat"):
            words.append(self.number(GOOD_TIMES))
        count = self.rng.choice((0, 1, 2, 3, 12, 40 if self.were_sound else 5)) if self.seldom(0.5) else 1
        if count == 0 and name.startswith("gat"):
            self.fault(1, "gat without a key")
        words += [self.key() for _ in range(count)]
        if self.seldom(0.02):
            words.append("noreply")
        if self.is_long:
            self.rows.add("a get of a key over 250 bytes")
        return self.line(words)

    def storage(self) -> bytes:
        name = self.some(*STORAGE)
        key = self.counter() if self.seldom(0.3) else self.key()
        words = [name, key, self.number(GOOD_COUNTS[:6], "client flags")]
        words.append(self.number(GOOD_TIMES, "lifetime"))
        words.append(self.length())
        if name == "cas":
            words.append(self.number(GOOD_COUNTS))
        words = self.finish(words)
        if not self.is_sound:
            self.rows.add("a refused line with a value")
        value = self.value(key)
        return self.line([word or str(len(value)) for word in words]) + self.block(value)

    def length(self) -> str:
        """Empty for the value's own."""
        if not self.fault(0.03, "a refused line with a value"):
            return ""
        text = self.some(*UNREADABLE, *ODD, "-1", "2147483646", "2147483647")
        if text in ("-", "-0"):
            self.rows.add("an odd length")
        return text

    def block(self, value: bytes) -> bytes:
        """The value with its end, at times longer than announced, or badly ended."""
        if self.fault(0.02):
            return value + self.some("x\r\n", "\rx", "xx", "xy\r\n", "xyz\r\n").encode()
        if self.fault(0.02, "a value that is short of a byte"):
            return value + b"\n"
        return value + b"\r\n"

    def other(self) -> bytes:
        name = self.some(*OTHERS)
        words = [name]
        if name in ("incr", "decr"):
            words += [self.counter(), self.number(GOOD_COUNTS)]
        elif name == "touch":
            words += [self.key(), self.number(GOOD_TIMES)]
        elif name == "delete":
            words += [self.key()]
            if words[-1] == "noreply":
                self.rows.add("a delete of the key noreply")
        elif name == "flush_all":
            # With a delay, each server would be emptied at its own moment.
            if not self.may_flush:
                self.is_sound = False
                return self.line([*words, self.some("x", "1x")])
            words += [self.some("0", "-1", "x")] if self.seldom(0.5) else []
        elif name == "verbosity":
            words += [self.some("0", "1", "4294967295", *UNREADABLE[:5])]
        else:
            self.rows.add(name)
        return self.line(self.finish(words))

    def unknown(self) -> bytes:
        name = self.some(*UNKNOWN)
        words = [name, *self.rng.choices(("a", "1", "HTTP/1", "noreply"), k=self.rng.randrange(4))]
        if words[-1].startswith("HTTP/"):
            words.append("x")
        if words[-1] == "noreply":
            self.rows.add("an unknown command with noreply")
        return self.line(words)

    def meta(self) -> bytes:
        name = self.rng.choices(META, (30, 30, 15, 20, 3, 2))[0]
        if name == "mn":
            return self.line(["mn"])
        words = [name]
        flags = self.flags(name)
        if "b" in flags and self.fault(0.1):
            words.append(self.some("=", "a===", "abc", "%%%%"))
        elif "b" in flags:
            words.append(b64encode(self.some("", "\n", "\0\xff").join(self.name).encode("latin-1")).decode())
            if name in ("mg", "ma") and any(flag[0] == "N" for flag in flags):
                self.fault(1, "a binary key and N")
        else:
            words.append(self.counter() if name == "ma" else self.key())
        if name == "me":
            return self.line([*words, "b"] if self.seldom(0.2) else words)
        if name != "ms":
            if self.fault(0.02, "a base64 key of another spelling" if "b" in flags else ""):
                del words[1:]
            return self.line(words + flags)
        words.append(self.length())
        if self.fault(0.02, "a refused line with a value"):
            del words[1:]
        if self.is_long:
            self.rows.add("a refused line with a value")
        value = self.value(words[1] if len(words) > 1 else "")
        block = self.block(value)
        if block != value + b"\r\n":
            self.rows.add("a badly ended value of ms")
        return self.line([word or str(len(value)) for word in words] + flags) + block

    def flags(self, command: str) -> list[str]:
        letters = FLAGS.get(command, "q")
        picked = self.rng.sample(letters, k=self.rng.randint(0, min(5, len(letters))))
        chosen = [self.flag(command, letter) for letter in picked]
        chosen = list({flag[0]: flag for flag in chosen}.values())
        if self.fault(0.02):
            chosen.append(self.some(*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789[]^_`"))
        if self.fault(0.01, "a sign as a meta flag"):
            chosen.append(self.some(*'!"#-./:;@{|}~\x80\xff'))
        if self.fault(0.02, "meta flags over and over"):
            chosen *= self.rng.randint(2, 20)
        if command == "ma" and {"q", "N"} <= {flag[0] for flag in chosen}:
            self.rows.add("ma with q and N")
        return chosen

    def flag(self, command: str, letter: str) -> str:
        if letter in "TNR":
            # For an expired item, t counts from the server's own start.
            positive = [time for time in GOOD_TIMES if time[0] != "-"]
            return letter + self.number(positive).replace("-5", "5")
        if letter in "CEDJ":
            return letter + self.number(GOOD_COUNTS)
        if letter == "F":
            return letter + self.number(GOOD_COUNTS[:6], "client flags")
        if letter == "M":
            if self.fault(0.1):
                return letter + self.some(*"seaprid0zx", "")
            return letter + self.some(*"ID+-" if command == "ma" else "SEAPR")
        if letter == "O":
            too_long = self.fault(0.02, "an opaque over 31 bytes")
            return letter + ("o" * 32 if too_long else self.some("1", "o" * 31, ""))
        return letter
