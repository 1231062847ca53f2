"""With notes switched off, stock hides them on its pages alone: its API still gives and takes them."""

from __future__ import annotations

import pytest

from processes import Site


@pytest.fixture(scope="module")
def user(webui: Site) -> Site:
    return webui.signed_up("writer")


@pytest.fixture
def note(user: Site) -> str:
    return str(user.call("POST", "/api/v1/notes/create", json={"title": "Plan", "data": {}}).json()["id"])


def _switch(webui: Site, value: bool) -> None:
    form = webui.call("GET", "/api/v1/auths/admin/config").json()
    answer = webui.call("POST", "/api/v1/auths/admin/config", json={**form, "ENABLE_NOTES": value})
    answer.raise_for_status()


@pytest.mark.parametrize("who", ["user", "admin"])
def test_the_switch_is_for_the_api_too(webui: Site, user: Site, note: str, who: str) -> None:
    asking = user if who == "user" else webui
    asked_for = [
        ("GET", "/api/v1/notes/", None),
        ("GET", "/api/v1/notes/search", None),
        ("GET", f"/api/v1/notes/{note}", None),
        ("POST", "/api/v1/notes/create", {"title": "Another"}),
        ("POST", f"/api/v1/notes/{note}/update", {"title": "Changed"}),
        ("DELETE", f"/api/v1/notes/{note}/delete", None),
    ]
    _switch(webui, False)
    try:
        answers = {(method, path): asking.call(method, path, json=form).status_code for method, path, form in asked_for}
    finally:
        _switch(webui, True)
    assert set(answers.values()) == {403}, answers


def test_notes_that_are_on_work(user: Site, note: str) -> None:
    assert user.call("GET", f"/api/v1/notes/{note}").json()["title"] == "Plan"
