"""What people see: a real browser signs in, finds the model while a provider hangs, and gets an answer."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page

from browsing import said, say
from containers import Site
from integration.conftest import VLLM
from sites import fault
from webui_fork.core.settings import CHECKOUT

pytestmark = [pytest.mark.group("test_models"), pytest.mark.minutes(2)]  # the site is theirs


def test_the_model_is_picked_and_answers_while_another_provider_hangs(page: Page, admin: Site) -> None:
    admin.connect([VLLM, fault("silent")], [fault("silent", "ollama")])
    say(page, admin, "Shared")  # the vLLM's, by the name it was shared under
    (CHECKOUT / "out").mkdir(exist_ok=True)
    page.screenshot(path=str(CHECKOUT / "out/browser.png"))
    deadline = time.monotonic() + 60
    while not said(admin):  # what is seen may be an error; what was said is saved when it is complete
        assert time.monotonic() < deadline
        time.sleep(0.5)
