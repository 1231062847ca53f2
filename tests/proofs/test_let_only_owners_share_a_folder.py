"""Whoever may edit a shared folder shares it with others on stock, or takes the owner's grants away."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from processes import Site

ENV = {"USER_PERMISSIONS_FOLDERS_ALLOW_SHARING": "true"}


def _grant(user: str, permission: str) -> dict[str, Any]:
    return {"principal_type": "user", "principal_id": user, "permission": permission}


def _id(user: Site) -> str:
    return str(user.call("GET", "/api/v1/auths/").json()["id"])


@pytest.fixture(scope="module")
def owner(webui: Site) -> Site:
    return webui.signed_up("owner")


@pytest.fixture(scope="module")
def editor(webui: Site) -> Site:
    return webui.signed_up("editor")


@pytest.fixture
def folder(owner: Site, editor: Site) -> str:
    made = owner.call("POST", "/api/v1/folders/", json={"name": secrets.token_hex(4)})
    made.raise_for_status()
    place = f"/api/v1/folders/{made.json()['id']}"
    grants = [_grant(_id(editor), "read"), _grant(_id(editor), "write")]
    owner.call("POST", f"{place}/access/update", json={"access_grants": grants}).raise_for_status()
    return place


def test_an_editor_shares_with_nobody(webui: Site, editor: Site, folder: str) -> None:
    stranger = webui.signed_up("stranger")
    refused = editor.call("POST", f"{folder}/access/update", json={"access_grants": [_grant(_id(stranger), "read")]})
    assert refused.status_code == 403
    assert editor.call("GET", folder).status_code == 200  # the owner's grants are as they were
    assert stranger.call("GET", folder).status_code != 200


def test_an_editor_still_edits(editor: Site, folder: str) -> None:
    assert editor.call("POST", f"{folder}/update", json={"name": secrets.token_hex(4)}).status_code == 200


def test_the_owner_and_an_administrator_still_share(webui: Site, owner: Site, editor: Site, folder: str) -> None:
    for who in (owner, webui):
        form = {"access_grants": [_grant(_id(editor), "read"), _grant(_id(editor), "write")]}
        assert who.call("POST", f"{folder}/access/update", json=form).status_code == 200
