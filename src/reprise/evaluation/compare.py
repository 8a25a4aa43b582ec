"""What the settings A to E say about pretraining, in words that are computed from metrics.json."""

from collections.abc import Mapping
from typing import Any

# B and C against training from scratch, then the two kinds of pretraining against each other
PAIRS = (("B", "A"), ("C", "A"), ("C", "B"))


def compare_settings(run: str, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Say whether B or C is above A, and C above B, on the mean of the seeds.

    Args:
        run: name of the run.
        settings: metrics.json's finetune.<run>: setting -> accuracy, accuracy_low,
            accuracy_high (0..1), seeds, images.

    Returns:
        Plain sentences; pairs of which a setting was not run are left out.
    """
    pairs = [(a, b) for a, b in PAIRS if a in settings and b in settings]
    if not pairs:
        return f"Run {run}: fewer than two of the settings A, B and C were run; nothing to compare."
    sentences = [_pair(a, b, settings) for a, b in pairs]
    some = settings[pairs[0][0]]
    seeds = "one seed" if some["seeds"] == 1 else f"the mean of {some['seeds']} seeds"
    return f"Run {run}, on {seeds} and {some['images']} images: {'; '.join(sentences)}."


def _pair(name: str, other: str, settings: Mapping[str, Mapping[str, Any]]) -> str:
    one, two = settings[name], settings[other]
    gap = 100 * (one["accuracy"] - two["accuracy"])
    values = f"{name} ({one['accuracy']:.4f}) is"
    apart = one["accuracy_low"] > two["accuracy_high"] or two["accuracy_low"] > one["accuracy_high"]
    overlap = "their 95 % intervals do not overlap" if apart else "their 95 % intervals overlap"
    if one["accuracy"] == two["accuracy"]:
        return f"{values} equal to {other} ({two['accuracy']:.4f})"
    side = "above" if gap > 0 else "below"
    return f"{values} {abs(gap):.1f} points {side} {other} ({two['accuracy']:.4f}), and {overlap}"
