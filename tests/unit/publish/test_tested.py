from __future__ import annotations

import pytest

from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.publish import tested
from webui_fork.publish.tested import Proven

IT = Proven("sha256:" + "a" * 64, "b" * 40, 12)


def test_what_passed_is_remembered(private_settings: Settings) -> None:
    tested.write(private_settings, IT)
    assert tested.check(private_settings, digest=IT.digest) == IT
    assert tested.check(private_settings, head=IT.head) == IT


def test_nothing_else_passes(private_settings: Settings) -> None:
    with pytest.raises(PublishError, match="No image has passed"):
        tested.read(private_settings)
    tested.write(private_settings, IT)
    with pytest.raises(PublishError, match="not the one that passed"):
        tested.check(private_settings, digest="sha256:" + "c" * 64)
    with pytest.raises(PublishError, match="series"):
        tested.check(private_settings, head="d" * 40)
    tested.forget(private_settings)
    with pytest.raises(PublishError, match="No image has passed"):
        tested.check(private_settings, digest=IT.digest)


def test_a_damaged_record_is_no_proof(private_settings: Settings) -> None:
    private_settings.out.mkdir()
    (private_settings.out / "proven.json").write_text('{"digest": 1}')
    with pytest.raises(PublishError, match="can't be read"):
        tested.read(private_settings)
