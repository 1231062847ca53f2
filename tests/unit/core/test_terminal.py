from __future__ import annotations

import io

import pytest

from webui_fork.core.terminal import Terminal
from webui_fork.oci import transfer


@pytest.mark.parametrize("rich", [False, True])
def test_progress_goes_to_its_stream_and_steps_are_timed(rich: bool) -> None:
    out = io.StringIO()
    terminal = Terminal(rich=rich, stream=out)
    with terminal.step("build", "Building"), terminal.bar("Downloading x", 2_000_000) as advance:
        advance(2_000_000)
    assert rich or "Downloading x" in out.getvalue()  # live rows show on a real terminal only
    assert list(terminal.times) == ["build"]


def test_steps_may_run_at_the_same_time_on_a_terminal() -> None:
    out = io.StringIO()
    terminal = Terminal(rich=True, stream=out)
    with terminal.step("one", "Doing one"), terminal.step("two", "Doing two"):
        terminal.say("meanwhile [not markup]")
    terminal.say("after")
    assert "meanwhile [not markup]" in out.getvalue()
    assert out.getvalue().endswith("after\n")
    assert list(terminal.times) == ["two", "one"]


def test_plain_lines_have_no_control_codes() -> None:
    out = io.StringIO()
    with Terminal(stream=out).step("build", "Building"):
        pass
    assert out.getvalue() == "Building …\n"


def test_quiet_progress_takes_whatever_comes() -> None:
    with transfer.quiet("layer", 3) as advance:
        advance(3)
