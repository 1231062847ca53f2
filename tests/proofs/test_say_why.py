"""The admin reads what is wrong with a connection, the provider's words first, and a base URL is forgiven."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import outages
import processes
from processes import Provider, Site


def verify(webui: Site, url: str, slot: str = "openai", **form: Any) -> tuple[int, dict[str, Any]]:
    answer = webui.call("POST", f"/{slot}/verify", json={"url": url, "key": "key", **form})
    return answer.status_code, answer.json()


def why(webui: Site, url: str, slot: str = "openai") -> tuple[str, str]:
    """Return code and message of a connection that fails."""
    status, answer = verify(webui, url, slot)
    assert status == 400
    assert answer["error"]["message"] == answer["detail"]  # what the front end shows
    assert answer["error"]["type"] == "connection"
    assert re.search(r"[^.?][.?]$", answer["detail"]), answer["detail"]  # a sentence, to its end
    return answer["error"]["code"], answer["detail"]


FAULTS = [
    ("openai", "html", "not_found", "web page"),
    ("openai", "status-503", "answer", "status 503"),
    ("openai", "status-403", "key", "127.0.0.1 refuses the key"),
    ("openai", "string", "answer", "no list named 'data'"),
    ("openai", "not-json", "answer", "not JSON"),
    ("openai", "reset", "disconnected", "hangs up without an answer"),
    ("openai", "hang-up", "disconnected", "hangs up without an answer"),
    ("openai", "length-too-long", "error", "payload is not completed"),
    ("openai", "status-301-loop", "redirects", "redirects in a circle"),
    ("ollama", "html", "not_found", "web page"),
    ("ollama", "fine", "openai", "add it there"),
    ("ollama", "list-empty", "openai", "add it there"),
]


@pytest.mark.parametrize(("slot", "name", "code", "words"), FAULTS)
def test_verifying_a_connection_names_the_cause(
    webui: Site, provider: Provider, slot: str, name: str, code: str, words: str
) -> None:
    got, message = why(webui, provider.fault(name, slot), slot)
    assert words in message
    assert got == code


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://nobody.invalid/v1", "dns", "The name nobody.invalid can not be looked up."),
        ("http://127.0.0.1:9/v1", "refused", "nothing listens on port 9"),
        ("http://127.0.0.1/v1", "refused", "nothing listens on port 80"),
        ("ftp://127.0.0.1/v1", "url", "starts with neither http:// nor https://"),
        ("http://[::1/v1", "url", "is not a URL"),
        ("http://127.0.0.1:99999/v1", "url", "is not a URL"),
    ],
)
@pytest.mark.parametrize("slot", ["openai", "ollama"])
def test_an_address_that_is_wrong(webui: Site, url: str, code: str, words: str, slot: str) -> None:
    got, message = why(webui, url, slot)
    assert words in message
    assert got == code


def test_tls_where_there_is_none(webui: Site, provider: Provider) -> None:
    code, message = why(webui, f"https://{provider.host}/v1")
    assert code == "tls"
    assert "is it http:// instead of https://?" in message


def test_a_certificate_that_nobody_knows(webui: Site) -> None:
    with outages.tls() as host:
        code, message = why(webui, f"https://{host}/v1")
    assert code == "certificate"
    assert message.endswith("can not be verified: unable to get local issuer certificate.")  # not OpenSSL's whole line


def test_a_provider_that_does_not_answer(tree: Path, provider: Provider) -> None:
    with processes.webui(tree, env={"AIOHTTP_CLIENT_TIMEOUT_MODEL_LIST": "1"}) as site:
        code, message = why(site, provider.fault("silent"))
        assert code == "timeout"
        assert "does not answer in time" in message


REASONS = [
    ("401 Unauthorized", {"error": {"message": "Incorrect API key provided: sk-wro***"}}, "key"),
    ("429 Too Many Requests", {"error": {"message": "You exceeded your quota"}}, "answer"),
    ("403 Forbidden", {"detail": "No such organization"}, "key"),
    ("400 Bad Request", {"error": "A\u202ebad\nrequest"}, "answer"),
    ("200 OK", {"error": {"message": "Quota"}, "data": []}, "answer"),
    ("404 Not Found", {"message": "No such route"}, "not_found"),
]


@pytest.mark.parametrize(("status", "body", "code"), REASONS)
def test_the_providers_own_words_come_first(
    webui: Site, provider: Provider, status: str, body: dict[str, Any], code: str
) -> None:
    got, message = why(webui, provider.script(f"says{status[:3]}", status=status, body=body))
    reason = body.get("error") or body.get("detail") or body["message"]
    words = reason["message"] if isinstance(reason, dict) else reason
    assert words.replace("\u202e", " ").replace("\n", " ") in message
    assert got in (code, "ollama")  # which this provider can be, too: that is added, and replaces nothing
    assert ("refuses the key" in message) == (code == "key")
    if status[:3] != "200":
        assert f"status {status[:3]}" in message


def test_their_words_are_bounded(webui: Site, provider: Provider) -> None:
    body = {"error": {"message": "@pad@"}}
    _, message = why(webui, provider.script("talks", status="400 Bad Request", body=body, pad=100_000))
    assert "y" * 500 in message
    assert len(message) < 700


def test_an_ollama_where_an_openai_is_wanted(webui: Site, provider: Provider) -> None:
    code, message = why(webui, provider.fault("ollama-like", "ollama"))
    assert code == "ollama"
    assert "add it as an Ollama connection" in message


@pytest.mark.parametrize("slot", ["openai", "ollama"])
def test_one_that_works_answers_as_in_stock(webui: Site, provider: Provider, slot: str) -> None:
    status, answer = verify(webui, provider.fault("fine" if slot == "openai" else "ollama-like", slot), slot)
    assert status == 200
    assert answer["data"][0]["id"] == "beside" if slot == "openai" else answer["version"] == "0.9.0"


def test_azure_is_upstreams(webui: Site, provider: Provider) -> None:
    status, answer = verify(webui, provider.script("azure", status="418 Odd", body={"a": 1}), config={"azure": True})
    assert (status, answer) == (418, {"a": 1})
    for config in ({"azure": True}, {"provider": "azure"}):
        status, answer = verify(webui, provider.script("azure-odd", body={"a": 1}), config=config)
        assert (status, answer) == (200, {"a": 1})  # whatever its list looks like


PROXIES = [
    ("http://127.0.0.1:9", "The proxy http://127.0.0.1:9 does not answer. "),
    ("http://proxy.invalid:3128", "The proxy http://proxy.invalid:3128 can not be looked up."),
]


@pytest.mark.parametrize(("proxy", "words"), PROXIES)
def test_a_proxy_that_is_away_is_blamed(tree: Path, proxy: str, words: str) -> None:
    env = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": ""}
    with processes.webui(tree, env=env) as site:
        for url in ("http://models.example.com/v1", "https://models.example.com/v1"):
            code, message = why(site, url)
            assert code == "proxy"
            assert words in message
            assert "If models.example.com is on your own network, add it to NO_PROXY." in message
        assert why(site, "http://nobody/v1")[0] == "dns"  # which no proxy is asked for


def test_a_proxy_is_not_blamed_for_what_it_passes_on(tree: Path) -> None:
    with processes.provider() as proxy, processes.webui(tree, env={"HTTP_PROXY": f"http://{proxy.host}"}) as site:
        for status in ("401 Unauthorized", "429 Too Many Requests"):
            proxy.script("passed-on", status=status, body={"error": {"message": "no luck"}})
            code, message = why(site, "http://models.example.com/f/passed-on/v1")
            assert code == ("key" if status.startswith("401") else "answer")
            assert "The proxy" not in message
            assert "no luck" in message


def test_a_proxy_that_answers_itself_is_blamed(tree: Path, provider: Provider) -> None:
    with processes.webui(tree, env={"HTTP_PROXY": f"http://{provider.host}", "NO_PROXY": ""}) as site:
        code, message = why(site, "http://models.example.com/v1")
        assert code == "proxy"
        assert f"The proxy http://{provider.host} answers for models.example.com: status 503." in message
        code, message = why(site, provider.fault("status-503"))
        assert code == "answer"


def test_which_statuses_are_a_proxys_own(tree: Path) -> None:
    with processes.provider() as proxy, processes.webui(tree, env={"HTTP_PROXY": f"http://{proxy.host}"}) as site:
        for status, code in (("500 Oops", "proxy"), ("407 Who?", "proxy"), ("408 Late", "answer"), ("499 x", "answer")):
            proxy.script("own", status=status, body={})
            assert why(site, "http://models.example.com/f/own/v1")[0] == code, status


@pytest.mark.parametrize("slot", ["openai", "ollama"])
def test_a_disabled_api_lists_nothing(webui: Site, provider: Provider, slot: str) -> None:
    webui.connect([provider.script("off")], [provider.script("off", "ollama")])
    before = provider.lists("off")
    for api in ("openai.enable", "ollama.enable"):
        webui.set_config(api, "false")
    for of in ("", "/0"):
        answer = webui.call("GET", ("/openai/models" if slot == "openai" else "/ollama/api/tags") + of)
        assert answer.status_code == 200
        assert answer.json() == ({"data": []} if slot == "openai" else {"models": []})
    assert provider.lists("off") == before


def test_an_admin_sees_which_connection_fails_and_why(webui: Site, provider: Provider) -> None:
    secret = provider.fault("status-503").replace("http://", "http://me:secret@")
    urls = [provider.good, secret + "?key=secret", provider.fault("status-503")]
    webui.connect(urls, [provider.fault("string", "ollama")])
    webui.models()
    rows = webui.models().failing
    assert [(row["slot"], row["index"]) for row in rows] == [("Ollama", 0), ("OpenAI", 1), ("OpenAI", 2)]
    assert rows[1]["url"] == rows[2]["url"] == provider.fault("status-503")
    assert isinstance(rows[2]["since"], int)
    assert "status 503" in rows[2]["cause"]
    assert "secret" not in str(rows)
    webui.connect([provider.good])
    assert webui.models().ids  # what is no longer connected is not asked


def test_what_upstream_s_own_code_asks_for_is_as_in_stock(webui: Site, provider: Provider) -> None:
    """The configuration looks the default models of a user's group up in the list."""
    body = {"data": [{"id": "first"}, {"id": "second"}]}
    webui.connect([provider.script("defaults", body=body, wait=2.2)])  # for which nobody waits who looks at the list
    webui.join_group(default_models=["second", "gone"])
    assert webui.call("GET", "/api/config").json()["default_models"] == "second"


def test_nobody_else_sees_them(tree: Path, provider: Provider) -> None:
    with processes.site(tree, openai=[provider.fault("status-503")], auth=True) as admin:
        assert admin.models().failing
        assert admin.signed_up("user").call("GET", "/api/models").json().keys() == {"data"}
        admin.connect([provider.script("recovers", hang_up=True)])
        assert admin.models().failing
        provider.script("recovers")
        assert not [row for row in admin.models().failing if "recovers" in row["url"]]


@pytest.mark.parametrize("written", ["", "/", " {}/v1// ", " {} "])
def test_a_base_url_is_forgiven_for_lists_chats_and_verifying(webui: Site, provider: Provider, written: str) -> None:
    base = provider.fault("only-v1", "ollama")
    url = written.replace("{}", base) if "{}" in written else base + written
    webui.connect([url])
    for _ in range(2):
        assert "beside" in webui.models().ids
    assert "hello" in webui.chat("beside").text
    assert webui.call("GET", "/openai/config").json()["OPENAI_API_BASE_URLS"] == [url]  # as the admin wrote it
    status, _ = verify(webui, url)
    assert status == 200
    assert webui.call("GET", "/openai/models/0").status_code == 200


def test_where_the_api_is_may_change(webui: Site, provider: Provider) -> None:
    base = provider.script("moves", "ollama", status="404 Not Found", body={"detail": "Not Found"})
    webui.connect([base])
    assert not webui.models().ids
    provider.script("moves")
    assert webui.models().ids
    assert why(webui, provider.script("moves", status="404 Not Found", body={}))[0] == "not_found"
    versioned = [request for request in provider.asked() if "/f/moves/v1/v1" in request]
    assert not versioned  # it names a version already


def test_a_server_that_moves_its_api_up_is_found_again(webui: Site, provider: Provider) -> None:
    base = provider.script("lifted", "ollama", only="/v1/models")
    webui.connect([base])
    assert "beside" in webui.models().ids
    provider.script("lifted", "ollama", only="/lifted/models", body={"data": [{"id": "moved-up"}]})
    webui.models()
    assert "moved-up" in webui.models().ids


def test_a_chat_goes_where_the_admin_says_that_models_are(webui: Site, provider: Provider) -> None:
    base = provider.fault("only-v1", "ollama")
    webui.connect([base, (base, {"model_ids": ["by-hand"]})])
    webui.models()
    assert "by-hand" in webui.models().ids
    webui.chat("by-hand")
    assert any(" /f/only-v1/chat/completions " in request for request in provider.asked())


def test_a_path_that_is_passed_on_goes_where_the_admin_said(tree: Path, provider: Provider) -> None:
    base = provider.fault("only-v1", "ollama")
    with processes.site(tree, openai=[base], env={"ENABLE_OPENAI_API_PASSTHROUGH": "True"}) as site:
        assert site.models().ids
        for path in ("tokenize", "v1/chat/completions"):
            site.call("POST", f"/openai/{path}", json={"model": "beside", "messages": []})
            assert [line for line in provider.asked() if f" /f/only-v1/{path} " in line], path
        site.connect([f"{base}/v1", base])  # and the one that has it keeps it
        assert site.models().ids
        site.call("POST", "/openai/typed", json={})
        assert [line for line in provider.asked() if " /f/only-v1/v1/typed " in line]


def test_a_filter_of_a_server_of_pipelines_is_asked_where_the_list_was(webui: Site, provider: Provider) -> None:
    row = {"id": "filters", "pipeline": {"type": "filter", "pipelines": ["*"], "priority": 0}}
    base = provider.script("pipelines", body={"data": [row], "pipelines": True})
    webui.connect([provider.script("chats"), f"{base}/"])
    assert "beside" in webui.models().ids
    webui.chat("beside")
    paths = [request.split(" ")[1] for request in provider.asked() if "filter/inlet" in request]
    assert set(paths) == {"/f/pipelines/v1/filters/filter/inlet"}


def test_where_no_list_is_below_v1_either(webui: Site, provider: Provider) -> None:
    base = provider.script("empty-v1", "ollama", only="/v1/models", body={"error": "another API"})
    assert "status 404" in why(webui, base)[1]
    base = provider.script("with-query", "ollama", status="404 Not Found", body={}) + "?a=b"
    assert why(webui, base)[0] == "not_found"
    assert not [request for request in provider.asked() if "/with-query?a=b/v1" in request]


def test_the_key_is_sent_wherever_a_list_is_looked_for(webui: Site, provider: Provider) -> None:
    verify(webui, provider.script("keyed", "ollama", only="/v1/models"))
    why(webui, provider.script("other-slot", "ollama", only="/v1/models") + "/api", "ollama")
    why(webui, provider.script("slot-other", "ollama", only="/api/version") + "/v1")
    lists = [request for request in provider.asked() if re.search("/f/(keyed|other-slot|slot-other)/", request)]
    assert {request.split()[1] for request in lists} >= {
        "/f/keyed/v1/models",
        "/f/other-slot/v1/models",
        "/f/slot-other/api/version",
    }
    assert all("Authorization: Bearer key" in request for request in lists)


def test_an_ollama_without_a_version(webui: Site, provider: Provider) -> None:
    assert why(webui, provider.fault("object-empty", "ollama"), "ollama")[1].endswith(": the answer has no version.")


def test_a_configuration_by_url_as_of_old(webui: Site, provider: Provider) -> None:
    base = provider.fault("only-v1", "ollama")
    webui.connect([base + "/"])
    webui.set_config("openai.api_configs", f'{{"{base}/": {{"prefix_id": "old"}}}}')
    for _ in range(2):
        assert "old.beside" in webui.models().ids


def test_slashes_within_the_base_url_of_an_ollama_stay(webui: Site, provider: Provider) -> None:
    webui.connect([], [f"http://{provider.host}/to/http://ollama//"])
    webui.models()
    assert any(request.startswith("GET /to/http://ollama/api/tags ") for request in provider.asked())


@pytest.mark.parametrize("written", ["/", "//", " "])
def test_an_ollama_with_something_at_its_end(webui: Site, provider: Provider, written: str) -> None:
    webui.connect([], [provider.fault("strict-path", "ollama") + written])
    assert "beside" in webui.models().ids
    webui.connect([], [provider.script("ollama-chats", "ollama") + written])
    assert "beside" in webui.models().ids
    assert "hello" in webui.chat("beside").text


def test_an_anthropic_key_that_is_refused(tree: Path, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("")
    said = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    base = provider.script("api.anthropic.com", status="401 Unauthorized", body=said)
    with processes.webui(tree) as site:
        code, message = why(site, base)
        assert "invalid x-api-key" in message
        assert code in ("key", "answer")
        dead = base.replace(provider.host, "127.0.0.1:9")
        assert why(site, dead)[0] == "refused"
        models = {"data": [{"id": "claude", "display_name": "Claude"}, {"id": 7}], "has_more": False}
        site.connect([provider.script("api.anthropic.com", body=models)])
        assert (site.models().get("claude") or {})["name"] == "Claude"
