"""A memcached without sockets: one process with its items, and conversations of bytes in and bytes out."""

from __future__ import annotations

import base64

from .._protocol import Refusal, Request, RequestParser
from . import classic, meta, stats
from .clocks import Clock
from .dumps import crawler_reply
from .meta_requests import MetaRequest
from .profiles import Limits, Profile
from .store import Store
from .storing import TOO_LARGE

__all__ = ("Conversation", "Memcached", "Peer")

# A TCP client's host and port, or the path of a unix socket.
Peer = tuple[str, int] | str
_FIRST_DESCRIPTOR = 23  # of the listening socket
_FLAG_REFUSALS = {
    "mg": b"CLIENT_ERROR invalid flag\r\n",
    "ms": b"CLIENT_ERROR invalid flag\r\n",
    "md": b"CLIENT_ERROR invalid or duplicate flag\r\n",
    "ma": b"CLIENT_ERROR invalid or duplicate flag\r\n",
}


def _shown(peer: Peer) -> str:
    if isinstance(peer, str):
        return f"unix:{peer}"
    host, port = peer
    return f"tcp6:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"


class Conversation:
    """One client's connection; `is_closed`: nothing more is read from it.

    The parser refuses bad requests as memcached 1.6.45 does, whatever the profile.
    """

    def __init__(self, server: Memcached, peer: Peer, descriptor: int) -> None:
        self.server = server
        self.peer = peer
        self.descriptor = descriptor
        self.is_closed: bool = False
        self.last_used: int = server.store.now
        self._parser = RequestParser(value_max=server.store.limits.item_size)

    def receive(self, data: bytes) -> bytes:
        """Executes what is complete with these bytes, and returns the replies; none once it is closed."""
        if self.is_closed:
            return b""
        store, next_message = self.server.store, self._parser.next_message
        store.tick()
        self.last_used = store.now
        self._parser.feed(data)
        replies: list[bytes] = []
        while not self.is_closed:
            message = next_message()
            if isinstance(message, Request):
                answer = self._answer(message)
                if answer and not message.noreply:
                    replies.append(answer)
            elif isinstance(message, Refusal):
                replies.append(self._refuse(message, is_first=not any(replies)))
                if message.close:
                    self.close()
            else:
                break
        return b"".join(replies)

    def close(self) -> None:
        """From either end: nothing more is executed. Harmless if closed."""
        self.is_closed = True
        self.server.conversations.pop(self.descriptor, None)

    def _answer(self, request: Request) -> bytes:
        name, store = request.command, self.server.store
        command = classic.COMMANDS.get(name)
        if command is not None:
            return command(store, request)
        if name == "stats":
            return self.server.stats(request.meta_flags, self)
        if name == "quit":
            self.close()
            return b""
        if self._lacks_flags(request.meta_flags):
            return _FLAG_REFUSALS[name]
        return meta.COMMANDS[name](store, MetaRequest.of(request))

    def _lacks_flags(self, flags: list[bytes]) -> bool:
        """Whether this release knows no such meta flags."""
        is_older = not self.server.store.profile.has_explicit_cas
        return is_older and any(flag[:1] in (b"E", b"x") for flag in flags)

    def _refuse(self, refusal: Refusal, *, is_first: bool) -> bytes:
        """The reply; values that are too large and the commands that mcroute does not offer end here, too."""
        words = refusal.line.split()
        if not words:
            return refusal.reply
        if words[0] == b"lru_crawler":
            return crawler_reply(
                self.server.store, words[1:], is_first=is_first, is_busy=self.server.is_crawling
            )
        if words[0] == b"ms" and refusal.reply == TOO_LARGE and self._lacks_flags(words[3:]):
            return _FLAG_REFUSALS["ms"]
        if words[0] in (b"set", b"ms") and refusal.reply in (b"", TOO_LARGE):  # empty: noreply
            self._forget_too_large(words)
        elif b"not offered" in refusal.reply:
            return b"ERROR\r\n"
        return refusal.reply

    def _forget_too_large(self, words: list[bytes]) -> None:
        """Deletes the key of a value that the parser has refused for its size."""
        store = self.server.store
        is_meta = words[0] == b"ms"
        length = words[2 if is_meta else 4]
        if length.isdigit() and int(length) > store.limits.item_size:
            store.counters.store_too_large += 1
            is_binary = is_meta and b"b" in words[3:]
            store.forget(base64.b64decode(words[1]) if is_binary else words[1])


class Memcached:
    """One process of memcached from its start to its end.

    With `inherited`, it begins with the items of an earlier process, `away_s` seconds later.
    `is_crawling` makes it answer dumps with BUSY, as a crawl of another client does.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        profile: Profile | None = None,
        limits: Limits | None = None,
        pid: int = 1,
        inherited: Store | None = None,
        away_s: int = 0,
    ) -> None:
        self.store: Store = Store(clock, profile, limits, inherited, away_s)
        self.pid = pid
        self.address: Peer = ("127.0.0.1", 11211)
        self.conversations: dict[int, Conversation] = {}  # by descriptor
        self.is_crawling: bool = False
        self._accepted = 0

    def accept(self, peer: Peer) -> Conversation:
        """A client's connection. `limits.connections` are the network's to observe."""
        self.store.tick()
        descriptor = _FIRST_DESCRIPTOR + 1
        while descriptor in self.conversations:
            descriptor += 1
        self._accepted += 1
        conversation = self.conversations[descriptor] = Conversation(self, peer, descriptor)
        return conversation

    def stop(self) -> None:
        """The end of the process: every conversation is closed."""
        for conversation in list(self.conversations.values()):
            conversation.close()

    def stats(self, arguments: list[bytes], asked_by: Conversation | None = None) -> bytes:
        """The reply to `stats` with these arguments; ERROR for those that this model does not have."""
        name = arguments[0] if arguments else b""
        if not name:
            return stats.block(
                stats.general(self.store, self.pid, len(self.conversations), self._accepted + 1)
            )
        if name == b"settings":
            return stats.block(stats.settings(self.store.limits, self.store.profile))
        if name == b"conns":
            return stats.block(self._connection_rows(asked_by))
        if name == b"reset":
            self.store.counters = type(self.store.counters)()
            return b"RESET\r\n"
        return b"ERROR\r\n"

    def _connection_rows(self, asked_by: Conversation | None) -> dict[str, object]:
        here = _shown(self.address)
        rows: dict[str, object] = {
            f"{_FIRST_DESCRIPTOR}:addr": here,
            f"{_FIRST_DESCRIPTOR}:state": "conn_listening",
            f"{_FIRST_DESCRIPTOR}:secs_since_last_cmd": self.store.uptime,
        }
        for descriptor, conversation in sorted(self.conversations.items()):
            rows[f"{descriptor}:addr"] = _shown(conversation.peer)
            rows[f"{descriptor}:listen_addr"] = here
            rows[f"{descriptor}:state"] = "conn_parse_cmd" if conversation is asked_by else "conn_read"
            rows[f"{descriptor}:secs_since_last_cmd"] = self.store.now - conversation.last_used
        return rows
