from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import HEADER, RELEASE, make_patch, release_repo
from webui_fork.core.errors import SeriesError
from webui_fork.series import branding
from webui_fork.series import patch as series_patch

MODELS = "backend/open_webui/utils/models.py"
FACTS = series_patch.Release("1.2.3", RELEASE.__contains__, front_end=False)


def rules(data: bytes, name: str = "do-a-thing.patch") -> set[str]:
    patch = series_patch.parse(name, data)
    return {
        problem.rule for problem in series_patch.lint([patch], FACTS, lambda path: path == "tests/proofs/test_x.py")
    }


def patch_of(
    tmp_path: Path, changes: dict[str, bytes | None], subject: str = "Do a thing", body: str = HEADER
) -> bytes:
    repo, commit = release_repo(tmp_path)
    return make_patch(repo, commit, changes, subject, body)[0]


def edited(path: str = MODELS) -> dict[str, bytes | None]:
    return {path: RELEASE[path].replace(b"line_3 = 3", b"line_3 = 4")}


def test_a_good_patch_has_no_problem(tmp_path: Path) -> None:
    data = patch_of(tmp_path, edited())
    assert rules(data) == set()
    patch = series_patch.parse("do-a-thing.patch", data)
    assert patch.field("Description") == "Why it is there\nin two lines."
    assert patch.author == "An Author <a@fork.invalid>"
    assert patch.paths == (MODELS,)
    assert series_patch.hook_lines([patch]) == {"do-a-thing.patch": 2}  # a changed line is removed, and added


def test_a_file_of_the_series_own_costs_no_hook_line(tmp_path: Path) -> None:
    repo, release = release_repo(tmp_path)
    first, commit = make_patch(repo, release, {"backend/open_webui/new.py": b"x = 1\n"}, "First")
    second, _ = make_patch(repo, commit, {"backend/open_webui/new.py": b"x = 2\n", **edited()}, "Second")
    patches = [series_patch.parse("first.patch", first), series_patch.parse("second.patch", second)]
    assert not series_patch.lint(patches, FACTS, lambda path: True)
    assert series_patch.hook_lines(patches) == {"first.patch": 0, "second.patch": 2}


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("src/app.html", "front-end"),
        ("static/static/thing.css", "front-end"),
        ("package.json", "front-end"),
        ("scripts/build-info.js", "front-end"),
        ("svelte.config.js", "front-end"),
        (".npmrc", "front-end"),
        ("LICENSE", "branding"),
        ("LICENSE_NOTICE", "branding"),
        ("backend/open_webui/static/favicon.svg", "branding"),
        ("backend/open_webui/static/logo.svg", "branding"),
        ("backend/open_webui/static/splash-dark.svg", "branding"),
        ("backend/open_webui/static/site.webmanifest", "branding"),
        ("backend/open_webui/static/custom.css", "branding"),
    ],
)
def test_front_end_and_branding_are_refused(tmp_path: Path, path: str, rule: str) -> None:
    assert rule in rules(patch_of(tmp_path, {path: b"changed\n"}))


@pytest.mark.parametrize("path", ["src/app.html", "src/lib/x.svelte", "static/static/thing.css"])
def test_sources_of_a_front_end_that_is_built(tmp_path: Path, path: str) -> None:
    patch = series_patch.parse("do-a-thing.patch", patch_of(tmp_path, {path: b"changed\n"}))
    assert not series_patch.lint([patch], replace(FACTS, front_end=True), lambda _path: True)
    assert series_patch.hook_lines([patch], "back end") == {"do-a-thing.patch": 0}
    assert series_patch.hook_lines([patch], "front end") == {"do-a-thing.patch": 2 if path in RELEASE else 0}


@pytest.mark.parametrize("path", ["package-lock.json", "vite.config.ts", "tsconfig.json", "scripts/x.js", ".npmrc"])
def test_what_decides_how_it_is_built_is_refused(path: str) -> None:
    ((rule, words),) = series_patch.refused_path(path, front_end=True)
    assert (rule, words.partition(" ")[2][:7]) == ("front-end", "decides")


@pytest.mark.parametrize("path", ["static/favicon.png", "static/static/splash.png", "static/manifest.json"])
def test_its_brand_assets_are_protected(path: str) -> None:
    assert [rule for rule, _ in series_patch.refused_path(path, front_end=True)] == ["branding"]


def test_the_name_of_the_product_is_protected(tmp_path: Path) -> None:
    path = "backend/open_webui/env.py"
    changed = RELEASE[path].replace(b"'Open WebUI'", b"'Mine'")
    assert rules(patch_of(tmp_path, {path: changed})) == {"branding"}


def test_look_alikes_of_brand_assets_are_not_protected() -> None:
    for path in ("backend/open_webui/routers/logout.py", "backend/open_webui/utils/logger.py", "backend/logos.py"):
        assert not branding.protected_path(path)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (HEADER.replace("Bug: none\n", ""), "dep3"),
        (HEADER + "\nBug: none", "dep3"),
        (HEADER.replace("Why it is there\n in two lines.", "TODO"), "dep3"),
        (HEADER.replace("Origin: vendor", "Origin: somewhere"), "dep3"),
        (HEADER.replace("Forwarded: no", "Forwarded: maybe"), "dep3"),
        (HEADER.replace(">=1.2", ">=1.3"), "applies-to"),
        (HEADER.replace(">=1.2", "1.2.x"), "applies-to"),
        (HEADER.replace("test_x", "test_y"), "proof"),
    ],
)
def test_headers_are_checked(tmp_path: Path, body: str, rule: str) -> None:
    assert rules(patch_of(tmp_path, edited(), body=body)) == {rule}


@pytest.mark.parametrize("sign", ["\x1b[2J", "\x9b2J", "\u202e", "\u200b"])
def test_a_header_has_nothing_that_a_terminal_obeys(tmp_path: Path, sign: str) -> None:
    assert rules(patch_of(tmp_path, edited(), body=HEADER.replace("Why it", f"Why{sign} it"))) == {"dep3"}


def test_the_file_is_named_after_its_subject(tmp_path: Path) -> None:
    assert rules(patch_of(tmp_path, edited()), name="other.patch") == {"name"}


def test_a_touched_path_must_exist_in_the_release(tmp_path: Path) -> None:
    repo, commit = release_repo(tmp_path, {**RELEASE, "backend/gone.py": b"a = 1\n"})
    data, _ = make_patch(repo, commit, {"backend/gone.py": b"a = 2\n"})
    assert rules(data) == {"path"}


def test_the_name_of_a_whiteout_is_refused(tmp_path: Path) -> None:
    assert rules(patch_of(tmp_path, {"backend/open_webui/static/.wh.loader.js": b"x\n"})) == {"path"}


def test_binary_hunks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="binary hunk"):
        series_patch.parse("x.patch", patch_of(tmp_path, {"backend/blob": bytes(range(256))}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just text",
        b"diff --git a/x b/x\n",
        b"From abc\nSubject: x\n\ndiff --git a/x b/x\n",
        "From\u00e9".encode("latin-1"),
    ],
)
def test_what_is_not_a_patch_is_refused(data: bytes) -> None:
    with pytest.raises(SeriesError, match=r"patches/x\.patch"):
        series_patch.parse("x.patch", data)


def test_a_damaged_hunk_is_refused(tmp_path: Path) -> None:
    data = patch_of(tmp_path, edited())
    with pytest.raises(SeriesError, match="can't be parsed"):
        series_patch.parse("x.patch", data.replace(b"@@ -1,7 +1,7 @@", b"@@ -1,9 +1,9 @@"))


def test_order_finds_what_is_unlisted_missing_or_doubled() -> None:
    names, problems = series_patch.order("# c\na.patch\na.patch\n../x.patch\ngone.patch\n", ["a.patch", "new.patch"])
    assert names == ("a.patch",)
    assert sorted(problem.rule for problem in problems) == ["listed-once", "missing", "name", "unlisted"]
    assert any(problem.patch == "patches/new.patch" for problem in problems)


def test_nearest_finds_a_moved_hunk(tmp_path: Path) -> None:
    patch = series_patch.parse("do-a-thing.patch", patch_of(tmp_path, edited()))
    failing = series_patch.failing_hunk(patch, MODELS, 1)
    assert failing
    text = "top\n" * 30 + RELEASE[MODELS].decode().replace("line_2 = 2", "line_2 = 99")
    line, excerpt = series_patch.nearest(failing[1], text)
    assert line == 31
    assert "line_2 = 99" in excerpt


@pytest.mark.parametrize(
    "subject",
    ["Trim base URLs", "Bring it back", "Speed it up", "Bypass it", "Alias one name", "Focus on one", "Say why"],
)
def test_a_subject_in_the_imperative(subject: str) -> None:
    assert series_patch.subject_problem(subject) == ""


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Fixes the list", "no imperative"),
        ("Fixed the list", "no imperative"),
        ("Fixing the list", "no imperative"),
        ("Trim base URLs.", "full stop"),
        ("Trim " + "x" * 60, "60 characters"),
        ("Trim\nit", "one line"),
        ("", "empty"),
        ("!!!", "empty"),
    ],
)
def test_a_subject_that_is_none(subject: str, words: str) -> None:
    assert words in series_patch.subject_problem(subject)
