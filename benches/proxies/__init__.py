"""Measures whole proxies against each other: CPU time a request, latency, memory. See docs/performance.md."""
