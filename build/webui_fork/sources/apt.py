"""A private apt: own sources, lists and cache; signatures checked with Debian's archive keyring.

Nothing of the host's package state is read or changed, but for where its mirrors are and which
proxies apt uses.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from webui_fork.config.debian_lock import Deb
from webui_fork.core import process
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ToolError
from webui_fork.core.files import ensure_folder, temp_folder, write_atomic
from webui_fork.core.settings import Settings

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITES = re.compile(r"(bullseye|bookworm|trixie|forky|oldoldstable|oldstable|stable|testing|sid|unstable)(-[a-z]+)*")
_RELEASE = re.compile(r"^'([^']+)/dists/([^/']+)/InRelease'", re.MULTILINE)
_URI = re.compile(r"'([^']+)' (\S+\.deb) ")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian's archives are: URLs that end without a slash."""

    main: str
    security: str | None


def mirrors(settings: Settings) -> Mirrors:
    """Find the Debian mirrors: the setting, else those of a Debian host's apt.

    Raises:
        ToolError: the host has no apt, or its apt knows no Debian mirror.
    """
    if settings.debian_mirror:
        base = settings.debian_mirror.rstrip("/")
        return Mirrors(base, base + "-security")
    if shutil.which("apt-get"):
        # works on a fresh machine, too, where apt has no lists yet
        listed = process.run(
            ["apt-get", "update", "--print-uris", "-o", "Debug::NoLocking=1"], env=settings.environ, check=False
        ).stdout
        debian_mirrors = [(uri, suite) for uri, suite in _RELEASE.findall(listed) if _SUITES.fullmatch(suite)]
        main = [uri for uri, suite in debian_mirrors if not suite.endswith("-security")]
        security = [uri for uri, suite in debian_mirrors if suite.endswith("-security")]
        if main:
            return Mirrors(main[0], security[0] if security else None)
    raise ToolError(
        "No Debian mirror is known.",
        why="The base of the image is made of Debian packages, and this host's apt names no Debian mirror.",
        remedy="Set WEBUI_FORK_DEBIAN_MIRROR to the URL of a mirror's `debian` folder.",
    )


def _proxies(environ: Mapping[str, str]) -> list[str]:
    dumped = process.run(["apt-config", "dump"], env=environ, check=False).stdout.splitlines()
    return [line for line in dumped if line.startswith(("Acquire::http", "Acquire::ftp"))]


@dataclass(frozen=True, slots=True)
class Apt:
    """A private apt, ready for use: its environment and the mirrors it reads."""

    env: Mapping[str, str]
    mirrors: Mirrors

    def install_list(self, names: list[str]) -> list[Deb]:
        """Resolve packages and all they depend on, on an empty system, without recommendations.

        Args:
            names: package names or apt patterns.

        Raises:
            ToolError: they can't be resolved.
        """
        argv = ["apt-get", "install", "--print-uris", "-qq", "--yes", *names]
        listed = process.run(argv, env=self.env, doing="resolve the Debian packages").stdout
        archives: dict[tuple[str, str], str] = {}
        for uri, file in _URI.findall(listed):
            in_security = self.mirrors.security is not None and uri.startswith(self.mirrors.security + "/")
            name, version, _ = file.removesuffix(".deb").split("_")
            archives[name, version.replace("%3a", ":")] = "security" if in_security else "main"
        if not archives:
            raise ToolError("apt resolved no package.", why=listed[-500:])
        # what --print-uris gives as checksum differs between versions of apt
        argv = ["apt-cache", "show", *(f"{name}={version}" for name, version in archives)]
        debs = []
        for stanza in process.run(argv, env=self.env).stdout.split("\n\n"):
            field = dict(re.findall(r"^(Package|Version|SHA256|Size|Filename): (.+)$", stanza, re.MULTILINE))
            if archive := archives.pop((field.get("Package", ""), field.get("Version", "")), None):
                name, version = field["Package"], field["Version"]
                try:
                    digest, size, path = Digest.of_hex(field["SHA256"]), int(field["Size"]), field["Filename"]
                except (KeyError, ValueError) as error:
                    raise ToolError(f"The archive's entry of {name} is malformed.", why=str(error)) from None
                debs.append(Deb(name, version, digest, size, archive, path))
        if archives:
            raise ToolError(f"apt knows no checksum of {', '.join(name for name, _ in archives)}.")
        return sorted(debs, key=lambda deb: deb.name)

    def download(self, package: str, folder: Path) -> Path:
        """Download one package, checked by apt against the archive's signature; return the file.

        Raises:
            ToolError: the archive does not have it, or its signature is wrong.
        """
        process.run(["apt-get", "download", "-qq", package], env=self.env, cwd=folder, doing=f"download {package}")
        return next(folder.glob("*.deb"))


@contextmanager
def private(
    settings: Settings, suite: str, architecture: str, updates: bool = True, *, expired: bool = False
) -> Iterator[Apt]:
    """Set up a private apt for one suite and read its package lists.

    Args:
        suite: as bookworm. architecture: Debian's word, as amd64.
        updates: also read the suite's security and point-release updates.
        expired: take lists that are past their date, such as testing's on a mirror that stands still.

    Raises:
        ToolError: apt or the keyring is missing, or the archive can't be read.
    """
    if not shutil.which("apt-get"):
        raise ToolError(
            "apt is missing, and Debian packages are needed.",
            remedy="Use a Debian-like machine or container, or install `apt` (dnf: apt; brew has none).",
        )
    if not KEYRING.exists():
        raise ToolError(
            f"{KEYRING} is missing: Debian's signatures could not be checked.",
            remedy="Install debian-archive-keyring (apt, dnf and brew call it that or debian-keyring).",
        )
    where = mirrors(settings)
    with temp_folder(settings.cache / "tmp", "apt") as folder:
        for name in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "log"):
            ensure_folder(folder / name)
        write_atomic(folder / "status", "")
        option = f"[arch={architecture} signed-by={KEYRING}{' check-valid-until=no' if expired else ''}]"
        sources = [f"deb {option} {where.main} {suite} main"]
        if updates:
            sources.append(f"deb {option} {where.main} {suite}-updates main")
            if where.security:
                sources.append(f"deb {option} {where.security} {suite}-security main")
        write_atomic(folder / "etc/sources.list", "\n".join(sources) + "\n")
        conf = [
            f'Dir::State "{folder}"; Dir::State::Lists "{folder}/lists"; Dir::State::status "{folder}/status";',
            f'Dir::Cache "{folder}/cache"; Dir::Etc "{folder}/etc"; Dir::Log "{folder}/log";',
            f'APT::Architecture "{architecture}"; APT::Architectures "{architecture}";',
            'APT::Install-Recommends "false"; APT::Sandbox::User "root"; Acquire::Languages "none";',
            'APT::Get::AllowUnauthenticated "false"; Acquire::Retries "3"; DPkg::Options "";',
            *_proxies(settings.environ),
        ]
        write_atomic(folder / "apt.conf", "\n".join(conf) + "\n")
        env = {**settings.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
        process.run(
            ["apt-get", "update", "-qq", "--error-on=any"], env=env, doing=f"read the package lists of Debian {suite}"
        )
        yield Apt(env, where)
