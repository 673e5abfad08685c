"""A memcached in a thread: the protocol's replies without the process, and faults on demand."""

import contextlib
import os
import selectors
import socket
import threading
from types import TracebackType

from .memcached import Conversation, Memcached
from .ports import listener_on
from .profiles import NEWEST, Limits, Profile
from .store import Store


class _Client:
    """One client's socket, and the replies that it has not taken yet."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.unsent: bytearray = bytearray()


class EmbeddedServer:
    """A memcached-speaking server on a free port of 127.0.0.1, in a thread; also a context manager.

    `pause` has the effect of SIGSTOP on the real one: the port accepts, nothing answers. `kill` closes every
    connection and the port; `restart` opens the same port again. It answers as the release `version` of
    memcached does, from 1.6.18 on, with these `limits`. Attributes: `host`, `port`, `store`, `memcached`.

    Raises ValueError for an earlier version.
    """

    def __init__(self, port: int = 0, *, version: str = NEWEST, limits: Limits | None = None) -> None:
        self.host = "127.0.0.1"
        self.port: int = port
        self._profile = Profile.of(version)
        self._limits = limits
        self.memcached: Memcached = self._process(None)
        self._may_run = threading.Event()
        self._may_run.set()
        self._stop = False
        self._thread: threading.Thread | None = None
        self._clients: dict[socket.socket, _Client] = {}

    def _process(self, inherited: Store | None) -> Memcached:
        return Memcached(None, self._profile, self._limits, os.getpid(), inherited)

    @property
    def store(self) -> Store:
        """The items, and what was counted."""
        return self.memcached.store

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
        self.memcached.address = (self.host, self.port)
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
        self.memcached = self._process(None if empty else self.store)
        self.start()

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
            for peer in self._clients:
                peer.close()
            self._clients.clear()
            self.memcached.stop()

    def _serve_ready(self, selector: selectors.BaseSelector, ready: object, mask: int) -> None:
        if ready is self._wakened:
            self._wakened.recv(64)
        elif ready is self._listener:
            with contextlib.suppress(OSError):
                peer, address = self._listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[peer] = _Client(self.memcached.accept(address))
                selector.register(peer, selectors.EVENT_READ)
        elif isinstance(ready, socket.socket):
            self._converse(selector, ready, mask)

    def _converse(self, selector: selectors.BaseSelector, peer: socket.socket, mask: int) -> None:
        """Read, execute, write. Reading pauses while the client does not read its replies."""
        client = self._clients[peer]
        try:
            if mask & selectors.EVENT_READ:
                data = peer.recv(65536)
                client.unsent += client.conversation.receive(data)
                if not data:
                    client.conversation.close()
            if client.unsent:
                with contextlib.suppress(BlockingIOError):
                    del client.unsent[: peer.send(client.unsent)]
        except OSError:
            client.conversation.close()
            client.unsent = bytearray()
        if client.conversation.is_closed and not client.unsent:
            selector.unregister(peer)
            del self._clients[peer]
            peer.close()
        else:
            selector.modify(peer, selectors.EVENT_WRITE if client.unsent else selectors.EVENT_READ)
