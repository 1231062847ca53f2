"""The admin reads what is wrong with a connection, and what to do."""

from __future__ import annotations

import pytest

from containers import GOOD, Site, fault

CAUSES = [
    ("/openai/verify", "http://provider:8000/f/only-v1", "answers at http://provider:8000/f/only-v1/v1"),
    ("/openai/verify", fault("html"), "web page"),
    ("/openai/verify", fault("status-503"), "status 503"),
    ("/openai/verify", fault("status-401"), "refuses the key"),
    ("/openai/verify", fault("ollama-like", "ollama"), "is an Ollama"),
    ("/openai/verify", "http://nobody.invalid/v1", "can not be looked up"),
    ("/openai/verify", "http://provider:9/v1", "refuses the connection"),
    ("/openai/verify", "https://provider:8000/v1", "does not speak TLS"),
    ("/openai/verify", fault("string"), "no list of models"),
    ("/openai/verify", fault("reset"), "hangs up without an answer"),
    ("/openai/verify", "ftp://provider/v1", "starts with neither http:// nor https://"),
    ("/ollama/verify", fault("html", "ollama"), "web page"),
    ("/ollama/verify", "http://nobody.invalid", "can not be looked up"),
]


@pytest.mark.parametrize(("path", "url", "words"), CAUSES)
def test_verifying_a_connection_names_the_cause(webui: Site, path: str, url: str, words: str) -> None:
    answer = webui.call("POST", path, json={"url": url, "key": "key"})
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert answer.json()["error"]["message"] == answer.json()["detail"]  # what the front end shows


def test_a_disabled_api_lists_nothing(webui: Site) -> None:
    webui.connect()
    for path, key in (("/openai/models", "data"), ("/ollama/api/tags", "models")):
        answer = webui.call("GET", path)
        assert answer.status_code == 200
        assert answer.json()[key] == []


def test_an_admin_sees_which_connection_fails_and_why(webui: Site) -> None:
    webui.connect([GOOD, fault("status-503")])
    webui.models()
    (failing,) = webui.models().failing
    assert (failing["slot"], failing["index"], failing["url"]) == ("OpenAI", 1, fault("status-503"))
    assert isinstance(failing["since"], int)
    assert "status 503" in failing["cause"]
