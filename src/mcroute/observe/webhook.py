"""A hook that posts each event to a URL, signed as by https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import logging
import os
import socket
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from random import Random
from urllib.parse import urlsplit

from .._version import __version__
from ..errors import ConfigError
from ..policy import StateChange
from ..policy.webhook_settings import WebhookSettings
from ..runtime.log_limit import LogLimit
from .hooks import Undelivered

__all__ = ("Webhook", "signature")

# Statuses that another attempt may change; the server's errors, from 500 on, are others.
RETRIED = frozenset((408, 425, 429))
LOG_S = 600.0

log: logging.Logger = logging.getLogger("mcroute")


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    digest = hmac.digest(secret, b"%b.%d.%b" % (message_id.encode(), timestamp, body), "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhook:
    """Posts one event after the other; waits and tries again while the receiver does not take an event.

    `listen` is the proxy's address, for the receiver. The secret is read anew for each request. Raises
    ConfigError if the file has no secret.
    """

    name = "webhook"

    def __init__(self, settings: WebhookSettings, listen: str, rng: Random | None = None) -> None:
        self._settings = settings
        self._url = urlsplit(settings.url)
        self._proxy = {
            "host": socket.gethostname(),
            "listen": listen,
            "pid": os.getpid(),
            "version": __version__,
        }
        self._rng = rng or Random()
        self._ends = threading.Event()
        self._limit = LogLimit(LOG_S)
        self._is_failing = False
        _secret(settings.secret_file)

    def __call__(self, change: StateChange) -> None:
        """Returns when the receiver has taken the event. Raises Undelivered."""
        fields = {**change.as_json(), "message": str(change), "proxy": self._proxy}
        body = json.dumps(fields).encode()
        # The same for all attempts: the receiver may have taken one whose reply was lost.
        message_id = f"msg_{self._rng.getrandbits(128):032x}"
        until = time.monotonic() + self._settings.give_up_s
        attempt = 0
        while (why := self._failure(message_id, body)) is not None:
            delay_s = self._settings.retry_delay(attempt, self._rng)
            attempt += 1
            if self._ends.is_set() or time.monotonic() + delay_s > until:
                raise Undelivered(f"{change.what.value}, after {attempt} attempts: {why}")
            self._ends.wait(delay_s)
        if self._is_failing:
            self._is_failing = False
            self._limit.reset("failure")
            log.info("webhook: %s takes events again", self._url.netloc)

    def close(self) -> None:
        """Ends the pause between two attempts. Each event that waits gets one more attempt."""
        self._ends.set()

    def _failure(self, message_id: str, body: bytes) -> str | None:
        """Sends the event once. Returns why that is to be tried again; None if it was taken.

        Raises Undelivered if another attempt would be in vain.
        """
        try:
            status = self._post(message_id, body)
        except (OSError, HTTPException, ConfigError) as error:
            why = str(error) or type(error).__name__
        else:
            if 200 <= status < 300:
                return None
            why = f"status {status}"
            if status < 500 and status not in RETRIED:
                raise Undelivered(f"{self._url.netloc} refuses it: {why}")
        self._is_failing = True
        if self._limit.is_due("failure", time.monotonic()):
            log.warning("webhook: %s does not take events, and is tried again: %s", self._url.netloc, why)
        return why

    def _post(self, message_id: str, body: bytes) -> int:
        """Sends one request and returns its reply's status. Raises OSError, HTTPException, ConfigError."""
        timestamp = int(time.time())
        signed = signature(_secret(self._settings.secret_file), message_id, timestamp, body)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"mcroute/{__version__}",
            "Connection": "close",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signed,
        }
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        connection = self._connection()
        with contextlib.closing(connection), _Deadline(connection, self._settings.timeout_s):
            connection.request("POST", path, body, headers)
            with connection.getresponse() as response:
                return response.status

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._settings.timeout_s)


class _Deadline:
    """Shuts a connection down after a time: the socket's timeout starts anew with each piece of a reply.

    Leaving the context then raises TimeoutError.
    """

    def __init__(self, connection: HTTPConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._is_over = False
        self._is_left = False

    def _arm(self) -> None:
        self._timer = threading.Timer(self._timeout_s, self._abort)
        self._timer.daemon = True
        self._timer.start()

    def _abort(self) -> None:
        if self._is_left:
            return
        self._is_over = True
        if (connected := self._connection.sock) is None:
            # Still connecting, by a timeout of its own for each address.
            self._arm()
            return
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self._arm()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._is_left = True
        self._timer.cancel()
        if self._is_over or isinstance(error, TimeoutError):
            raise TimeoutError(f"no reply within {self._timeout_s:g} s") from error


def _secret(path: str) -> bytes:
    """The secret in the file: in base64, with or without `whsec_`. Raises ConfigError."""
    place = "webhook.secret_file"
    try:
        with open(path, encoding="ascii") as file:
            secret = base64.b64decode(file.read().strip().removeprefix("whsec_"), validate=True)
    except OSError as error:
        raise ConfigError(place, f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        secret = b""
    if not secret:
        how = f"openssl rand -base64 32 > {path}"
        raise ConfigError(place, f"{path} has no secret in base64; write one: {how}")
    return secret
