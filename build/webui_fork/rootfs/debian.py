"""A Debian system from its packages: unpacked and merged, and what their scripts would make, declared.

Nothing of a package is run, so it needs neither root nor Debian, for any architecture: the way of rules_distroless and
apko. tests/integration/test_base.py holds the result against what mmdebstrap makes of the same packages.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch

from webui_fork.config.image_tables import Base
from webui_fork.core.errors import ImageError
from webui_fork.rootfs import certificates, dpkg, layers, shared_libraries
from webui_fork.rootfs.deb import Package
from webui_fork.rootfs.layers import Entry
from webui_fork.rootfs.shared_libraries import MULTIARCH

_MERGED = ("bin", "sbin", "lib", "lib64")  # into /usr
_KEPT = "/usr/share/doc/*/copyright"
# What maintainer scripts copy, where the package is there: of base-files, base-passwd, libc-bin and others.
_COPIES = {
    "etc/group": "usr/share/base-passwd/group.master",
    "etc/inputrc": "usr/share/readline/inputrc",
    "etc/motd": "usr/share/base-files/motd",
    "etc/nsswitch.conf": "usr/share/libc-bin/nsswitch.conf",
    "etc/profile": "usr/share/base-files/profile",
    "etc/shells": "usr/share/debianutils/shells",
    "root/.bashrc": "usr/share/base-files/dot.bashrc",
    "root/.profile": "usr/share/base-files/dot.profile",
}
# What they link and create: links by path, folders with their mode.
_LINKS = {
    "etc/dpkg/origins/default": "debian",
    "usr/local/man": "share/man",
    "var/lock": "/run/lock",
    "var/run": "/run",
    "var/spool/mail": "../mail",
}
# What `update-alternatives` links by default, where the program is there; {lib} is as x86_64-linux-gnu.
_ALTERNATIVES = {
    "etc/mysql/my.cnf": "/etc/mysql/mariadb.cnf",
    "usr/bin/awk": "/usr/bin/mawk",
    "usr/bin/c++": "/usr/bin/g++",
    "usr/bin/c89": "/usr/bin/c89-gcc",
    "usr/bin/c99": "/usr/bin/c99-gcc",
    "usr/bin/cc": "/usr/bin/gcc",
    **{
        f"usr/bin/lz{name}": f"/usr/bin/xz{name}"
        for name in ("cat", "cmp", "diff", "egrep", "fgrep", "grep", "less", "more")
    },
    "usr/bin/lzma": "/usr/bin/xz",
    "usr/bin/nawk": "/usr/bin/mawk",
    "usr/bin/pager": "/usr/bin/more",
    "usr/bin/unlzma": "/usr/bin/unxz",
    "usr/bin/which": "/usr/bin/which.debianutils",
    "usr/lib/cpp": "/usr/bin/cpp",
    "usr/lib/{lib}/libblas.so.3": "/usr/lib/{lib}/blas/libblas.so.3",
    "usr/lib/{lib}/liblapack.so.3": "/usr/lib/{lib}/lapack/liblapack.so.3",
    "usr/sbin/rmt": "/usr/sbin/rmt-tar",
}
# What fontconfig-config links by default.
_FONTS = ("10-hinting-slight.conf", "70-no-bitmaps.conf")
_FOLDERS = {
    **dict.fromkeys(
        ("dev", "etc/opt", "media", "mnt", "opt", "proc", "run", "srv", "sys", "var/log", "var/opt"), 0o755
    ),
    **{f"usr/local/{name}": 0o755 for name in ("bin", "etc", "games", "include", "lib", "sbin", "share/man", "src")},
    "usr/local/share/ca-certificates": 0o755,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
_OWNED = (layers.folder_entry("var/mail", 0o2775, 0, 8), layers.folder_entry("usr/local/share/fonts", 0o2775, 0, 50))
# What pam-auth-update fills into Debian's templates where passwd and shadow are all there is; for `su` of root.
_PAM = "usr/share/pam"
_PAM_ROWS = {
    "account_primary": "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so ",
    "auth_primary": "auth\t[success=1 default=ignore]\tpam_unix.so nullok",
    "password_primary": "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt",
    "session_additional": "session\trequired\tpam_unix.so ",
    "session_nonint_additional": "session\trequired\tpam_unix.so ",
    "session_nonint_primary": "session\t[default=1]\t\t\tpam_permit.so",
    "session_primary": "session\t[default=1]\t\t\tpam_permit.so",
}


def entries(packages: Iterable[Package], base: Base, architecture: str) -> list[Entry]:
    """Return the files of a system.

    Args:
        packages: all that are installed.
        base: leaves out paths, and names the server's user.
        architecture: Debian's word.

    Raises:
        ImageError: two packages want one path, or one needs a folder where another has a link.
        ArchiveError: a library or a certificate of theirs is damaged.
    """
    packages = sorted(packages, key=lambda package: package.deb.name)
    tree = _merged(packages, base)
    tree |= dict(_declared(tree, base, architecture))
    for item in (*certificates.entries(tree), *dpkg.entries(packages, architecture)):
        tree[item.path] = item
    tree[shared_libraries.PATH] = shared_libraries.entry(tree, architecture)
    _check_parents(tree)
    return list(tree.values())


def _merged(packages: Iterable[Package], base: Base) -> dict[str, Entry]:
    tree: dict[str, Entry] = {}
    owner: dict[str, str] = {}
    for package in packages:
        for raw in package.entries:
            item = _placed(raw)
            if item.path in _MERGED or _left_out(item, base.exclude):
                continue
            before = tree.get(item.path)
            if before is None or (before.kind, item.kind) == (tarfile.DIRTYPE, tarfile.DIRTYPE):
                tree.setdefault(item.path, item)
                owner.setdefault(item.path, package.deb.name)
            else:
                raise ImageError(f"{owner[item.path]} and {package.deb.name} both want the path /{item.path}.")
    return tree


def _placed(item: Entry) -> Entry:
    """Put an entry where a merged /usr has it, and take set-uid and set-gid off a program."""
    plain = item.mode & 0o1777 if item.kind == tarfile.REGTYPE else item.mode
    link = _merge(item.link) if item.kind == tarfile.LNKTYPE else item.link
    return replace(item, path=_merge(item.path), link=link, mode=plain)


def _merge(path: str) -> str:
    return f"usr/{path}" if path.partition("/")[0] in _MERGED and "/" in path else path


def _left_out(item: Entry, patterns: Iterable[str]) -> bool:
    """Tell whether an entry is not unpacked; a link may be a package's way to its copyright, and stays (dpkg(1))."""
    path = f"/{item.path}"
    kept = fnmatch(path, _KEPT) or (item.kind == tarfile.SYMTYPE and path.startswith("/usr/share/doc/"))
    return not kept and any(fnmatch(path, pattern) for pattern in patterns)


def _declared(tree: Mapping[str, Entry], base: Base, architecture: str) -> Iterator[tuple[str, Entry]]:
    """Yield what maintainer scripts would have made."""
    for path in _MERGED:
        if any(name.startswith(f"usr/{path}/") for name in tree):
            yield path, Entry(path, tarfile.SYMTYPE, 0o777, link=f"usr/{path}")
    for path, source in _COPIES.items():
        if source in tree and path not in tree:
            yield path, replace(tree[source], path=path)
    for path, link in _LINKS.items():
        yield path, Entry(path, tarfile.SYMTYPE, 0o777, link=link)
    for path, mode in _FOLDERS.items():
        yield path, layers.folder_entry(path, mode)
    yield from ((item.path, item) for item in _OWNED)
    yield from _alternatives(tree, MULTIARCH[architecture])
    for name in _FONTS:
        path, target = f"etc/fonts/conf.d/{name}", f"/usr/share/fontconfig/conf.avail/{name}"
        if target.lstrip("/") in tree:
            yield path, Entry(path, tarfile.SYMTYPE, 0o777, link=target)
    passwd = tree.get("usr/share/base-passwd/passwd.master")
    if passwd:
        user = f"{base.user}:x:{base.uid}:0::/tmp:/usr/sbin/nologin\n"
        yield "etc/passwd", layers.file_entry("etc/passwd", layers.content(passwd) + user.encode())
    for source in (path for path in tree if path.startswith(f"{_PAM}/common-") and not path.endswith(".md5sums")):
        path = f"etc/pam.d/{source.rpartition('/')[2]}"
        yield path, layers.file_entry(path, _filled(layers.content(tree[source]).decode()).encode())


def _alternatives(tree: Mapping[str, Entry], multiarch: str) -> Iterator[tuple[str, Entry]]:
    for link, program in _ALTERNATIVES.items():
        path, target = link.format(lib=multiarch), program.format(lib=multiarch)
        if target.lstrip("/") not in tree:
            continue
        name = path.rpartition("/")[2] + (f"-{multiarch}" if path != link else "")
        yield f"etc/alternatives/{name}", Entry(f"etc/alternatives/{name}", tarfile.SYMTYPE, 0o777, link=target)
        yield path, Entry(path, tarfile.SYMTYPE, 0o777, link=f"/etc/alternatives/{name}")


def _filled(template: str) -> str:
    lines = []
    for line in template.splitlines(keepends=True):
        if not line.startswith("$"):
            lines.append(line)
        elif row := _PAM_ROWS.get(line[1:].strip()):
            lines.append(f"{row}\n")
    return "".join(lines)


def _check_parents(tree: Mapping[str, Entry]) -> None:
    for path in tree:
        parent = path.rpartition("/")[0]
        while parent:
            item = tree.get(parent)
            if item is not None and item.kind != tarfile.DIRTYPE:
                raise ImageError(f"/{path} would stand below /{parent}, which is no folder.")
            parent = parent.rpartition("/")[0]
