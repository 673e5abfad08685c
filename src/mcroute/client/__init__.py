"""The client in the process: requests in, results out. Its public name is `mcroute.asyncio.Client`."""
