from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from webui_fork.core import process, settings
from webui_fork.core.errors import UsageError
from webui_fork.core.settings import CHECKOUT, Settings


def test_folders_follow_the_xdg_base_directories() -> None:
    found = settings.load({"HOME": "/home/me", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "relative"})
    assert found.cache == Path("/c/webui-fork")
    assert found.config == Path("/home/me/.config/webui-fork")
    assert settings.load({"HOME": "/h", "WEBUI_FORK_CACHE": "/x"}).cache == Path("/x")


@pytest.mark.parametrize(
    "bad", [{"WEBUI_FORK_CACHE": "relative"}, {"WEBUI_FORK_SIGN": "magic"}, {"WEBUI_FORK_SANDBOX": "off"}]
)
def test_a_setting_that_makes_no_sense_is_an_error(bad: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        settings.load({"HOME": "/h", **bad})


def test_the_passphrase_never_prints_and_is_not_passed_on_by_accident() -> None:
    loaded = settings.load({"HOME": "/h", "COSIGN_PASSWORD": "hunter2"})
    assert loaded.cosign_password
    assert loaded.cosign_password.reveal() == "hunter2"
    assert "hunter2" not in repr(loaded) + str(loaded.cosign_password)
    assert "COSIGN_PASSWORD" not in loaded.environ


def test_what_a_git_hook_sets_does_not_reach_our_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"):
        monkeypatch.setenv(name, "x")
    found = settings.load()
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"} & {*found.environ, *os.environ}


def reads_the_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and bool(names & {alias.name for alias in node.names})
    return isinstance(node, ast.Attribute) and ast.unparse(node) in {f"os.{name}" for name in names}


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.name
        for path in (CHECKOUT / "build/webui_fork").rglob("*.py")
        if any(map(reads_the_environment, ast.walk(ast.parse(path.read_text()))))
    }
    assert readers == {"settings.py"}
    for code in ("import os\nos.getenv('X')", "import os\nx = os.environ['X']", "from os import environ"):
        assert any(map(reads_the_environment, ast.walk(ast.parse(code))))


def configured(folder: Path, text: str, **env: str) -> settings.Settings:
    (folder / "config.toml").write_text(text)
    return settings.load({"HOME": "/h", "WEBUI_FORK_CONFIG": str(folder), **env})


def test_the_configuration_file_says_what_the_environment_does_not(tmp_path: Path) -> None:
    text = 'sign = "keyless"\nidentity = "https://me"\ndebian-mirror = "http://a"\ncache = "/c"\n'
    loaded = configured(tmp_path, text, WEBUI_FORK_DEBIAN_MIRROR="http://b")
    assert (loaded.sign, loaded.cache, loaded.debian_mirror) == ("keyless", Path("/c"), "http://b")
    assert loaded.environ["WEBUI_FORK_IDENTITY"] == "https://me"  # verify reads it there


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('cosign-password = "hunter2"\n', "'cosign-password' is not a setting"),
        ("inputs = 7\n", "'inputs' is not a setting, or not a text"),
        ("[sign]\n", "'sign' is not a setting, or not a text"),
        ("sign = \n", "can't be read"),
        ('config = "/elsewhere"\n', "'config' is not a setting"),
        ('sign = "magic"\n', "WEBUI_FORK_SIGN is 'magic'"),
    ],
)
def test_a_configuration_file_that_makes_no_sense_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        configured(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_a_configuration_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="can't be read"):
        settings.load({"HOME": "/h", "WEBUI_FORK_CONFIG": str(tmp_path)})


def test_what_is_kept_from_somebody_else_s_code_does_not_come_back_from_the_file(tmp_path: Path) -> None:
    """A proof, or the tool of another commit, reads settings of its own."""
    text = 'sign = "keyless"\nidentity = "https://me"\ninputs = "ghcr.io/me/x"\n'
    child = settings.load(process.plain(configured(tmp_path, text).environ))
    assert (child.sign, child.inputs) == ("key", "ghcr.io/me/x")
    assert "WEBUI_FORK_IDENTITY" not in child.environ


def test_an_error_names_the_file_where_it_set_the_value(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        configured(tmp_path, 'cache = "relative"\n')
    assert f"{tmp_path / 'config.toml'} sets it." in caught.value.why
    with pytest.raises(UsageError) as caught:
        configured(tmp_path, 'cache = "/c"\n', WEBUI_FORK_SIGN="magic")
    assert "config.toml" not in caught.value.why


def test_an_empty_variable_sets_nothing_and_a_byte_order_mark_is_no_setting(tmp_path: Path) -> None:
    assert configured(tmp_path, '\ufeffcache = "/c"\n', WEBUI_FORK_CACHE="").cache == Path("/c")


@pytest.mark.parametrize(
    ("given", "confined"),
    [
        ({}, True),
        ({"WEBUI_FORK_SANDBOX": ""}, True),
        ({"WEBUI_FORK_SANDBOX": "required"}, True),
        ({"WEBUI_FORK_SANDBOX": "none"}, False),
    ],
)
def test_a_sandbox_is_required_unless_somebody_says_otherwise(given: dict[str, str], confined: bool) -> None:
    assert settings.load({"HOME": "/h", **given}).sandbox is confined


def test_a_line_is_a_folder_with_a_lock(private_settings: Settings) -> None:
    for name in ("0.9", "0.11", "notes"):
        (private_settings.root / "lines" / name).mkdir(parents=True)
    for name in ("0.9", "0.11"):
        (private_settings.root / "lines" / name / "upstream.lock").touch()
    assert private_settings.lines == private_settings.on_line("0.9").lines == ("0.11", "0.9")
