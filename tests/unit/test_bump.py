"""What a bump brings, of two SBOMs: see tests/bench/bump.py."""

from __future__ import annotations

import json
from dataclasses import replace

from bench import bump
from webui_fork.sources import interface
from webui_fork.sources.interface import Difference


def test_what_packages_bring_along() -> None:
    def sbom(**components: str) -> bytes:
        """Each by its purl's type and name, as `pypi__name`, with the identifier of its licence."""
        rows = [
            {
                "purl": f"pkg:{kind}/{name}@1",
                "name": name,
                "licenses": [{"license": {"id": licence}}] if licence else [],
            }
            for (kind, _, name), licence in ((key.partition("__"), value) for key, value in components.items())
        ]
        return json.dumps({"components": rows}).encode()

    old = sbom(pypi__Changed="MIT", pypi__gone="MIT", pypi__same="MIT", deb__same="GPL-2.0"), {"same", "gone"}
    new = sbom(pypi__changed="SSPL-1.0", pypi__same="MIT", deb__same="GPL-2.0", npm__new=""), {"same", "changed"}
    assert list(interface.compared(*bump.contents(old, new))) == [
        Difference("licence", "npm package new", "", "none named"),
        Difference("licence", "wheel changed", "MIT", "SSPL-1.0"),
        Difference("native wheel", "changed", "no", "yes"),
    ]


def test_what_one_flavour_has_otherwise_names_it() -> None:
    slim, both = Difference("licence", "wheel b", "", "MIT"), Difference("licence", "wheel c", "MIT", "BSD")
    wheel = Difference("wheel", "z", "1", "2")
    rows = {both: ["slim", "full"], slim: ["slim"], wheel: ["slim", "full"]}
    assert bump.named(rows, ["slim", "full"]) == [wheel, replace(slim, name="wheel b (slim)"), both]
