"""Engines, links, supervision and reload on any driver: no sockets, no clock, no threads."""
