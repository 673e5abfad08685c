"""Drivers: sockets, time and threads for the runtime, one package per kind."""
