from __future__ import annotations

import pytest

from webui_fork.config import requirements_lock
from webui_fork.core.errors import LockError

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def lock_of(*files: tuple[str, str], name: str = "x") -> dict[str, object]:
    rows = [{"url": f"https://index.example/{file}", "hashes": {"sha256": sha}} for file, sha in files]
    return {"packages": [{"name": name, "wheels": rows}]}


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([("x-1-py3-none-any.whl", A), ("x-1-cp311-cp311-manylinux2014_x86_64.whl", B)], B),
        (
            [
                ("x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", A),
                ("x-1-cp39-abi3-linux_x86_64.whl", B),
            ],
            A,
        ),
        ([("x-1-cp311-cp311-musllinux_1_2_x86_64.whl", A), ("x-1-cp310-abi3-manylinux_2_28_x86_64.whl", B)], B),
        ([("x-1-cp311-cp311-manylinux_2_39_x86_64.whl", A), ("x-1-py2.py3-none-any.whl", B)], B),
        ([("x-1-py3-none-any.whl", A), ("x-1-1-py3-none-any.whl", B)], B),
        ([("x-1%2Bcpu-cp311-cp311-linux_x86_64.whl", A)], A),
    ],
)
def test_the_best_wheel_of_the_target_is_chosen(files: list[tuple[str, str]], chosen: str) -> None:
    assert requirements_lock.choose(lock_of(*files), "3.11", "x86_64") == {"x": chosen}


def test_another_machine_takes_another_wheel() -> None:
    both = lock_of(("x-1-cp311-cp311-manylinux_2_17_x86_64.whl", A), ("x-1-cp311-cp311-manylinux_2_17_aarch64.whl", B))
    assert requirements_lock.choose(both, "3.11", "aarch64") == {"x": B}


def test_a_package_without_a_wheel_is_refused() -> None:
    with pytest.raises(LockError, match=r"no wheel for Python 3\.11 on x86_64"):
        requirements_lock.choose(lock_of(("x-1-cp312-cp312-win_amd64.whl", A)), "3.11", "x86_64")


TEXT = (
    f"x==1.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
    f"y==2 ; python_version > '3' \\\n    --hash=sha256:{C}\n"
)


def test_a_lock_keeps_one_hash_a_package() -> None:
    narrowed = requirements_lock.narrow(TEXT, {"x": B, "y": C})
    assert narrowed == f"x==1.0 \\\n    --hash=sha256:{B}\ny==2 ; python_version > '3' \\\n    --hash=sha256:{C}\n"
    assert list(requirements_lock.pins(narrowed)) == [("x", "1.0", f"sha256:{B}"), ("y", "2", f"sha256:{C}")]
    assert requirements_lock.narrow(narrowed, {"x": B, "y": C}) == narrowed


def test_a_hash_that_was_not_listed_is_refused() -> None:
    with pytest.raises(LockError, match=r"x 1\.0 is not one that the index listed"):
        requirements_lock.narrow(TEXT, {"x": C, "y": C})


OLD = "a==1 \\\n    --hash=sha256:aa\nB_c==2.0 ; sys_platform == 'linux' \\\n    --hash=sha256:bb\n# z==9\n"
NEW = "a==1.1 \\\n    --hash=sha256:cc\nd==3 \\\n    --hash=sha256:dd\n"


def test_a_lock_names_versions() -> None:
    assert requirements_lock.versions(OLD) == {"a": "1", "b-c": "2.0"}
    assert requirements_lock.versions("") == {}
    assert requirements_lock.versions("n==2 ; x \\\nn==10 ; y \\\n") == {"n": "2, 10"}
    assert requirements_lock.packages("N==2 ; x \\\nn==10 ; y \\\n") == (("n", "2"), ("n", "10"))


def test_what_moved_is_a_line_a_distribution() -> None:
    assert requirements_lock.differences(OLD, NEW) == ("a: 1 -> 1.1", "b-c: 2.0 -> absent", "d: absent -> 3")
    assert requirements_lock.differences(OLD, OLD) == ()


def test_another_platform_keeps_versions_and_no_hashes() -> None:
    first = (
        f"# head\na==1 \\\n    --hash=sha256:{'0' * 64}\nb==2 ; python_version < '4' \\\n    --hash=sha256:{'1' * 64}\n"
    )
    own = f"a==9 \\\n    --hash=sha256:{'2' * 64}\nc==3 \\\n    --hash=sha256:{'3' * 64}\n"
    kept = f"c==3 \\\n    --hash=sha256:{'3' * 64}\n"
    assert requirements_lock.preferences(first, own) == f"a==1\na==9\nb==2\n{kept}"
    assert requirements_lock.preferences(first, "") == "a==1\nb==2\n"


def test_a_version_that_both_platforms_have_keeps_its_own_hash() -> None:
    first, own = (f"a==1 \\\n    --hash=sha256:{digit * 64}\n" for digit in "01")
    assert requirements_lock.preferences(first, own) == own


def test_a_pin_is_no_local_build_of_its_version() -> None:
    digest = f"    --hash=sha256:{'0' * 64}\n"
    text = (
        f"# input=sha256:1\na==1 \\\n{digest}b-c==2.0+cpu ; platform_machine == 'x86_64' \\\n{digest}    # via a==1\n"
    )
    assert requirements_lock.exactly(text) == text.replace("a==1 \\", "a===1 \\").replace("b-c==2", "b-c===2")
    assert requirements_lock.exactly(requirements_lock.exactly(text)) == requirements_lock.exactly(text)
