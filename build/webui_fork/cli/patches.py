"""The verb `patches`: lint, list, apply, new, export, tree."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from webui_fork.cli import result
from webui_fork.config import image_toml, upstream_lock
from webui_fork.core import git, text
from webui_fork.core.errors import UsageError
from webui_fork.core.files import ensure_folder, exclusive, temp_folder
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import counted, printable
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline, refresh_locks, revision
from webui_fork.oci import unpack
from webui_fork.series import apply, licence, patch, worktree
from webui_fork.sources import release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: nox -s patches -- apply"
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do")
    lint = actions.add_parser(
        "lint", help="check every rule of the series", epilog="example: nox -s patches -- lint --write"
    )
    lint.add_argument(
        "--write",
        action="store_true",
        help="write the patches in canonical form and record the series in upstream.lock",
    )
    lists = actions.add_parser(
        "list",
        help="list the patches: file, subject, files touched, hook lines",
        epilog="example: nox -s patches -- list",
    )
    result.add_arguments(lists)
    applies = actions.add_parser(
        "apply",
        help="make a git worktree of the release with the series as commits",
        epilog="example: nox -s patches -- apply out/worktree",
    )
    applies.add_argument("folder", nargs="?", help="where; default: out/worktree")
    applies.add_argument("--upto-failure", action="store_true", help="stop before the first patch that does not apply")
    new = actions.add_parser(
        "new",
        help="commit the worktree's changes as a patch with its DEP-3 header",
        epilog="example: nox -s patches -- new 'Trim base URLs' --description 'Stock lists nothing behind a slash.'",
    )
    new.add_argument("subject", help="what it does, in the imperative, as 'Trim base URLs'")
    new.add_argument("--description", default="TODO", help="why, in a sentence or two")
    new.add_argument("--bug", default="none", help="URL of the bug it answers")
    tree = actions.add_parser(
        "tree",
        help="lay the built Open WebUI out in a folder, for its proofs",
        epilog="example: nox -s patches -- tree out/tree",
    )
    tree.add_argument("folder", help="a folder that does not exist yet")
    export = actions.add_parser(
        "export", help="write the worktree's commits back to patches/", epilog="example: nox -s patches -- export"
    )
    export.add_argument("folder", nargs="?", help="the worktree; default: out/worktree")


def run(settings: Settings, ui: Terminal, arguments: argparse.Namespace) -> None:
    """Run one action.

    Raises:
        ForkError: see the actions.
    """
    with exclusive(settings.out / ".lock", "this checkout", ui.say):
        if arguments.action == "list":
            _list(settings, arguments)
        elif arguments.action == "lint":
            _lint(settings, ui, write=arguments.write)
        elif arguments.action == "apply":
            _apply(settings, ui, _folder(settings, arguments.folder), upto_failure=arguments.upto_failure)
        elif arguments.action == "new":
            folder = worktree.default_folder(settings)
            version = upstream_lock.read(settings.lock_file).version
            front_end = image_toml.read(settings.root / "images" / image_inputs.IMAGE).frontend is not None
            texts = (arguments.subject, arguments.description, arguments.bug)
            name = worktree.new(settings, folder, *texts, version, front_end=front_end)
            print(
                f"Committed as {name}, with a stub of its proof in tests/proofs: "
                "the proof must fail without the patch and pass with it."
            )
            if "TODO" in arguments.description:
                print(f"Its description is still TODO: git -C {folder} commit --amend")
            print("Next: nox -s patches -- export")
        elif arguments.action == "tree":
            _tree(settings, ui, Path(arguments.folder).resolve())
        else:
            _export(settings, ui, _folder(settings, arguments.folder))


def _folder(settings: Settings, given: str | None) -> Path:
    return Path(given).resolve() if given else worktree.default_folder(settings)


def _list(settings: Settings, arguments: argparse.Namespace) -> None:
    _, patches = apply.read_series(settings.patches)
    hooks = patch.hook_lines(patches)
    sizes = {p.name: f"{counted(len(p.files), 'file')}, {counted(hooks[p.name], 'hook line')}" for p in patches}
    rows = [(p.name, p.subject, sizes[p.name]) for p in patches]
    values = [{"name": p.name, "subject": p.subject, "files": p.paths, "hook_lines": hooks[p.name]} for p in patches]
    result.show(arguments, {"patches": values}, text.table(rows) or "The series is empty.")


def _lint(settings: Settings, ui: Terminal, *, write: bool) -> None:
    inputs = image_inputs.read_inputs(settings, ui, locked=False)
    commit = release.release_commit(settings, inputs.lock, ui)
    repo = git.repository(settings)
    if write:
        loose = apply.apply(repo, commit, inputs.patches, inputs.lock.epoch, check=False)
        canonical = worktree.export(repo, loose.commits)
        for name in worktree.write(settings, canonical):
            print(f"{name}: written in canonical form")
        inputs = replace(inputs, patches=canonical)
    image_inputs.check_series(settings, repo, inputs.lock, inputs.patches, commit, inputs.spec)
    tree = apply.apply(repo, commit, inputs.patches, inputs.lock.epoch)
    licence.check(repo, tree, inputs.spec)
    refresh_locks.check_overrides(settings, repo, commit)
    for change in apply.changes(repo, tree):
        if inputs.spec.place(change.path) is None and not inputs.spec.builds(change.path):
            problem = patch.Problem("patches/", "outside-image", f"{change.path} is not in the image")
            apply.refuse([problem])
    print(f"{len(inputs.patches)} patches, canonical, apply to {inputs.lock.version} without fuzz.")
    print("Hook lines (lines added to or removed from upstream's files; a changed line counts twice):")
    for part, limit in patch.HOOK_LINES.items():
        hooks = sum(patch.hook_lines(inputs.patches, part).values())
        print(f"  {part}: {hooks} of {limit}")
        if hooks > limit:
            too_many = f"{hooks} hook lines in upstream's {part}, more than {limit}: move code to new files"
            apply.refuse([patch.Problem("patches/", "hook-lines", too_many)])
    if write:
        _record(settings)


def _record(settings: Settings) -> None:
    if revision.record(settings, upstream_lock.read(settings.lock_file)):
        print("Recorded in upstream.lock.")


def _apply(settings: Settings, ui: Terminal, folder: Path, *, upto_failure: bool) -> None:
    locked = upstream_lock.read(settings.lock_file)
    _, patches = apply.read_series(settings.patches)
    commit = release.release_commit(settings, locked, ui)
    repo = git.repository(settings)
    tree = worktree.apply(settings, repo, commit, patches, locked.epoch, folder, upto_failure=upto_failure)
    print(f"{tree.folder} has Open WebUI {locked.version} with {tree.applied} of {len(patches)} patches as commits.")
    if tree.stopped_at:
        print(f"\nStopped before: {printable(str(tree.stopped_at))}\n")
    print("Edit there, then commit (--amend, rebase -i, or `nox -s patches -- new 'Subject'`).")
    print("Next: nox -s patches -- export")


def _tree(settings: Settings, ui: Terminal, folder: Path) -> None:
    if folder.exists():
        raise UsageError(f"{folder} exists.", remedy="Name a folder that does not, or remove it.")
    with temp_folder(ensure_folder(folder.parent), "tree"):  # a build takes minutes: whether it can write shows before
        pass
    built = pipeline.build(settings, image_inputs.read_inputs(settings, ui, locked=False), ui, locked=False)
    unpack.tree(built.image, settings.cache, folder)
    print(f"{folder} has the files of {built.image.digest}. Next: pytest tests/proofs --tree {folder}")


def _export(settings: Settings, ui: Terminal, folder: Path) -> None:
    locked = upstream_lock.read(settings.lock_file)
    commits = worktree.commits_of(settings, folder)
    commit = release.release_commit(settings, locked, ui)
    repo = git.repository(settings)
    patches = worktree.export(repo, commits)
    # put them on the release once more before a file is touched: what is written is what builds
    apply.apply(repo, commit, patches, locked.epoch)
    left = worktree.pending(settings, folder)
    changed = worktree.write(settings, patches, left)
    print("\n".join(changed) or "Nothing changed.")
    _record(settings)
    if left:
        print(f"Kept as they are, not applied yet: {', '.join(left)}")
    print(f"Next: nox -s patches -- {'apply --upto-failure' if left else 'lint'}")
