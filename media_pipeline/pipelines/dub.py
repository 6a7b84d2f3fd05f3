"""A film or audio, dubbed and subtitled."""

from __future__ import annotations

from media_pipeline.contract import Pipeline
from media_pipeline.pipelines.params import DubParams

DUB = Pipeline(
    kind="dub",
    stages=("probe", "extract", "original", "asr", "mt", "tts", "mix", "subtitles", "package", "qc"),
    accepts=("video", "audio"),
    params_model=DubParams,
)
