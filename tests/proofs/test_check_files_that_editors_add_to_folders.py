"""Whoever may edit a shared folder adds a private file of its owner to it on stock, and reads it through the folder."""

from __future__ import annotations

from typing import Any

import pytest

from processes import Site

ENV = {"USER_PERMISSIONS_FOLDERS_ALLOW_SHARING": "true"}


def _id(user: Site) -> str:
    return str(user.call("GET", "/api/v1/auths/").json()["id"])


def _file(user: Site, name: str) -> dict[str, Any]:
    sent = user.call("POST", "/api/v1/files/?process=false", files={"file": (name, b"private", "text/plain")})
    sent.raise_for_status()
    return {"type": "file", "id": sent.json()["id"], "name": name}


@pytest.fixture(scope="module")
def owner(webui: Site) -> Site:
    return webui.signed_up("owner")


@pytest.fixture(scope="module")
def editor(webui: Site) -> Site:
    return webui.signed_up("editor")


@pytest.fixture(scope="module")
def folder(owner: Site, editor: Site) -> str:
    made = owner.call("POST", "/api/v1/folders/", json={"name": "Shared"})
    made.raise_for_status()
    place = f"/api/v1/folders/{made.json()['id']}"
    grants = [{"principal_type": "user", "principal_id": _id(editor), "permission": name} for name in ("read", "write")]
    owner.call("POST", f"{place}/access/update", json={"access_grants": grants}).raise_for_status()
    return place


def _set(user: Site, folder: str, *files: dict[str, Any]) -> int:
    return user.call("POST", f"{folder}/update", json={"data": {"files": list(files)}}).status_code


def test_an_editor_adds_no_file_that_the_editor_may_not_read(owner: Site, editor: Site, folder: str) -> None:
    assert _set(editor, folder, _file(owner, "private.txt")) == 403


def test_an_editor_keeps_what_the_owner_attached(owner: Site, editor: Site, folder: str) -> None:
    attached = _file(owner, "attached.txt")
    assert _set(owner, folder, attached) == 200
    assert _set(editor, folder, attached) == 200
    assert _set(editor, folder, attached, _file(owner, "another.txt")) == 403
