from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from webui_fork.cli import doctor as verb
from webui_fork.core.text import without_secrets
from webui_fork.doctor import findings
from webui_fork.doctor.findings import Finding, Severity


def test_what_a_server_says_is_printed_without_the_key() -> None:
    said = Finding("api-key", Severity.CRITICAL, "It said sk-secret-1.", ("Bearer sk-secret-1",), "No sk-secret-1.")
    assert "sk-secret-1" not in str(findings.redacted(said, ("sk-secret-1",)))
    cut = replace(said, evidence=("401 Incorrect API key provided: sk-secret-0123",))  # what it said was longer
    assert "sk-secre" not in str(findings.redacted(cut, ("sk-secret-0123456789",)))
    assert "Incorrect API key provided: ***" in str(findings.redacted(cut, ("sk-secret-0123456789",)))
    for url in ("user:pw@proxy:3128", "http://user:p/w@proxy:3128", "http://user:pw@proxy:3128/?key=pw"):
        assert "pw" not in without_secrets(url)
        assert "p/w" not in without_secrets(url)


def test_the_report_has_cause_evidence_and_remedy_and_no_escapes() -> None:
    rows = (
        Finding("dns", Severity.CRITICAL, "No name.\x1b[31m", ("seen",), "First.\nSecond."),
        Finding("list-slow", Severity.WARNING, "Slow.", (), "Wait."),
    )
    text = findings.text("http://w", "about", rows, ("the rest",))
    assert "\x1b" not in text
    assert re.search(r"critical: No name.* \[dns\]\n  evidence: seen\n  fix: First\.\n       Second\.\n\nAlso:", text)
    assert "not checked: the rest" in text
    coloured = findings.text("http://w", "about", rows, (), colour=True)
    assert coloured.count("\x1b[31m") == 1  # ours, and not the one that came with the words
    assert "\x1b[33mwarning: Slow." in coloured
    document = findings.document("http://w", "about", rows, ())
    assert [row["severity"] for row in json.loads(json.dumps(document))["findings"]] == ["critical", "warning"]


@pytest.mark.parametrize(
    ("found", "code"),
    [((), 0), ((Severity.INFO,), 0), ((Severity.INFO, Severity.WARNING), 24), ((Severity.CRITICAL,), 25)],
)
def test_the_exit_code_is_by_the_worst(found: tuple[Severity, ...], code: int) -> None:
    made = [Finding("x", severity, "", (), "") for severity in found]
    assert verb._EXIT[findings.worst(made)] == code
