# SPDX-License-Identifier: MIT
"""Medians, their confidence intervals, and verdicts on aims, as in the bench."""

import math
import statistics

CONFIDENCE = 0.9  # below this the samples are too few to tell


def interval(samples):
    """Median and distribution-free 95 % interval, as in bench/harness/interval.c."""
    ordered, n = sorted(samples), len(samples)
    outside, cut = 2 / 2 ** n, 0
    while 2 * (cut + 1) < n and outside + 2 * math.comb(n, cut + 1) / 2 ** n <= 0.05:
        cut += 1
        outside += 2 * math.comb(n, cut) / 2 ** n
    return {"median": statistics.median(ordered), "low": ordered[cut],
            "high": ordered[n - 1 - cut], "confidence": 1 - outside}


def verdict(aim, its):
    """Whether a value with this interval is at most the aim: met, missed or cannot tell."""
    if aim is None:
        return ""
    if its["confidence"] < CONFIDENCE:
        return "cannot tell"
    if its["high"] <= aim:
        return "met"
    return "missed" if its["low"] > aim else "cannot tell"
