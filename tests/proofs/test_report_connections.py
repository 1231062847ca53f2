"""GET /health/connections tells an admin, and Prometheus, what is known of each connection."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

import processes
from model_servers import ANSWERS, LISTED, say, server
from processes import Provider, Site

PATH = "/health/connections"
PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"}


def rows(site: Site) -> list[dict[str, Any]]:
    answer = site.call("GET", PATH)
    answer.raise_for_status()
    listed: list[dict[str, Any]] = answer.json()["connections"]
    return listed


def metrics(site: Site) -> dict[str, float]:
    """Return the value of each metric with its labels; every line is of the text format."""
    answer = requests.get(
        f"{site.url}{PATH}", headers={"Authorization": f"Bearer {site.token}", **PROMETHEUS}, timeout=10
    )
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    label = r'\w+="(?:[^"\\\n]|\\[\\"n])*"'
    line = re.compile(rf"# (HELP|TYPE) webui_connection_\w+ .+|webui_connection_\w+{{{label}(,{label})*}} [-\d.e]+")
    assert [text for text in lines if not line.fullmatch(text)] == []
    return {name: float(value) for name, _, value in (text.rpartition(" ") for text in lines if text[0] != "#")}


def test_one_that_is_well(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good], [provider.fault("fine", "ollama")])
    assert [(row["slot"], row["index"], row["state"]) for row in rows(webui)] == [
        ("OpenAI", 0, "unknown"), ("Ollama", 0, "unknown"),
    ]  # fmt: skip
    webui.models()
    for row in rows(webui):
        assert (row["state"], row["up"], row["models"], row["left_out_seconds"]) == ("well", 1, 1, 0)
        assert 0 < row["answer_seconds"] < 10
        assert 0 <= row["asked_seconds"] < 10
    labels = f'{{slot="OpenAI",index="0",url="{provider.good}"}}'
    assert metrics(webui)[f"webui_connection_up{labels}"] == 1
    assert metrics(webui)[f"webui_connection_models{labels}"] == 1
    names = {key.partition("{")[0].removeprefix("webui_connection_") for key in metrics(webui)}
    assert names == {"up", "models", "answer_seconds", "asked_seconds", "left_out_seconds"}


def test_one_that_fails(webui: Site, provider: Provider) -> None:
    name = provider.script("comes", body={"data": [{"id": "was"}, {"id": "is"}]})
    webui.connect([provider.good, name])
    webui.models()
    provider.script("comes", status="500 Down", body="")
    webui.models()
    time.sleep(1.1)
    _, row = rows(webui)
    assert (row["state"], row["up"], row["models"], row["index"]) == ("failing", 0, 2, 1)
    assert "status 500" in row["cause"]
    assert 1 <= row["failing_seconds"] < 10
    assert "answer_seconds" not in row
    shown = metrics(webui)
    assert shown[f'webui_connection_up{{slot="OpenAI",index="1",url="{name}"}}'] == 0
    assert shown[f'webui_connection_failing_seconds{{slot="OpenAI",index="1",url="{name}"}}'] >= 1
    assert not any("failing_seconds" in key and provider.good in key for key in shown)


def test_one_that_chats_leave_out(webui: Site) -> None:
    port = processes.free_port()
    with server(ANSWERS) as well:
        webui.connect([(f"http://127.0.0.1:{port}/v1", LISTED), well.connection])
        webui.models()
        assert say(webui).status_code == 200
        assert [row["left_out_seconds"] > 0 for row in rows(webui)] == [True, False]


def test_it_asks_nobody_and_shows_no_secret(webui: Site, provider: Provider) -> None:
    url = provider.script("counted", body={"data": [{"id": "one"}]})
    webui.connect([url.replace("http://", "http://user:pass@") + "?token=x"], keys=["a-key"])
    webui.models()
    before = provider.lists("counted")
    text = webui.call("GET", PATH).text + str(metrics(webui))
    assert provider.lists("counted") == before
    assert not any(word in text for word in ("pass", "token=", "a-key"))


def test_what_is_switched_off_or_malformed(webui: Site, provider: Provider) -> None:
    off = (provider.good, {"enable": False})
    webui.connect([off, 'http://[bad"\\', "http://127.0.0.1"], [(provider.fault("fine", "ollama"), {"enable": False})])
    assert [(row["index"], row["left_out_seconds"]) for row in rows(webui)] == [(1, 0), (2, 0)]
    webui.models()
    metrics(webui)
    webui.connect([])
    assert rows(webui) == []


def test_an_odd_configuration(webui: Site, provider: Provider) -> None:
    form = {"ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": [provider.good] * 2, "OPENAI_API_KEYS": ["key"]}
    for config in ("x", [1], None):
        configs = {"OPENAI_API_CONFIGS": {"0": config}}
        webui.call("POST", "/openai/config/update", json={**form, **configs}).raise_for_status()
        assert len(rows(webui)) == 2


def test_two_rows_of_one_connection_are_both_known(webui: Site, provider: Provider) -> None:
    webui.connect([provider.good, provider.good])
    webui.models()
    assert [row["state"] for row in rows(webui)] == ["well", "well"]


def test_one_whose_models_the_admin_listed_is_unknown(webui: Site, provider: Provider) -> None:
    """No list asks it."""
    webui.connect([(provider.good, LISTED)])
    webui.models()
    assert [row["state"] for row in rows(webui)] == ["unknown"]
    assert not any("_up" in name for name in metrics(webui))


def test_a_client_that_also_takes_text_gets_json(webui: Site) -> None:
    headers = {"Authorization": f"Bearer {webui.token}", "Accept": "application/json, text/plain, */*"}
    assert "connections" in requests.get(f"{webui.url}{PATH}", headers=headers, timeout=10).json()


def test_v1_that_a_list_found(webui: Site, provider: Provider) -> None:
    """The row of a connection is the same before and after its base URL was found to lack `/v1`."""
    webui.connect([provider.fault("only-v1", "ollama")])
    for _ in range(2):
        webui.models()
        (row,) = rows(webui)
        assert (row["state"], row["models"]) == ("well", 1)


def test_prometheus_has_a_key_for_this_path_alone(tree: Path) -> None:
    """As docs/kubernetes.md says to set it up."""
    env = {
        "ENABLE_API_KEYS": "true",
        "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": "true",
        "API_KEYS_ALLOWED_ENDPOINTS": PATH,
    }
    with processes.webui(tree, env=env, auth=True) as site:
        answer = site.call("POST", "/api/v1/auths/api_key")
        answer.raise_for_status()
        prometheus = replace(site, token=answer.json()["api_key"])
        assert prometheus.call("GET", PATH).status_code == 200
        assert metrics(prometheus)
        assert prometheus.call("GET", "/api/models").status_code == 403


def test_only_admins(tree: Path) -> None:
    with processes.webui(tree, auth=True) as site:
        user = site.signed_up("other")
        assert (site.call("GET", PATH).status_code, user.call("GET", PATH).status_code) == (200, 401)
        assert requests.get(f"{site.url}{PATH}", timeout=10).status_code == 401
        assert requests.get(f"{site.url}/health", timeout=10).json() == {"status": True}
