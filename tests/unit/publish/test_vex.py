from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osv import document, judgement, judgements
from webui_fork.config import reference
from webui_fork.core.errors import AuditError
from webui_fork.core.settings import CHECKOUT
from webui_fork.publish import vex

TARGET = reference.parse("ghcr.io/me/open-webui")
GOOD = judgement("pkg:pypi/pyyaml@6.0", justification="vulnerable_code_not_present")


def parse(tmp_path: Path, value: object) -> vex.Document:
    file = tmp_path / vex.FILE
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return vex.parse(file)


def test_the_checkouts_own_is_read() -> None:
    assert vex.parse(CHECKOUT / "images/open-webui" / vex.FILE).context == vex.CONTEXT


def test_what_is_attested_has_the_image_as_its_product_and_the_package_inside() -> None:
    whole = json.loads(vex.predicate(document(GOOD), TARGET))
    assert whole == {
        **judgements({
            **GOOD,
            "products": [
                {
                    "@id": "pkg:oci/open-webui?repository_url=ghcr.io/me/open-webui",
                    "subcomponents": [{"@id": "pkg:pypi/pyyaml@6.0"}],
                }
            ],
        })
    }  # fmt: skip


def test_nothing_judged_is_an_empty_document() -> None:
    assert json.loads(vex.predicate(document(), TARGET))["statements"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "harmless"}, "Invalid enum value 'harmless'"),
        ({"justification": "it is fine"}, "Invalid enum value 'it is fine'"),
        ({"status": "affected"}, "`affected` needs an `action_statement`"),
        ({"justification": None}, "`not_affected` needs a `justification`"),
        ({"products": []}, "Expected `array` of length >= 1"),
        ({"products": [{"@id": "pyyaml"}]}, "purl"),
        ({"vulnerability": {}}, "missing required field `name`"),
        ({"impact": "none"}, "unknown field `impact`"),
    ],
)
def test_an_odd_statement_is_refused_in_words(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    parse(tmp_path, judgements(GOOD))
    with pytest.raises(AuditError, match=r"vex\.openvex\.json can't be read") as caught:
        parse(tmp_path, judgements({**GOOD, **change}))
    assert words in caught.value.why
    assert "docs/trust.md" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, json.dumps({**judgements(), "timestamp": "today"})])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AuditError, match="can't be read"):
        parse(tmp_path, text)


def test_a_missing_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="can't be read"):
        vex.parse(tmp_path / vex.FILE)
