"""The pages in a real browser, on a real server with real workers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
TRACKS = "Array.from(player.audioTracks()).filter((t) => t.enabled).map((t) => t.language).join()"
SHOWN = "Array.from(player.textTracks()).filter((t) => t.mode === 'showing').map((t) => t.language).join()"


def test_watching_switches_languages(demo: Demo, screen: Page) -> None:
    screen.goto(demo.url)
    expect(screen.locator("#audio option")).to_have_text(["English", "Español", "Català"])
    expect(screen.locator("#transcript li").first).to_contain_text("Welcome")
    screen.evaluate("player.muted(true); player.play()")
    until(screen, "player.currentTime() > 1")
    for language in ("es", "ca", "en"):
        screen.locator("#audio").select_option(language)
        until(screen, f"{TRACKS} === '{language}'")
        screen.locator("#subtitles").select_option(language)
        until(screen, f"{SHOWN} === '{language}'")
        expect(screen.locator("#transcript")).to_have_attribute("lang", language)
        at = screen.evaluate("player.currentTime()")
        until(screen, f"player.currentTime() > {at} + 0.5")
    expect(screen.locator(".vjs-text-track-cue").first).to_contain_text(re.compile(r"\w+"))
    screen.locator("#transcript li button").nth(4).click()
    until(screen, "Math.abs(player.currentTime() - 16) < 3")
    expect(screen.locator("#transcript li[aria-current=true]")).to_have_count(1)
    assert screen.evaluate("player.error()") is None


def test_a_new_job_from_file_to_finish(demo: Demo, screen: Page, tmp_path: Path) -> None:
    screen.get_by_role("link", name="New job").click()
    bad = tmp_path / "notes.mp4"
    bad.write_text("This is no film.")
    screen.locator("#file").set_input_files(bad)
    expect(screen.locator("#errors")).to_contain_text(re.compile("media|film|read", re.IGNORECASE))
    expect(screen.get_by_role("button", name="Start")).to_be_disabled()
    screen.locator("#file").set_input_files(demo.made / "source" / "talk.mp4")
    expect(screen.locator("#chosen-name")).to_have_text("talk.mp4")
    screen.get_by_label("Spanish").check()
    screen.get_by_label("Title", exact=True).fill("Once more")
    screen.get_by_role("button", name="Start").click()
    screen.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/$"))
    expect(screen.get_by_role("heading", name="Once more")).to_be_visible()
    expect(screen.get_by_role("link", name="Watch")).to_be_visible(timeout=60_000)
    expect(screen.locator("#live")).to_contain_text("succeeded")
    screen.get_by_role("link", name="Jobs", exact=True).click()
    expect(screen.locator("#jobs")).to_contain_text("Once more")


def test_cancel_asks_and_then_stops(demo: Demo, screen: Page) -> None:
    screen.goto(f"{demo.base}/jobs/{demo.job}/")
    screen.get_by_role("button", name="Redo").click()
    screen.get_by_label("From which stage").select_option("asr")
    screen.get_by_role("button", name="Start").click()
    screen.get_by_role("button", name="Cancel", exact=True).click()
    screen.get_by_role("button", name="Keep it going").click()
    screen.get_by_role("button", name="Cancel", exact=True).click()
    screen.get_by_role("button", name="Cancel the job").click()
    expect(screen.locator("#live")).to_contain_text("cancelled", timeout=15_000)
    screen.get_by_role("button", name="Try again").click()
    screen.get_by_role("button", name="Start").click()
    expect(screen.get_by_role("link", name="Watch")).to_be_visible(timeout=60_000)


def test_the_admin_and_the_docs_open(demo: Demo, screen: Page) -> None:
    screen.get_by_role("link", name="Admin").click()
    screen.locator("nav, aside, #nav-sidebar").get_by_role("link", name="Jobs", exact=True).last.click()
    expect(screen.locator("#result_list")).to_contain_text("demo@example.com")
    screen.goto(f"{demo.base}/api/docs")
    expect(screen.locator("#swagger-ui")).to_contain_text("/api/v1/jobs", timeout=15_000)
