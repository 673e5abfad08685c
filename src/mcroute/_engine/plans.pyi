from typing import Any

from mcroute._engine.server_ids import AdmittedServer
from mcroute.policy.nodes import Plan

KINDS: dict[type, int]

class CompiledPlan:
    """A plan in C, for as long as an engine or a request refers to it. `servers` come from `ServerIds.admit`."""

    def __new__(cls, plan: Plan, servers: list[AdmittedServer]) -> CompiledPlan: ...
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
