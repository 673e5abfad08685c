"""A memcached in a thread: the protocol's replies without the process, and faults on demand."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType

from .._protocol import Refusal, Request, RequestParser
from . import classic, meta
from .ports import listener_on
from .store import Store


class Conversation:
    """One client's bytes in and out: the parser refuses bad requests, the store executes the others."""

    def __init__(self, server: "EmbeddedServer", peer: socket.socket) -> None:
        self.server = server
        self.peer = peer
        self.parser: RequestParser = RequestParser()
        self.unsent: bytearray = bytearray()
        self.closing: bool = False

    def receive(self, data: bytes) -> None:
        self.parser.feed(data)
        while not self.closing:
            message = self.parser.next_message()
            if isinstance(message, Refusal):
                self.unsent += message.reply
                self.closing = message.close
            elif isinstance(message, Request):
                answer = self._answer(message)
                self.unsent += b"" if message.noreply else answer
            else:
                return

    def _answer(self, request: Request) -> bytes:
        name, store = request.command, self.server.store
        if name in meta.COMMANDS:
            return meta.COMMANDS[name](store, meta.MetaRequest.of(request))
        if name == "stats":
            return self.server.stats(request.meta_flags)
        if name == "quit":
            self.closing = True
            return b""
        return classic.COMMANDS[name](store, request)


class EmbeddedServer:
    """A memcached-speaking server on a free port of 127.0.0.1, in a thread; also a context manager.

    `pause` has the effect of SIGSTOP on the real one: the port accepts, nothing answers. `kill` closes every
    connection and the port; `restart` opens the same port again. Attributes: `host`, `port`, `store`.
    """

    def __init__(self, port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port: int = port
        self.store: Store = Store()
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
        self._listener = listener_on(self.port)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._waker, self._wakened = socket.socketpair()
        self._started_at = self.store.clock()
        self._stop = False
        self._thread = threading.Thread(target=self._serve, name=f"memcached {self.address}", daemon=True)
        self._thread.start()
        return self

    def pause(self) -> None:
        """Stop reading and answering, keep every connection. The command in progress is finished."""
        self._may_run.clear()
        self._waker.send(b".")

    def resume(self) -> None:
        """Continue after `pause`: requests that arrived meanwhile are executed now."""
        self._may_run.set()

    def kill(self) -> None:
        """Close the port and all connections, executing nothing more. Harmless if not running."""
        if self._thread is None:
            return
        self._stop = True
        self._may_run.set()
        with contextlib.suppress(OSError):  # the thread has seen the flag and ended
            self._waker.send(b".")
        self._thread.join()
        self._thread = None

    def restart(self, *, empty: bool = True) -> None:
        """Kill if needed, then listen on the same port; without `empty` the items survive."""
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
                    self._serve_ready(selector, key.fileobj, mask)
            for peer in self._conversations:
                peer.close()
            self._conversations.clear()

    def _serve_ready(self, selector: selectors.BaseSelector, ready: object, mask: int) -> None:
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

    def _converse(self, selector: selectors.BaseSelector, conversation: Conversation, mask: int) -> None:
        """Read, execute, write. Reading pauses while the client does not read its replies."""
        try:
            if mask & selectors.EVENT_READ:
                data = conversation.peer.recv(65536)
                conversation.receive(data)
                conversation.closing = conversation.closing or not data
            if conversation.unsent:
                with contextlib.suppress(BlockingIOError):
                    del conversation.unsent[: conversation.peer.send(conversation.unsent)]
        except OSError:
            conversation.closing, conversation.unsent = True, bytearray()
        if conversation.closing and not conversation.unsent:
            selector.unregister(conversation.peer)
            del self._conversations[conversation.peer]
            conversation.peer.close()
        else:
            events = selectors.EVENT_WRITE if conversation.unsent else selectors.EVENT_READ
            selector.modify(conversation.peer, events)
