from __future__ import annotations

from webui_fork.core.text import human_size


def test_sizes_read_well() -> None:
    assert [human_size(size) for size in (0, 999, 1500, 260_000_000, 3 * 10**9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "260.0 MB",
        "3.0 GB",
    ]
