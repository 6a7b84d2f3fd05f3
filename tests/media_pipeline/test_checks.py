"""A registry that does not fit together is told before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks

from media_pipeline import registry
from media_pipeline.contract import BaseStage, Pipeline
from media_pipeline.pipelines.params import DubParams

HERE = "tests.media_pipeline.test_checks"


class Lost(BaseStage):
    """For a queue that nobody serves."""

    name = "lost"
    queue = "moon"  # type: ignore[assignment]

    def run(self, ctx: Any) -> Any:
        """Never."""


BACKWARDS = Pipeline(kind="backwards", stages=("mix", "probe"), accepts=("video",), params_model=DubParams)
STRANGER = Pipeline(kind="stranger", stages=("probe", "dance"), accepts=("video",), params_model=DubParams)
GATED = Pipeline(kind="gated", stages=("probe",), accepts=("video",), params_model=DubParams, gates=("mt",))
NOTHING = 7


@pytest.fixture
def with_entry(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
    """``with_entry("STAGES", path)``: what the checks say with one entry more."""

    def check(name: str, path: str) -> list[str]:
        real = registry.listed
        monkeypatch.setattr(registry, "listed", lambda n: (*real(n), path) if n == name else real(n))
        registry.stages.cache_clear()
        registry.pipelines.cache_clear()
        try:
            return [f"{found.id} {found.msg}" for found in run_checks(tags=["media_pipeline"])]
        finally:
            monkeypatch.undo()
            registry.stages.cache_clear()
            registry.pipelines.cache_clear()

    return check


def test_this_installation_fits_together() -> None:
    assert run_checks(tags=["media_pipeline"]) == []


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        (
            "STAGES",
            "media_pipeline.stages.nowhere.Nowhere",
            "E001 media_pipeline.stages.nowhere.Nowhere does",
        ),
        ("STAGES", f"{HERE}.NOTHING", "is no Stage"),
        ("PROVIDERS", f"{HERE}.Lost", "is no Provider"),
        ("PIPELINES", f"{HERE}.NOTHING", "is no Pipeline"),
        ("STAGES", "media_pipeline.stages.mt.Mt", "E001 media_pipeline.stages.mt.Mt is named twice"),
        ("PIPELINES", f"{HERE}.BACKWARDS", "E002 backwards: mix consumes"),
        ("PIPELINES", f"{HERE}.STRANGER", "E002 The pipeline stranger names stages that there are not: dance"),
        ("PIPELINES", f"{HERE}.GATED", "E002 The pipeline gated has gates after stages"),
        ("STAGES", f"{HERE}.Lost", "E003 The stage lost is for the queue 'moon'"),
    ],
)
def test_what_does_not_fit_is_named(
    with_entry: Callable[[str, str], list[str]], name: str, path: str, said: str
) -> None:
    found = with_entry(name, path)
    assert any(said in line for line in found), found
