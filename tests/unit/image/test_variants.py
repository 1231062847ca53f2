"""What a base in a registry must have of the release's front end before the series goes on top of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from webui_fork.config import image_toml, reference, upstream_lock
from webui_fork.core.errors import ImageError
from webui_fork.core.files import sha256_bytes
from webui_fork.core.settings import CHECKOUT
from webui_fork.frontend.changes import BuiltFile
from webui_fork.image import variants

OLD = sha256_bytes(b"old")
BUILT = (
    BuiltFile("index.html", OLD, b"new"),
    BuiltFile("_app/immutable/new.js", None, b"new"),
    BuiltFile("_app/immutable/old.js", OLD, None),
    BuiltFile("_app/immutable/new.js.map", None, b"map"),
)


def request() -> variants.Request:
    spec = image_toml.read_registry(CHECKOUT / "images/upstream")
    lock = upstream_lock.read(CHECKOUT / "upstream.lock")
    return variants.Request(spec, spec.variants[0], lock, (), reference.parse("registry.example/a:b"))


def test_a_base_has_the_wheel_s_files_and_none_of_the_new_ones() -> None:
    assert variants._built_before(request(), BUILT) == {
        "app/build/index.html": OLD.hex,
        "app/build/_app/immutable/new.js": None,
        "app/build/_app/immutable/old.js": OLD.hex,
    }
    assert variants._built_before(request(), ()) == {}


def test_a_description_that_does_not_say_where_the_front_end_is() -> None:
    one = request()
    copies = tuple(copy for copy in one.spec.copies if copy.origin != "wheel")
    assert len(copies) < len(one.spec.copies)
    with pytest.raises(ImageError, match="no place for the built front end"):
        variants._built_before(replace(one, spec=replace(one.spec, copies=copies)), BUILT)
