"""Numbers in words, the same on pages, in logs and on the command line."""

DAY = 86_400
"""Seconds."""


def say_size(size: int) -> str:
    """Bytes in megabytes or gigabytes, of 10^6 and 10^9."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def say_duration(seconds: float) -> str:
    """Seconds in words, to two figures."""
    for size, unit in ((DAY, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    rounded = max(round(seconds), 1)
    return f"{rounded} second{'s' if rounded > 1 else ''}"
