from typing import Final

__all__ = ("COMMAND_NAMES",)

COMMAND_NAMES: Final[tuple[str, ...]]
