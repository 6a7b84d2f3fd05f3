"""Live feeds over a real server and a real Redis: nothing lost, nothing twice, in order."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import redis
import uvicorn
import websockets
from asgiref.sync import sync_to_async
from django.test import Client

from config.asgi import application
from jobs.models import Job
from jobs.realtime import follow
from jobs.realtime.hub import Hub, Subscription, hub
from jobs.realtime.publish import CHANNEL, publish_events
from jobs.realtime.stream import event_stream
from jobs.realtime.tickets import ticket_create
from jobs.state import JobStatus

pytestmark = pytest.mark.django_db(transaction=True)
FREE = 0


@pytest.fixture
def server(transactional_db: None) -> Iterator[str]:
    """``127.0.0.1:port`` of uvicorn with the whole application."""
    running = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=FREE, log_level="error", lifespan="off", loop="asyncio")
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not running.started and time.monotonic() < until:
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}"
    running.force_exit = True
    running.should_exit = True
    thread.join(10)


def tick(job: Job, count: int) -> None:
    """Progress that is not kept."""
    for n in range(count):
        event = {
            "seq": None,
            "type": "stage.progress",
            "job": str(job.pk),
            "at": "",
            "data": {"n": n, "pad": "x" * 500},
        }
        publish_events(job_id=str(job.pk), owner_id=str(job.owner_id), events=[event])


def sse(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    frame: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
        elif "event" in frame:
            yield frame
            frame = {}
        else:
            frame = {}


def read(server: str, job: Job, key: str, headers: dict[str, str] | None = None, **params: Any) -> list[dict[str, str]]:
    """All frames until the server ends the stream."""
    url = f"http://{server}/api/v1/jobs/{job.pk}/stream"
    wanted = {"Authorization": f"Api-Key {key}", "Accept": "text/event-stream", **(headers or {})}
    with httpx.stream("GET", url, headers=wanted, params=params, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        return list(sse(answer.iter_lines()))


class TestServerSentEvents:
    """``/api/v1/jobs/{id}/stream``."""

    def test_replays_goes_on_live_and_ends_with_the_job(
        self, server: str, user: Any, make_job: Any, emit: Any, end: Any, key_of: Any
    ) -> None:
        job = make_job(user)
        emit(job, 5)

        def go_on() -> None:
            time.sleep(0.7)
            emit(job, 20)
            end(job)

        thread = threading.Thread(target=go_on)
        thread.start()
        frames = read(server, job, key_of(user))
        thread.join()
        assert [int(f["id"]) for f in frames] == list(range(1, 29))
        assert [f["event"] for f in frames[-2:]] == ["job.started", "job.succeeded"]
        assert json.loads(frames[0]["data"])["type"] == "job.queued"

    def test_goes_on_after_the_last_event_id(
        self, server: str, user: Any, make_job: Any, end: Any, key_of: Any
    ) -> None:
        job = make_job(user)
        end(job)
        key = key_of(user)
        assert [f["id"] for f in read(server, job, key, {"Last-Event-ID": "1"})] == ["2", "3"]
        assert [f["id"] for f in read(server, job, key, after=2)] == ["3"]

    def test_says_204_when_there_is_nothing_more(self, user: Any, make_job: Any, end: Any, api: Any) -> None:
        job = make_job(user)
        end(job)
        assert api(user).get(f"/api/v1/jobs/{job.pk}/stream?after=3").status_code == 204

    def test_pages_through_a_long_history(
        self, server: str, user: Any, make_job: Any, emit: Any, end: Any, key_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follow, "PAGE", 7)
        job = make_job(user)
        emit(job, 30)
        end(job)
        assert [int(f["id"]) for f in read(server, job, key_of(user))] == list(range(1, 34))

    def test_a_publisher_that_lost_redis_is_made_good(
        self, server: str, user: Any, make_job: Any, emit: Any, end: Any, key_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = make_job(user)

        def go_on() -> None:
            time.sleep(0.5)
            with monkeypatch.context() as away:
                away.setattr("jobs.services.transitions.publish_events", lambda **_: None)
                emit(job, 10)
            end(job)

        thread = threading.Thread(target=go_on)
        thread.start()
        frames = read(server, job, key_of(user))
        thread.join()
        assert [int(f["id"]) for f in frames] == list(range(1, 14))


def ws(server: str, path: str, **headers: str) -> Any:
    return websockets.connect(f"ws://{server}{path}", additional_headers=headers, open_timeout=10)


async def received(socket: Any, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    found = []
    async with asyncio.timeout(20):
        while True:
            event = json.loads(await socket.recv())
            found.append(event)
            if until(event):
                return found


def kept(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events if event["seq"] is not None]


class TestWebsockets:
    """``/ws/jobs/{id}/`` and ``/ws/jobs/``."""

    async def test_a_reconnect_loses_nothing_and_repeats_nothing(
        self, server: str, user: Any, make_job: Any, emit: Any, key_of: Any
    ) -> None:
        job = await sync_to_async(make_job)(user)
        key = await sync_to_async(key_of)(user)
        path = f"/ws/jobs/{job.pk}/?after="
        writer = asyncio.create_task(sync_to_async(emit, thread_sensitive=False)(job, 60))
        seen: list[int] = []
        while len(seen) < 61:
            async with ws(server, f"{path}{seen[-1] if seen else 0}", Authorization=f"Api-Key {key}") as socket:
                goal = min(61, len(seen) + 13)
                seen += kept(await received(socket, lambda e, goal=goal: e["seq"] == goal))
        await writer
        assert seen == list(range(1, 62))

    async def test_a_slow_reader_gets_every_event(
        self, server: str, user: Any, make_job: Any, emit: Any, key_of: Any
    ) -> None:
        job = await sync_to_async(make_job)(user)
        key = await sync_to_async(key_of)(user)
        async with ws(server, f"/ws/jobs/{job.pk}/", Authorization=f"Api-Key {key}") as socket:
            await received(socket, lambda e: e["seq"] == 1)
            for _ in range(10):
                await sync_to_async(tick)(job, 300)
                await sync_to_async(emit)(job, 10)
            await asyncio.sleep(0.5)
            events = await received(socket, lambda e: e["seq"] == 101)
        assert kept(events) == list(range(2, 102))

    async def test_redis_gone_for_a_while_is_made_good(
        self, server: str, user: Any, make_job: Any, emit: Any, key_of: Any
    ) -> None:
        job = await sync_to_async(make_job)(user)
        key = await sync_to_async(key_of)(user)
        async with ws(server, f"/ws/jobs/{job.pk}/", Authorization=f"Api-Key {key}") as socket:
            await received(socket, lambda e: e["seq"] == 1)

            def cut() -> None:
                with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
                    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                emit(job, 3)

            await sync_to_async(cut)()
            assert kept(await received(socket, lambda e: e["seq"] == 4)) == [2, 3, 4]

    async def test_all_of_mine_and_nothing_of_others(
        self, server: str, make_user: Any, make_job: Any, emit: Any, key_of: Any
    ) -> None:
        me, other = await sync_to_async(make_user)(), await sync_to_async(make_user)()
        first, second = await sync_to_async(make_job)(me), await sync_to_async(make_job)(me)
        theirs = await sync_to_async(make_job)(other)
        key = await sync_to_async(key_of)(me)
        async with ws(server, "/ws/jobs/", Authorization=f"Api-Key {key}") as socket:
            await asyncio.sleep(0.5)
            for job in (first, theirs, second, first):
                await sync_to_async(emit)(job, 2)
            events = await received(socket, lambda e: e["job"] == str(first.pk) and e["seq"] == 5)
        assert [e["seq"] for e in events if e["job"] == str(first.pk)] == [2, 3, 4, 5]
        assert [e["seq"] for e in events if e["job"] == str(second.pk)] == [2, 3]
        assert not [e for e in events if e["job"] == str(theirs.pk)]

    async def test_the_session_lets_in(self, server: str, user: Any, make_job: Any) -> None:
        def sign_in() -> str:
            client = Client()
            client.force_login(user)
            return client.cookies["sessionid"].value

        job = await sync_to_async(make_job)(user)
        cookie = await sync_to_async(sign_in)()
        async with ws(server, f"/ws/jobs/{job.pk}/", Cookie=f"sessionid={cookie}", Origin=f"http://{server}") as socket:
            assert kept(await received(socket, lambda e: True)) == [1]

    async def test_a_ticket_lets_in_once(self, server: str, user: Any, make_job: Any, api: Any) -> None:
        job = await sync_to_async(make_job)(user)
        client = await sync_to_async(api)(user)
        answer = await sync_to_async(client.post)("/api/v1/ws-tickets")
        assert answer.status_code == 201
        assert answer.json()["expires_in"] == 60
        path = f"/ws/jobs/{job.pk}/?ticket={answer.json()['ticket']}"
        async with ws(server, path) as socket:
            assert kept(await received(socket, lambda e: True)) == [1]
        assert await closed_with(server, path) == 4401

    async def test_who_may_not_is_closed_with_the_reason(
        self, server: str, make_user: Any, make_job: Any, key_of: Any
    ) -> None:
        me, other = await sync_to_async(make_user)(), await sync_to_async(make_user)()
        job = await sync_to_async(make_job)(other)
        key = f"Api-Key {await sync_to_async(key_of)(me)}"
        ticket = await sync_to_async(ticket_create)(other.pk)
        path = f"/ws/jobs/{job.pk}/"
        assert await closed_with(server, path) == 4401
        assert await closed_with(server, path, Authorization="Api-Key dgm_wrong") == 4401
        assert await closed_with(server, path, Authorization=key) == 4403
        assert await closed_with(server, f"/ws/jobs/{uuid.uuid4()}/", Authorization=key) == 4403
        assert await closed_with(server, "/ws/elsewhere/", Authorization=key) == 4403
        assert await closed_with(server, f"{path}?ticket={ticket}", Origin="http://evil.example") == 4403
        assert await closed_with(server, f"{path}?ticket={ticket}", Origin="null") == 4403


async def closed_with(server: str, path: str, **headers: str) -> int:
    async with ws(server, path, **headers) as socket:
        with pytest.raises(websockets.ConnectionClosed) as refusal:
            await asyncio.wait_for(socket.recv(), 5)
        assert refusal.value.rcvd is not None
        return int(refusal.value.rcvd.code)


class TestHub:
    """One subscription a process."""

    async def test_a_full_queue_is_told_never_robbed_in_silence(self) -> None:
        queue = Subscription(size=3)
        queue.offer([{"seq": n} for n in (1, 2, 3)])
        queue.offer([{"seq": 4}])
        news = await queue.next(0.1)
        assert news.stale
        assert news.events == ()
        queue.offer([{"seq": 5}])
        news = await queue.next(0.1)
        assert (news.stale, news.events) == (False, ({"seq": 5},))

    async def test_many_listeners_are_one_redis_connection_which_ends_with_the_last(self) -> None:
        def count() -> int:
            with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
                return int(client.pubsub_numsub(CHANNEL)[0][1])

        async def wait_for(number: int) -> None:
            async with asyncio.timeout(5):
                while count() != number:
                    await asyncio.sleep(0.02)

        await wait_for(0)
        async with hub().subscribe("job:a"), hub().subscribe("job:b"), hub().subscribe("owner:c"):
            await wait_for(1)
        await wait_for(0)
        async with hub().subscribe("job:a") as again:
            publish_events(job_id="a", owner_id="c", events=[{"seq": 7}])
            news = await again.next(2)
            while not news.events:
                news = await again.next(2)
            assert news.events == ({"seq": 7},)

    async def test_foreign_messages_change_nothing(self) -> None:
        made = Hub()
        for raw in (b"{", b"[]", b'{"job": 1}', b"\xff"):
            made._fan_out(raw)


async def test_a_quiet_stream_says_that_it_lives(user: Any, make_job: Any, emit: Any) -> None:
    job = await sync_to_async(make_job)(user)
    frames = event_stream(job.pk, 0, heartbeat=0.05)
    seen = b""
    async with asyncio.timeout(10), aclosing(frames):
        async for frame in frames:
            seen += frame
            if seen.count(b": still here") >= 3:
                break
    assert seen.count(b"id: 1\n") == 1


def test_the_same_order_sent_at_once_makes_one_thing(
    server: str, user: Any, make_job: Any, end: Any, key_of: Any
) -> None:
    job = make_job(user)
    end(job, JobStatus.FAILED)
    headers = {"Authorization": f"Api-Key {key_of(user)}", "Idempotency-Key": "once"}
    url = f"http://{server}/api/v1/jobs/{job.pk}/retry"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: httpx.post(url, json={}, headers=headers, timeout=20), range(6)))
    codes = sorted(answer.status_code for answer in answers)
    assert 202 in codes
    assert set(codes) <= {202, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_flight"}
    assert job.events.filter(type="job.queued").count() == 2
