"""A collection's name in other letters passes stock's check as something else than what the vector store then reads.

Vector stores fold case, and take `-` and `_` for one letter; the check that decides who may read did not.
"""

from __future__ import annotations

import pytest

from processes import Site

ENV = {"ENABLE_RETRIEVAL_UNSCOPED_COLLECTIONS": "true"}


def _status(user: Site, name: str) -> int:
    form = {"collection_names": [name], "query": "anything"}
    return user.call("POST", "/api/v1/retrieval/query/collection", json=form).status_code


@pytest.fixture(scope="module")
def reader(webui: Site) -> Site:
    return webui.signed_up("reader")


@pytest.mark.parametrize("spelled", ["user-memory-{}", "User-Memory-{}", "user_memory_{}", "USER_memory-{}"])
def test_somebody_elses_memory_is_refused_however_it_is_spelled(webui: Site, reader: Site, spelled: str) -> None:
    victim = webui.call("GET", "/api/v1/auths/").json()["id"]
    assert _status(reader, spelled.format(victim)) == 403


@pytest.mark.parametrize("name", ["Knowledge-Bases", "knowledge_bases", "FILE-of-somebody", "web_search_of_somebody"])
def test_what_is_closed_stays_closed(reader: Site, name: str) -> None:
    assert _status(reader, name) == 403


def test_ones_own_memory_passes_the_check(reader: Site) -> None:
    own = reader.call("GET", "/api/v1/auths/").json()["id"]
    assert _status(reader, f"user-memory-{own}") != 403
