"""A meta request in Python: its key decoded, its flags in the client's order."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from .._protocol import Request

__all__ = ("MetaRequest", "reply")


@dataclass(slots=True)
class MetaRequest:
    """`shown_key` is how replies show the key; `tokens` has a flag's token by its letter."""

    name: str
    key: bytes
    shown_key: bytes
    value: bytes
    tokens: dict[bytes, bytes]

    @classmethod
    def of(cls, request: Request) -> MetaRequest:
        tokens = {flag[:1]: flag[1:] for flag in request.meta_flags}
        key = shown_key = request.key
        if b"b" in tokens:
            shown_key = key + b" b"
            try:
                key = base64.b64decode(key, validate=True)
            except binascii.Error:
                # Only `me` may have such a key; it then looks for the key's encoded form.
                shown_key = key
        return cls(request.command, key, shown_key, request.value or b"", tokens)

    @property
    def is_quiet(self) -> bool:
        return b"q" in self.tokens

    def has(self, flag: bytes) -> bool:
        return flag in self.tokens

    def number(self, flag: bytes) -> int | None:
        token = self.tokens.get(flag)
        return None if token is None else int(token)


def reply(request: MetaRequest, status: bytes, shown: dict[bytes, bytes]) -> bytes:
    """A reply line: the status, then the values of the client's flags, in the client's order."""
    parts = [status]
    for letter, token in request.tokens.items():
        if letter == b"O":
            parts.append(letter + token)
        elif letter == b"k":
            parts.append(letter + request.shown_key)
        elif letter in shown:
            parts.append(letter + shown[letter])
    return b" ".join(parts) + b"\r\n"
