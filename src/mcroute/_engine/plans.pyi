from typing import Any

from mcroute.policy.nodes import Plan

KINDS: dict[type, int]

class CompiledPlan:
    def __new__(cls, plan: Plan, ids: dict[str, int]) -> CompiledPlan: ...
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
