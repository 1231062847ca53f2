"""A silent or slow connection costs a list 0.8 s, and nothing while it is silent."""

from __future__ import annotations

import time

import pytest

from containers import GOOD, Site, fault

HEALTHY = (GOOD, {"prefix_id": "good"})


@pytest.mark.parametrize("slot", ["openai", "ollama"])
def test_a_silent_connection_costs_only_itself(webui: Site, slot: str) -> None:
    silent = fault("silent", slot)
    webui.connect([HEALTHY, silent] if slot == "openai" else [HEALTHY], [silent] if slot == "ollama" else [])
    found = webui.models()
    assert "good.beside" in found.ids
    assert found.seconds < 2
    assert webui.models().seconds < 0.8  # it is still silent, and nobody waits again


def test_a_slow_connection_shows_up_when_it_has_answered(webui: Site) -> None:
    webui.connect([HEALTHY, fault("slow")])
    first = webui.models()
    assert "good.beside" in first.ids
    assert first.seconds < 2
    time.sleep(4)
    assert "beside" in webui.models().ids
