"""Looks up stages, providers and pipelines by name, and derives the edges of a pipeline."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from media_pipeline import defaults
from media_pipeline.contract import Pipeline, Stage
from media_pipeline.errors import ContractBroken
from media_pipeline.providers.base import Provider, ProviderConfig
from media_pipeline.providers.router import ProviderRouter


def resolve(path: str) -> Any:
    """The object at a dotted path. Raises ContractBroken when there is none."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ContractBroken(f"{path} does not resolve: {error}") from error


@cache
def listed(name: str) -> tuple[str, ...]:
    """``STAGES``, ``PROVIDERS`` or ``PIPELINES`` of this installation: ours, then those of its plug-ins.

    ``DRAGOMAN_PLUGINS`` names modules, by commas, that have tuples of these names.
    """
    modules = [part.strip() for part in os.environ.get("DRAGOMAN_PLUGINS", "").split(",") if part.strip()]
    try:
        more = [path for module in modules for path in getattr(import_module(module), name, ())]
    except ImportError as error:
        raise ContractBroken(f"DRAGOMAN_PLUGINS names a module that cannot be imported: {error}") from error
    found: tuple[str, ...] = (*getattr(defaults, name), *more)
    return found


@cache
def stages() -> Mapping[str, Stage]:
    """All stages by name, one instance each."""
    made = [resolve(path)() for path in listed("STAGES")]
    return {stage.name: stage for stage in made}


@cache
def pipelines() -> Mapping[str, Pipeline]:
    """All pipelines by kind."""
    found = [resolve(path) for path in listed("PIPELINES")]
    return {pipeline.kind: pipeline for pipeline in found}


def pipeline(kind: str) -> Pipeline:
    """The pipeline of this kind. Raises ContractBroken naming those there are."""
    try:
        return pipelines()[kind]
    except KeyError as error:
        raise ContractBroken(f"There is no pipeline {kind!r}; there are: {', '.join(pipelines())}.") from error


@cache
def router() -> ProviderRouter:
    """All providers, configured from the environment (``DRAGOMAN_<ID>_<FIELD>``, or ``..._FILE``)."""
    classes = [resolve(path) for path in listed("PROVIDERS")]
    return ProviderRouter([configured(cls) for cls in classes])


def configured(cls: type[Provider]) -> Provider:
    """An instance of a provider with its Config read from the environment."""
    return cls(_config_from_environment(cls))


def _config_from_environment(cls: type[Provider]) -> ProviderConfig:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls.Config):
        name = f"DRAGOMAN_{cls.id}_{item.name}".upper()
        raw = os.environ.get(name)
        if (path := os.environ.get(f"{name}_FILE")) is not None:
            raw = Path(path).read_text(encoding="utf-8").strip()
        if raw is None:
            continue
        default = item.default
        values[item.name] = type(default)(raw) if isinstance(default, int | float) and default is not True else raw
    return cls.Config(**values)


def edges(kind: str) -> Mapping[str, tuple[str, ...]]:
    """For each stage of a pipeline, the stages it waits for: those that produce what it consumes.

    A type made by more than one stage comes from the last one before the consumer, in the pipeline's order.
    Raises ContractBroken when nothing before a stage produces what it needs.
    """
    made_by: dict[str, str] = {"source_media": ""}
    result: dict[str, tuple[str, ...]] = {}
    for name in pipeline(kind).stages:
        stage = stages()[name]
        before = []
        for wanted in (*stage.consumes, *stage.optional):
            if wanted.value in made_by:
                before.append(made_by[wanted.value])
            elif wanted in stage.consumes:
                raise ContractBroken(f"{kind}: {name} consumes {wanted.value}, which no stage before it produces.")
        result[name] = tuple(dict.fromkeys(b for b in before if b))
        made_by.update({produced.value: name for produced in stage.produces})
    return result
