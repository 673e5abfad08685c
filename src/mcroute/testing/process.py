"""The real memcached, as a process of the test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from types import TracebackType

from .ports import free_port


def find_memcached() -> str | None:
    """The binary to test against: `$MEMCACHED` if set, else the one on the PATH, else None."""
    return shutil.which(os.environ.get("MEMCACHED", "memcached"))


class MemcachedServer:
    """A memcached process on a free port of 127.0.0.1; also a context manager; `options` are its arguments.

    With `path` it listens on that unix socket instead.

    Raises FileNotFoundError if there is no binary, RuntimeError if it is not up within `start_timeout_s`.
    """

    def __init__(
        self, *options: str, binary: str | None = None, path: str = "", start_timeout_s: float = 10.0
    ) -> None:
        found = binary or find_memcached()
        if found is None:
            raise FileNotFoundError("no memcached on the PATH; install it or set $MEMCACHED")
        self.host = "127.0.0.1"
        self.path = path
        self.port: int = 0 if path else free_port()
        place = ["-s", path] if path else ["-l", self.host, "-p", str(self.port)]
        self._command = [found, *place, "-U", "0", *options]
        if os.name == "posix" and os.geteuid() == 0:
            # Other users may not have access to the folder of a path.
            self._command += ["-u", "root" if path else "nobody"]
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.address} is not running")
        return self._process.pid

    def start(self) -> "MemcachedServer":
        """Launch, and return once it answers."""
        command = self._command
        if self.path and os.path.exists(self.path):
            # The socket file of a killed process.
            os.unlink(self.path)
        # In a session of its own: Ctrl-C in a terminal must end the test first, which may still send
        # requests.
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        give_up_at = time.monotonic() + self._start_timeout_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                raise RuntimeError(f"{' '.join(command)} does not answer")
            time.sleep(0.01)
        return self

    def pause(self) -> None:
        """SIGSTOP: the kernel still accepts connections; nothing answers after the return."""
        os.kill(self.pid, signal.SIGSTOP)
        # The threads stop one after the other; WNOWAIT keeps the event for the owner of the process.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for the end. Harmless if not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill if needed, then launch on the same port, empty."""
        self.kill()
        self.start()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), self._connect() as link:
            link.sendall(b"version\r\n")
            return link.recv(64).startswith(b"VERSION")
        return False

    def _connect(self) -> socket.socket:
        if not self.path:
            return socket.create_connection((self.host, self.port), timeout=1)
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(1)
        try:
            link.connect(self.path)
        except OSError:
            link.close()
            raise
        return link

    def __enter__(self) -> "MemcachedServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
