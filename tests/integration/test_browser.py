"""What people see: a real browser signs in, finds the model while a provider hangs, and gets an answer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from containers import ADMIN, Site, fault
from integration.conftest import VLLM
from webui_fork import tools
from webui_fork.settings import CHECKOUT, Settings
from webui_fork.terminal import Terminal

# nothing but the page: the browser's own errands would wait for a network that a test has none of
LONG = 30_000  # ms
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def page(real: Settings) -> Iterator[Page]:
    program = tools.find(real, "chromium", Terminal())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=str(program), args=QUIET, headless=True, viewport={"width": 1200, "height": 800}
        )
        yield browser.new_page()
        browser.close()


def test_the_model_is_picked_and_answers_while_another_provider_hangs(page: Page, admin: Site) -> None:
    admin.connect([VLLM, fault("silent")], [fault("silent", "ollama")])
    page.goto(admin.url)
    page.locator("#email").fill(ADMIN)
    page.locator("#password").fill(admin.password)
    page.keyboard.press("Enter")
    page.locator("#chat-input").wait_for(timeout=LONG)
    if (news := page.get_by_role("button", name="Okay, Let's Go!")).is_visible():
        news.click()
    page.locator("#model-selector-model-button").click()
    page.get_by_role("option", name="Select Shared model").click()  # the vLLM's, by the name it was shared under
    page.locator("#chat-input").click()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.chat-assistant')?.innerText.trim().length > 20", timeout=LONG)
    (CHECKOUT / "out").mkdir(exist_ok=True)
    page.screenshot(path=str(CHECKOUT / "out/browser.png"))
    deadline = time.monotonic() + 60
    while not said(admin):  # what is seen may be an error; what was said is saved when it is complete
        assert time.monotonic() < deadline
        time.sleep(0.5)


def said(site: Site) -> str:
    """Return what the model said in the one chat there is, as it was saved."""
    (chat,) = site.call("GET", "/api/v1/chats/").json()
    saved = site.call("GET", f"/api/v1/chats/{chat['id']}").json()["chat"]["history"]["messages"].values()
    return "".join(m["content"] for m in saved if m["role"] == "assistant" and not m.get("error")).strip()
