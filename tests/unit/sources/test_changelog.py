from __future__ import annotations

from webui_fork.sources import changelog

TEXT = """\
# Changelog

## [0.12.4] - 2026-10-25

### Fixed

- **A thing** no longer fails. [#1](https://x.invalid/1)

### Changed

- **Wait** of "SOME_TIMEOUT", 10 seconds by default. [Commit](https://x.invalid/c), [#2](https://x.invalid/2)
- **Colour** of a button.

## [0.12.3] - 2026-10-16

A note that is no bullet point: read it first.

### Changed

- ⚠️ **Database Migrations**: back up your data.

## [0.12.2] - 2026-10-14

### Changed

- ⚠️ **Old**: of no interest.
"""


def test_only_releases_after_the_old_one_count() -> None:
    assert [version for version, _ in changelog.between(TEXT, "0.12.2", "0.12.4")] == ["0.12.4", "0.12.3"]
    assert [version for version, _ in changelog.between(TEXT, "0.12.4", "0.12.3")] == ["0.12.4"]  # told to go back


def test_a_release_that_fixes_a_vulnerability_says_so() -> None:
    assert not changelog.fixes_a_vulnerability(TEXT, "0.12.4")
    for words in (
        "CVE-2026-45349",
        "GHSA-7f5h-v6xp-fcq8",
        "a security fix",
        "vulnerabilities in uploads",
        "URL parser SSRF bypass",
    ):
        fixed = TEXT.replace("A thing", words)
        assert changelog.fixes_a_vulnerability(fixed, "0.12.4")
        assert not changelog.fixes_a_vulnerability(fixed, "0.12.3")
    assert not changelog.fixes_a_vulnerability("# Changelog\n", "0.12.4")


def test_migrations_come_first_and_links_go() -> None:
    assert changelog.notes(TEXT, "0.12.2", "0.12.4") == (
        changelog.Note("0.12.3", "", "A note that is no bullet point: read it first.", True),
        changelog.Note("0.12.3", "Changed", "⚠️ **Database Migrations**: back up your data.", True),
        changelog.Note("0.12.4", "Changed", '**Wait** of "SOME_TIMEOUT", 10 seconds by default.', False),
    )


def test_no_changelog_has_no_notes() -> None:
    assert changelog.notes("", "0.1", "0.2") == ()
