"""What this installation is made of. Adding a stage, a provider or a pipeline is one new file and one line here."""

from __future__ import annotations

STAGES: tuple[str, ...] = (
    "media_pipeline.stages.probe.Probe",
    "media_pipeline.stages.extract.Extract",
    "media_pipeline.stages.original.Original",
    "media_pipeline.stages.asr.Asr",
    "media_pipeline.stages.mt.Mt",
    "media_pipeline.stages.tts.Tts",
    "media_pipeline.stages.mix.Mix",
    "media_pipeline.stages.subtitles.Subtitles",
    "media_pipeline.stages.package.Package",
    "media_pipeline.stages.qc.Qc",
)

PROVIDERS: tuple[str, ...] = (
    "media_pipeline.providers.whisper.Whisper",
    "media_pipeline.providers.pocketsphinx.PocketSphinx",
    "media_pipeline.providers.apertium.Apertium",
    "media_pipeline.providers.piper.Piper",
    "media_pipeline.providers.espeak.Espeak",
)
"""In order of preference; those that are not ready are passed over."""

PIPELINES: tuple[str, ...] = (
    "media_pipeline.pipelines.dub.DUB",
    "media_pipeline.pipelines.subtitle.SUBTITLE",
)
