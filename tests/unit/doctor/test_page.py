from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from webui_fork.doctor import page
from webui_fork.doctor.facts import Connection, Facts, Reply, Seen
from webui_fork.doctor.findings import Finding, Severity

UP = Seen("http://w/health", "from here", status=200)
LISTED = Reply(200, {"data": []}, 0.1)
GOOD = Connection("OpenAI", 0, "http://vllm:8000/v1")
BAD = Connection("OpenAI", 1, "http://user:word@other:8000/v1")
FACTS = Facts(
    "http://w", UP, "0.12.4", config={"version": "0.12.4"}, role="admin", listing=LISTED, connections=(GOOD, BAD)
)
BROKEN = Finding(
    "refused", Severity.CRITICAL, f"{BAD.name} refuses the connection.", ("it is shut",), "Start it.\nThen look."
)


def write(facts: Facts = FACTS, *findings: Finding) -> str:
    text = page.write(facts, "Open WebUI 0.12.4", findings, "2026-11-28 12:00 UTC", "webui-fork 1.0")
    HTMLParser().feed(text)
    return text


def ways(text: str) -> list[str]:
    return re.findall(r"<div class=way>.*?</div>", text, re.DOTALL)


def test_only_the_arrow_of_the_broken_connection_is_broken() -> None:
    good, bad = ways(write(FACTS, BROKEN))
    assert "✕" not in good
    assert "refused" in bad
    assert bad.count("arrow bad") == 1
    assert "http://other:8000/v1" in bad


def test_a_warning_breaks_no_arrow() -> None:
    assert "✕" not in write(FACTS, replace(BROKEN, severity=Severity.WARNING))


def test_a_proxy_between_them_is_drawn() -> None:
    proxied = replace(BAD, base=replace(UP, proxy="squid:3128"))
    finding = Finding("proxy", Severity.CRITICAL, f"{BAD.name} is asked through a proxy that can't reach it.", (), "x")
    _, way = ways(write(replace(FACTS, connections=(GOOD, proxied)), finding))
    assert way.index("Open WebUI") < way.index("squid:3128") < way.index("✕") < way.index("other:8000")


def test_a_server_that_is_not_there_breaks_the_first_arrow() -> None:
    down = Finding("webui-unreachable", Severity.CRITICAL, "Nothing answers.", (), "Start it.")
    text = write(replace(FACTS, connections=()), down)
    (way,) = ways(text)
    assert way.index("✕") < way.index("Open WebUI")
    assert "No connection could be seen" in text


def test_it_has_the_first_cause_as_its_head_and_all_that_was_found() -> None:
    text = write(replace(FACTS, unchecked=("the image's signature: --image REF",)), BROKEN)
    assert re.search(r"<h1>OpenAI connection 2 \(http://other:8000/v1\) refuses the connection.</h1>", text)
    assert "<li>it is shut" in text
    assert "<pre>Start it.\nThen look.</pre>" in text
    assert "<li>the image&#x27;s signature: --image REF" in text
    assert "No problem could be seen" in write()


@pytest.mark.parametrize("words", ["<script>alert(1)</script>", "\x1b[31mred", "sk-very-secret-key"])
def test_nothing_of_others_words_acts_and_no_secret_stays(words: str) -> None:
    odd = Finding(words, Severity.CRITICAL, words, (words,), words)
    facts = replace(FACTS, connections=(replace(GOOD, url=f"http://{words}/"),), secrets=("sk-very-secret-key",))
    text = write(replace(facts, unchecked=(words,)), odd)
    assert words not in text
    assert "\x1b" not in text
    assert "word@" not in text


def test_it_needs_nothing_else() -> None:
    text = write(FACTS, BROKEN)
    for needed in ("src=", "href=", "url(", "<script", "@import"):
        assert needed not in text
