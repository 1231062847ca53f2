"""The user's Python package index, as pip and uv are set up to use it.

Nothing of it stands in this repository: the default is the library's own.
"""

from __future__ import annotations

import re
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import msgspec

from webui_fork.config.image_tables import Sdist
from webui_fork.config.upstream_lock import VERSION, Lock, PinnedFile
from webui_fork.core import files as core_files
from webui_fork.core import process
from webui_fork.core.errors import LockError, SourceError, ToolError, UsageError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.core.text import printable, redact_text, without_secrets
from webui_fork.sources.download import TRIES, Wanted, cached, digest_of, download

if TYPE_CHECKING:
    import requests
    from pypi_simple import ProjectPage

PROJECT = "open-webui"


@dataclass(frozen=True, slots=True)
class Index:
    """Where Python packages come from: main index (None: the default), more of them, folders."""

    url: str | None
    extra: tuple[str, ...]
    find_links: tuple[str, ...]
    ca_bundle: str | None

    def uv_variables(self, *folders: Path) -> dict[str, str]:
        """Return the variables that make uv look where pip would: URLs have passwords, so no arguments.

        Args:
            folders: with wheels, where it looks first.
        """
        variables = {"UV_DEFAULT_INDEX": self.url} if self.url else {}
        # uv takes no local folder for an index
        if extra := [url for url in self.extra if not url.startswith("file:")]:
            variables |= {"UV_INDEX": " ".join(extra), "UV_INDEX_STRATEGY": "unsafe-best-match"}
        if links := [*map(str, folders), *self.find_links]:
            variables["UV_FIND_LINKS"] = ",".join(links)
        return variables

    def pip_variables(self) -> dict[str, str]:
        """Return the variables that make pip look where uv would."""
        values = {
            "PIP_INDEX_URL": self.url or "",
            "PIP_EXTRA_INDEX_URL": " ".join(self.extra),
            "PIP_FIND_LINKS": " ".join(self.find_links),
            "PIP_CERT": self.ca_bundle or "",
        }
        return {key: value for key, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Release:
    """A release as the index lists it."""

    version: str
    time: datetime
    sdist: PinnedFile
    wheel: PinnedFile

    @property
    def lock(self) -> Lock:
        """It as a lock, with none of the other files that a checkout locks."""
        return Lock(self.version, self.time, self.sdist, self.wheel, None, ())


def _uv_file(environ: Mapping[str, str]) -> dict[str, object]:
    base = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    try:
        return tomllib.loads((base / "uv" / "uv.toml").read_text())
    except (OSError, ValueError, RecursionError):
        return {}


def _pip_config(environ: Mapping[str, str]) -> dict[str, str]:
    """Ask pip itself, which knows its files and their order on every platform."""
    try:
        listed = process.run([sys.executable, "-m", "pip", "config", "list"], env=environ, timeout=30).stdout
    except ToolError:
        return {}
    values: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        # pip: environment over [install] over [global]
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if rank is not None and rank >= int(values.get("rank " + option, "0")):
            values[option] = value.strip().strip("'").replace("\\n", " ")
            values["rank " + option] = str(rank)
    return values


def configured(settings: Settings) -> Index:
    """Read the index from the user's uv settings, else from pip's."""
    env = settings.environ
    uv = _uv_file(env)
    default = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or uv.get("index-url")
    for entry in uv.get("index") or []:  # type: ignore[attr-defined]
        if isinstance(entry, dict) and entry.get("default"):
            default = default or entry.get("url")
    pip = _pip_config(env)
    return Index(
        url=str(default) if default else pip.get("index-url"),
        extra=tuple(pip.get("extra-index-url", "").split()),
        find_links=tuple(pip.get("find-links", "").split()),
        ca_bundle=env.get("SSL_CERT_FILE") or env.get("REQUESTS_CA_BUNDLE") or pip.get("cert"),
    )


def session(index: Index) -> requests.Session:
    """Return an HTTP session with the user's proxies, CA bundle and .netrc, and with bounds.

    Raises:
        UsageError: the CA bundle is not there.
    """
    from webui_fork.core import wire

    http = wire.session()
    if index.ca_bundle:
        if not Path(index.ca_bundle).exists():
            raise UsageError(
                f"The CA bundle {index.ca_bundle} does not exist.",
                remedy="Check SSL_CERT_FILE, REQUESTS_CA_BUNDLE and pip's `cert`.",
            )
        http.verify = index.ca_bundle
    http.headers["User-Agent"] = "webui-fork"
    return http


def _page(index: Index, http: requests.Session, project: str) -> tuple[str, ProjectPage]:
    """Return the index's URL, and its page of a project.

    Raises:
        SourceError: it can't be reached, or does not know the project.
    """
    import requests
    from pypi_simple import (
        PYPI_SIMPLE_ENDPOINT,
        NoSuchProjectError,
        PyPISimple,
        UnsupportedContentTypeError,
        UnsupportedRepoVersionError,
    )

    from webui_fork.core.wire import EndlessError

    endpoint = index.url or PYPI_SIMPLE_ENDPOINT
    client = PyPISimple(endpoint, session=http)
    for attempt in range(TRIES):
        try:
            return endpoint, client.get_project_page(project, timeout=60)
        except NoSuchProjectError:
            raise SourceError(
                f"{without_secrets(endpoint)} has no project {project}.",
                remedy="Check the index your pip/uv settings name.",
            ) from None
        except (requests.RequestException, UnsupportedContentTypeError) as error:
            refused = isinstance(error, requests.HTTPError) and error.response.status_code < 500
            if refused or isinstance(error, EndlessError) or attempt + 1 == TRIES:
                raise SourceError(
                    f"The package index {without_secrets(endpoint)} can't be read.",
                    why=redact_text(str(error), endpoint),
                    remedy="Check the network, the proxy variables and the index your pip/uv settings name.",
                ) from error
            time.sleep(2**attempt)
        except (ValueError, RecursionError, UnsupportedRepoVersionError) as error:  # pydantic's is a ValueError
            raise SourceError(
                f"The package index {without_secrets(endpoint)} answered with something that is not an index page.",
                why=printable(f"{type(error).__name__}: {redact_text(str(error), endpoint)}")[:300],
                remedy="Use another index or mirror: this one is broken or hostile.",
            ) from None
    raise AssertionError("unreachable")


def sdist(settings: Settings, source: Sdist, ui: Terminal) -> Path:
    """Return a source distribution by its digest, from the cache or the index.

    Raises:
        SourceError, DigestError: the index does not have it, or gives another file.
    """
    label, file = f"{source.name}-{source.version}.tar.gz", cached(settings.cache, source.digest)
    if file.exists():
        core_files.check(file, source.digest)
        return file
    where = configured(settings)
    with session(where) as http:
        endpoint, page = _page(where, http, source.name)
        for package in page.packages:
            if package.package_type == "sdist" and package.version == source.version:
                url = _joined(endpoint, source.name, package.url)
                return download(http, Wanted(url, label, source.digest, package.size or None), settings.cache, ui)
    raise SourceError(f"The index has no source of {source.name} {source.version}.")


def _joined(endpoint: str, project: str, url: str) -> str:
    """Return the whole URL of a file that a project's page names.

    Raises:
        SourceError: it is none.
    """
    try:
        return urljoin(f"{endpoint.rstrip('/')}/{project}/", url)
    except ValueError as error:
        raise SourceError(f"The package index {without_secrets(endpoint)} gives {url!r} as an address.") from error


def listing(index: Index, http: requests.Session) -> tuple[list[Release], dict[str, str]]:
    """List the stable, unyanked releases that have both an sdist and a wheel, oldest first.

    Returns:
        The releases, and the URL of each of their files by file name.

    Raises:
        SourceError: the index can't be reached, does not know the project, or gives a digest that is none.
    """
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    endpoint, page = _page(index, http, PROJECT)
    urls: dict[str, str] = {}
    files: dict[Version, dict[str, PinnedFile]] = {}
    times: dict[Version, datetime] = {}
    for package in page.packages:
        # a plain mirror gives neither digest nor size: what is locked has both already
        urls[package.filename] = _joined(endpoint, PROJECT, package.url)
        sha256 = package.digests.get("sha256")
        try:
            version = Version(package.version or "")
        except ValueError:  # InvalidVersion is one; and so is a number of 5,000 digits
            continue
        kind = package.package_type or ""
        if version.is_prerelease or package.is_yanked or not sha256 or kind not in ("sdist", "wheel"):
            continue
        if not re.fullmatch(VERSION, str(version)):  # no lock could hold it
            continue
        if canonicalize_name(package.project or "") != PROJECT:  # a page may list anything
            continue
        row = {"name": package.filename, "size": package.size or 0, "sha256": digest_of(sha256).hex}
        with suppress(msgspec.ValidationError):  # a name or a size that no lock may hold
            files.setdefault(version, {})[kind] = msgspec.convert(row, PinnedFile)
        if kind == "sdist" and package.upload_time:
            with suppress(OverflowError):  # the year 0 or 10000, in UTC
                times[version] = package.upload_time.astimezone(UTC).replace(microsecond=0)
    releases = [
        Release(str(version), times[version], both["sdist"], both["wheel"])
        for version, both in sorted(files.items())
        if len(both) == 2 and version in times
    ]
    return releases, urls


def pick(releases: list[Release], version: str | None) -> Release:
    """Return the release of this version, or the newest.

    Raises:
        LockError: there is none.
    """
    chosen = [release for release in releases if version in (None, release.version)]
    if not chosen:
        raise LockError(
            f"The index has no stable release {version or ''} of {PROJECT} with both an sdist and a wheel.",
            remedy="`pip index versions open-webui` lists what there is.",
        )
    return chosen[-1]
