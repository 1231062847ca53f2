from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, field

from webui_fork.config import toml
from webui_fork.config.toml import Table, form
from webui_fork.core.errors import ImageError

Name = Annotated[str, form("[a-z]+|[0-9]+")]


class Entry(Table, frozen=True, kw_only=True):
    name: Name
    size_limit: Annotated[int, Meta(ge=1)] = 1
    tags: tuple[Name, ...] = ()


class Inner(Table, frozen=True, kw_only=True):
    values: dict[str, Name] = field(default_factory=dict)


class Document(Table, frozen=True, kw_only=True):
    head: Entry
    entry: tuple[Entry, ...] = ()
    inner: Inner | None = None


GOOD = """\
# a comment
[head]
name = "a"

[[entry]]
name = "b" # another
size-limit = 2

[[entry]]
"name" = "c"
tags = [
  "x",
  "y",
]

[inner.values]
"k.1" = "v"
other = "w"
"""


def parse(text: str) -> Document:
    return toml.parse(text, Path("f.toml"), Document, ImageError, "Mend it.")


def test_a_document_is_a_value() -> None:
    document = parse(GOOD)
    assert [(one.name, one.size_limit, one.tags) for one in document.entry] == [("b", 2, ()), ("c", 1, ("x", "y"))]
    assert document.inner
    assert document.inner.values == {"k.1": "v", "other": "w"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('name = "a"', 'name = "A"', "f.toml:3: [head] name: 'A' is not of the form [a-z]+|[0-9]+"),
        ('name = "a"', 'name = "a\\n"', "f.toml:3: [head] name: 'a\\n' is not of the form"),
        ('name = "a"', 'name = "a1"', "f.toml:3: [head] name: 'a1' is not of the form"),
        ('name = "a"', "name = 1", "f.toml:3: [head] name: should be `str`, not 1"),
        ('name = "a"', "", "f.toml:2: [head] name: is missing"),
        (
            'name = "a"',
            'name = "a"\nnome = 1',
            "f.toml:4: [head] nome: is not a known key (known: name, size-limit, tags)",
        ),
        ("size-limit = 2", "size-limit = 0", "f.toml:7: [entry] size-limit: should be `int` >= 1, not 0"),
        ("size-limit = 2", "size-limit = true", "f.toml:7: [entry] size-limit: should be `int`, not True"),
        ("size-limit = 2", "size-limit = 2.0", "f.toml:7: [entry] size-limit: should be `int`, not 2.0"),
        (
            "size-limit = 2",
            "size_limit = 2",
            "f.toml:7: [entry] size_limit: is not a known key (known: name, size-limit, tags)",
        ),
        ('"name" = "c"', '"name" = "C"', "f.toml:10: [entry] name: 'C' is not of the form"),
        ('"name" = "c"', "", "f.toml:9: [entry] name: is missing"),
        ('"y",', '"Y",', "f.toml:11: [entry] tags: 'Y' is not of the form"),
        ('"k.1" = "v"', '"k.1" = "V"', "f.toml:17: [inner.values] k.1: 'V' is not of the form"),
        ('other = "w"', "other = 1", "f.toml:18: [inner.values] other: should be `str`, not 1"),
        ("[head]", "[haed]", "f.toml:2: haed: is not a known key (known: entry, head, inner)"),
        ("[inner.values]", "[inner.others]", "f.toml:16: [inner] others: is not a known key (known: values)"),
        ("[head]", "[head]\n[head]", "f.toml:3: is not TOML: Cannot declare ('head',) twice"),
        ('name = "a"', 'name = "a', "f.toml:3: is not TOML: "),
    ],
)
def test_an_error_names_file_line_and_key(old: str, new: str, what: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ImageError) as caught:
        parse(GOOD.replace(old, new, 1))
    assert caught.value.what.startswith(what)
    assert caught.value.remedy == "Mend it."


class Dated(Table, frozen=True, kw_only=True):
    at: datetime
    version: Annotated[str, form(r"\d+(\.\d+)+")] = "1.0"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('at = "2026-10-25T08:09:34Z"', "f.toml:1: at: should be `datetime`, not '2026-10-25T08:09:34Z'"),
        ("at = 2026-10-25", "f.toml:1: at: should be `datetime`, not datetime.date(2026, 10, 25)"),
        ('at = 2026-10-25T08:09:34Z\nversion = "x"', r"f.toml:2: version: 'x' is not of the form \d+(\.\d+)+"),
    ],
)
def test_a_time_is_no_string_and_a_form_is_shown_as_it_is_written(text: str, what: str) -> None:
    with pytest.raises(ImageError) as caught:
        toml.parse(text, Path("f.toml"), Dated, ImageError, "")
    assert caught.value.what == what


def test_an_empty_document_lacks_its_first_table() -> None:
    with pytest.raises(ImageError, match=r"f\.toml:1: head: is missing"):
        parse("")


def test_a_file_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    with pytest.raises(ImageError, match="is missing"):
        toml.read(file, Document, ImageError, "")
    file.write_bytes(b"\xff")
    with pytest.raises(ImageError, match="can't be read"):
        toml.read(file, Document, ImageError, "")
