"""Who is taken out of service, and who stays, whatever carries the bytes."""

from __future__ import annotations

import pytest

from mcroute.adapters import supervision

from .carriers import Run, start_proxy
from .clients import Client, Scripted


def test_the_last_server_of_a_pool_is_asked_on_before_anybody_has_looked(
    run: Run, carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it fails: that it is to be lifted again need not be heard, decided and told first."""
    monkeypatch.setattr(supervision.Supervision, "look_for_trips", lambda self: None)

    async def scenario() -> None:
        async with Scripted.running() as server:
            proxy = await start_proxy(carrier, server.route(reply_timeout_s=0.05, deadline_s=0.1))
            client = await Client.to(proxy)
            for _ in range(8):
                assert await client.ask(b"get k\r\n") == b"SERVER_ERROR timeout\r\n"
            for _ in range(8):
                writer, request = await server.asked()
                assert request == b"get k\r\n"
                writer.write(b"END\r\n")
            assert proxy.engine.is_spared(0)
            await client.close()
            await proxy.close(0)

    run(scenario())
