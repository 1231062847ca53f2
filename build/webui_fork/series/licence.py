"""Clause 4 of Open WebUI's licence, held against a patched tree and an image's description before anything is built."""

from __future__ import annotations

from webui_fork.config.image_toml import ImageSpec, RegistrySpec
from webui_fork.core.errors import ImageError
from webui_fork.core.git import Repo
from webui_fork.series import apply, branding, patch


def check(repo: Repo, tree: apply.PatchedTree, spec: ImageSpec | RegistrySpec) -> None:
    """Check that neither the series nor the image's description touches the branding.

    Raises:
        SeriesError: the series does. ImageError: `image.toml` does.
    """
    problems = []
    for change in apply.changes(repo, tree):
        before = repo.read_file(tree.release, change.path) or b""
        after = change.data or b""
        if branding.protected_path(change.path):
            problems.append(f"{change.path}: is a licence text or a brand asset")
        elif why := branding.text_problem(change.path, before.decode(errors="replace"), after.decode(errors="replace")):
            problems.append(why)
    apply.refuse([patch.Problem("patches/", "branding", why) for why in problems])
    if isinstance(spec, RegistrySpec):  # the base brings its own files and variables
        return
    paths = repo.paths(tree.release)
    broken = branding.image_problems(
        filter(None, paths),
        spec.place,
        [copy.path for copy in spec.copies if copy.origin == "release"],
        [copy.to.strip("/") for copy in spec.copies if copy.origin == "image"],
        [item.partition("=")[0] for item in spec.run["Env"]],
    )
    if broken:
        raise ImageError(
            f"{spec.folder / 'image.toml'} touches Open WebUI's branding, which its licence (clause 4) forbids.",
            why="\n".join(broken),
            remedy="Take that out of image.toml.",
        )
