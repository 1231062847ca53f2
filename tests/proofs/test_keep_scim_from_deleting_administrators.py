"""An identity provider that prunes its users deletes the administrators of stock, the last one too."""

from __future__ import annotations

import requests

from processes import Site

TOKEN = "scim-token-of-a-test"
ENV = {"ENABLE_SCIM": "true", "SCIM_TOKEN": TOKEN, "SCIM_AUTH_PROVIDER": "oidc"}


HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def _provisioned(webui: Site, name: str, role: str) -> str:
    """Return a user that the identity provider made, and an administrator gave a role."""
    form = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": f"{name}@example.org",
        "externalId": name,
        "displayName": name,
        "emails": [{"value": f"{name}@example.org", "primary": True}],
        "active": True,
    }
    answer = requests.post(f"{webui.url}/api/v1/scim/v2/Users", headers=HEADERS, json=form, timeout=30)
    answer.raise_for_status()
    user = str(answer.json()["id"])
    webui.sql("UPDATE user SET role = ? WHERE id = ?", role, user)
    return user


def _delete(webui: Site, user: str) -> int:
    return requests.delete(f"{webui.url}/api/v1/scim/v2/Users/{user}", headers=HEADERS, timeout=30).status_code


def _users(webui: Site) -> set[str]:
    return {user["id"] for user in webui.call("GET", "/api/v1/users/all").json()["users"]}


def test_an_administrator_stays(webui: Site) -> None:
    user = _provisioned(webui, "second-admin", "admin")
    assert _delete(webui, user) == 403
    assert user in _users(webui)


def test_a_user_goes(webui: Site) -> None:
    user = _provisioned(webui, "leaver", "user")
    assert _delete(webui, user) == 204
    assert user not in _users(webui)


def test_nobody_is_still_not_found(webui: Site) -> None:
    assert _delete(webui, "nobody") == 404
