"""Three-way merges of text: lines, the same after formatting, and function by function (tokens where lines conflict).

Lines are merged by `git merge-file` (diff3; Khanna, Kunal and Pierce, "A Formal Investigation of Diff3", 2007).
Nothing here ignores white space, and nothing takes a side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.errors import ToolError
from webui_fork.merge import imports
from webui_fork.merge import tree as merge_tree
from webui_fork.merge.tokens import merge_tokens
from webui_fork.merge.tree import Module, Node

LABELS = ("ours: with the patch", "base: the release it was made for", "theirs: the new release")
_HOLE = "#: webui_fork holds the place of "  # a line of a file whose functions are taken out


@dataclass(frozen=True)
class Merger:
    """Merges texts in the layout of one release.

    Args:
        environ: the environment of the programs it runs.
        style: the release's own `pyproject.toml`, from which its formatter takes its settings; None: the defaults.
    """

    environ: Mapping[str, str]
    style: bytes | None = None
    _formatted: dict[str, str] = field(default_factory=dict, repr=False)

    def lines(self, base: str, ours: str, theirs: str) -> tuple[str, bool]:
        """Merge line by line.

        Returns:
            The text, with conflict markers (diff3 style) where both change the same lines; and whether it is clean.

        Raises:
            ToolError: git failed.
        """
        if base == theirs:
            return ours, True
        if base == ours or ours == theirs:
            return theirs, True
        with tempfile.TemporaryDirectory(prefix="webui-fork-") as folder:
            names: list[Path] = [Path(folder) / name for name in ("ours", "base", "theirs")]
            for path, text in zip(names, (ours, base, theirs), strict=True):
                path.write_text(text, encoding="utf-8", newline="")
            labels = [part for label in LABELS for part in ("-L", label)]
            argv: list[str | Path] = ["git", "merge-file", "-p", "--quiet", "--diff3", *labels, *names]
            done = process.run(argv, env=self.environ, cwd=Path(folder), check=False, doing="merge a file")
        if done.code > 127:
            raise ToolError("git merge-file failed.", why=done.tail())
        return done.stdout, done.code == 0

    def formatted(self, text: str) -> str:
        """Lay a Python file out as the release does; text that can't be parsed stays as it is.

        Up to 0.8.10 upstream formatted with black, since then with ruff, whose defaults give black's layout.

        Raises:
            ToolError: the formatter is missing.
        """
        if text not in self._formatted:
            self._formatted[text] = self._format(text)
        return self._formatted[text]

    def _format(self, text: str) -> str:
        from ruff.__main__ import find_ruff_bin

        with tempfile.TemporaryDirectory(prefix="webui-fork-") as folder:
            config = ["--isolated"]
            if self.style is not None and b"[tool.ruff" in self.style:
                (Path(folder) / "pyproject.toml").write_bytes(self.style)
                config = ["--config", f"{folder}/pyproject.toml"]
            argv = [find_ruff_bin(), "format", "--no-cache", "--quiet", *config, "--stdin-filename", "x.py", "-"]
            done = process.run(argv, env=self.environ, cwd=Path(folder), check=False, stdin=text.encode())
        return text if done.code else done.stdout

    def formatted_lines(self, base: str, ours: str, theirs: str) -> str | None:
        """Merge line by line after laying all three out alike; None where that conflicts."""
        merged, clean = self.lines(*(self.formatted(text) for text in (base, ours, theirs)))
        return self._back(merged, theirs) if clean else None

    def functions(self, base: str, ours: str, theirs: str) -> str | None:
        """Merge function by function after laying all three out alike; None where that conflicts.

        Where the lines of a function conflict, its tokens are merged.
        """
        laid_out, changes = imports.without(*(self.formatted(text) for text in (base, ours)))
        trees = [merge_tree.parse(text) for text in (self.formatted(base), laid_out, self.formatted(theirs))]
        sides = [_Side.of(tree) for tree in trees if tree]
        present = [side for side in sides if side]
        if len(present) < 3:
            return None
        one, two, three = present
        if any(
            two.parts[name] != text and name not in three.parts for name, text in one.parts.items() if name in two.parts
        ):
            return None  # ours changes a function that theirs no longer has
        frame, clean = self.lines(one.frame, two.frame, three.frame)
        if not clean:
            return None
        merged: list[str] = []
        for line in frame.splitlines(keepends=True):
            if not line.lstrip().startswith(_HOLE):
                merged.append(line)
                continue
            name = line.strip().removeprefix(_HOLE)
            text = self._function(*(side.parts.get(name) for side in present))
            if text is None:
                return None
            merged.append(text)
        whole = imports.put_back("".join(merged), changes)
        return None if whole is None else self._back(whole, theirs)

    def _function(self, base: str | None, ours: str | None, theirs: str | None) -> str | None:
        if base == theirs or ours == theirs:
            return ours
        if base == ours:
            return theirs
        if base is None or ours is None or theirs is None:
            return None
        merged, clean = self.lines(base, ours, theirs)
        return merged if clean else merge_tokens(base, ours, theirs)

    def _back(self, merged: str, theirs: str) -> str | None:
        """Put what was merged in the formatter's layout into the layout that theirs really has."""
        laid_out = self.formatted(theirs)
        text, clean = self.lines(laid_out, self.formatted(merged), theirs)
        return text if clean else None


@dataclass(frozen=True, slots=True)
class _Side:
    """A file without its functions, which are kept by their dotted names."""

    frame: str
    parts: dict[str, str]

    @classmethod
    def of(cls, module: Module) -> _Side | None:
        parts: dict[str, str] = {}
        frame = list(module.lines)
        for name, node in _functions(module):
            if name in parts:
                return None  # defined twice: no name to go by
            parts[name] = module.text(node.start, node.end)
            frame[node.start : node.end] = [f"{' ' * node.indent}{_HOLE}{name}\n", *[""] * (node.end - node.start - 1)]
        return cls("".join(frame), parts)


def _functions(owner: Node, scope: str = "") -> Iterable[tuple[str, Node]]:
    """Yield the functions of a module and the methods of its classes, but not what is inside functions."""
    for node in owner.children:
        if node.kind in ("FunctionDef", "AsyncFunctionDef"):
            yield f"{scope}{node.name}", node
        elif node.kind == "ClassDef":
            yield from _functions(node, f"{scope}{node.name}.")
