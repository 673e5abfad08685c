"""Engines on threads of the native loop, which need no interpreter; an asyncio loop supervises them."""
