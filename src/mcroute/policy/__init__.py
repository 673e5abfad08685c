"""All policies of mcroute: routes, timeouts, ejection, replication, return. Pure Python, no I/O, no clock."""

from .backoff import Backoff
from .causes import Cause, Reason
from .decisions import Decision, Fence, Flush, Look, PanicChanged, Probe, Replay, ServerState, SetState
from .explain import Explanation, explain
from .flushing import Flushing, FlushSettings, FlushStep, ServerStats
from .health import Health, HealthSettings, State
from .hedge_times import HedgedPool, HedgeTimes
from .hit_shares import HitsFell, HitShares
from .keepalive import KeepAlive
from .limits import Authentication, Limits
from .log_intervals import LogIntervals
from .lookup_settings import LookupSettings
from .merge import merge, merge_table, missed_table
from .nodes import Group, Outcome, Plan
from .outlier_settings import OutlierSettings
from .outliers import Outlier, Outliers
from .pasts import Past
from .places import Place, Places
from .plan import compile_plan
from .processes import Kinship, Process, Seen, kinship
from .reports import Condition, PoolReport, ServerReport, Tally
from .routes import (
    AllAsync,
    AllFastest,
    AllMajority,
    AllSync,
    ByCommand,
    ByPrefix,
    CustomRoute,
    Error,
    Failover,
    MissFailover,
    Null,
    PoolRoute,
    Replicate,
    Route,
    Warm,
)
from .server_options import ServerOptions
from .servers import Addresses, Pool, Server
from .state_changes import Change, PoolState, StateChange
from .steps import Ask, AskAll, Reply, Request, Step, Wait
from .supervisor import Supervisor
from .supervisor_settings import SupervisorSettings
from .upkeep import Upkeep
from .warming_settings import WarmingSettings
from .windows import Counts

__all__ = (
    "Addresses",
    "AllAsync",
    "AllFastest",
    "AllMajority",
    "AllSync",
    "Ask",
    "AskAll",
    "Authentication",
    "Backoff",
    "ByCommand",
    "ByPrefix",
    "Cause",
    "Change",
    "Condition",
    "Counts",
    "CustomRoute",
    "Decision",
    "Error",
    "Explanation",
    "Failover",
    "Fence",
    "Flush",
    "FlushSettings",
    "FlushStep",
    "Flushing",
    "Group",
    "Health",
    "HealthSettings",
    "HedgeTimes",
    "HedgedPool",
    "HitShares",
    "HitsFell",
    "KeepAlive",
    "Kinship",
    "Limits",
    "LogIntervals",
    "Look",
    "LookupSettings",
    "MissFailover",
    "Null",
    "Outcome",
    "Outlier",
    "OutlierSettings",
    "Outliers",
    "PanicChanged",
    "Past",
    "Place",
    "Places",
    "Plan",
    "Pool",
    "PoolReport",
    "PoolRoute",
    "PoolState",
    "Probe",
    "Process",
    "Reason",
    "Replay",
    "Replicate",
    "Reply",
    "Request",
    "Route",
    "Seen",
    "Server",
    "ServerOptions",
    "ServerReport",
    "ServerState",
    "ServerStats",
    "SetState",
    "State",
    "StateChange",
    "Step",
    "Supervisor",
    "SupervisorSettings",
    "Tally",
    "Upkeep",
    "Wait",
    "Warm",
    "WarmingSettings",
    "compile_plan",
    "explain",
    "kinship",
    "merge",
    "merge_table",
    "missed_table",
)
