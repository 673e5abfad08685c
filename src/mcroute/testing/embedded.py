"""A memcached in a thread: the protocol's replies without the process, and faults on demand."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType

from . import classic, meta
from .classic import Refused
from .store import Store

MAX_VALUE = 1024 * 1024
MAX_LINE = 65536


class Conversation:
    """One client's bytes: what has arrived and is not yet a whole command waits here."""

    def __init__(self, server: "EmbeddedServer", peer: socket.socket) -> None:
        self.server = server
        self.peer = peer
        self.arrived = bytearray()
        self.unsent = bytearray()
        self.closing = False
        self.skipping = 0

    def receive(self, data: bytes) -> None:
        self.arrived += data
        while not self.closing and self._step():
            pass

    def _step(self) -> bool:
        """Execute one whole command, if there is one."""
        if self.skipping:
            skipped = min(self.skipping, len(self.arrived))
            del self.arrived[:skipped]
            self.skipping -= skipped
            if self.skipping:
                return False
        end = self.arrived.find(b"\n")
        if end < 0:
            self.closing = len(self.arrived) > MAX_LINE
            return False
        words = bytes(self.arrived[:end]).removesuffix(b"\r").split()
        silent = len(words) > 1 and words[0] in classic.MAY_BE_SILENT and words[-1] == b"noreply"
        if silent:
            words.pop()
        size = None
        try:
            size = self._value_size(words)
            if size is not None and len(self.arrived) < end + 1 + size + 2:
                return False
            value = None if size is None else bytes(self.arrived[end + 1 : end + 1 + size + 2])
            answer = self._answer(words, value)
        except Refused as refusal:
            answer = refusal.reply
        del self.arrived[: end + 1 + (0 if size is None else size + 2)]
        self.unsent += b"" if silent else answer
        return True

    def _value_size(self, words: list[bytes]) -> int | None:
        """How many bytes of value follow the line; None if none do. Raises Refused."""
        name = words[0] if words else b""
        if name == b"ms":
            if len(words) < 3:
                raise Refused(classic.BAD_FORMAT)
            size = classic.number(words[2], b"CLIENT_ERROR bad data chunk\r\n")
        elif name in classic.STORAGE:
            if len(words) != classic.STORAGE[name] + 2:
                raise Refused(classic.ERROR)
            classic.checked(words[1])
            classic.unsigned(words[2], 32)
            classic.number(words[3])
            size = classic.number(words[4])
        else:
            return None
        if size < 0:
            raise Refused(classic.BAD_FORMAT)
        if size > MAX_VALUE:
            self.skipping = size + 2
            raise Refused(b"SERVER_ERROR object too large for cache\r\n")
        return size

    def _answer(self, words: list[bytes], value: bytes | None) -> bytes:
        store, name = self.server.store, words[0] if words else b""
        if value is not None:
            if value[-2:] != b"\r\n":
                return classic.BAD_CHUNK
            if name == b"ms":
                return meta.set_value(store, meta.parse(words[:2] + words[3:]), value[:-2])
            return classic.store_value(store, name, words, value[:-2])
        if name == b"mn":
            return b"MN\r\n"
        if name in meta.COMMANDS:
            return meta.COMMANDS[name](store, meta.parse(words))
        if name == b"stats":
            return self.server.stats(words[1:])
        if name == b"quit":
            self.closing = True
            return b""
        command = classic.COMMANDS.get(name)
        return classic.ERROR if command is None else command(store, words)


class EmbeddedServer:
    """A memcached-speaking server on a free port of 127.0.0.1, in a thread; also a context manager.

    `pause` does what SIGSTOP does to the real one: the port accepts, nothing answers. `kill` closes every
    connection and the port; `restart` opens the same port again. Attributes: `host`, `port`, `store`.
    """

    def __init__(self, port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.store = Store()
        self._may_run = threading.Event()
        self._may_run.set()
        self._stop = False
        self._thread: threading.Thread | None = None
        self._conversations: dict[socket.socket, Conversation] = {}

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> "EmbeddedServer":
        """Listen and answer. Raises OSError if the port is taken, RuntimeError if already started."""
        if self._thread is not None:
            raise RuntimeError(f"{self.address} is already running")
        self._listener = socket.create_server((self.host, self.port), backlog=128)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._waker, self._wakened = socket.socketpair()
        self._started_at = self.store.clock()
        self._stop = False
        self._thread = threading.Thread(target=self._serve, name=f"memcached {self.address}", daemon=True)
        self._thread.start()
        return self

    def pause(self) -> None:
        """Stop reading and answering, keep every connection. What it is executing now it finishes."""
        self._may_run.clear()
        self._waker.send(b".")

    def resume(self) -> None:
        """Go on where `pause` stopped: what arrived meanwhile is executed now."""
        self._may_run.set()

    def kill(self) -> None:
        """Close the port and all connections, executing nothing more. Harmless if not running."""
        if self._thread is None:
            return
        self._stop = True
        self._may_run.set()
        with contextlib.suppress(OSError):  # it has seen the flag already, and is gone
            self._waker.send(b".")
        self._thread.join()
        self._thread = None

    def restart(self, *, empty: bool = True) -> None:
        """Kill if need be, then listen on the same port; without `empty` the items survive."""
        self.kill()
        if empty:
            self.store = Store(self.store.clock)
        self.start()

    def stats(self, arguments: list[bytes]) -> bytes:
        if arguments == [b"conns"]:
            rows: dict[str, object] = {}
            for peer in self._conversations:
                host, port = peer.getpeername()
                rows[f"{peer.fileno()}:addr"] = f"tcp:{host}:{port}"
            return classic.stats_block(rows)
        if arguments == [b"reset"]:
            return b"RESET\r\n"
        uptime_s = int(self.store.clock() - self._started_at)
        return classic.stats_block(classic.general_stats(self.store, uptime_s, len(self._conversations)))

    def __enter__(self) -> "EmbeddedServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._waker, self._wakened:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wakened, selectors.EVENT_READ)
            while not self._stop:
                ready = selector.select()
                self._may_run.wait()
                if self._stop:
                    break
                for key, mask in ready:
                    self._attend(selector, key.fileobj, mask)
            for peer in self._conversations:
                peer.close()
            self._conversations.clear()

    def _attend(self, selector: selectors.BaseSelector, ready: object, mask: int) -> None:
        if ready is self._wakened:
            self._wakened.recv(64)
        elif ready is self._listener:
            with contextlib.suppress(OSError):
                peer, _ = self._listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._conversations[peer] = Conversation(self, peer)
                selector.register(peer, selectors.EVENT_READ)
        elif isinstance(ready, socket.socket):
            self._converse(selector, self._conversations[ready], mask)

    def _converse(self, selector: selectors.BaseSelector, talk: Conversation, mask: int) -> None:
        """Read, execute, write. A client that does not read its replies is not read from either."""
        try:
            if mask & selectors.EVENT_READ:
                data = talk.peer.recv(65536)
                talk.receive(data)
                talk.closing = talk.closing or not data
            if talk.unsent:
                with contextlib.suppress(BlockingIOError):
                    del talk.unsent[: talk.peer.send(talk.unsent)]
        except OSError:
            talk.closing, talk.unsent = True, bytearray()
        if talk.closing and not talk.unsent:
            selector.unregister(talk.peer)
            del self._conversations[talk.peer]
            talk.peer.close()
        else:
            selector.modify(talk.peer, selectors.EVENT_WRITE if talk.unsent else selectors.EVENT_READ)
