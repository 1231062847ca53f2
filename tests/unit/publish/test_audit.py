"""The audit against an OSV server on loopback that answers as the public one documents; that one was never asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from helpers import Server, reply
from osv import document, judgement
from webui_fork.cli import audit as cli_audit
from webui_fork.core.errors import AuditError
from webui_fork.publish import audit
from webui_fork.publish.audit import Queried

SBOM = {
    "components": [
        {"purl": "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc%402.36-8"},
        {"purl": "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=debian-12"},
        {"purl": "pkg:pypi/pyyaml@6.0"},
        {"purl": "pkg:npm/%40s/p@1"},
    ]
}
PYYAML, BASH = Queried("PyPI", "pyyaml", "6.0"), Queried("Debian:12", "bash", "5.2.15-2")
VULN = {
    "id": "PYSEC-1",
    "aliases": ["CVE-2026-1", "GHSA-x"],
    "summary": "Bad loader",
    "affected": [
        {"package": {"name": "pyyaml"}, "ranges": [{"events": [{"introduced": "0"}, {"fixed": "6.1"}]}]},
        {"package": {"name": "other"}, "ranges": [{"events": [{"fixed": "9"}]}]},
    ],
}


def serve(server: Server, vulnerable: dict[str, list[str]], page: dict[str, str] | None = None) -> list[Any]:
    questions: list[Any] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            number = handler.path.rpartition("/")[2]
            reply(handler, 200, json.dumps({**VULN, "id": number}).encode())
            return
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        questions.append(body)
        results = []
        for query in body["queries"]:
            name = query["package"]["name"]
            row: dict[str, Any] = {"vulns": [{"id": number} for number in vulnerable.get(name, [])]}
            if page and name in page and "page_token" not in query:
                row["next_page_token"] = page[name]
            results.append(row)
        reply(handler, 200, json.dumps({"results": results}).encode())

    server.answer = answer
    return questions


def look_up(server: Server, *packages: Queried) -> tuple[audit.Finding, ...]:
    with requests.Session() as http:
        http.trust_env = False
        return audit.look_up(http, server.url, packages)


def test_debian_is_asked_by_source_package_without_binary_rebuilds() -> None:
    assert set(audit.packages(SBOM)) == {
        Queried("Debian:12", "glibc", "2.36-8"), BASH, PYYAML, Queried("npm", "@s/p", "1"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ecosystem", "version", "asked"),
    [
        ("PyPI", "2.13.0+cpu", "2.13.0"),
        ("Debian:12", "5.2-2+b13", "5.2-2"),
        ("Debian:12", "7-10+deb12u5", "7-10+deb12u5"),
        ("npm", "1+b1", "1+b1"),
    ],
)
def test_a_build_has_the_version_that_it_is_a_build_of(ecosystem: str, version: str, asked: str) -> None:
    assert Queried.of(ecosystem, "x", version) == Queried(ecosystem, "x", asked)


def test_a_fix_of_an_older_branch_and_a_commit_are_no_fixes() -> None:
    spans = [
        {"type": "GIT", "events": [{"fixed": "4f0c"}]},
        {"type": "ECOSYSTEM", "events": [{"fixed": "5.9"}, {"introduced": "6.0"}, {"fixed": "6.1"}, {"fixed": "6.0"}]},
    ]
    row = {"id": "X", "affected": [{"package": {"name": "pyyaml"}, "ranges": spans}]}
    assert audit._finding(PYYAML, row).fixed == ("6.1",)
    spans = [{"events": [{"fixed": "5.2.15-3"}]}]
    debian = {"id": "X", "affected": [{"package": {"name": "bash"}, "ranges": spans}]}
    assert audit._finding(BASH, debian).fixed == ("5.2.15-3",)


def test_a_finding_says_what_is_fixed_where(server: Server) -> None:
    serve(server, {"pyyaml": ["PYSEC-1"]})
    (finding,) = look_up(server, BASH, PYYAML)
    assert (finding.package, finding.id, finding.fixed, finding.summary) == (PYYAML, "PYSEC-1", ("6.1",), "Bad loader")
    assert "CVE-2026-1" in cli_audit.table([finding])
    with pytest.raises(AuditError, match="Not judged: 1 known vulnerability"):
        audit.refuse([finding])


def test_further_pages_are_asked_for(server: Server) -> None:
    questions = serve(server, {"pyyaml": ["PYSEC-1"]}, {"pyyaml": "more"})
    assert len(look_up(server, BASH, PYYAML)) == 2
    assert [len(body["queries"]) for body in questions] == [2, 1]
    assert questions[1]["queries"][0]["page_token"] == "more"


def test_a_judgement_settles_its_own_package_only(server: Server) -> None:
    serve(server, {"pyyaml": ["PYSEC-1"], "bash": ["PYSEC-1"]})
    row = judgement("pkg:pypi/pyyaml@6.0", name="CVE-2026-1", impact_statement="only safe_load is called")
    judged = audit.judge(look_up(server, PYYAML, BASH), document(row))
    assert [(item.package.name, item.settled) for item in judged] == [("bash", False), ("pyyaml", True)]
    assert "not_affected: only safe_load is called" in cli_audit.table(judged)
    audit.refuse(judged[1:])


@pytest.mark.parametrize("purl", ["pkg:deb/debian/pyyaml@6.0", "pkg:pypi/pyyaml@5.0", "pkg:npm/pyyaml@6.0"])
def test_a_judgement_of_another_package_settles_nothing(server: Server, purl: str) -> None:
    serve(server, {"pyyaml": ["PYSEC-1"]})
    (finding,) = audit.judge(look_up(server, PYYAML), document(judgement(purl)))
    assert not finding.settled
    assert not finding.judged


@pytest.mark.parametrize(("status", "settled"), [("fixed", True), ("affected", False), ("under_investigation", False)])
def test_what_is_not_known_to_be_harmless_stays(server: Server, status: str, settled: bool) -> None:
    serve(server, {"pyyaml": ["PYSEC-1"]})
    row = judgement("pkg:pypi/pyyaml", status=status, action_statement="Load no files of others.")
    (finding,) = audit.judge(look_up(server, PYYAML), document(row))
    assert finding.settled == settled
    assert finding.judged == f"{status}: Load no files of others."


@pytest.mark.parametrize("body", [{"results": 5}, {"results": [None]}, {"results": [{"vulns": [{}]}]}, []])
def test_an_odd_answer_is_no_clean_bill(server: Server, body: object) -> None:
    server.answer = lambda handler: reply(handler, 200, json.dumps(body).encode())
    with pytest.raises(AuditError):
        look_up(server, PYYAML)


def test_a_judgement_that_it_matters_settles_nothing(server: Server) -> None:
    serve(server, {"pyyaml": ["PYSEC-1"]})
    row = judgement("pkg:pypi/pyyaml@6.0", status="affected", action_statement="Move on.")
    with pytest.raises(AuditError):
        audit.refuse(audit.judge(look_up(server, PYYAML), document(row)))


@pytest.mark.parametrize("answer", [(500, b""), (200, b"<html>"), (200, b'{"results": []}')])
def test_a_database_that_does_not_answer_is_no_clean_bill(server: Server, answer: tuple[int, bytes]) -> None:
    server.answer = lambda handler: reply(handler, *answer)
    with pytest.raises(AuditError):
        look_up(server, PYYAML)


def test_nothing_found_is_said() -> None:
    assert cli_audit.table([]) == "No known vulnerability."
    audit.refuse([])
