"""A person at a browser."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Error, Page, sync_playwright

import tools
from containers import Site
from sites import ADMIN
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal

LONG = 120_000  # ms: a machine may be busy
# nothing but the page: the browser's own errands would wait for a network that a test has none of
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def browser(settings: Settings) -> Iterator[Page]:
    """Start a browser with an empty profile; yield a page of it."""
    program = tools.find(settings, "chromium", Terminal())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=str(program), args=QUIET, headless=True, viewport={"width": 1200, "height": 800}
        )
        yield context.new_page()
        context.close()


def say(page: Page, admin: Site, model: str) -> None:
    """Sign in, pick a model, say something, and wait for what it says."""
    page.set_default_timeout(LONG)
    load(page, admin.url, "#email")
    page.locator("#email").fill(ADMIN)
    page.locator("#password").fill(admin.password)
    page.keyboard.press("Enter")
    page.locator("#chat-input").wait_for()
    if (news := page.get_by_role("button", name="Okay, Let's Go!")).is_visible():
        news.click()
    page.locator("#model-selector-model-button").click()
    page.get_by_role("option", name=f"Select {model} model").click()
    say_more(page, model)


def say_more(page: Page, model: str) -> None:
    """Say something in the chat that is open, and wait for what the model says."""
    # what the tiny model says may be a few signs, or none: its weights are random
    answers = page.locator(".chat-assistant").count()
    answer = f"[...document.querySelectorAll('.chat-assistant')].slice({answers}).at(-1)"
    answer += f"?.innerText.trim().length > {len(model) + 1}"
    for _ in range(3):
        page.locator("#chat-input").click()
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
        try:
            page.wait_for_function(answer, timeout=LONG / 2)
        except Error:  # it timed out
            continue
        return
    raise AssertionError("three times no answer")


def load(page: Page, url: str, element: str) -> float:
    """Load a page, again where it does not get that far: a first answer that is late leaves it without its form.

    Args:
        page: of a browser.
        url: of the page.
        element: the selector of what has to be visible.

    Returns:
        How long the load took that got there, in seconds.
    """
    for _ in range(5):
        start = time.perf_counter()
        page.goto(url)
        try:
            page.locator(element).wait_for(timeout=LONG / 4)
        except Error:  # it timed out
            continue
        return time.perf_counter() - start
    raise AssertionError(page.content()[:2000])


def said(site: Site) -> str:
    """Return what the model said in the newest chat, as it was saved."""
    chat, *_ = site.call("GET", "/api/v1/chats/").json()
    saved = site.call("GET", f"/api/v1/chats/{chat['id']}").json()["chat"]["history"]["messages"].values()
    return "".join(m["content"] for m in saved if m["role"] == "assistant" and not m.get("error")).strip()
