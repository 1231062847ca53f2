from __future__ import annotations

import json
from dataclasses import replace

from webui_fork.publish import refresh_report
from webui_fork.publish.audit import Finding, Queried
from webui_fork.publish.refresh_report import ImageSummary, Locked, Moved, NotMoved, RefreshReport

NO_IDS: frozenset[str] = frozenset()


def locked(name: str, version: str, lock: str = "a.lock", ecosystem: str = "PyPI") -> Locked:
    return Locked(lock, name, version, ecosystem, name)


CURL, NEWER = locked("curl", "1", ecosystem="Debian:12"), locked("curl", "2", ecosystem="Debian:12")
BEFORE, AFTER = ImageSummary("v1-p1", "sha256:aa", 1_500_000), ImageSummary("v1-p2", "sha256:bb", 1_600_000)


def report(*changes: Moved, not_moved: tuple[NotMoved, ...] = (), before: ImageSummary = BEFORE) -> RefreshReport:
    return RefreshReport(changes, not_moved, before, AFTER)


def test_a_change_names_what_no_longer_holds() -> None:
    ids = {CURL: frozenset({"DSA-2", "DSA-1", "DSA-9"}), NEWER: frozenset({"DSA-9", "DSA-3"})}
    assert refresh_report.changes([CURL], [NEWER], ids) == (Moved("a.lock", "curl", "1", "2", ("DSA-1", "DSA-2")),)


def test_what_another_lock_or_another_package_of_the_source_still_has_is_not_gone() -> None:
    elsewhere = locked("curl", "1", "b.lock", "Debian:12")
    renamed = Locked("a.lock", "libcurl5", "2", "Debian:12", "curl")
    ids = {CURL: frozenset({"DSA-1"}), NEWER: NO_IDS, elsewhere: frozenset({"DSA-1"}), renamed: frozenset({"DSA-1"})}
    assert refresh_report.changes([CURL, elsewhere], [NEWER, elsewhere], ids)[0].advisories == ()
    assert [row.advisories for row in refresh_report.changes([CURL], [renamed], ids)] == [(), ()]


def test_what_came_and_what_went_is_a_change_and_the_same_package_of_another_lock_is_another() -> None:
    gone, new, other = locked("gone", "1"), locked("new", "1"), locked("gone", "1", "b.lock")
    ids = {gone: frozenset({"X-1"}), new: frozenset({"X-2"}), other: NO_IDS, CURL: NO_IDS}
    rows = refresh_report.changes([gone, other, CURL], [CURL, other, new], ids)
    assert rows == (Moved("a.lock", "gone", "1", "", ("X-1",)), Moved("a.lock", "new", "", "1", ()))


def test_a_package_that_has_several_versions_in_a_lock_is_one_change() -> None:
    old, new, newest = (locked("x", version) for version in ("1", "2", "3"))
    ids = {old: frozenset({"X-1"}), new: NO_IDS, newest: NO_IDS}
    assert refresh_report.changes([old, new], [old, new], ids) == ()
    assert refresh_report.changes([old, new], [new, newest], ids) == (Moved("a.lock", "x", "1, 2", "2, 3", ("X-1",)),)


def test_what_is_held_back_is_a_row_with_all_its_advisories() -> None:
    findings = tuple(Finding(Queried("PyPI", "x", "1"), one, (), "", ("2",)) for one in ("PYSEC-1", "GHSA-1"))
    (row,) = refresh_report.not_moved({locked("x", "1"): findings})
    assert row == NotMoved("a.lock", "x", "1", ("GHSA-1", "PYSEC-1"), ("2",))
    assert row.words == "x 1 of a.lock: GHSA-1, PYSEC-1, fixed in 2"


def test_the_title_names_the_packages_that_were_vulnerable() -> None:
    changes = [Moved("a", name, "1", "2", ("DSA-1",)) for name in "dcba"]
    assert report(*changes[:2]).title == "Fix vulnerabilities of c, d"
    assert report(*changes).title == "Fix vulnerabilities of a, b, c and 1 more"
    assert report(Moved("a", "x", "1", "2", ())).title == "Refresh 1 packages"


def test_the_text_has_what_matters_first_and_all_of_it_is_in_the_json() -> None:
    many = tuple(f"CVE-{number}" for number in range(9))
    changes = (Moved("a.lock", "plain", "1", "2", ()), Moved("b.lock", "bad", "1", "", many))
    text = refresh_report.markdown(
        report(*changes, not_moved=(NotMoved("c.lock", "stuck", "1", ("GHSA-1",), ("2", "3")),))
    )
    bad, plain = (text.index(f"`{name}`") for name in ("bad", "plain"))
    assert bad < plain
    assert "| b.lock | `bad` | 1 | gone | CVE-0, CVE-1, CVE-2, CVE-3, CVE-4, CVE-5 and 3 more |" in text
    assert "| digest | sha256:aa | sha256:bb |\n| size | 1.5 MB | 1.6 MB |" in text
    assert "- stuck 1 of c.lock: GHSA-1, fixed in 2, 3" in text
    values = json.loads(refresh_report.to_json(report(*changes)))
    assert (values["verdict"], values["title"]) == ("ready", "Fix vulnerabilities of bad")
    assert values["changes"][1]["advisories"] == list(many)


def test_an_image_that_could_not_be_built_any_more_is_said_to_be_one() -> None:
    text = refresh_report.markdown(report(before=ImageSummary("v1-p1")))
    assert "| digest | could not be built any more | sha256:bb |\n| size | – | 1.6 MB |" in text


def test_the_text_fits_a_pull_request() -> None:
    changes = [Moved("images/open-webui/debian.lock", f"p{n}", "1", "2", ("CVE-2026-12345",) * 6) for n in range(900)]
    text = refresh_report.markdown(report(*changes, not_moved=(NotMoved("c.lock", "stuck", "1", ("GHSA-1",), ("2",)),)))
    assert len(text) < 65_536
    assert "stuck" in text  # what a person has to look at is not what is cut


def test_the_commit_says_it_all() -> None:
    words = refresh_report.plain(report(Moved("a.lock", "x", "", "2", ("DSA-1", "DSA-2"))))
    assert words.splitlines() == [
        "tag: v1-p1 -> v1-p2", "digest: sha256:aa -> sha256:bb", "size: 1.5 MB -> 1.6 MB", "",
        "a.lock: x new -> 2 DSA-1 DSA-2",
    ]  # fmt: skip


def test_the_image_of_a_line_stands_beside_the_checkout_s() -> None:
    whole = replace(report(), lines=((ImageSummary("v0-p1"), ImageSummary("v0-p2", "sha256:cc", 2_000_000)),))
    rows = ["tag: v1-p1 -> v1-p2", "digest: sha256:aa -> sha256:bb", "size: 1.5 MB -> 1.6 MB"]
    rows += ["tag: v0-p1 -> v0-p2", "digest: could not be built any more -> sha256:cc", "size: – -> 2.0 MB"]
    assert refresh_report.plain(whole).splitlines() == rows
    assert json.loads(refresh_report.to_json(whole))["lines"][0][1]["digest"] == "sha256:cc"
