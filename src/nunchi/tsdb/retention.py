"""Whole blocks go once everything in them is too old, or when files take more room than allowed, the oldest first.

All that samples take counts, runs and log too, but only blocks go.
"""

from nunchi.tsdb.block import Block
from nunchi.tsdb.compaction import replace_blocks
from nunchi.tsdb.state import State


def drop_expired(state: State) -> None:
    """Remove what the settings no longer allow."""
    oldest_ms = state.clock.now_ms() - state.settings.retention_ms
    expired = [block for block in state.sealed.blocks if block.meta.max_time <= oldest_ms]
    _drop(state, expired, "time")
    allowed = state.settings.retention_bytes
    if not allowed:
        return
    blocks = sorted(state.sealed.blocks, key=lambda block: block.meta.max_time)
    used = sum(block.bytes for block in blocks) + sum(run.bytes for run in state.sealed.runs)
    used += state.manifest.series_bytes + state.wal.size()
    beyond: list[Block] = []
    for block in blocks:
        if used <= allowed:
            break
        used -= block.bytes
        beyond.append(block)
    _drop(state, beyond, "size")


def _drop(state: State, blocks: list[Block], reason: str) -> None:
    for block in blocks:
        replace_blocks(state, [block], [])
        state.changes.remove_before(block.meta.max_time)
        state.telemetry.blocks_dropped.add(1, reason)
