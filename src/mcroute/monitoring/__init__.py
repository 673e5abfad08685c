"""A running proxy, seen from outside: its `stats`, and a plugin for Nagios that judges them."""
