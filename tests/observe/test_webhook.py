"""The webhook against real HTTP servers that take, refuse, fail, hang, drip or are not there."""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from mcroute.config import parse_config
from mcroute.errors import ConfigError
from mcroute.observe.hooks import Deliveries, Hooks, Undelivered
from mcroute.observe.webhook import Webhook, signature
from mcroute.policy.webhook_settings import WebhookSettings

from .receivers import Posted, Receiver, refusing_port
from .test_hooks import change

SECRET = b"0123456789abcdef"


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    file = tmp_path / "secret"
    file.write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    return str(file)


@pytest.fixture
def webhook(secret_file: str) -> Callable[..., Webhook]:
    def to(url: str, timeout_s: float = 20.0, give_up_s: float = 20.0) -> Webhook:
        settings = WebhookSettings(url, secret_file, timeout_s, 0.001, 0.01, give_up_s)
        return Webhook(settings, "127.0.0.1:11311", Random(1))

    return to


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def check(posted: Posted) -> None:
    """As a receiver does."""
    headers = posted.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + posted.body
    digest = hmac.digest(SECRET, content, "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    assert headers["content-type"] == "application/json"


def test_an_event_is_posted_and_signed(webhook: Callable[..., Webhook]) -> None:
    with Receiver() as receiver:
        webhook(receiver.url)(change(7))
        posted = receiver.posted.get(timeout=20)
    check(posted)
    assert posted.path == "/hooks?of=mcroute"
    proxy = posted.fields.pop("proxy")
    assert (proxy["listen"], proxy["pid"]) == ("127.0.0.1:11311", os.getpid())
    assert posted.fields | {"proxy": None} == {
        **change(7).as_json(),
        "message": "change 7",
        "proxy": None,
    }


@pytest.mark.parametrize("failure", [500, 503, 429, "hang", "drip"])
def test_a_request_without_success_is_sent_again_with_the_same_id(
    failure: int | str, webhook: Callable[..., Webhook], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with Receiver(failure, failure) as receiver:
        webhook(receiver.url, timeout_s=0.2 if isinstance(failure, str) else 20.0)(change(1))
        posted = [receiver.posted.get(timeout=20) for _ in range(3)]
        assert receiver.posted.empty()
    for each in posted:
        check(each)
    assert len({each.headers["webhook-id"] for each in posted}) == 1
    place = f"127.0.0.1:{receiver.port}"
    why = "no reply within 0.2 s" if isinstance(failure, str) else f"status {failure}"
    assert caplog.messages == [
        f"webhook: {place} does not take events, and is tried again: {why}",
        f"webhook: {place} takes events again",
    ]


def test_a_receiver_that_is_not_there_yet_gets_the_event_later(webhook: Callable[..., Webhook]) -> None:
    with refusing_port() as bound:
        port = bound.getsockname()[1]
        hook = webhook(f"http://127.0.0.1:{port}/")
        thread = threading.Thread(target=hook, args=(change(1),))
        thread.start()
        while not hook._is_failing:
            time.sleep(0.001)
    with Receiver(port=port) as receiver:
        check(receiver.posted.get(timeout=20))
    thread.join()


@pytest.mark.parametrize("status", [301, 400, 404])
def test_a_request_that_is_refused_is_not_sent_again(status: int, webhook: Callable[..., Webhook]) -> None:
    with Receiver(status) as receiver:
        with pytest.raises(Undelivered, match=f"refuses it: status {status}"):
            webhook(receiver.url)(change(1))
        assert receiver.posted.qsize() == 1


def test_an_event_is_given_up_after_a_time(webhook: Callable[..., Webhook]) -> None:
    with refusing_port() as bound:
        hook = webhook(f"http://127.0.0.1:{bound.getsockname()[1]}/", give_up_s=0.05)
        with pytest.raises(Undelivered, match=r"slow, after .* attempts: .*refused"):
            hook(change(1))


@pytest.mark.parametrize("answer", ["hang", "drip", 500])
def test_the_end_is_bounded_and_counts_what_was_not_delivered(
    answer: int | str, webhook: Callable[..., Webhook]
) -> None:
    async def run(url: str, receiver: Receiver) -> dict[str, Deliveries]:
        hooks = Hooks([webhook(url)])
        for number in range(5):
            hooks.put(change(number))
        await asyncio.to_thread(receiver.posted.get)
        await asyncio.wait_for(hooks.close(limit_s=1.0), 30)
        return hooks.deliveries()

    with Receiver(*[answer] * 100) as receiver:
        found = asyncio.run(run(receiver.url, receiver))["webhook"]
    assert (found.sent, found.waiting) == (0, 0)
    # The one under way is no longer waited for.
    assert found.failed + found.dropped == (5 if answer == 500 else 4)


def test_the_secret_may_be_replaced_meanwhile(secret_file: str, webhook: Callable[..., Webhook]) -> None:
    with Receiver(500) as receiver:
        hook = webhook(receiver.url)
        Path(secret_file).write_text("bmV3\n")
        hook(change(1))
        posted = [receiver.posted.get(timeout=20) for _ in range(2)]
    with pytest.raises(AssertionError):
        check(posted[1])
    # A file that is away for a moment is a failure that passes.
    with Receiver() as receiver:
        hook = webhook(receiver.url)
        Path(secret_file).rename(f"{secret_file}.away")
        thread = threading.Thread(target=hook, args=(change(1),))
        thread.start()
        while not hook._is_failing:
            time.sleep(0.001)
        Path(f"{secret_file}.away").rename(secret_file)
        thread.join()
        assert receiver.posted.qsize() == 1


@pytest.mark.parametrize("content", [None, "", "not base64!", "whsec_"])
def test_a_file_without_a_secret_is_an_error(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"secret_file: .*secret (cannot be read|has no secret)"):
        Webhook(WebhookSettings("http://a/", str(file)), "")


# ---- TLS ----


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on the PATH")
def test_a_certificate_is_checked(
    tmp_path: Path, webhook: Callable[..., Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mcroute"
    alternative = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *alternative], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Receiver("drip", context=context) as receiver:
        with pytest.raises(Undelivered, match="certificate verify failed"):
            webhook(receiver.url, give_up_s=0.0)(change(1))
        assert receiver.posted.empty()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        webhook(receiver.url, timeout_s=1.0)(change(1))
        for _ in range(2):
            check(receiver.posted.get(timeout=20))


# ---- the configuration ----

POOL = '[pools.main]\nservers = ["a:1"]\n'


def test_the_table_gives_the_settings() -> None:
    assert parse_config(POOL).webhook is None
    config = parse_config(POOL + '[webhook]\nurl = "https://b/c"\nsecret_file = "/s"\ntimeout_s = 2\n')
    assert config.webhook == WebhookSettings("https://b/c", "/s", timeout_s=2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "webhook: url is missing"),
        ('url = "http://a/"', "webhook: secret_file is missing"),
        ('url = "ftp://a/"\nsecret_file = "s"', "webhook.url: 'ftp://a/' is no URL"),
        ('url = "a.example"\nsecret_file = "s"', "is no URL"),
        ('url = "http://"\nsecret_file = "s"', "is no URL"),
        ('url = "http://a:99999/"\nsecret_file = "s"', "is no URL"),
        ('url = "http://a/\\r\\nb"\nsecret_file = "s"', "is no URL"),
        ('url = "http://u:p@a/"\nsecret_file = "s"', "leave name and password out"),
        ('url = "http://a/"\nsecret_file = "s"\ntimeout_s = 0', "webhook.timeout_s: 0 is not"),
    ],
)
def test_a_mistake_in_the_table_is_reported(table: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(f"{POOL}[webhook]\n{table}\n")
    assert message in str(raised.value)
