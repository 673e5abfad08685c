"""What a command returns, and what it stores."""

from __future__ import annotations

from .history import Operation, Result, first_count, write_value

__all__ = ("NOTHING", "Answer", "Answers", "value_of")

# Result, value, token.
Answer = tuple[Result, bytes, int]
# By key, for a command on several keys.
Answers = dict[str, Answer]

NOTHING = b""


def value_of(operation: Operation, size: int) -> bytes:
    """The value that an operation stores, of `size` bytes if it is no number."""
    if operation.is_counter:
        return b"%d" % first_count(operation.key)
    return write_value(operation.key, operation.number, size)
