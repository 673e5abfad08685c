"""Imports asyncio without ssl."""

from __future__ import annotations

import sys

__all__ = ("import_asyncio",)


def import_asyncio() -> None:
    """Imports asyncio as on a Python that was built without ssl; later imports of ssl find it.

    ssl and OpenSSL take 4.4 MiB, and the proxy has no connection that uses them. Only for a process of our
    own: its asyncio has no TLS from then on. Does nothing if asyncio or ssl is imported already.
    """
    if "asyncio" in sys.modules or "ssl" in sys.modules:
        return
    # None makes the import fail with ImportError, which asyncio expects.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401, PLC0415
    finally:
        del sys.modules["ssl"]
