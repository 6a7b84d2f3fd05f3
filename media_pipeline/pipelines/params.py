"""Parameters that a user may give, by pipeline. Unknown names are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ProviderId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class SubtitleParams(BaseModel):
    """What ``subtitle`` takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asr_provider: ProviderId | None = Field(
        None, description="Speech recognition to use; the best ready one otherwise."
    )
    mt_provider: ProviderId | None = Field(None, description="Translation to use; the best ready one otherwise.")
    subtitle_profile: Literal["netflix", "bbc", "shorts"] = Field(
        "netflix", description="Rules for line length and timing."
    )


class DubParams(SubtitleParams):
    """What ``dub`` takes."""

    tts_provider: ProviderId | None = Field(None, description="Speech to use; the best ready one otherwise.")
    voices: dict[str, str] = Field(default_factory=dict, description='Voice id by language, such as {"es": "es-419"}.')
    loudness: Literal[-14, -16, -23, -27] = Field(-16, description="Target of the dub, LUFS.")
    ducking_db: Annotated[float, Field(ge=-40, le=0)] = Field(
        -18.0, description="Gain of the original under speech, dB."
    )
    max_speed: Annotated[float, Field(ge=1.0, le=1.5)] = Field(1.4, description="Fastest speech allowed to fit a slot.")
