"""What a carried patch relies on in the rest of the release: functions it calls, names it imports, files it edits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from webui_fork.core import process
from webui_fork.core.git import Repo
from webui_fork.merge import tree
from webui_fork.rebase.releases import Ends
from webui_fork.series import signatures

_ROOT = "backend/"
# names undefined or defined twice; keys, handlers and fields twice; return, yield, await where there can be none
_RULES = "F811,F821,F822,F601,F602,B025,PIE794,F704,F706,PLE0117,PLE1142"
_MANY = 25  # a name that this many files define says nothing
_HEAD = re.compile(r"^[ \t]*(?:async +)?def +(\w+)", re.MULTILINE)


def breaks(
    ends: Ends, before: str, after: str, parent: str, commit: str, paths: Iterable[str], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """Return what no longer holds of a carried patch, in words.

    Args:
        before, after: without and with the patch on the old release. parent, commit: the same on the new one.

    Raises:
        ToolError: the linter is missing.
    """
    repo, search = ends.repo, environ.get("PATH", "")
    problems: list[str] = []
    calls: dict[signatures.Call, None] = {}
    for path in paths:
        if not path.endswith(".py"):
            continue
        was, now = _text(repo, parent, path), _text(repo, commit, path)
        if now and (error := tree.syntax_error(now)) and not (was and tree.syntax_error(was)):
            problems.append(f"{path} does not compile any more: {error}")
            continue
        if now:
            problems += [f"{path}: {name}" for name in _undefined(now, search) - _undefined(was, search)]
        base, ours = (tree.parse(_text(repo, at, path)) for at in (before, after))
        if base is None or ours is None:
            continue
        calls |= dict.fromkeys(signatures.added_calls(base, ours))
        problems += _newly_used(repo, before, parent, signatures.redefined(base, ours))
        problems += [
            f"{path} imports {name} from {module}, which is gone"
            for module, name in signatures.added_imports(base, ours)
            if not _has(repo, commit, module, name)
        ]
    names = {call.name for call in calls if call.name}
    if names:
        problems += signatures.broken_calls(calls, definitions(repo, after, names), definitions(repo, commit, names))
    return tuple(problems)


def _text(repo: Repo, commit: str, path: str) -> str:
    return (repo.read_file(commit, path) or b"").decode("utf-8", errors="replace")


@lru_cache(maxsize=256)  # what stands after one patch stands before the next
def _undefined(text: str, path: str) -> frozenset[str]:
    """Return what a linter says about names that nothing defines, or that are defined twice."""
    from ruff.__main__ import find_ruff_bin

    argv = [find_ruff_bin(), "check", "--isolated", "--no-cache", "--select", _RULES, "--output-format", "json"]
    done = process.run([*argv, "--stdin-filename", "x.py", "-"], env={"PATH": path}, check=False, stdin=text.encode())
    try:
        return frozenset(str(row["message"]).partition(" from line")[0] for row in json.loads(done.stdout or "[]"))
    except ValueError:
        return frozenset()


def _newly_used(repo: Repo, before: str, parent: str, names: Iterable[str]) -> list[str]:
    """Name what the patch removes or has called in another way, and the new release uses more often than the old."""

    def uses(commit: str, name: str) -> int:
        return len(repo.grep("-h", "-w", "-F", name, commit, "--", f"{_ROOT}*.py").splitlines())

    words = "the patch changes how {}() is called, or removes it, and the new release has new uses of it"
    return [words.format(name) for name in names if uses(parent, name) > uses(before, name)]


def definitions(repo: Repo, commit: str, names: set[str]) -> signatures.Known:
    """Return how a release's own functions of these names are defined; of a name that many files define, nothing."""
    definitions: signatures.Known = {}
    paths = [path for path, blob in _modules(repo, commit).items() if names & _functions(repo, blob)]
    for path in paths if len(paths) <= _MANY else ():
        for name, signature in signatures.signatures(_text(repo, commit, path), names):
            definitions.setdefault(name, []).append(signature)
    return definitions


@lru_cache(maxsize=64)  # most patches ask about a commit several times, and the next patch once more
def _modules(repo: Repo, commit: str) -> dict[str, str]:
    files = repo.blobs(commit)
    return {path: files[path] for path in files if path.startswith(_ROOT) and path.endswith(".py")}


@lru_cache(maxsize=8192)  # by name of the object: a patch changes few files
def _functions(repo: Repo, blob: str) -> frozenset[str]:
    return frozenset(_HEAD.findall(repo.read_blob(blob).decode("utf-8", errors="replace")))


def _has(repo: Repo, commit: str, module: str, name: str) -> bool:
    stem, modules = _ROOT + module.replace(".", "/"), _modules(repo, commit)
    if f"{stem}/{name}.py" in modules or any(path.startswith(f"{stem}/{name}/") for path in modules):
        return True
    files = [path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in modules]
    return any(signatures.defines(_text(repo, commit, path), name) for path in files)


def whereabouts(ends: Ends, before: str, parent: str, path: str) -> str:
    """Say where a file that is gone went to: another path, or the functions of it that are elsewhere now."""
    repo = ends.repo
    for row in repo.git.diff_tree("-r", "-M50%", "--diff-filter=R", "--name-status", ends.old, ends.new).splitlines():
        how, old, new = row.split("\t")
        if old == path:
            return f"It was renamed to {new} ({how.removeprefix('R')}% the same)."
    module = tree.parse(_text(repo, before, path))
    if not (names := {node.name for _, node in tree.definitions(module)} if module else set()):
        return "It was deleted."
    pattern = rf"^[ \t]*((async +)?def|class) +({'|'.join(sorted(names))})\b"
    listed = repo.grep("-c", "-E", pattern, parent, "--", f"{_ROOT}*.py").splitlines()
    if not listed:
        return "It was deleted, and no other file defines any of its functions."
    best = max(listed, key=lambda row: int(row.rpartition(":")[2]))
    return f"It was deleted; {best.split(':')[1]} defines {best.rpartition(':')[2]} of its {len(names)} functions now."
