"""The rebase as a user types it: real releases, a checkout of git, and everything that can come in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import Server, hang_up, reply
from users import User
from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import inputs, pipeline
from webui_fork.series import apply
from webui_fork.sources import package_index

PINNED = upstream_lock.read(CHECKOUT / "upstream.lock").version
BEFORE = "0.12.3"
OLD = CHECKOUT / "tests/assets/ours/0.11.4"
UNSURE = OLD.with_name("log-attached-files.patch")  # 0.12 loops over something else around its place

pytestmark = [pytest.mark.alone, pytest.mark.minutes(1)]


@pytest.fixture
def user(tmp_path: Path, real: Settings, built: pipeline.Built) -> User:
    """A user with a clone of this checkout, at one commit."""
    return committed(User(tmp_path / "user", real, warm=True).with_one_image(real).without_front_end(real))


def committed(new_user: User) -> User:
    new_user.env |= {"GIT_AUTHOR_NAME": "U", "GIT_AUTHOR_EMAIL": "u@example.org"}
    new_user.env |= {"GIT_COMMITTER_NAME": "U", "GIT_COMMITTER_EMAIL": "u@example.org"}
    new_user.git("init", "--quiet", "--initial-branch", "main")
    commit(new_user, "as it was")
    return new_user


def commit(user: User, subject: str) -> str:
    user.git("add", "--all")
    user.git("commit", "--quiet", "-m", subject)
    return user.git_output("rev-parse", "HEAD")


def stops(user: User, *words: str) -> str:
    """Type a command of a rebase that then waits for a person; return what it says."""
    code, _, err = user.run(*words)
    assert code == 18, err
    return err


def is_as_it_was(user: User, head: str) -> None:
    assert user.git_output("rev-parse", "HEAD") == head
    assert user.git_output("status", "--porcelain") == ""
    assert len(user.git_output("worktree", "list").splitlines()) == 1
    assert not (user.root / ".git/webui-fork-rebase.json").exists()


def set_back(user: User, real: Settings, *more: Path) -> str:
    """Set a checkout back to 0.11.4, with the series as it stood then, and more patches behind the first."""
    shutil.rmtree(user.root / "patches")
    shutil.copytree(OLD, user.root / "patches")
    series = (user.root / "patches/series").read_text().splitlines()
    series[2:2] = [Path(shutil.copy(patch, user.root / "patches")).name for patch in more]
    (user.root / "patches/series").write_text("\n".join(series) + "\n")
    where = package_index.configured(real)
    releases, _ = package_index.listing(where, package_index.session(where))
    found = package_index.pick(releases, OLD.name)
    there = Settings(user.root, user.cache, user.root, False, environ=user.env)
    pin = Lock(found.version, found.time, found.sdist, found.wheel, None, inputs.lock_inputs(there))
    upstream_lock.write(user.root / "upstream.lock", pin)
    return commit(user, "back at 0.11.4")


@pytest.mark.minutes(3)
def test_there_and_back_again(tmp_path: Path, real: Settings, built: pipeline.Built) -> None:
    """With the locks of every flavour and architecture."""
    user = committed(User(tmp_path / "user", real, warm=True).with_one_image(real, whole=True).without_front_end(real))
    patches = {path.name: path.read_bytes() for path in (user.root / "patches").glob("*.patch")}
    was = upstream_lock.read(user.root / "upstream.lock").tag
    code, out, err = user.run("rebase", "--to", BEFORE, "--no-gate")
    assert code == 0, err
    assert f"{PINNED} -> {BEFORE}: not proved" in out
    assert upstream_lock.read(user.root / "upstream.lock").version == BEFORE
    subjects = user.git_output("log", "--format=%s").splitlines()
    assert subjects == [f"Carry the series to {BEFORE}", f"Bump Open WebUI to {BEFORE}", "as it was"]
    changed = user.git_output("show", "--name-only", "--format=", "HEAD~1").splitlines()
    for begin in ("", "full.", "arm64.", "full.arm64."):
        assert f"images/open-webui/{begin}requirements.lock" in changed
    assert not [name for name in changed if name.startswith("patches/")]
    assert f"Open WebUI {BEFORE}" in (user.root / "README.md").read_text()
    assert f"- Open WebUI {BEFORE} (was {PINNED})." in (user.root / "CHANGELOG.md").read_text()
    assert user.git_output("status", "--porcelain") == ""
    report = json.loads((user.root / "out/rebase/report.json").read_text())
    assert report["notes"], "0.12.4's changelog has changes to know"
    gone = {(row["kind"], row["name"]) for row in report["differences"] if not row["after"]}
    assert {
        ("setting", "UI_VISIBILITY"),
        ("endpoint", "GET /api/v1/files/user/count"),
        ("requirement", "httpx2"),
    } <= gone
    listed = [row["name"] for row in report["differences"] if row["kind"] == "endpoint"]
    assert len(listed) == 7
    assert all(" /api/v1/" in name for name in listed)
    assert ("wheel", "mcp-types") in gone  # of the new locks: one that upstream does not name
    code, out, err = user.run("rebase", "--to", PINNED, "--no-gate")
    assert code == 0, err
    bound = (f"Applies-To: >={PINNED}".encode(), f"Applies-To: >={BEFORE}".encode())
    carried = {path.name: path.read_bytes() for path in (user.root / "patches").glob("*.patch")}
    assert carried == {name: data.replace(*bound) for name, data in patches.items()}  # it has been on both
    # a release that is pinned anew starts at revision 1
    readme = (user.root / "README.md").read_text().replace(f"v{PINNED}-p1", was)
    assert readme.strip() == user.git_output("show", "HEAD~4:README.md").strip()
    assert (user.root / "out/rebase/report.html").stat().st_size > 1000


def test_a_carried_series_is_canonical_and_lints(user: User) -> None:
    code, _, err = user.run("rebase", "--to", BEFORE, "--no-gate")
    assert code == 0, err
    code, _, err = user.run("patches", "lint")
    assert code == 0, err


def test_a_release_that_needs_another_python_is_blocked(user: User) -> None:
    lock = user.root / "images/open-webui/debian.lock"
    older = re.sub(r"^(python3\.11 )3\.11\.", r"\g<1>3.9.", lock.read_text(), flags=re.MULTILINE)
    assert older != lock.read_text()
    lock.write_text(older)
    there = Settings(user.root, user.cache, user.root, False, environ=user.env)
    pinned = upstream_lock.read(there.lock_file)
    upstream_lock.write(there.lock_file, replace(pinned, inputs=inputs.lock_inputs(there)))
    head = commit(user, "as if the base had Python 3.9")
    for more in (["--dry-run"], []):
        code, _, err = user.run("rebase", "--to", BEFORE, *more)
        assert code == 19, err
        assert f"Open WebUI {BEFORE} needs Python " in err
    assert "the image's base has 3.9.2." in err
    is_as_it_was(user, head)
    report = json.loads((user.root / "out/rebase/report.json").read_text())
    count = len([*(user.root / "patches").glob("*.patch")])
    assert (report["verdict"], len(report["rows"])) == ("blocked", count)
    assert report["blocker"] in (user.root / "out/rebase/report.md").read_text()
    assert "needs Python" in (user.root / "out/rebase/report.html").read_text()


def test_a_dry_run_says_what_would_become_of_each_patch(user: User, real: Settings) -> None:
    head = set_back(user, real, UNSURE)
    code, out, err = user.run("rebase", "--to", "0.12.4", "--dry-run")
    assert code == 0, err
    outcomes = {line.split()[0]: line.split()[1] for line in out.splitlines() if ".patch" in line}
    assert list(outcomes.values()).count("conflict") == 1
    assert "not" in outcomes.values()  # tried: it ends at the first that needs a person
    assert "its proof would decide" in out
    assert "if its proof is red without it" in out
    assert "without --dry-run" in out
    assert "A dry run" in (user.root / "out/rebase/dry-run.md").read_text()
    assert not (user.root / "out/rebase/report.json").exists()
    is_as_it_was(user, head)


def the_earlier_decision_is_offered(user: User) -> None:
    """It is not applied in silence."""
    err = stops(user, "rebase", "--to", "0.12.4", "--no-gate")
    assert "An earlier resolution is there" in err
    assert "log-attached-files.patch needs a person" in err
    for name in ("go-direct", "list-functions-apart"):  # both before it were accepted
        err = stops(user, "rebase", "--continue", "--earlier")
        assert f"{name}.patch needs a person" in err
    code, _, err = user.run("rebase", "--skip")
    assert code == 0, err
    series = (user.root / "patches/series").read_text()
    assert "log-attached-files.patch" in series
    assert "list-functions-apart.patch" not in series


@pytest.mark.minutes(4)
def test_a_patch_that_needs_a_person(user: User, real: Settings) -> None:
    head = set_back(user, real, UNSURE)
    err = stops(user, "rebase", "--to", "0.12.4", "--no-gate")
    # what only a proof could say, without a gate
    assert "log-attached-files.patch needs a person (1 of 10 patches were carried before it)" in err
    assert user.git_output("rev-parse", "HEAD") == head
    assert user.git_output("status", "--porcelain") == ""
    words = (user.root / "out/rebase/conflict/CONFLICT.md").read_text()
    for said in ("**What it is for.**", "other conditions around", "nox -s rebase -- --abort"):
        assert said in words
    place = user.root / "out/rebase/conflict/backend/open_webui/utils/middleware.py"
    assert {path.name for path in place.iterdir()} >= {"base", "ours", "theirs", "merged"}
    assert "conflict" in (user.root / "out/rebase/report.md").read_text()

    report = (user.root / "out/rebase/report.md").read_bytes()
    for typed in (["rebase"], ["rebase", "--dry-run"]):
        err = stops(user, *typed)
        assert (user.root / "out/rebase/report.md").read_bytes() == report
    assert "A rebase to 0.12.4 is under way; it waits for a person at patches/log-attached-files.patch" in err

    # what the syntax tree suggests is in the tree; the person has to say that it is right, until one has markers
    err = stops(user, "rebase", "--continue")
    assert "is unchanged since it was laid out" in err
    err = stops(user, "rebase", "--continue", "--accept")
    # the release has new code in a `with` whose session the patch changes
    assert "go-direct.patch needs a person (4 of 10 patches were carried before it)" in err
    assert "below a head that the patch changes" in (user.root / "out/rebase/conflict/CONFLICT.md").read_text()
    err = stops(user, "rebase", "--continue", "--accept")
    assert "list-functions-apart.patch needs a person (7 of 10 patches were carried before it)" in err
    words = (user.root / "out/rebase/conflict/CONFLICT.md").read_text()
    assert "between 0.11.4 and 0.12.0" in words
    assert "get_function_module_from_cache" in words
    plugin = user.root / "out/rebase/resolve/backend/open_webui/utils/plugin.py"
    merged = plugin.read_text()
    plugin.write_text("def broken(:\n")
    err = stops(user, "rebase", "--continue")
    assert "is not Python any more" in err
    plugin.write_text(merged)
    err = stops(user, "rebase", "--continue", "--accept")
    assert "has conflict markers in backend/open_webui/utils/plugin.py" in err

    code, out, err = user.run("rebase", "--abort")
    assert code == 0, err
    assert "taken back" in out
    is_as_it_was(user, head)

    the_earlier_decision_is_offered(user)


@pytest.mark.minutes(5)
def test_a_rebase_that_is_killed_at_every_step_goes_on(user: User) -> None:
    head = user.git_output("rev-parse", "HEAD")
    last = "Locking the Debian packages of open-webui"
    steps = [("Asking", 0.0), ("Carrying", 0.5), ("Carrying", 4.0), ("Locking the Python packages of open-webui", 0.5)]
    steps += [(last, wait) for wait in (0.0, 1.0, 1.5, 2.0)]
    for line, wait in steps:
        begun = (user.root / ".git/webui-fork-rebase.json").exists()
        how = ("--continue",) if begun else ("--to", BEFORE, "--no-gate")
        with user.start("rebase", *how) as child:
            assert child.stderr
            for said in child.stderr:
                if line in said:
                    time.sleep(wait)
                    break
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        assert user.git_output("status", "--porcelain") == ""
        if user.git_output("rev-parse", "HEAD") != head:
            break
    if (user.root / ".git/webui-fork-rebase.json").exists():
        code, _, err = user.run("rebase", "--continue")
        assert code == 0, err
    assert user.git_output("log", "--format=%s").splitlines()[0] == f"Carry the series to {BEFORE}"
    assert not (user.root / ".git/webui-fork-rebase.json").exists()
    assert len(user.git_output("worktree", "list").splitlines()) == 1


def test_ctrl_c_in_the_middle_and_abort(user: User) -> None:
    head = user.git_output("rev-parse", "HEAD")
    with user.start("rebase", "--to", BEFORE, "--no-gate") as child:
        assert child.stderr
        while "Locking" not in child.stderr.readline():
            pass
        child.send_signal(signal.SIGINT)
        child.communicate()
    assert child.returncode == 130
    assert user.git_output("status", "--porcelain") == ""
    code, _, err = user.run("rebase", "--abort")
    assert code == 0, err
    is_as_it_was(user, head)


def test_two_at_once(user: User) -> None:
    with (
        user.start("rebase", "--to", BEFORE, "--no-gate") as one,
        user.start("rebase", "--to", BEFORE, "--no-gate") as two,
    ):
        outputs = [child.communicate() for child in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], outputs
    assert sum("waiting for it to end" in err for _, err in outputs) == 1
    assert sum("Nothing new" in out for out, _ in outputs) == 1
    assert len(user.git_output("log", "--format=%s").splitlines()) == 3


def serve(server: Server, *names: tuple[str, dict[str, object]]) -> dict[str, str]:
    """Serve an index with these files; returns the environment that names it."""
    files = [
        {"filename": name, "url": f"/f/{name}", "size": 10, "upload-time": "2027-01-01T00:00:00Z",
         "hashes": {"sha256": "0" * 64}, **more}
        for name, more in names
    ]  # fmt: skip
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": "open-webui", "files": files, "versions": []}).encode()
    kind = "application/vnd.pypi.simple.v1+json"
    server.answer = lambda handler: reply(handler, 200, page, Content_Type=kind)
    return {"UV_DEFAULT_INDEX": f"{server.url}/simple/", "NO_PROXY": "127.0.0.1"}


def both(version: str, **more: object) -> list[tuple[str, dict[str, object]]]:
    return [(f"open_webui-{version}.tar.gz", more), (f"open_webui-{version}-py3-none-any.whl", more)]


def test_nothing_new(user: User, server: Server) -> None:
    head = user.git_output("rev-parse", "HEAD")
    newer = [*both("0.99.0rc1"), *both("0.99.0", yanked="bad"), both("0.99.1")[1], *both("0.9.0")]
    env = serve(server, *both(PINNED), *newer)
    code, out, err = user.run("rebase", **env)
    assert code == 0, err
    assert f"Nothing new: {PINNED}, the pinned release, is the newest." in out
    is_as_it_was(user, head)
    (user.root / "policy.toml").write_text('[[skip]]\nversion = "0.99.2"\nreason = "It loses chats."\n')
    head = commit(user, "a policy")
    code, out, err = user.run("rebase", **serve(server, *both(PINNED), *both("0.99.2")))
    assert code == 0, err
    assert "Open WebUI 0.99.2 is left out: policy.toml skips it: It loses chats." in out + err
    assert f"Nothing new: {PINNED}, the pinned release, is the newest that policy.toml admits." in out
    is_as_it_was(user, head)


def test_a_release_that_lost_its_sdist(user: User, server: Server) -> None:
    head = user.git_output("rev-parse", "HEAD")
    code, _, err = user.run("rebase", "--to", "0.99.1", **serve(server, *both(PINNED), both("0.99.1")[1]))
    assert code == 3
    assert "no stable release 0.99.1" in err
    is_as_it_was(user, head)


def test_a_release_whose_sdist_is_gone_between_listing_and_download(user: User, server: Server) -> None:
    head = user.git_output("rev-parse", "HEAD")
    code, _, err = user.run("rebase", **serve(server, *both(PINNED), *both("0.99.1")))
    assert code == 5, err  # what comes is not the sdist that was listed
    is_as_it_was(user, head)


def test_an_index_that_can_not_be_reached(user: User, server: Server) -> None:
    head = user.git_output("rev-parse", "HEAD")
    env = serve(server)
    server.answer = hang_up
    code, _, err = user.run("rebase", **env)
    assert code == 4
    assert "package index" in err
    is_as_it_was(user, head)


def test_a_dirty_checkout(user: User) -> None:
    (user.root / "README.md").write_text("mine\n")
    code, _, err = user.run("rebase", "--to", BEFORE)
    assert code == 2
    assert "README.md" in err
    assert (user.root / "README.md").read_text() == "mine\n"


def test_a_series_that_is_not_of_the_locked_release(user: User) -> None:
    shutil.rmtree(user.root / "patches")
    shutil.copytree(OLD, user.root / "patches")
    head = commit(user, "patches of 0.11.4 on the lock of 0.12.4")
    code, _, err = user.run("rebase", "--to", BEFORE, "--no-gate")
    assert code == 8
    assert "does not apply" in err
    is_as_it_was(user, head)


def test_a_folder_that_is_no_git_checkout(user: User) -> None:
    shutil.rmtree(user.root / ".git")
    code, _, err = user.run("rebase", "--to", BEFORE)
    assert code == 2
    assert "not a git checkout" in err


def test_the_checkout_moved_meanwhile(user: User, real: Settings) -> None:
    set_back(user, real)
    assert user.run("rebase", "--to", "0.12.4", "--no-gate")[0] == 18
    (user.root / "new").write_text("x\n")
    commit(user, "meanwhile")
    code, _, err = user.run("rebase", "--continue")
    assert code == 2
    assert "another commit than when the rebase began" in err
    assert user.run("rebase", "--abort")[0] == 0


@pytest.mark.parametrize("way", ["--continue", "--skip", "--abort"])
def test_no_rebase_is_under_way(user: User, way: str) -> None:
    err = stops(user, "rebase", way)
    assert "No rebase is under way" in err


def test_the_series_of_old_is_one_of_its_release(real: Settings) -> None:
    _, patches = apply.read_series(OLD)
    assert len(patches) == 9
    assert all(patch.field("Applies-To") == f">={OLD.name}" for patch in patches)
