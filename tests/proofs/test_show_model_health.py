"""The picker marks a model whose connection fails; the page of connections, and an empty picker, say why."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import FloatRect, Page, Route, expect

import processes
from browsing import LONG, browser, load
from processes import Provider, Site
from webui_fork.core import settings
from webui_fork.core.settings import CHECKOUT

PICKER = "#model-selector-model-button"
WELL, GONE = ("llama-3.1-8b", "mistral-small"), ("qwen2.5-7b", "gemma-3-4b")
SINCE = "Failing for"
NO_LIST = "Network Problem"  # which upstream's page of connections says of one that fails
# what is shown of a page
NEW_CHAT: FloatRect = {"x": 230, "y": 300, "width": 780, "height": 320}
SETTINGS: FloatRect = {"x": 274, "y": 40, "width": 876, "height": 240}


@pytest.fixture(scope="module")
def window() -> Iterator[Page]:
    with browser(settings.load()) as page:
        page.set_default_timeout(LONG)
        expect.set_options(timeout=LONG / 4)
        yield page


@pytest.fixture
def page(window: Page) -> Iterator[Page]:
    """A page of the one browser, as it is for somebody who comes for the first time."""
    window.emulate_media(color_scheme="light")
    yield window
    window.unroute_all()
    window.evaluate("localStorage.removeItem('locale')")


def listed(*names: str) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"id": name} for name in names]}


def fails(webui: Site, provider: Provider) -> None:
    """Have a connection that is well, and one that listed two models and answers 500 now."""
    well, gone = provider.script("well", body=listed(*WELL)), provider.script("comes", body=listed(*GONE))
    webui.connect([well, gone])
    webui.models()
    provider.script("comes", status="500 Down", body="")
    webui.models()


def pick(page: Page, webui: Site) -> None:
    """Open the picker of a new chat."""
    load(page, webui.url, "#chat-input")
    if (news := page.get_by_role("button", name="Okay, Let's Go!")).is_visible():
        news.click()
    page.locator(PICKER).click()


def shoot(page: Page, name: str, clip: FloatRect) -> None:
    page.add_style_tag(content="[data-sonner-toaster] { display: none }")  # "You're now logged in."
    (CHECKOUT / "out").mkdir(exist_ok=True)
    page.screenshot(path=str(CHECKOUT / f"out/{name}.png"), clip=clip)


def test_the_picker_marks_a_model_whose_connection_fails(page: Page, webui: Site, provider: Provider) -> None:
    fails(webui, provider)
    pick(page, webui)
    marked = page.get_by_role("option", name=f"Select {GONE[0]} model")
    expect(marked).to_have_accessible_description(f"{SINCE} a few seconds: 127.0.0.1: status 500.")
    marked.locator("svg.text-yellow-700").hover()
    expect(page.locator(".tippy-content", has_text=SINCE)).to_contain_text("status 500")
    expect(page.locator(".tippy-box", has_text=SINCE)).to_have_css("opacity", "1")
    shoot(page, "model-health", NEW_CHAT)
    well = page.get_by_role("option", name=f"Select {WELL[0]} model")
    expect(well).to_have_accessible_description("")
    expect(well.locator("svg.text-yellow-700")).to_have_count(0)


def test_in_the_dark_and_in_chinese(page: Page, webui: Site, provider: Provider) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    fails(webui, provider)
    pick(page, webui)  # the news, once, while its button is in English
    page.evaluate("localStorage.setItem('locale', 'zh-CN'); localStorage.setItem('theme', 'dark')")
    pick(page, webui)
    sign = page.locator("[id^=model-health-]").first
    expect(sign).to_contain_text("已持续失败 几秒: 127.0.0.1: status 500")
    shoot(page, "model-health-dark", NEW_CHAT)
    page.goto(f"{webui.url}/admin/settings/connections")
    expect(page.get_by_role("status").filter(has_text="可以连接")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="已持续失败 几秒")).to_have_count(1)
    page.evaluate("localStorage.removeItem('theme')")
    assert set(faults) <= {NO_LIST}


def test_the_page_of_connections_says_how_each_one_does(page: Page, webui: Site, provider: Provider) -> None:
    fails(webui, provider)
    page.goto(f"{webui.url}/admin/settings/connections")
    expect(page.get_by_role("status").filter(has_text="Answers")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text=SINCE)).to_contain_text("status 500")
    shoot(page, "connection-health", SETTINGS)


def test_a_preset_has_the_sign_of_its_base(page: Page, webui: Site, provider: Provider) -> None:
    form = {"id": "preset", "name": "Preset", "base_model_id": GONE[0], "meta": {}, "params": {}}
    webui.call("POST", "/api/v1/models/create", json=form).raise_for_status()
    fails(webui, provider)
    pick(page, webui)
    marked = page.get_by_role("option", name="Select Preset model")
    expect(marked).to_have_accessible_description(f"{SINCE} a few seconds: 127.0.0.1: status 500.")


def test_an_ollama(page: Page, webui: Site, provider: Provider) -> None:
    gone = provider.script("comes", "ollama", body={"models": [{"model": GONE[0], "name": GONE[0]}]})
    webui.connect([], [gone])
    webui.models()
    provider.script("comes", "ollama", status="500 Down", body="")
    webui.models()
    pick(page, webui)
    marked = page.get_by_role("option", name=f"Select {GONE[0]} model")
    expect(marked).to_have_accessible_description(re.compile(f"{SINCE} a few seconds: .*status 500"))
    page.goto(f"{webui.url}/admin/settings/connections")
    expect(page.get_by_role("status").filter(has_text=SINCE)).to_contain_text("status 500")


def test_a_key_that_is_refused(page: Page, webui: Site, provider: Provider) -> None:
    webui.connect([provider.script("refuses", status="401 Unauthorized", body={"error": {"message": "Bad key"}})])
    webui.models()
    page.goto(f"{webui.url}/admin/settings/connections")
    expect(page.get_by_role("status").filter(has_text=SINCE)).to_contain_text("refuses the key")


def test_the_sign_goes_when_the_server_is_back(page: Page, webui: Site, provider: Provider) -> None:
    fails(webui, provider)
    pick(page, webui)
    marked = page.get_by_role("option", name=f"Select {GONE[0]} model")
    expect(marked.locator("svg.text-yellow-700")).to_have_count(1)
    provider.script("comes", body=listed(*GONE))
    webui.models()
    pick(page, webui)
    expect(marked).to_be_visible()
    expect(marked.locator("svg.text-yellow-700")).to_have_count(0)
    page.goto(f"{webui.url}/admin/settings/connections")
    expect(page.get_by_role("status").filter(has_text="Answers")).to_have_count(2)


def test_somebody_who_is_no_admin_sees_since_when_and_not_why(page: Page, webui: Site, provider: Provider) -> None:
    """The API tells why to admins alone: the page does not ask it for others."""

    def as_user(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "role": "user"})

    questions: list[str] = []
    page.on("request", lambda request: questions.append(request.url))
    fails(webui, provider)
    page.route("**/api/v1/auths/", as_user)
    page.route("**/api/v1/auths/signin", as_user)
    pick(page, webui)
    sign = page.locator("[id^=model-health-]").first
    expect(sign).to_have_text(f"{SINCE} a few seconds")
    assert not [url for url in questions if "/health/connections" in url]


def test_an_empty_picker_names_what_fails(page: Page, webui: Site) -> None:
    closed = f"http://127.0.0.1:{processes.free_port()}/v1"
    webui.connect([closed])
    webui.models()
    pick(page, webui)
    expect(page.get_by_role("status").filter(has_text=closed)).to_contain_text(SINCE)
    shoot(page, "no-model-health", NEW_CHAT)


def test_nothing_is_shown_where_the_api_says_nothing(page: Page, webui: Site, provider: Provider) -> None:
    """As stock's: its models have no such field, and it answers each path that it does not know with its page."""

    def without(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        rows = [{key: value for key, value in row.items() if "stale" not in key} for row in body["data"]]
        route.fulfill(response=answer, json={"data": rows})

    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    fails(webui, provider)
    page.route("**/api/models?*", without)
    page.route("**/health/connections", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    pick(page, webui)
    expect(page.get_by_role("option", name=f"Select {GONE[0]} model")).to_have_accessible_description("")
    page.goto(f"{webui.url}/admin/settings/connections")
    page.get_by_role("button", name="Configure").first.wait_for()
    expect(page.get_by_role("status").filter(has_text=SINCE)).to_have_count(0)
    assert set(faults) <= {NO_LIST}
