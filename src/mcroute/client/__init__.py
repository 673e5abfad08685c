"""Clients in the process: requests in, results out; `mcroute.asyncio.Client` is the face."""
