"""An engine, its links and its supervision on an asyncio loop."""
