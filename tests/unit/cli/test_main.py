from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

import webui_fork
from helpers import Server, reply
from webui_fork.cli import build, main
from webui_fork.core import process
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal


def test_a_user_s_mistake_is_words_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(tmp_path))
    assert main.main(["build"]) == 2
    assert f"{tmp_path} is not a checkout of webui_fork" in capsys.readouterr().err
    (tmp_path / "patches").mkdir()
    assert main.main(["build"]) == 3
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert "upstream.lock is missing" in output
    assert "nox -s lock" in output
    assert "Traceback" not in output


MISTAKES = {
    "build --variant x": "--variant is only valid with --image",
    "build --unsigned --load": "An unsigned build can't be loaded",
    "publish r/n --variant x": "--variant is only valid with --image",
    "lock --revise --release 0.12.3": "--release does not go with",
    "lock --line 0.11 --tools": "are for the checkout, not for a line",
    "backtest --front-end": "--front-end is only valid with it",
    "backtest --synthetic -1": "--synthetic takes a number",
    "pin oci:out/image": "no cluster pulls from there",
    "verify docs": "A layout is oci:docs",
    "doctor --webui http://x --vllm foo": "as --vllm http://localhost:8000",
    f"rebase --to 0.{'9' * 5000}": "a thousand digits",
    "adopt file:///\udcff#x": "is not UTF-8",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_would_be_ignored_is_an_error(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert main.main(words.split()) == 2
    assert MISTAKES[words] in capsys.readouterr().err


@pytest.mark.parametrize("words", ["mutants --jobs 0", "mutants --sample -1", "mutants --jobs x"])
def test_a_number_is_one(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(words.split())
    assert "write a number of at least 1" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    """As `… | head -1`."""
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT / "build")}
    argv = [sys.executable, "-m", "webui_fork", "completion", "bash"]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


@pytest.mark.parametrize("verb", ["build", "lock", "patches", "serve"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main([verb, "--help"])
    assert caught.value.code == 0
    assert "example: nox -s" in capsys.readouterr().out


def test_ctrl_c_while_a_verb_is_imported_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert main.main(["build"]) == 130
    assert "the next run goes on" in capsys.readouterr().err


def test_ctrl_c_is_said_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run", interrupted)
    assert main.main(["build"]) == 130
    assert "the next run goes on" in capsys.readouterr().err


def test_an_error_is_one_red_line_and_its_remedy_below(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("It is off.", why="Because.", remedy="Do this.")
    assert main._report(error, terminal=True) == 2
    assert capsys.readouterr().err == "\033[31merror: It is off.\033[0m\n  Because.\n  Do this.\n"
    main._report(error, terminal=False)
    assert "\033" not in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"webui-fork {webui_fork.__version__}\n"
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == webui_fork.__version__
    assert project["scripts"] == {"webui-fork": "webui_fork.cli.main:main"}


def test_a_verb_imports_no_other() -> None:
    code = "import sys; from webui_fork.cli import main; main.parser('serve'); print(*sys.modules)"
    env = {"PYTHONPATH": str(CHECKOUT / "build")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    modules = {name for name in done.stdout.split() if name.startswith("webui_fork.cli.")}
    assert modules == {"webui_fork.cli.main", "webui_fork.cli.serve"}
    code = code.replace("'serve'", "''")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split() if name.startswith("webui_fork.")}
    assert rooms == {"cli", "core"}  # help, and a verb with a typing error, import no room


def test_a_verb_that_tells_everything_tells_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: Server
) -> None:
    def asks(settings: Settings, _ui: Terminal, _arguments: argparse.Namespace) -> int:
        process.run(["true", "https://me:p@hunter1@host/path?token=hunter2#hunter4"], env=settings.environ)
        requests.get(f"{server.url}/blob?signature=hunter3", timeout=5)
        return 7

    server.answer = lambda handler: reply(handler, 200)
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(tmp_path))
    monkeypatch.setattr(build, "run", asks)
    (tmp_path / "patches").mkdir()
    assert main.main(["build"]) == 7
    assert "debug: " not in capsys.readouterr().err
    assert main.main(["build", "--verbose"]) == 7
    told = capsys.readouterr().err
    assert "debug: starts: true 'https://host/path?…'\ndebug: exit code 0 after 0." in told
    assert '"GET /blob?… HTTP/1.1" 200' in told
    assert "hunter" not in told


@pytest.mark.parametrize("words", [["patches", "-v", "list"], ["patches", "list", "-v"], ["lock", "--verbose"]])
def test_everything_is_told_wherever_it_is_asked(words: list[str]) -> None:
    assert main.parser(words[0]).parse_args(words).verbose is True


def test_a_bare_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 0
    assert "verify    check a published image" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["biuld"], "'biuld' is unknown. Did you mean 'build'?"),
        (["patches", "aply"], "'aply' is unknown. Did you mean 'apply'?"),
        (["frobnicate"], "'frobnicate' is unknown. `webui-fork --help` lists what there is."),
    ],
)
def test_a_misspelt_verb_is_guessed(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(words)
    assert caught.value.code == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--synthetic", "0"], ["--synthetic", "-1"], ["--front-end"]])
def test_no_edits_are_no_replay(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["backtest", *words]) == 2
    assert "--synthetic takes a number of edits" in capsys.readouterr().err


def test_quiet_shows_no_progress_and_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    ui = Terminal(quiet=True)
    with ui.step("a", "Working"), ui.bar("Pushing", 10) as advance:
        advance(5)
        ui.say("NOTE: something")
    assert capsys.readouterr().err == "NOTE: something\n"
    assert "a" in ui.times
    with pytest.raises(SystemExit):
        main.main(["lock", "-q", "-v"])


def test_what_tells_something_tells_it_as_json_too() -> None:
    """Each verb but those that run on, or draw and write files of their own."""
    whole = main.parser()
    (verbs,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    without = {name for name, one in verbs.choices.items() if "--json" not in one.format_help()}
    assert without == {"serve", "completion", "patches", "backtest", "matrix", "mutants"}
