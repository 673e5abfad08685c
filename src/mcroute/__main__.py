"""`python -m mcroute` is `mcroute`."""

from .cli import main

main()
