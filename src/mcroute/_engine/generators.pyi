# Written for Cython: see generators.pxd. A user's generator meets the first two.
from mcroute.policy.nodes import Group, Outcome

FAILED: bytes

class Request:
    @property
    def key(self) -> bytes: ...
    @property
    def group(self) -> Group: ...

class Reply:
    @property
    def outcome(self) -> Outcome: ...
    @property
    def data(self) -> bytes: ...

class RouteRunner: ...
