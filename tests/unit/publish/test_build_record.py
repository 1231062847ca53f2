from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from webui_fork.core.digest import Digest
from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.publish import build_record
from webui_fork.publish.build_record import BuildRecord

RECORD = BuildRecord(
    schema=3,
    tag="v1.2.3-p1",
    digest=Digest.of_hex("0" * 64),
    platforms={"amd64": Digest.of_hex("0" * 64)},
    release="1" * 40,
    head="2" * 40,
    patches=["a.patch"],
    layers=[{"name": "base"}],
    drift=[],
    inputs={"series": f"sha256:{'3' * 64}"},
    statements={},
    commit="",
    dirty=True,
    key="cosign.pub",
)
ROWS = msgspec.to_builtins(RECORD, enc_hook=str)


def write(settings: Settings, values: Any) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "build.json").write_text(values if isinstance(values, str) else json.dumps(values))


def test_what_is_written_is_read(private_settings: Settings) -> None:
    write(private_settings, ROWS)
    assert build_record.read(private_settings.out) == RECORD


@pytest.mark.parametrize("name", ["patches", "drift", "inputs", "statements", "platforms"])
def test_what_a_list_or_a_table_holds_is_checked_too(private_settings: Settings, name: str) -> None:
    odd = [1] if name in ("patches", "drift") else {"series": 1}
    write(private_settings, {**ROWS, name: odd})
    with pytest.raises(PublishError, match="There is no build"):
        build_record.read(private_settings.out)


@pytest.mark.parametrize("name", list(ROWS))
def test_a_value_that_is_missing_or_of_another_kind_is_refused(private_settings: Settings, name: str) -> None:
    for change in ({name: None}, {name: 1.5}):
        write(private_settings, {**ROWS, **change})
        with pytest.raises(PublishError, match="There is no build"):
            build_record.read(private_settings.out)
    write(private_settings, {key: value for key, value in ROWS.items() if key != name})
    with pytest.raises(PublishError, match="There is no build"):
        build_record.read(private_settings.out)


OTHER_SCHEMA = json.dumps({**ROWS, "schema": 2})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 3}', OTHER_SCHEMA])
def test_what_is_no_record_is_refused(private_settings: Settings, text: str) -> None:
    write(private_settings, text)
    with pytest.raises(PublishError, match="There is no build"):
        build_record.read(private_settings.out)


def test_a_record_of_a_later_version_is_refused(private_settings: Settings) -> None:
    write(private_settings, {**ROWS, "more": 1})
    with pytest.raises(PublishError, match="There is no build"):
        build_record.read(private_settings.out)
    (private_settings.out / "build.json").unlink()
    with pytest.raises(PublishError, match="There is no build"):
        build_record.read(private_settings.out)
