"""Every document is a configuration, or a ConfigError that names a place."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcroute.config import Config, parse_config
from mcroute.config.schema import DETECTION, HEALTH, PANIC, POOL, PROXY, RETRY, ROUTES, SECTIONS, SERVER
from mcroute.errors import ConfigError

OPTIONS = (
    *PROXY,
    *DETECTION,
    *HEALTH,
    *PANIC,
    *RETRY,
    *SERVER,
    *POOL,
    *(o for row in ROUTES.values() for o in row.options),
)
WORDS = st.sampled_from(
    sorted({*(option.name for option in OPTIONS), *ROUTES, *SECTIONS, "type", "main", "a:1", "u:", "é", ""})
)
SCALARS = WORDS | st.integers() | st.floats() | st.booleans()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS, v, max_size=3), max_leaves=8
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    # JSON's NaN and Infinity are nan and inf in TOML, as in Python.
    return repr(value) if isinstance(value, float) else json.dumps(value)


def document(sections: dict[str, Any]) -> str:
    return "\n".join(f"{json.dumps(name)} = {toml(value)}" for name, value in sections.items())


def read(text: str) -> Config | None:
    try:
        return parse_config(text)
    except ConfigError as error:
        assert error.place
        return None


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_any_document_is_read_or_refused(sections):
    read(document(sections))


@given(VALUES, st.dictionaries(st.sampled_from([option.name for option in POOL]), VALUES))
def test_any_route_and_any_options_of_a_pool(route, options):
    pools = {"main": {"servers": ["a:1", "b:1"]} | options}
    read(document({"pools": pools, "route": route}))


@given(
    st.recursive(
        st.sampled_from(["main", "spare"]),
        lambda route: st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    ["failover", "miss_failover", "all_sync", "all_fastest", "all_async"]
                ),
                "children": st.lists(route, min_size=1, max_size=3),
            }
        ),
        max_leaves=10,
    )
)
def test_routes_nest_as_one_likes(route):
    pools = {"main": {"servers": ["a:1", "b:1"]}, "spare": {"servers": ["c:1"]}}
    assert read(document({"pools": pools, "route": route})) is not None
