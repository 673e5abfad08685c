"""The options of supervision: when servers go out of service, and how they return."""

from __future__ import annotations

from ..policy.health import HealthSettings
from ..policy.outlier_settings import OutlierSettings
from ..policy.supervisor_settings import SupervisorSettings
from ..policy.warming_settings import WarmingSettings
from .options import Kind, option_of, seconds_of

__all__ = ("DETECTION", "HEALTH", "PANIC", "WARMING")

# With a time of 0 the supervisor would retry without a pause.
_PAUSE_MIN_S = 0.01

HEALTH = (
    seconds_of(
        HealthSettings,
        "retry_base_s",
        "Time until the first probe of an ejected server ...",
        least=_PAUSE_MIN_S,
    ),
    option_of(
        HealthSettings,
        "retry_factor",
        Kind.NUMBER,
        "... multiplied by this for each ejection in a row ...",
        least=1,
    ),
    seconds_of(HealthSettings, "retry_cap_s", "... up to this time ...", least=_PAUSE_MIN_S),
    option_of(
        HealthSettings,
        "jitter",
        Kind.NUMBER,
        "... less a random share of up to this, so that many proxies do not probe at the same time.",
        unit="a share of the time",
        most=1,
    ),
    seconds_of(
        HealthSettings,
        "flap_window_s",
        "A server that is ejected again within this time continues its row of ejections.",
    ),
    seconds_of(
        HealthSettings,
        "stale_probe_s",
        "Interval of probes of a server that missed writes, less the random share: what it missed is deleted "
        "there as soon as it answers, although it may have to wait longer until it serves.",
        least=_PAUSE_MIN_S,
    ),
    seconds_of(
        HealthSettings,
        "stage_timeout_s",
        "Timeout of a probe, a fence, a replay without progress or a flush.",
        least=_PAUSE_MIN_S,
    ),
)

PANIC = (
    option_of(
        SupervisorSettings,
        "panic_share",
        Kind.NUMBER,
        "Panic threshold: when more than this share of a pool looks bad, servers that are only "
        "slow are not ejected.",
        unit="a share of the servers",
        most=1,
    ),
    seconds_of(
        SupervisorSettings,
        "suspect_s",
        "How long a server that panic mode did not eject still counts as bad.",
    ),
    seconds_of(
        SupervisorSettings,
        "refence_first_s",
        "Interval at which a returning server is asked whether it still lists a lost connection: this first, "
        "then twice as long each time ...",
        least=_PAUSE_MIN_S,
    ),
    seconds_of(SupervisorSettings, "refence_s", "... up to this ...", least=_PAUSE_MIN_S),
    seconds_of(
        SupervisorSettings,
        "fence_timeout_s",
        "... and the timeout of that; then the server waits for its next probe.",
    ),
    seconds_of(
        SupervisorSettings,
        "fence_listed_s",
        "A lost connection that a responsive server lists for this time has no command left to run ...",
    ),
    seconds_of(
        SupervisorSettings,
        "fence_blind_s",
        "... or for this time, where the server lists addresses that are not ours (address translation).",
    ),
    seconds_of(
        SupervisorSettings,
        "replay_timeout_s",
        "When the deletes of missed keys on a returning server take longer than this, it is flushed.",
        least=_PAUSE_MIN_S,
    ),
)

DETECTION = (
    seconds_of(
        OutlierSettings,
        "window_s",
        "A server in service is judged by windows of this time: its replies and errors in it ...",
        least=_PAUSE_MIN_S,
    ),
    option_of(
        OutlierSettings,
        "window_requests",
        Kind.INTEGER,
        "... and longer, up to ten times that, until it has so many requests. A window with fewer is "
        "ignored.",
        least=1,
    ),
    option_of(
        OutlierSettings,
        "windows",
        Kind.INTEGER,
        "A server with so many bad windows in a row is ejected.",
        least=1,
    ),
    seconds_of(
        OutlierSettings,
        "latency_floor_s",
        "Too slow: the lower quartile of its replies' times is longer by this than that of the pool's other "
        "servers, and than its own best; 3600 switches this off ...",
    ),
    option_of(
        OutlierSettings,
        "latency_factor",
        Kind.NUMBER,
        "... and longer than this multiple of the others'.",
        least=1,
    ),
    option_of(
        OutlierSettings,
        "error_share",
        Kind.NUMBER,
        "Failing: more than this share of its requests are lost or time out, and less than half as many of "
        "the others'; 1 switches this off.",
        unit="a share of the requests",
        most=1,
    ),
    option_of(
        OutlierSettings,
        "losses",
        Kind.INTEGER,
        "Flapping: so many times its connections break with requests in flight ...",
        least=1,
    ),
    seconds_of(
        OutlierSettings, "losses_s", "... within this time; 0 switches this off unless `losses` is 1."
    ),
    option_of(
        OutlierSettings,
        "outlier_share",
        Kind.NUMBER,
        "At most this share of a pool's servers are out of service as outliers, but always one.",
        unit="a share of the servers",
        most=1,
    ),
)

WARMING = (
    option_of(
        WarmingSettings,
        "keys_per_s",
        Kind.NUMBER,
        "Keys that are copied to a server in a second, at most; 0 switches this off.",
        unit="per second",
        most=1_000_000,
    ),
    option_of(
        WarmingSettings,
        "servers_max",
        Kind.INTEGER,
        "Servers that get their keys at once. The others wait.",
        least=1,
    ),
    option_of(
        WarmingSettings,
        "keys_max",
        Kind.INTEGER,
        "Keys that are kept in memory for each of them, some 200 bytes for a key. A server with more keys to "
        "copy lists its keys again for the next ones.",
        least=1,
        most=10_000_000,
    ),
)
