"""Settings, terminal, report, index, process, tools, signing and the command line: the small parts."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Talk
from webui_fork import cli
from webui_fork.cli import build
from webui_fork.core import errors, process, settings
from webui_fork.core.errors import ImageError, LockError, PassphraseError, SigningError, ToolError, UsageError
from webui_fork.core.settings import CHECKOUT, Secret, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import human_size
from webui_fork.image import python
from webui_fork.series import branding
from webui_fork.sources import apt, package_index, programs
from webui_fork.trust import cosign

# --- settings


def test_folders_follow_the_xdg_base_directories() -> None:
    found = settings.load({"HOME": "/home/me", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "relative"})
    assert found.cache == Path("/c/webui-fork")
    assert found.config == Path("/home/me/.config/webui-fork")
    assert settings.load({"HOME": "/h", "WEBUI_FORK_CACHE": "/x"}).cache == Path("/x")


@pytest.mark.parametrize("bad", [{"WEBUI_FORK_CACHE": "relative"}, {"WEBUI_FORK_SIGN": "magic"}])
def test_a_setting_that_makes_no_sense_is_an_error(bad: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        settings.load({"HOME": "/h", **bad})


def test_the_passphrase_never_prints_and_is_not_passed_on_by_accident() -> None:
    found = settings.load({"HOME": "/h", "COSIGN_PASSWORD": "hunter2"})
    assert found.cosign_password
    assert found.cosign_password.reveal() == "hunter2"
    assert "hunter2" not in repr(found) + str(found.cosign_password)
    assert "COSIGN_PASSWORD" not in found.environ


def test_what_a_git_hook_sets_does_not_reach_our_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"):
        monkeypatch.setenv(name, "x")
    found = settings.load()
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH", "COSIGN_PASSWORD"} & {*found.environ, *os.environ}


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.name
        for path in (CHECKOUT / "build/webui_fork").rglob("*.py")
        if re.search(r"os\.environ|os\.getenv|getenv\(", path.read_text())
    }
    assert readers == {"settings.py"}


# --- terminal and report


def test_sizes_read_well() -> None:
    assert [human_size(size) for size in (0, 999, 1500, 260_000_000, 3 * 10**9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "260.0 MB",
        "3.0 GB",
    ]


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


def test_the_summary_says_what_was_made_and_what_to_type_next() -> None:
    values = {
        "tag": "open-webui:v1-p1",
        "digest": "sha256:d",
        "ref": "open-webui@sha256:d",
        "layers": [("base", 40_000_000, "sha256:b")],
        "patches": ["one.patch: One"],
        "times": {"base": 18.04, "series": 0.01},
        "key": "/k.pub",
        "next_command": "nox -s build -- --load",
    }
    text = build.build_summary(**values, fresh=True, drift=0)  # type: ignore[arg-type]
    for part in ("Built and signed", "sha256:d", "40.0 MB", "one.patch: One", "base 18.0 s", "/k.pub", "Next: nox"):
        assert part in text
    assert "DRIFT" not in text
    assert "Nothing changed" in build.build_summary(**values, fresh=False, drift=0)  # type: ignore[arg-type]
    assert "3 Debian packages" in build.build_summary(**values, fresh=True, drift=3)  # type: ignore[arg-type]


# --- index


def test_the_index_is_the_one_pip_is_set_up_with(tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\nindex-url = https://user:pw@mirror.invalid/simple\nfind-links = /wheels\n"
        "extra-index-url =\n  https://one.invalid/simple\n  file:///two\n"
    )
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(conf)}
    found = package_index.configured(settings.load(env))
    assert found.url == "https://user:pw@mirror.invalid/simple"
    assert found.extra == ("https://one.invalid/simple", "file:///two")
    assert found.uv_variables() == {
        "UV_DEFAULT_INDEX": "https://user:pw@mirror.invalid/simple",
        "UV_INDEX": "https://one.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
    }
    assert (
        package_index.configured(settings.load({**env, "UV_DEFAULT_INDEX": "https://uv.invalid"})).url
        == "https://uv.invalid"
    )


# --- rootfs


def test_a_requirement_without_a_hash_or_for_another_release_is_refused() -> None:
    from webui_fork.config import image_toml

    spec = image_toml.read(CHECKOUT / "images/open-webui")
    head = f"# input={python.requirements_input(b'x==1', spec)}\n"
    python.check_requirements(head + "x==1 \\\n    --hash=sha256:00\n", b"x==1", spec, Path("r"))
    with pytest.raises(LockError, match="r:2: x has no hash"):
        python.check_requirements(head + "x==1\n", b"x==1", spec, Path("r"))
    with pytest.raises(LockError, match="was not made from"):
        python.check_requirements(head, b"x==2", spec, Path("r"))


def test_scripts_start_the_image_s_interpreter_and_record_follows(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "x.dist-info").mkdir()
    script = tmp_path / "bin/tool"
    script.write_text("#!/some/machine/bin/python\nrun()\n")
    record = tmp_path / "x.dist-info/RECORD"
    record.write_text("bin/tool,sha256=old,3\nx.py,sha256=keep,1\n")
    python._fix_scripts(tmp_path, record, "3.11")
    assert script.read_text() == "#!/usr/bin/python3.11\nrun()\n"
    rows = record.read_text().splitlines()
    assert rows[0].startswith("bin/tool,sha256=")
    assert rows[0].endswith(f",{script.stat().st_size}")
    assert rows[1] == "x.py,sha256=keep,1"
    python._check_scripts(tmp_path, "3.11")


def test_uv_s_form_for_a_long_path_is_rewritten_and_what_is_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "x.dist-info").mkdir()
    script = tmp_path / "bin/tool"
    script.write_text("#!/bin/sh\n'''exec' '/My Projects/bin/python' \"$0\" \"$@\"\n' '''\nrun()\n")
    record = tmp_path / "x.dist-info/RECORD"
    record.write_text("bin/tool,sha256=old,3\n")
    python._fix_scripts(tmp_path, record, "3.11")
    assert script.read_text() == "#!/usr/bin/python3.11\nrun()\n"
    script.write_text("#!/opt/other/perl\n")
    with pytest.raises(ImageError, match="not in the image"):
        python._check_scripts(tmp_path, "3.11")


# --- apt


def test_mirrors_are_those_of_the_host_s_apt(private_settings: Settings, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake = bin_folder / "apt-get"
    fake.write_text(
        "#!/bin/sh\ncat <<'E'\n'http://m.invalid/debian/dists/bookworm/InRelease' m.invalid_debian 0 \n"
        "'http://s.invalid/debian-security/dists/bookworm-security/InRelease' s 0 \n"
        "'https://node.invalid/x/dists/nodistro/InRelease' n 0 \nE\n"
    )
    fake.chmod(0o755)
    own = replace(private_settings, environ={**private_settings.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"})
    assert apt.mirrors(own) == apt.Mirrors("http://m.invalid/debian", "http://s.invalid/debian-security")
    fake.write_text("#!/bin/sh\n")
    with pytest.raises(ToolError, match="No Debian mirror is known") as caught:
        apt.mirrors(own)
    assert "WEBUI_FORK_DEBIAN_MIRROR" in caught.value.remedy


# --- process, tools, signing


def test_a_program_that_is_missing_fails_or_hangs_is_told_apart() -> None:
    env = {"PATH": os.environ["PATH"]}
    with pytest.raises(ToolError, match="did not start"):
        process.run(["/nowhere/tool"], env=env)
    with pytest.raises(ToolError, match="exit code 3") as caught:
        process.run(["sh", "-c", "echo why >&2; exit 3"], env=env)
    assert caught.value.why == "why"
    with pytest.raises(ToolError, match="did not end within"):
        process.run(["sleep", "9"], env=env, timeout=0.1)


def test_a_missing_program_names_its_packages(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    for name in programs.TOOLS:
        with pytest.raises(ToolError) as caught:
            programs.find(private_settings, name, talk)
        assert f"{name} is missing" in caught.value.what
        assert all(manager in caught.value.remedy for manager in ("apt", "dnf", "brew"))


def fake_cosign(folder: Path, body: str) -> Path:
    path = folder / "cosign"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/argv\n{body}\n')
    path.chmod(0o755)
    return path


def signer(private_settings: Settings, tmp_path: Path, body: str, major: int = 2) -> cosign.Signer:
    return cosign.Signer(fake_cosign(tmp_path, body), major, str(tmp_path / "cosign.key"))


REF = "127.0.0.1:5000/x@sha256:" + "0" * 64


def test_the_passphrase_is_never_on_a_command_line(private_settings: Settings, tmp_path: Path) -> None:
    own = replace(private_settings, cosign_password=Secret("hunter2"))
    cosign.sign(own, signer(own, tmp_path, f'echo "$COSIGN_PASSWORD" > {tmp_path}/given'), REF)
    assert (tmp_path / "given").read_text() == "hunter2\n"
    assert "hunter2" not in (tmp_path / "argv").read_text()


def test_only_digests_are_signed(private_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="is a tag"):
        cosign.sign(private_settings, signer(private_settings, tmp_path, "exit 0"), "127.0.0.1:5000/x:latest")
    assert not (tmp_path / "argv").exists()


@pytest.mark.parametrize(("password", "word"), [(None, "missing"), (Secret("x"), "wrong")])
def test_a_missing_and_a_wrong_passphrase_are_told_apart(
    private_settings: Settings, tmp_path: Path, password: Secret | None, word: str
) -> None:
    own = replace(private_settings, cosign_password=password)
    with pytest.raises(PassphraseError, match=word):
        cosign.sign(
            own, signer(own, tmp_path, "echo 'reading key: decrypt: encrypted: decryption failed' >&2; exit 1"), REF
        )


def test_cosign_3_gets_its_own_flags(private_settings: Settings, tmp_path: Path) -> None:
    cosign.sign(private_settings, signer(private_settings, tmp_path, "exit 0", major=3), REF)
    assert "--use-signing-config=false" in (tmp_path / "argv").read_text()


# --- errors and the command line


def test_exit_codes_are_distinct_and_documented() -> None:
    def tree(kind: type[errors.ForkError]) -> list[type[errors.ForkError]]:
        return [kind, *(sub for child in kind.__subclasses__() for sub in tree(child))]

    kinds = [kind for kind in tree(errors.ForkError) if kind.__module__ == "webui_fork.core.errors"]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    documented = (CHECKOUT / "docs/exit-codes.md").read_text()
    for kind in kinds[1:]:
        assert f"| {kind.exit_code} |" in documented, kind


def test_a_user_s_mistake_is_words_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBUI_FORK_ROOT", str(tmp_path))
    assert cli.main(["build"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "upstream.lock is missing" in said
    assert "nox -s lock" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["build", "lock", "patches", "serve"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    assert caught.value.code == 0
    assert "example: nox -s" in capsys.readouterr().out


def test_ctrl_c_is_said_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main(["build"]) == 130
    assert "the next run goes on" in capsys.readouterr().err


# --- what the licence protects


MARKED = "a = 1\n\n# LICENSE covers this Open WebUI name.\nNAME = 'Open WebUI'\nuse(NAME)\n\nb = 2\n"


def test_a_marked_region_ends_at_the_blank_line() -> None:
    assert branding.regions(MARKED) == ("# LICENSE covers this Open WebUI name.\nNAME = 'Open WebUI'\nuse(NAME)",)


@pytest.mark.parametrize(
    ("after", "bad"),
    [
        (MARKED.replace("b = 2", "b = 3"), False),
        ("new = 0\n" + MARKED, False),
        (MARKED.replace("use(NAME)", "use(OTHER)"), True),
        (MARKED.replace("# LICENSE covers this Open WebUI name.\n", ""), True),
        (MARKED + "WEBUI_NAME = 'x'\n", True),
        ("", True),
    ],
)
def test_a_changed_marked_line_is_seen(after: str, bad: bool) -> None:
    assert bool(branding.text_problem("x.py", MARKED, after)) is bad
