"""The patch series as values: headers, hunks, and the rules that every patch keeps. Pure.

A patch is a git commit in `git format-patch` form whose message body is a set of DEP-3 fields
(https://dep-team.pages.debian.net/deps/dep3/). `patches/series` gives the order (quilt's format).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from pathlib import PurePosixPath

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile, PatchSet

from webui_fork.config.image_toml import FRONT_END
from webui_fork.core.errors import SeriesError
from webui_fork.series import branding

FIELDS = ("Description", "Origin", "Forwarded", "Bug", "Applies-To", "Proof")
_LONGEST = 1 << 20  # bytes of a patch
_COMPARED = 200  # lines of a hunk, where the place is looked for that is most like it
HOOK_LINES = {"back end": 170, "front end": 40}

_FIRST = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_FIELD = re.compile(r"([A-Z][A-Za-z-]*): ?(.*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.patch")
_FRONT_END_BUILD = re.compile(
    r"scripts/|static/pyodide/|(package(-lock)?\.json|[a-z.]+\.config\.[jt]s|tsconfig\.json|\.npmrc)$"
)
_IMPERATIVES = ("alias", "bring", "embed", "feed", "need", "seed", "speed")  # not what their endings say
_ORIGIN = re.compile(r"(vendor|upstream|backport|other)(, .+)?|https?://\S+")
_FORWARDED = re.compile(r"no(, .+)?|not-needed|yes|https?://\S+")
PROOF = re.compile(r"tests/([A-Za-z0-9_]+/)*test_[A-Za-z0-9_]+\.py")  # a rebase removes it with its patch
_PATH = re.compile(r"[^\s`<>\"'$;&|\\*?!#][^`<>\"'$;&|\\*?!\n]*")
_BUG = re.compile(r"none|https?://\S+")
ADVISORY = r"CVE-\d{4}-\d{4,19}|GHSA(-[0-9a-z]{4}){3}"
_ADVISORIES = re.compile(rf"({ADVISORY})(, ({ADVISORY}))*")


@dataclass(frozen=True, slots=True)
class Patch:
    """One change with one reason.

    ``fields`` are the DEP-3 fields in order; ``body`` is the commit message below the subject.
    """

    name: str
    data: bytes
    author: str
    date: str
    subject: str
    body: str
    fields: tuple[tuple[str, str], ...]
    files: tuple[PatchedFile, ...]

    def field(self, name: str) -> str:
        """Return a DEP-3 field's text, "" where it is absent."""
        return dict(self.fields).get(name, "")

    @property
    def message(self) -> str:
        """The commit message."""
        return f"{self.subject}\n\n{self.body}"

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths it touches, in order."""
        return tuple(file.path for file in self.files)


def hook_lines(patches: Iterable[Patch], part: str = "") -> dict[str, int]:
    """Count, for each patch, the lines that it adds to upstream's own files, and those that it removes there.

    A line that it changes counts as both. Each is a future conflict; files that the series itself adds can't conflict,
    and nor can a backport, which ends with the release that it is from.

    Args:
        patches: the series in order.
        part: of :data:`HOOK_LINES`, to count in its files alone.
    """
    own: set[str] = set()
    counts = {}
    for patch in patches:
        own |= {file.path for file in patch.files if file.is_added_file}
        files = [file for file in patch.files if file.path not in own and part in ("", _part(file.path))]
        is_backport = patch.field("Origin").startswith("backport,")
        counts[patch.name] = 0 if is_backport else sum(file.added + file.removed for file in files)
    return counts


def _part(path: str) -> str:
    return "front end" if path.startswith(FRONT_END) else "back end"


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: in which patch, which rule, what is wrong."""

    patch: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.patch}: {self.rule}: {self.message}"


def slug(subject: str) -> str:
    """Return the file name (without `.patch`) that belongs to a subject."""
    return re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:60].rstrip("-")


def proof_of(subject: str) -> str:
    """Return the path of the proof that belongs to a subject."""
    return f"tests/proofs/test_{slug(subject).replace('-', '_')}.py"


def draft(subject: str, fields: Mapping[str, str], author: str, date: str) -> Patch:
    """Return a patch that changes nothing yet: its header, to be committed with files.

    Args:
        subject: in the imperative. fields: of DEP-3, in order.
        author: as a header has it. date: in the form of RFC 5322.
    """
    body = "".join(f"{key}: " + value.replace("\n", "\n ") + "\n" for key, value in fields.items())
    return Patch(f"{slug(subject)}.patch", b"", author, date, subject, body, tuple(fields.items()), ())


def order(text: str, present: Iterable[str]) -> tuple[tuple[str, ...], list[Problem]]:
    """Read `patches/series` against the patch files that are there.

    Returns:
        The names in order, and what is wrong with the list.
    """
    names: list[str] = []
    problems: list[Problem] = []
    files = set(present)
    for number, raw in enumerate(text.splitlines(), 1):
        name = raw.split("#")[0].strip()
        if not name:
            continue
        where = f"patches/series:{number}"
        if not _NAME.fullmatch(name):
            problems.append(Problem(where, "name", f"{name!r} is not a name like trim-base-url.patch"))
        elif name in names:
            problems.append(Problem(where, "listed-once", f"{name} is listed twice"))
        elif name not in files:
            problems.append(Problem(where, "missing", f"{name} is listed, but patches/{name} does not exist"))
        else:
            names.append(name)
    unlisted = "is not in patches/series: add its line there, or delete the file"
    problems += [Problem(f"patches/{name}", "unlisted", unlisted) for name in sorted(files - set(names))]
    return tuple(names), problems


def parse(name: str, data: bytes) -> Patch:
    """Read a patch file.

    Raises:
        SeriesError: it is not a patch in git format-patch form.
    """

    def refuse(why: str) -> SeriesError:
        return SeriesError(
            f"patches/{name}: {why}",
            remedy="Write patches with `nox -s patches -- apply`, commit there, then `nox -s patches -- export`.",
        )

    if len(data) > _LONGEST:
        raise refuse(f"has more than {_LONGEST} bytes, which nobody can review")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(f"is not UTF-8 ({error})") from None
    head, mark, diff = text.partition("\ndiff --git ")
    if not mark:
        raise refuse("has no `diff --git` part")
    header, _, body = head.partition("\n\n")
    body = re.split(r"^---$", body, maxsplit=1, flags=re.MULTILINE)[0]  # git's own mark of the message's end
    first, _, rest = header.partition("\n")
    values: dict[str, str] = {}
    for line in rest.replace("\n ", " ").splitlines():
        key, _, value = line.partition(": ")
        try:
            values[key] = str(make_header(decode_header(value)))
        except (LookupError, ValueError, MessageError) as error:  # an unknown code, or text that is not in it
            raise refuse(f"its {key} can't be read: {error}") from None
    if first != _FIRST or not {"From", "Date", "Subject"} <= set(values):
        raise refuse("does not start like the output of `git format-patch --zero-commit`")
    subject = values["Subject"]
    if not subject.startswith("[PATCH] "):
        raise refuse("its subject does not start with [PATCH]")
    if "\nGIT binary patch\n" in diff or re.search(r"^Binary files .* differ$", diff, re.MULTILINE):
        raise refuse("has a binary hunk, which nobody can review")
    try:
        files = tuple(PatchSet("diff --git " + diff))
    except (UnidiffParseError, ValueError) as error:  # a number of 5,000 digits
        raise refuse(f"its diff can't be parsed: {error}") from None
    body = body.strip("\n") + "\n"
    return Patch(
        name, data, values["From"], values["Date"], subject.removeprefix("[PATCH] "), body, _fields(body), files
    )


def admitting(patch: Patch, version: str) -> Patch:
    """Return a patch whose Applies-To has a release in it: the lower bound moves down to it where it must.

    Args:
        patch: one that applies to the release, whatever its header says.
        version: the release.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    applies = patch.field("Applies-To")
    try:
        if SpecifierSet(applies).contains(version):
            return patch
    except InvalidSpecifier:  # lint says so
        return patch
    line = f"\nApplies-To: {applies}\n".encode()
    lower = re.sub(r"(?<![^,\s])>=\s*[^,\s]+", f">={version}", applies)
    return parse(patch.name, patch.data.replace(line, f"\nApplies-To: {lower}\n".encode(), 1))


def _fields(body: str) -> tuple[tuple[str, str], ...]:
    fields: list[tuple[str, str]] = []
    for line in body.splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            fields.append((match.group(1), match.group(2).strip()))
        elif line.startswith(" ") and fields:
            key, value = fields[-1]
            fields[-1] = (key, (value + "\n" + ("" if line.strip() == "." else line[1:])).strip("\n"))
    return tuple(fields)


@dataclass(frozen=True, slots=True)
class Release:
    """What lint needs to know of the release: its version, which paths it has, whether its front end can be built."""

    version: str
    has: Callable[[str], bool]
    front_end: bool


def lint(patches: Iterable[Patch], release: Release, proof_exists: Callable[[str], bool]) -> list[Problem]:
    """Check every rule that needs no git.

    Args:
        patches: the series in order.
        release: the release it goes on.
        proof_exists: tells whether a path of the checkout exists.
    """
    problems: list[Problem] = []
    added: set[str] = set()
    for patch in patches:
        problems_of_patch = [*header_problems(patch, release, proof_exists), *_diff_problems(patch, release, added)]
        problems += [Problem(f"patches/{patch.name}", rule, message) for rule, message in problems_of_patch]
    return problems


def header_problems(patch: Patch, release: Release, proof_exists: Callable[[str], bool]) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with a patch's header, whatever it changes: the rule and the words."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if patch.name != slug(patch.subject) + ".patch":
        yield "name", f"should be called {slug(patch.subject)}.patch after its subject {patch.subject!r}"
    names = [key for key, _ in patch.fields]
    for name in FIELDS:
        if names.count(name) != 1:
            yield "dep3", f"the DEP-3 field {name} occurs {names.count(name)} times in its header, not once"
        elif not patch.field(name) or "TODO" in patch.field(name):
            yield "dep3", f"the DEP-3 field {name} is not filled in"
    for name, value in (("Subject", patch.subject), ("From", patch.author), *patch.fields):
        if not value.replace("\n", "").isprintable():
            yield "dep3", f"{name} has characters that no terminal shows: {value!r}"
    forms = (("Origin", _ORIGIN), ("Forwarded", _FORWARDED), ("Bug", _BUG), ("Advisory", _ADVISORIES))
    for name, pattern in forms:
        if (value := patch.field(name)) and not pattern.fullmatch(value):
            yield "dep3", f"{name}: {value!r} is not of the form {pattern.pattern}"
    if applies := patch.field("Applies-To"):
        try:
            if not SpecifierSet(applies).contains(release.version):
                yield "applies-to", f"Applies-To: {applies} leaves out the pinned {release.version}"
        except InvalidSpecifier:
            yield "applies-to", f"Applies-To: {applies!r} is not a version range such as >=0.12.4"
    if (proof := patch.field("Proof")) and not PROOF.fullmatch(proof):
        yield "proof", f"its proof {proof!r} is not of the form {PROOF.pattern}"
    elif proof and not proof_exists(proof):
        yield "proof", f"its proof {proof} does not exist"


def refused_path(path: str, *, front_end: bool) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with a path that no patch may touch, whatever the release has: the rule and the words.

    Args:
        path: of the release.
        front_end: whether the front end can be built.
    """
    if any(part.startswith(".wh.") for part in PurePosixPath(path).parts):
        yield "path", f"{path} has the name of a whiteout: in an image it removes another file, unseen by this check"
    if path.startswith(FRONT_END) and not front_end:
        yield (
            "front-end",
            f"{path} belongs to the front end, and image.toml has no [frontend]: the image takes the built front end "
            "from the release's wheel, so a patch to its sources would change nothing",
        )
    if _FRONT_END_BUILD.match(path):
        yield (
            "front-end",
            f"{path} decides how the front end is built, and what is installed for it: patch only src/ and static/",
        )
    if branding.protected_path(path):
        yield "branding", f"{path} is a licence text or a brand asset; Open WebUI's licence (clause 4) forbids it"


def subject_problem(subject: str) -> str:
    """Return what is wrong with a new patch's subject, "" where it reads like an order to the code base.

    A heuristic: it looks at the first word's ending, as many English verbs have it.
    """
    words = subject.split()
    if not words or not slug(subject):
        return "It is empty."
    if len(subject) > 60 or "\n" in subject or not subject.isprintable():
        return "It should be one line of at most 60 characters."
    if subject.endswith("."):
        return "It ends with a full stop."
    first = words[0].lower()
    if re.search(r"ing$|ed$|(?<![su])s$", first) and first not in _IMPERATIVES:
        return f"{words[0]!r} is no imperative: say what the patch does, as in 'Trim base URLs'."
    return ""


def _diff_problems(patch: Patch, release: Release, added: set[str]) -> Iterable[tuple[str, str]]:
    if not patch.files:
        yield "empty", "changes nothing"
    for file in patch.files:
        path = file.path
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            yield "path", f"{path} leads out of the tree"
            continue
        if not _PATH.fullmatch(path) or not path.isprintable():
            yield "path", f"{path!r} has a character with a special meaning in a shell or in HTML"
        yield from refused_path(path, front_end=release.front_end)
        touched = {line.value for hunk in file for line in hunk if line.is_added or line.is_removed}
        for line in sorted(touched):
            if branding.protected_line(line):
                yield "branding", f"{path}: it changes a line about the product's name or logo: {line.strip()[:90]!r}"
        exists = path in added or release.has(path)
        if file.is_added_file:
            if exists:
                yield "path", f"adds {path}, which the release has"
            added.add(path)
        elif not exists:
            yield "path", f"touches {path}, which release {release.version} does not have"
        if file.is_rename:
            yield "path", f"renames {path}: write it as a removal and an addition, so that both can be reviewed"


def failing_hunk(patch: Patch, path: str, line: int) -> tuple[int, Hunk] | None:
    """Return the number (from 1) and the hunk that starts at a source line of a file."""
    for file in patch.files:
        if file.path == path:
            for number, hunk in enumerate(file, 1):
                if hunk.source_start == line:
                    return number, hunk
    return None


def nearest(hunk: Hunk, text: str) -> tuple[int, str]:
    """Find where a file looks most like what a hunk expects.

    Returns:
        The line number (from 1) and an excerpt with line numbers; (0, "") for an empty file.
    """
    expected = [line.value.strip() for line in hunk if not line.is_added][:_COMPARED]
    lines = text.splitlines()
    if not lines or not expected:
        return 0, ""
    targets = {value for value in expected if len(value) > 3}
    best, best_score = 0, (-1.0, 0)
    for start in range(max(1, len(lines) - len(expected) + 1)):
        window = [line.strip() for line in lines[start : start + len(expected)]]
        in_place = sum(a == b for a, b in zip(window, expected, strict=False))
        score = (in_place + 0.5 * len(targets.intersection(window)), -abs(start + 1 - hunk.source_start))
        if score > best_score:
            best, best_score = start, score
    shown = lines[best : best + len(expected)]
    return best + 1, "\n".join(f"{best + 1 + i:6d} | {line}" for i, line in enumerate(shown[:12]))
