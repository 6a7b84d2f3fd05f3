"""A film or audio, subtitled."""

from __future__ import annotations

from media_pipeline.contract import Pipeline
from media_pipeline.pipelines.params import SubtitleParams

SUBTITLE = Pipeline(
    kind="subtitle",
    stages=("probe", "extract", "original", "asr", "mt", "subtitles", "package", "qc"),
    accepts=("video", "audio"),
    params_model=SubtitleParams,
)
