"""CVE-2026-45339: as a cookie or `x-api-key`, a key that is held to some endpoints reaches all."""

from __future__ import annotations

import pytest
import requests

from processes import Site

ENV = {
    "ENABLE_API_KEYS": "true",
    "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": "true",
    "API_KEYS_ALLOWED_ENDPOINTS": "/api/v1/users",
}


@pytest.fixture(scope="module")
def key(webui: Site) -> str:
    answer = webui.call("POST", "/api/v1/auths/api_key")
    answer.raise_for_status()
    return str(answer.json()["api_key"])


@pytest.mark.parametrize("cookie", [False, True])
@pytest.mark.parametrize(("path", "status"), [("/api/v1/users/user/settings", 200), ("/api/v1/chats/", 403)])
def test_a_key_reaches_what_it_may(webui: Site, key: str, path: str, status: int, cookie: bool) -> None:
    headers = {"Cookie": f"token={key}"} if cookie else {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{webui.url}{path}", headers=headers, timeout=30).status_code == status


def test_the_header_of_another_vendor_is_no_way_around(webui: Site, key: str) -> None:
    form = {"model": "any", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    answer = requests.post(f"{webui.url}/api/v1/messages", headers={"x-api-key": key}, json=form, timeout=30)
    assert answer.status_code == 403
