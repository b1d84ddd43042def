"""What the images of a search are, in words: before it begins, and in a dry run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sparx_nas.ground.quantities import counted

REASONS = 3
"""How many reasons for leaving files out are told."""


def data_words(described: Mapping[str, Any]) -> list[str]:
    """Say what data are (`DataSet.describe`): their size, how they were divided, what is left out.

    One item for each statement; none is wrapped.
    """
    splits = ", ".join(f"{count:,} {split}" for split, count in described["splits"].items())
    channels = counted(described["in_chans"], "channel")
    classes = described["num_classes"]
    return [
        f"{described['name']}, {described['source']}: {classes:,} classes, {channels}; {splits}",
        described["rule"],
        *described.get("notes", ()),
        *_skipped_words(described),
    ]


def _skipped_words(described: Mapping[str, Any]) -> list[str]:
    """Say how many files are left out and why, the commonest reasons with a file each."""
    if not described["skipped_count"]:
        return []
    reasons = Counter(reason for _, reason in described["skipped"])
    first = {reason: path for path, reason in reversed(described["skipped"])}
    told = [
        f"{path} ({reason})" if count == 1 else f"{count} such as {path} ({reason})"
        for reason, count in reasons.most_common(REASONS)
        for path in [first[reason]]
    ]
    told += ["…"] if len(reasons) > REASONS else []
    return [f"{counted(described['skipped_count'], 'file')} left out: {'; '.join(told)}"]
