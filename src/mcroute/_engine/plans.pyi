from typing import Any

from mcroute._engine.roster import ServerTerms
from mcroute.policy.nodes import Plan

KINDS: dict[type, int]

class CompiledPlan:
    """A plan in C, for as long as an engine or a request refers to it. `terms` are `Roster.admit`'s for it."""

    def __new__(cls, plan: Plan, terms: list[ServerTerms]) -> CompiledPlan: ...
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
