from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from webui_fork.core.digest import Digest
from webui_fork.core.errors import PublishError
from webui_fork.core.settings import Settings
from webui_fork.publish import tested
from webui_fork.publish.tested import OtherImage, PassedImage

IT = PassedImage(Digest.of_hex("a" * 64), "b" * 40, 12)


def test_what_passed_is_remembered(private_settings: Settings) -> None:
    tested.write(private_settings, IT)
    assert tested.check(private_settings, digest=IT.digest) == IT
    assert tested.check(private_settings, head=IT.head) == IT


def test_nothing_else_passes(private_settings: Settings) -> None:
    with pytest.raises(PublishError, match="No image has passed"):
        tested.read(private_settings)
    tested.write(private_settings, IT)
    with pytest.raises(PublishError, match="not the one that passed"):
        tested.check(private_settings, digest=Digest.of_hex("c" * 64))
    with pytest.raises(PublishError, match="series"):
        tested.check(private_settings, head="d" * 40)
    tested.forget(private_settings)
    with pytest.raises(PublishError, match="No image has passed"):
        tested.check(private_settings, digest=IT.digest)


def test_another_flavour_has_its_own_tests(private_settings: Settings) -> None:
    other = OtherImage(Digest.of_hex("c" * 64), 3, ("tests/integration/test_parity.py",))
    tested.write(private_settings, replace(IT, others=(other,)))
    record = tested.check(private_settings, digest=other.digest)
    assert record.of(other.digest) == other
    assert record.of(IT.digest) == OtherImage(IT.digest, 12)
    assert record.of(Digest.of_hex("d" * 64)) is None


@pytest.mark.parametrize(
    "change",
    [{"passed": 0}, {"passed": -4}, {"suites": ["/etc/passwd"]}, {"suites": ["tests/../x.py"]}, {"vllm": "a\x1b"}],
)
def test_nothing_odd_is_taken_from_whoever_ran_the_tests(private_settings: Settings, change: dict[str, Any]) -> None:
    tested.write(private_settings, IT)
    file = private_settings.out / "tested.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(PublishError, match="can't be read"):
        tested.read(private_settings)


def test_a_record_that_could_not_be_read_again_is_not_written(private_settings: Settings) -> None:
    with pytest.raises(PublishError, match="can't be read"):
        tested.write(private_settings, replace(IT, vllm="Traceback (most recent call last):"))
    assert not (private_settings.out / "tested.json").exists()


def test_a_damaged_record_is_no_proof(private_settings: Settings) -> None:
    private_settings.out.mkdir()
    (private_settings.out / "tested.json").write_text('{"digest": 1}')
    with pytest.raises(PublishError, match="can't be read"):
        tested.read(private_settings)


def test_what_was_tested_on_other_packages_is_not_published(private_settings: Settings) -> None:
    tested.write(private_settings, replace(IT, drift=("libc6: 1 -> 2",)))
    with pytest.raises(PublishError, match="did not run on the locked Debian packages") as caught:
        tested.check(private_settings, digest=IT.digest)
    assert caught.value.why == "libc6: 1 -> 2"


def test_the_tests_of_the_checkout_are_those_of_its_lines(private_settings: Settings) -> None:
    other = OtherImage(Digest.of_hex("2" * 64), 6, ("tests/integration/test_lines.py",))
    tested.write(private_settings, PassedImage(Digest.of_hex("1" * 64), "a" * 40, 12, others=(other,)))
    line = private_settings.on_line("0.11")
    assert tested.check(line, digest=other.digest).of(other.digest) == other
    with pytest.raises(PublishError, match="not the one that passed"):
        tested.check(line, digest=Digest.of_hex("3" * 64))
