from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from webui_fork.config import upstream_lock
from webui_fork.config.overrides import Override
from webui_fork.core.settings import CHECKOUT
from webui_fork.oci import model
from webui_fork.rootfs.package import Package
from webui_fork.trust import sbom


def components(*packages: Package, override: Override) -> dict[str, Any]:
    material = sbom.Material(
        name="open-webui",
        tag="v1-p1",
        home="https://fork.invalid/x",
        tool_version="1",
        lock=upstream_lock.read(CHECKOUT / "upstream.lock"),
        image=model.image([], platform=("linux", "amd64"), created="2026-01-01T00:00:00Z", run={}, annotations={}),
        patches=(),
        components=sbom.components(packages, "12", (override,)),
        license_text="words",
    )
    document = json.loads(sbom.write(material))
    return {row["purl"]: row.get("properties", []) for row in document["components"]}


@pytest.mark.parametrize(("wanted", "installed"), [("2.13.0", "2.13.0+cpu"), ("1.0", "1.0.0"), ("1.0rc1", "1.0rc1")])
def test_a_raised_wheel_says_why_and_until_when(wanted: str, installed: str) -> None:
    override = Override(package="a-b", version=wanted, advisory="GHSA-1", reason="Bad.", expires=date(2027, 1, 31))
    rows = components(
        Package("pypi", "A_b", installed), Package("pypi", "other", installed), Package("deb", "a-b", installed),
        override=override,
    )  # fmt: skip
    raised = [purl for purl, properties in rows.items() if "webui_fork:override" in str(properties)]
    assert raised == [next(purl for purl in rows if purl.startswith("pkg:pypi/a-b@"))]
    assert {"name": "webui_fork:override", "value": "GHSA-1: Bad. Until 2027-01-31."} in rows[raised[0]]


def test_an_override_that_did_not_come_is_not_said_to_have() -> None:
    override = Override(package="a", version="2.0", advisory="GHSA-1", reason="Bad.", expires=date(2027, 1, 31))
    assert "webui_fork:override" not in str(components(Package("pypi", "a", "1.0"), override=override))
