"""Observation of a proxy: counters, latencies and states, for Prometheus and `stats`."""
