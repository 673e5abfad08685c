"""The tables of options agree with the classes that they stand for."""

from dataclasses import fields
from typing import get_args

from mcroute.config.schema import DETECTION, HEALTH, PANIC, POOL, ROUTES, SERVER, WARMING
from mcroute.policy import CustomRoute, HealthSettings, OutlierSettings, Pool, Route, SupervisorSettings
from mcroute.policy.warming_settings import WarmingSettings


def test_every_route_can_be_configured():
    configurable = {row.build for row in ROUTES.values()}
    assert configurable == set(get_args(Route)) - {CustomRoute}, "a new route gets a row in config/schema.py"


def test_options_of_routes_are_the_arguments_of_their_classes():
    for name, row in ROUTES.items():
        assert [option.name for option in row.options] == [field.name for field in fields(row.build)], name


def test_options_of_pools_are_the_arguments_of_the_class():
    arguments = {field.name for field in fields(Pool) if field.init} - {"name"}
    # In Python, routes set the number of copies.
    assert {option.name for option in POOL} == arguments | {"copies"}


def test_options_of_health_are_the_settings_of_the_supervisor():
    assert [option.name for option in HEALTH] == [field.name for field in fields(HealthSettings)]
    assert [option.name for option in PANIC] == [
        # The repetition of a flush is no option of operators.
        f.name
        for f in fields(SupervisorSettings)
        if f.name not in ("health", "flush", "outliers", "warming")
    ]
    assert [option.name for option in DETECTION] == [field.name for field in fields(OutlierSettings)]
    assert {option.name for option in WARMING} < {field.name for field in fields(WarmingSettings)}


def test_names_are_unique_and_lower_case():
    for options in (POOL, SERVER, *(row.options for row in ROUTES.values())):
        names = [option.name for option in options]
        assert len(set(names)) == len(names)
        assert all(name == name.lower() for name in names)
