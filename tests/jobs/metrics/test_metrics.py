"""What /metrics shows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.test import Client

from jobs import metrics
from jobs.metrics import counts
from jobs.realtime.follow import follow_job
from media_pipeline.errors import ProviderUnavailable
from media_pipeline.providers import calls
from media_pipeline.providers.base import Capabilities, MtProvider, Translation
from media_pipeline.providers.router import ProviderRouter

COUNT = (
    "import django; django.setup(); from jobs import metrics; "
    "metrics.count_stage(pipeline='dub', stage='mt', provider='apertium', outcome='succeeded', seconds=0.3); "
    "metrics.count_failure(stage='mt', code='provider_down'); metrics.flush()"
)


@pytest.fixture
def scrape(db: None, client: Client) -> Any:
    def text() -> str:
        return client.get("/metrics").content.decode()

    return text


def test_what_another_process_counted_is_there(scrape: Any, process_env: dict[str, str]) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNT], env=process_env, check=True)
    text = scrape()
    labels = 'pipeline="dub",provider="apertium",stage="mt"'
    assert f'dragoman_stage_runs_total{{outcome="succeeded",{labels}}} 2.0' in text
    assert f'dragoman_stage_duration_seconds_bucket{{le="0.25",{labels}}} 0.0' in text
    assert f'dragoman_stage_duration_seconds_bucket{{le="0.5",{labels}}} 2.0' in text
    assert f'dragoman_stage_duration_seconds_bucket{{le="+Inf",{labels}}} 2.0' in text
    assert f"dragoman_stage_duration_seconds_sum{{{labels}}} 0.6" in text
    assert 'dragoman_stage_failures_total{code="provider_down",stage="mt"} 2.0' in text


def test_jobs_and_queues_are_read_from_the_database(scrape: Any, make_job: Any, user: Any) -> None:
    make_job(user)
    text = scrape()
    assert 'dragoman_jobs{kind="dub",status="queued"} 1.0' in text
    assert 'dragoman_queue_depth{queue="cpu"} 1.0' in text
    assert 'dragoman_queue_oldest_seconds{queue="cpu"}' in text
    assert 'dragoman_queue_depth{queue="gpu"} 0.0' in text


def test_counts_wait_while_redis_is_away(scrape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(port=1, retry=None)
    with monkeypatch.context() as away:
        away.setattr(counts, "client", lambda: nowhere)
        metrics.count_failure(stage="asr", code="late")
        metrics.flush()
        assert "dragoman_stage_failures_total{" not in scrape()
        assert "dragoman_queue_depth" in scrape()
    assert 'dragoman_stage_failures_total{code="late",stage="asr"} 1.0' in scrape()


class Parrot(MtProvider):
    """Says what it hears, or fails."""

    id = "parrot"
    version = "1"

    def capabilities(self) -> Capabilities:
        return Capabilities(pairs=frozenset({("en", "es")}))

    def translate(self, texts: Sequence[str], **options: Any) -> tuple[Translation, ...]:
        if not texts:
            raise ProviderUnavailable("hush", code="of one raise")
        return tuple(Translation(text) for text in texts)


def test_calls_of_providers_are_counted(scrape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_observers", [])
    calls.observe(metrics.count_call)
    calls.observe(metrics.count_call)
    parrot = ProviderRouter([Parrot()]).mt("en", "es")
    assert (parrot.id, parrot.version, parrot.fingerprint()) == ("parrot", "1", "1")
    assert parrot.translate(["a"], source="en", target="es") == (Translation("a"),)
    with pytest.raises(ProviderUnavailable):
        parrot.translate([], source="en", target="es")
    text = scrape()
    requests = 'dragoman_provider_requests_total{kind="mt",outcome='
    assert f'{requests}"ok",provider="parrot"}} 1.0' in text
    assert f'{requests}"provider_unavailable",provider="parrot"}} 1.0' in text
    assert 'dragoman_provider_latency_seconds_count{kind="mt",provider="parrot"} 1.0' in text


async def test_the_way_of_an_event_to_its_listener_is_timed(
    transactional_db: None, user: Any, make_job: Any, emit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "FLUSH_SECONDS", -1.0)
    job = await sync_to_async(make_job)(user)
    async with aclosing(follow_job(job.pk, job.event_seq)) as events:
        assert await anext(events) is None
        for type in ("stage.started", "stage.retrying", "stage.retrying"):  # the first one may come from the rows
            await sync_to_async(emit)(job, 1, type)
            event = await asyncio.wait_for(anext(events), 5)
            assert event and event["type"] == type
        with suppress(TimeoutError):
            await asyncio.wait_for(anext(events), 0.2)
    found = await sync_to_async(counts.read)()
    sums = {part: value for (name, labels, part), value in found.items() if labels == ("stage.retrying",)}
    assert 0 < sums.pop("sum") < 5
    assert sum(sums.values()) == 2


def test_what_another_version_counted_is_left_out(scrape: Any) -> None:
    counts.client().hset(counts.KEY, json.dumps(["dragoman_stage_runs", ["one", "label"], ""]), 1)
    counts.client().hset(counts.KEY, json.dumps(["dragoman_gone", [], ""]), 1)
    metrics.count_failure(stage="asr", code="late")
    assert 'dragoman_stage_failures_total{code="late",stage="asr"} 1.0' in scrape()


def test_prometheus_accepts_all_of_it_and_no_label_is_an_id(scrape: Any, make_job: Any, user: Any) -> None:
    job = make_job(user)
    metrics.count_stage(pipeline="dub", stage="tts", provider="espeak", outcome="succeeded", seconds=4)
    text = scrape()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert str(job.pk) not in text
    assert user.email not in text
