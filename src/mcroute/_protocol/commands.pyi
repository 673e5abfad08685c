from typing import Final

__all__ = ("COMMAND_NAMES", "MEMCACHED_VERSION")

COMMAND_NAMES: Final[tuple[str, ...]]
MEMCACHED_VERSION: Final[str]
