"""Fixtures for every test."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from git import Repo
from xdist.scheduler import LoadScopeScheduling

import drift
import shared
from helpers import Server, Talk
from shared import BUILT, OTHERS, PACKAGES, Shared, needs
from webui_fork.core import settings as settings_module
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ForkError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.publish import tested

os.environ["WEBUI_FORK_CONFIGURED"] = "1"  # the configuration file of whoever runs the tests is not read


@pytest.fixture(autouse=True)
def _git_processes_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what git keeps waiting for questions, test by test: a process left over is a warning, and an error here."""
    opened: list[Repo] = []
    original = Repo.__init__

    def init(self: Repo, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(Repo, "__init__", init)
    yield
    for repo in opened:
        repo.close()


@pytest.fixture
def talk() -> Talk:
    """A terminal that remembers what it was told."""
    return Talk()


@pytest.fixture
def private_settings(tmp_path: Path) -> Settings:
    """Settings with everything below a temporary folder, and no index but what a test names."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "WEBUI_FORK_CACHE": str(tmp_path / "cache")}
    root = tmp_path / "checkout"
    root.mkdir()
    return settings_module.load(env, root=root)


@pytest.fixture
def server() -> Iterator[Server]:
    """A programmable HTTP server on loopback."""
    with Server() as running:
        yield running


IMAGE = {"inputs", "assembly", "docker_engine"}  # fixtures of what has an image of the whole series
CHOSEN = pytest.StashKey[bool]()
SHARED = pytest.StashKey[Shared]()


def _is_proof(config: pytest.Config) -> bool:
    """Tell a proof that is run by a test, or by hand: its results are not the run's."""
    return config.getoption("tree", None) is not None


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        os.environ[shared.RUN] = config.workerinput["run"]
    elif not _is_proof(config):
        config.stash[SHARED] = Shared(settings_module.load())


def pytest_unconfigure(config: pytest.Config) -> None:
    if run := config.stash.get(SHARED, None):
        run.close()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than cores: with two a core they wait for each other, and servers answer late."""
    return 1 + (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run"] = str(shared.folder())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by what it needs, and put them in order."""
    if _is_proof(config):
        return
    for item in items:
        for need in needs(getattr(item, "fixturenames", ())) or {"host"}:
            item.add_marker(need)
    minutes: dict[str, float] = {}
    of_image: dict[str, None] = {}  # in order: every worker comes to the same
    for item in items:
        group = _group(item)
        minutes[group] = max(minutes.get(group, 0), _argument(item, "minutes", 0))
        if IMAGE & set(getattr(item, "fixturenames", ())):
            of_image[group] = None
    # long ones begin first, and of those what needs no image: one worker builds its front end, which takes minutes
    first = max(of_image, key=lambda group: minutes[group], default="")

    def place(item: pytest.Item) -> tuple[bool, bool, bool, float, str]:
        group = _group(item)
        return group != first, not minutes[group], group in of_image, -minutes[group], group

    items.sort(key=place)


def _argument(item: pytest.Item, marker: str, default: Any) -> Any:
    existing = item.get_closest_marker(marker)
    return existing.args[0] if existing else default


def _group(item: pytest.Item) -> str:
    """Return what a test is kept on one worker with: its file, but where the file says otherwise."""
    alone = item.nodeid if item.get_closest_marker("alone") else item.path.stem
    return str(_argument(item, "group", alone))


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller
def pytest_collection_finish(session: pytest.Session) -> None:
    """Have what the chosen tests need ready, or say once what is missing."""
    config = session.config
    if _is_proof(config) or config.option.collectonly:
        return
    wanted = {mark.name for item in session.items for mark in item.iter_markers()}
    wanted |= {name for item in session.items for name in getattr(item, "fixturenames", ()) if name == PACKAGES}
    if hasattr(config, "workerinput"):
        chosen = {"wanted": sorted(wanted), "groups": {item.nodeid: _group(item) for item in session.items}}
        write_atomic(shared.folder() / "chosen.json", json.dumps(chosen))
    elif not config.option.dist or config.option.dist == "no":
        _prepare(config, wanted)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    _prepare(node.config, json.loads((shared.folder() / "chosen.json").read_text())["wanted"])


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Sends the tests of a group to one worker. (--dist loadgroup does not work with pytest 9.)"""

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]

    @functools.cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads((shared.folder() / "chosen.json").read_text())["groups"]
        return groups


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    config.option.loadscopereorder = False  # the long ones are first already
    return Groups(config, log)


def _prepare(config: pytest.Config, wanted: Iterable[str]) -> None:
    try:
        config.stash[SHARED].prepare(wanted)
    except ForkError as error:
        pytest.exit(f"{error}\nWithout it: `nox -s tests -- -m host`, or another choice of markers.", returncode=3)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that a run was not a whole one (-k, -m, --deselect and the like)."""
    if items:
        items[0].config.stash[CHOSEN] = True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist learned."""
    learned = getattr(node, "workeroutput", {})
    if built := learned.get("built"):
        node.config.stash[BUILT] = (built[0], built[1])
    node.config.stash.setdefault(OTHERS, []).extend(learned.get("others", ()))
    if learned.get("chosen"):
        node.config.stash[CHOSEN] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Record the image that passed a whole run, for `nox -s publish`; any failure takes the record back."""
    config = session.config
    if _is_proof(config):
        return
    built, chosen = config.stash.get(BUILT, None), config.stash.get(CHOSEN, False)
    others: list[tuple[str, str]] = config.stash.setdefault(OTHERS, [])
    if hasattr(config, "workeroutput"):
        config.workeroutput |= {"built": built, "chosen": chosen, "others": others}
        return
    run = config.stash[SHARED]
    own = run.settings
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
    ignored = any(config.getoption(name) for name in ("ignore", "ignore_glob", "collectonly", "override_ini"))
    if exitstatus:
        tested.forget(own)
    elif whole and not ignored and built:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        reports = reporter.stats.get("passed", ()) if reporter else ()
        files = Counter(report.nodeid.partition("::")[0] for report in reports)
        suites: dict[str, set[str]] = {}
        for digest, suite in others:
            suites.setdefault(digest, set()).add(suite)
        record = tested.PassedImage(
            Digest(built[0]),
            built[1],
            len(reports),
            drift.rows(run.folder),
            tuple(
                tested.OtherImage(Digest(digest), sum(files[suite] for suite in names), tuple(sorted(names)))
                for digest, names in sorted(suites.items())
            ),
            tuple(sorted(files)),
            shared.vllm_version(run.folder),
        )
        tested.write(own, record)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keep the results: out/tests.json for programs, out/tests.md for people."""
    if _is_proof(config):
        return
    for line in drift.rows(shared.folder()):
        terminalreporter.write_line(f"DRIFT: not the locked package, which the mirror no longer has: {line}")
    rows: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped", ""):  # "": setting up and taking down
        for report in terminalreporter.stats.get(outcome, ()):
            row = rows.setdefault(report.nodeid.partition("::")[0], Counter())
            row[outcome] += bool(outcome)
            row["seconds"] += getattr(report, "duration", 0)
    out = config.stash[SHARED].settings.out
    out.mkdir(exist_ok=True)
    (out / "tests.json").write_text(json.dumps(rows, indent=1) + "\n")
    head = ["passed", "failed", "error", "skipped"]
    lines = [f"| file | {' | '.join(head)} | seconds |", "|---" * 6 + "|"]
    lines += [
        f"| {file} | {' | '.join(str(row[key]) for key in head)} | {row['seconds']:.1f} |"
        for file, row in sorted(rows.items())
    ]
    (out / "tests.md").write_text("\n".join(lines) + "\n")
