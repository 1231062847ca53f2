"""A huge answer costs its provider its models, not the server its memory."""

from __future__ import annotations

from containers import Site, fault


def test_no_more_models_than_a_list_can_take(webui: Site) -> None:
    webui.connect([fault("many")])
    assert 0 < len(webui.models().ids) <= 2000


def test_a_large_answer_is_no_list(webui: Site) -> None:
    webui.connect([fault("large")])
    assert "odd" not in webui.models().ids


def peak(webui: Site) -> int:
    """Return the most memory the server has had, in MiB."""
    return int(webui.shell("awk '/VmHWM/{print $2}' /proc/1/status")) >> 10


def test_a_bomb_stays_packed(webui: Site) -> None:
    webui.connect([fault("bomb")])
    before = peak(webui)
    webui.models()
    assert peak(webui) - before < 100
