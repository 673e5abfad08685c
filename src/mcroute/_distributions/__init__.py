"""Distributions of keys over servers: the algorithms, and the table of `mcroute._ring`."""
