"""What the published files of KuaiRand are like, to tell a whole download from a part of one."""

from __future__ import annotations

from collections.abc import Sequence

from data.storage import DataPath

_MIB = 1 << 20
# Sizes in MiB, as the data set's README lists them, rounded; by the end of the files' names.
_SIZES = {
    "1k": {
        "log_standard_4_08_to_4_21": 368.0,
        "log_standard_4_22_to_5_08": 481.0,
        "user_features": 132 / 1024,
        "video_features_basic": 368.0,
    },
    "pure": {
        "log_standard_4_08_to_4_21": 80.0,
        "log_standard_4_22_to_5_08": 21.0,
        "user_features": 3.4,
        "video_features_basic": 612 / 1024,
    },
}
_ROUNDING = 0.03


def differences(files: Sequence[DataPath]) -> tuple[str, ...]:
    """How files differ from the published ones that have their names.

    Args:
      files: Files of a log in KuaiRand's layout.

    Returns:
      A line for every file of another size, and for every one that is missing; none for other names.
    """
    present = {file.name: file for file in files}
    found = []
    for suffix, sizes in _SIZES.items():
        names = {f"{start}_{suffix}.csv": size for start, size in sizes.items()}
        if not any(name in present for name in names):
            continue
        for name, size in names.items():
            published = f"{size:,.0f} MiB" if size >= 1 else f"{size * 1024:.0f} KiB"
            if name not in present:
                found.append(f"{name} ({published}) of the published set is not there")
            elif abs(present[name].size / _MIB / size - 1) > _ROUNDING:
                found.append(
                    f"{name} has {present[name].size:,} bytes, the published file {published}: part of a download, or "
                    "another log under its name"
                )
    return tuple(found)
