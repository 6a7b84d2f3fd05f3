"""System checks: what ``defaults`` and plug-ins name is there and fits together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register

from media_pipeline import registry
from media_pipeline.contract import Pipeline, Queue, Stage
from media_pipeline.errors import ContractBroken
from media_pipeline.providers.base import Provider

HINT = "See media_pipeline/defaults.py and DRAGOMAN_PLUGINS."


@register("media_pipeline")
def entries_resolve(**_: Any) -> list[CheckMessage]:
    """Every entry is importable, and is what its list says."""
    return [Error(text, hint=HINT, id="media_pipeline.E001") for text in _unresolved()]


@register("media_pipeline")
def edges_match(**_: Any) -> list[CheckMessage]:
    """In every pipeline each stage finds what it consumes, and the gates are stages of it."""
    if any(_unresolved()):
        return []
    return [Error(text, hint=HINT, id="media_pipeline.E002") for text in _broken_edges()]


@register("media_pipeline")
def queues_exist(**_: Any) -> list[CheckMessage]:
    """Every stage names a queue that workers serve."""
    if any(_unresolved()):
        return []
    there = set(Queue)
    return [
        Error(
            f"The stage {stage.name} is for the queue {stage.queue!r}, which nobody serves.", id="media_pipeline.E003"
        )
        for stage in registry.stages().values()
        if stage.queue not in there
    ]


def _unresolved() -> Iterator[str]:
    for name, kind in (("STAGES", Stage), ("PROVIDERS", Provider), ("PIPELINES", Pipeline)):
        try:
            paths = registry.listed(name)
        except ContractBroken as error:
            yield error.detail
            continue
        yield from _unfit(paths, kind)
        yield from (f"{path} is named twice in {name}." for path in dict.fromkeys(paths) if paths.count(path) > 1)


def _unfit(paths: Sequence[str], kind: type[Any]) -> Iterator[str]:
    for path in paths:
        try:
            found = registry.resolve(path)
        except ContractBroken as error:
            yield error.detail
            continue
        if kind is Provider:
            fits = isinstance(found, type) and issubclass(found, Provider)
        elif kind is Stage:
            fits = isinstance(found, type) and isinstance(found(), Stage)
        else:
            fits = isinstance(found, kind)
        if not fits:
            yield f"{path} is no {kind.__name__}."


def _broken_edges() -> Iterator[str]:
    for kind, pipeline in registry.pipelines().items():
        if unknown := [name for name in pipeline.stages if name not in registry.stages()]:
            yield f"The pipeline {kind} names stages that there are not: {', '.join(unknown)}."
            continue
        if strange := set(pipeline.gates) - set(pipeline.stages):
            yield f"The pipeline {kind} has gates after stages that it does not have: {', '.join(sorted(strange))}."
        try:
            registry.edges(kind)
        except ContractBroken as error:
            yield error.detail
