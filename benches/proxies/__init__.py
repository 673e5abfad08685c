"""Compares whole proxies: CPU time per request, latency, memory. See docs/performance.md."""
