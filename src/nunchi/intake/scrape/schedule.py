"""When a target is scraped, and under which timestamp. Pure arithmetic in milliseconds of wall time.

The moments of a target are `phase + k * interval`: fixed by who the target is, the same after a restart. A scrape that
begins close enough to its moment carries the moment as its timestamp, so that timestamps stand at equal distances.
"""

SNAP_MS_MAX = 2
SNAP_FRACTION = 100


def next_moment_ms(now_ms: int, interval_ms: int, phase_ms: int) -> int:
    """The first moment at or after `now_ms`."""
    return now_ms + (phase_ms - now_ms) % interval_ms


def following_moment_ms(moment_ms: int, now_ms: int, interval_ms: int, phase_ms: int) -> tuple[int, int]:
    """The moment after `moment_ms`, seen from `now_ms`, and how many were missed on the way.

    Late by less than an interval: the moment just past, to be scraped at once. A clock set back: a moment from now on.
    """
    following_ms = moment_ms + interval_ms
    missed = max(0, (now_ms - following_ms) // interval_ms)
    following_ms += missed * interval_ms
    if following_ms - now_ms > interval_ms:
        return next_moment_ms(now_ms, interval_ms, phase_ms), 0
    return following_ms, missed


def snapped_ms(now_ms: int, moment_ms: int, interval_ms: int) -> int:
    """The timestamp of a scrape that begins at `now_ms` for `moment_ms`."""
    return moment_ms if abs(now_ms - moment_ms) <= min(interval_ms // SNAP_FRACTION, SNAP_MS_MAX) else now_ms
