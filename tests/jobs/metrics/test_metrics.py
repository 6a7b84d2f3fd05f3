"""What /metrics shows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import redis
from django.test import Client

from jobs import metrics
from jobs.metrics import counts

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
    nowhere = redis.Redis(port=1, socket_connect_timeout=1)
    with monkeypatch.context() as away:
        away.setattr(counts, "client", lambda: nowhere)
        metrics.count_failure(stage="asr", code="late")
        metrics.flush()
        assert "dragoman_stage_failures_total{" not in scrape()
        assert "dragoman_queue_depth" in scrape()
    assert 'dragoman_stage_failures_total{code="late",stage="asr"} 1.0' in scrape()


def test_prometheus_accepts_all_of_it_and_no_label_is_an_id(scrape: Any, make_job: Any, user: Any) -> None:
    job = make_job(user)
    metrics.count_stage(pipeline="dub", stage="tts", provider="espeak", outcome="succeeded", seconds=4)
    text = scrape()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert "dragoman" not in checked.stderr, checked.stderr
    assert checked.returncode in {0, 3}, checked.stderr  # 3: advice on names that are not ours
    assert str(job.pk) not in text
    assert user.email not in text
