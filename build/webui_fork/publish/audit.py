"""Look the packages of an SBOM up in the OSV database, and hold what is found against our own judgement (VEX).

Source: the OSV API (https://google.github.io/osv.dev/post-v1-querybatch/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packageurl import PackageURL
from packaging.version import InvalidVersion, Version

from webui_fork.config import image_toml
from webui_fork.core import strict_json, text
from webui_fork.core.errors import AuditError
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs as image_inputs
from webui_fork.publish import vex

if TYPE_CHECKING:
    import requests

OSV = "https://api.osv.dev"
TIMEOUT = (10.0, 60.0)
_PAGES = 100
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,80}")  # of a vulnerability; it comes into texts of ours
_FIXED = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,200}")
_BATCH = 500  # queries a request; the API takes 1000


@dataclass(frozen=True, slots=True)
class Queried:
    """A package as OSV knows it."""

    ecosystem: str
    name: str
    version: str

    @classmethod
    def of(cls, ecosystem: str, name: str, version: str) -> Queried:
        """Return a package in the form that OSV lists.

        Args:
            ecosystem: its word for it, as `PyPI` or `Debian:12`.
            name: the normal one; of a Debian package, its source's.
            version: a binary rebuild (+b1) has its source's, a build of a wheel (+cpu) the release's.
        """
        suffix = {"PyPI": r"\+.*$", "Debian": r"\+b\d+$"}.get(ecosystem.partition(":")[0])
        return cls(ecosystem, name, re.sub(suffix, "", version) if suffix else version)


@dataclass(frozen=True, slots=True)
class Finding:
    """A known vulnerability: of what, its id with aliases, in words, where it is fixed, and what we judge of it.

    ``settled`` says that by our judgement it does not matter here.
    """

    package: Queried
    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]
    judged: str = ""
    settled: bool = False


def packages(sbom: Mapping[str, Any]) -> tuple[Queried, ...]:
    """Return what OSV can be asked about an SBOM's components: Debian's source packages, and Python distributions."""
    queried = set()
    for purl in _purls(sbom.get("components"), "purl"):
        qualifiers: dict[str, str] = {**purl.qualifiers}  # its stubs allow a string, its parser gives a mapping
        if purl.type == "pypi":
            queried.add(Queried.of("PyPI", purl.name, str(purl.version)))
        elif purl.type == "npm" and purl.version:
            name = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
            queried.add(Queried("npm", name, str(purl.version)))
        elif purl.type == "deb":
            source, _, version = qualifiers.get("upstream", purl.name).partition("@")
            release = qualifiers.get("distro", "").removeprefix("debian-")
            queried.add(Queried.of(f"Debian:{release}", source, version or str(purl.version)))
    return tuple(sorted(queried, key=lambda item: (item.ecosystem, item.name, item.version)))


def _purls(rows: object, key: str) -> list[PackageURL]:
    """Return the purls of some rows; what has none is passed over."""
    purls = []
    for row in rows if isinstance(rows, list) else ():
        value = row.get(key) if isinstance(row, dict) else None
        if isinstance(value, str) and value.startswith("pkg:"):
            with suppress(ValueError):
                purls.append(PackageURL.from_string(value))
    return purls


def look_up(http: requests.Session, url: str, packages: Iterable[Queried]) -> tuple[Finding, ...]:
    """Ask OSV about packages.

    Raises:
        AuditError: it can't be reached, or answers something else.
    """
    return details(http, url, hits(http, url, packages))


def details(http: requests.Session, url: str, hits: Iterable[tuple[Queried, str]]) -> tuple[Finding, ...]:
    """Ask OSV what it knows of vulnerabilities.

    Args:
        http: the session.
        url: of the server.
        hits: packages, each with the id of a vulnerability.

    Raises:
        AuditError: it can't be reached, or answers something else.
    """
    pairs = tuple(hits)
    rows = {number: _ask(http, "GET", f"{url}/v1/vulns/{number}", None) for number in sorted({n for _, n in pairs})}
    return tuple(_finding(item, rows[number]) for item, number in pairs)


def hits(http: requests.Session, url: str, packages: Iterable[Queried]) -> tuple[tuple[Queried, str], ...]:
    """Ask OSV which vulnerabilities packages have; return each with its package, by its id alone.

    Raises:
        AuditError: it can't be reached, or answers something else.
    """
    queried = tuple(packages)
    hits: list[tuple[Queried, str]] = []
    for start in range(0, len(queried), _BATCH):
        part = queried[start : start + _BATCH]
        pending = [(item, "") for item in part]
        for _page in range(_PAGES):
            if not pending:
                break
            queries = [_query(item, token) for item, token in pending]
            results = _ask(http, "POST", f"{url}/v1/querybatch", {"queries": queries}).get("results")
            if not isinstance(results, list) or len(results) != len(pending):
                raise AuditError(f"{url} did not answer every question: nothing is known of the packages.")
            again = []
            for (item, _), result in zip(pending, results, strict=True):
                vulns, token = _result(result, url)
                hits += [(item, number) for number in vulns]
                again += [(item, token)] if token else []
            pending = again
        if pending:
            raise AuditError(f"{url} returned too many pages of results.")
    return tuple(hits)


def _result(result: object, url: str) -> tuple[list[str], str]:
    """Return the ids of an answer, and the token of its next page.

    Raises:
        AuditError: it is not one.
    """
    try:
        row: dict[str, Any] = dict(result)  # type: ignore[call-overload]
        ids = [str(vuln["id"]) for vuln in row.get("vulns") or ()]
        if strange := [one for one in ids if not _ID.fullmatch(one)]:
            raise ValueError(strange[0])
        return ids, str(row.get("next_page_token") or "")
    except (TypeError, KeyError, ValueError) as error:
        raise AuditError(f"{url} answered something that is not OSV's.", why=repr(result)[:200]) from error


def _query(item: Queried, token: str) -> dict[str, Any]:
    query: dict[str, Any] = {"package": {"ecosystem": item.ecosystem, "name": item.name}, "version": item.version}
    return {**query, "page_token": token} if token else query


def _ask(http: requests.Session, method: str, url: str, body: Any) -> dict[str, Any]:
    import requests

    try:
        response = http.request(method, url, json=body, timeout=TIMEOUT)
        response.raise_for_status()
        answer = strict_json.plain(response.content)
    except (requests.RequestException, ValueError) as error:
        raise AuditError(
            "The vulnerability database can't be asked: nothing is known of the packages.",
            why=f"{url}: {type(error).__name__}",
            remedy="Where it can't be reached, hand the SBOM in out/ to a scanner with data of its own; "
            "--osv-url names a mirror.",
        ) from error
    return answer if isinstance(answer, dict) else {}


def _finding(item: Queried, row: Mapping[str, Any]) -> Finding:
    try:
        own = [place for place in row.get("affected", ()) if place.get("package", {}).get("name") == item.name]
        spans = [span for place in own for span in place.get("ranges", ()) if span.get("type") != "GIT"]
        events = [event for span in spans for event in span.get("events", ())]
        fixed = {str(event["fixed"]) for event in events if "fixed" in event and _is_later(item, str(event["fixed"]))}
        aliases = tuple(str(alias) for alias in row.get("aliases") or ())
        strange = [one for one in (str(row.get("id")), *aliases) if not _ID.fullmatch(one)]
        strange += [one for one in fixed if not _FIXED.fullmatch(one)]
        if strange:
            raise ValueError(strange[0])
    except (TypeError, AttributeError, ValueError) as error:
        raise AuditError("OSV's entry of a vulnerability is malformed.", why=repr(row)[:200]) from error
    summary = str(row.get("summary") or row.get("details") or "").strip().partition("\n")[0]
    return Finding(item, str(row.get("id")), aliases, text.printable(summary[:100]), tuple(sorted(fixed)))


def _is_later(item: Queried, version: str) -> bool:
    """Tell whether a fix is one for this version, and not of an older branch; of what can't be compared, yes."""
    try:
        return item.ecosystem != "PyPI" or Version(version) > Version(item.version)
    except InvalidVersion:
        return True


def _without_version(sboms: Iterable[Mapping[str, Any]]) -> int:
    """Return how many npm packages can't be asked about: the release has no lock that names their version."""
    purls = {purl.to_string() for sbom in sboms for purl in _purls(sbom.get("components"), "purl") if not purl.version}
    return len([purl for purl in purls if purl.startswith("pkg:npm/")])


def judge(findings: Iterable[Finding], document: vex.Document) -> tuple[Finding, ...]:
    """Put our own judgement beside each finding: the last that is of its vulnerability and its package."""
    judged = []
    for finding in findings:
        names = {finding.id, *finding.aliases}
        for one in document.statements:
            same = names & {one.vulnerability.name, *one.vulnerability.aliases}
            if same and any(_covers(PackageURL.from_string(item.purl), finding.package) for item in one.products):
                finding = replace(finding, judged=one.words, settled=one.settled)
        judged.append(finding)
    return tuple(sorted(judged, key=lambda item: (item.settled, item.package.ecosystem, item.package.name, item.id)))


def _covers(purl: PackageURL, package: Queried) -> bool:
    """Tell whether a judgement's purl is of a package: its type, its name, and its version if it has one."""
    kinds = {"deb": "Debian", "pypi": "PyPI", "npm": "npm"}
    name = f"{purl.namespace}/{purl.name}" if purl.type == "npm" and purl.namespace else purl.name
    same = kinds.get(purl.type) == package.ecosystem.partition(":")[0] and name == package.name
    return same and purl.version in (None, "", package.version)


def run(settings: Settings, ui: Terminal, url: str | None, flavour: str = "") -> tuple[Finding, ...]:
    """Audit the SBOMs that the last build wrote, one for each architecture.

    Args:
        settings: of the checkout.
        ui: says what is asked.
        url: of an OSV server; None for the public one.
        flavour: of the image; "" for its first.

    Raises:
        AuditError: nothing was built, or the database can't be asked.
    """
    spec = image_toml.read(settings.root / "images" / image_inputs.IMAGE, flavour)
    again = f"Run `nox -s build{' -- --flavour ' + flavour if flavour else ''}` first."
    files = sorted(image_inputs.results(settings, spec).glob("sbom*.cdx.json"))
    if not files:
        raise AuditError(f"{image_inputs.results(settings, spec)} has no SBOM.", remedy=again)
    document = vex.read(settings)
    queried = tuple(dict.fromkeys(one for file in files for one in packages(_document(file, again))))
    if unknown := _without_version(_document(file, again) for file in files):
        ui.say(f"NOTE: {text.counted(unknown, 'npm package')} of unknown version: nothing is known of them.")
    if not queried:
        raise AuditError("The SBOM in out/ names no package.", remedy="Run `nox -s build`.")
    from webui_fork.core import wire

    with ui.step("osv", f"Asking about {text.counted(len(queried), 'package')}"), wire.session() as http:
        return judge(look_up(http, (url or OSV).rstrip("/"), queried), document)


def _document(file: Path, remedy: str) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise AuditError(f"{file} can't be read.", why=str(error), remedy=remedy) from error
    return value if isinstance(value, dict) else {}


def refuse(findings: Iterable[Finding]) -> None:
    """Raise where a finding is left that nobody judged away.

    Raises:
        AuditError: there is one.
    """
    if left := [item for item in findings if not item.settled]:
        raise AuditError(
            f"Not judged: {text.counted(len(left), 'known vulnerability')}.",
            remedy="Move on to fixed packages (`nox -s refresh`), or judge them in vex.openvex.json (docs/trust.md).",
        )
