"""Discovery: the filter grammar, the order, and the resources that drivers report."""

from __future__ import annotations

import contextlib
import logging
import os
import string
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies as st

from qrmi_core import (
    Driver,
    DriverDefectError,
    InvalidInputError,
    ResourceInfo,
    ResourceProvider,
    ResourceStatusCode,
    ServiceError,
    Settings,
    UnsupportedResourceTypeError,
)
from qrmi_core.discovery import FILTERS, conditions, parse_filters
from qrmi_core.driver import Discovers
from qrmi_core.testing import FakeDriver, FakeVendor
from support.sites import add_distribution

INFOS = [
    ResourceInfo("unknown"),
    ResourceInfo("busy", 5, 1000, False, ResourceStatusCode.Online, 7),
    ResourceInfo("idle", 2, 100, True, ResourceStatusCode.Online, 0),
    ResourceInfo("idle_too", 127, 1000, False, ResourceStatusCode.Paused, 0),
    ResourceInfo("away", 27, None, False, ResourceStatusCode.Offline, None),
]


@pytest.fixture
def provider(site: Path) -> ResourceProvider:
    # The drivers are defined below; pytest chooses the name of this module.
    source = "import sys; here = sys.modules[{!r}]; Found = here.Found; Hidden = here.Hidden"
    add_distribution(
        site,
        "found",
        drivers={"found": "qrmi_test_found:Found", "hidden": "qrmi_test_found:Hidden"},
        modules={"qrmi_test_found": source.format(__name__)},
    )
    Found.seen.clear()
    return ResourceProvider("found", {"QRMI_JOB_TIMEOUT_SECONDS": "5"})


class Found(FakeDriver):
    vendor = FakeVendor()
    seen: ClassVar[list[dict[str, str]]] = []
    infos: ClassVar[Any] = INFOS
    error: ClassVar[BaseException | None] = None

    @classmethod
    def discover(cls, settings: Settings, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        assert settings.job_timeout_seconds == 5
        cls.seen.append(dict(filters))
        if cls.error:
            raise cls.error
        return cls.infos  # type: ignore[no-any-return]


class Hidden(Driver[Any, Any]):
    """A driver without `discover`."""

    contract_version = 1


Hidden.__abstractmethods__ = frozenset()  # `find_driver` refuses abstract classes


def test_the_least_busy_comes_first_and_the_unknown_last(provider: ResourceProvider) -> None:
    names = [info.resource_id for info in provider.infos()]
    assert names == ["idle", "idle_too", "busy", "unknown", "away"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("", {"unknown", "busy", "idle", "idle_too", "away"}),
        ("num_qubits=5", {"busy", "idle_too", "away"}),
        (" max_shots = 1000 & num_qubits = 6 ", {"idle_too"}),
        ("name=idle*", {"idle", "idle_too"}),
        ("name=?usy", {"busy"}),
        ("name=[!b]*y", {"away"}),
        ("name=IDLE", set()),
        ("is_simulator=true", {"idle"}),
        ("is_simulator=false", {"busy", "idle_too", "away"}),
        ("status=online&&", {"busy", "idle"}),
    ],
)
def test_filters_choose(provider: ResourceProvider, filters: str, names: set[str]) -> None:
    assert {info.resource_id for info in provider.infos(filters)} == names


@pytest.mark.parametrize(
    "filters",
    [
        "num_qubits",
        "=5",
        "num_qubits=-1",
        "num_qubits=5.0",
        "num_qubits=",
        "max_shots=many",
        "name=",
        "name=[bad",
        "name=**a",
        "is_simulator=True",
        "status=offline",
        "status=Online",
        "name=a&name=b",
    ],
)
def test_a_bad_filter_is_refused_before_any_request(
    provider: ResourceProvider, filters: str
) -> None:
    with pytest.raises(InvalidInputError, match="filter"):
        provider.infos(filters)
    assert Found.seen == []


def test_the_driver_sees_the_filters(
    provider: ResourceProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.infos("name=idle*&num_qubits=3")
    assert Found.seen == [{"name": "idle*", "num_qubits": "3"}]
    assert not caplog.records


def test_an_unknown_key_warns(provider: ResourceProvider, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(provider.infos("size=3")) == len(INFOS)
    assert "filter size is unknown" in caplog.text


def test_resources_are_ready_to_use_and_the_environment_is_left_alone(
    provider: ResourceProvider,
) -> None:
    before = dict(os.environ)
    resources = provider.resources("is_simulator=false")
    assert [resource.resource_id() for resource in resources] == ["idle_too", "busy", "away"]
    assert resources[0].resource_type() == "found"
    assert resources[0].status().status is ResourceStatusCode.Online
    assert dict(os.environ) == before


def test_the_least_busy_is_the_first_or_none(provider: ResourceProvider) -> None:
    best = provider.least_busy()
    assert best is not None
    assert best.resource_id() == "idle"
    assert provider.least_busy("num_qubits=1000") is None


def test_a_driver_that_cannot_discover_says_so(provider: ResourceProvider) -> None:
    assert issubclass(Found, Discovers)
    assert not issubclass(Hidden, Discovers)
    with pytest.raises(UnsupportedResourceTypeError, match="hidden:ID"):
        ResourceProvider("hidden", {})


class VendorsOwnError(BaseException):
    """An exception class of a vendor's library."""


def failing(error: BaseException) -> Iterator[ResourceInfo]:
    yield INFOS[0]
    raise error


@pytest.mark.parametrize("error", [KeyError("backends"), VendorsOwnError("x")])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_defect_of_the_driver_is_named_as_one(
    provider: ResourceProvider, monkeypatch: pytest.MonkeyPatch, error: BaseException, late: bool
) -> None:
    monkeypatch.setattr(Found, "infos" if late else "error", failing(error) if late else error)
    with pytest.raises(DriverDefectError, match=rf"driver raised .*{type(error).__name__}"):
        provider.infos()


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_program_is_not_a_defect(
    provider: ResourceProvider, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    monkeypatch.setattr(Found, "error", ending)
    with pytest.raises(type(ending)):
        provider.infos()


@pytest.mark.parametrize(
    "infos",
    [None, "idle", ["idle"], {"idle": 5}, [ResourceInfo("idle", pending_job_count="7")]],  # type: ignore[arg-type]
)
def test_a_wrong_type_is_a_defect(
    provider: ResourceProvider, monkeypatch: pytest.MonkeyPatch, infos: object
) -> None:
    monkeypatch.setattr(Found, "infos", infos)
    with pytest.raises(DriverDefectError, match=r"returned \w+ for discover"):
        provider.infos()


words = st.text(string.ascii_letters + string.digits + "_*?.-", min_size=1)


@given(st.dictionaries(words, words), st.sampled_from(["&", " & ", "&&", "& &"]))
def test_what_was_joined_is_split_again(filters: dict[str, str], joint: str) -> None:
    text = joint.join(f"{key}={value}" for key, value in filters.items())
    assert parse_filters(text) == filters


@given(st.text())
def test_any_text_is_filters_or_invalid_input(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        conditions(parse_filters(text))


@given(st.sampled_from(sorted(FILTERS)), st.text())
def test_any_value_is_a_condition_or_invalid_input(key: str, value: str) -> None:
    try:
        (condition,) = conditions({key: value})
    except InvalidInputError:
        return
    for info in INFOS:
        assert condition(info) in (True, False)


def test_a_name_of_any_length_is_read_in_linear_time() -> None:
    pattern = "[" * 200_000
    begun = time.monotonic()
    with pytest.raises(InvalidInputError, match="name"):
        conditions({"name": pattern})
    assert time.monotonic() - begun < 5


def test_an_error_of_the_driver_is_cleaned_of_the_secrets_of_its_settings(
    provider: ResourceProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "secrets", lambda _self: {"s3cr3t-key"})
    monkeypatch.setattr(Found, "error", ServiceError("refused: s3cr3t-key\x1b[31m"))
    with pytest.raises(ServiceError, match=r"refused: \*\*\* \[31m"):
        provider.infos()
