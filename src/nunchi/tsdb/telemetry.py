"""What the database counts."""

from nunchi.kit.telemetry import Telemetry


class DatabaseTelemetry:
    """Instruments of one database."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.commits_failed = telemetry.counter(
            "nunchi_tsdb_commits_failed_total", "Commits that the disk did not take; nothing of them was stored."
        )
        self.runs_sealed = telemetry.counter("nunchi_tsdb_runs_sealed_total", "Runs written from the open head.")
        self.compactions = telemetry.counter(
            "nunchi_tsdb_compactions_total", "Blocks and runs written out of others.", "kind"
        )
        self.maintenance_failed = telemetry.counter(
            "nunchi_tsdb_maintenance_failed_total",
            "Rounds of sealing and compaction that failed; they are tried again.",
        )
        self.blocks_dropped = telemetry.counter("nunchi_tsdb_blocks_dropped_total", "Blocks removed.", "reason")
        self.replayed = telemetry.counter(
            "nunchi_tsdb_wal_replayed_samples_total", "Samples read from the log at start."
        )
        self.corruptions = telemetry.counter(
            "nunchi_tsdb_corruptions_total", "Damaged places found in files; each is named in the log.", "file"
        )
        self.lost_bytes = telemetry.counter(
            "nunchi_tsdb_lost_bytes_total", "Bytes that could not be read and were kept aside or cut off.", "file"
        )
        self.series = telemetry.gauge("nunchi_tsdb_head_series", "Series in the head.")
        self.open_samples = telemetry.gauge("nunchi_tsdb_open_samples", "Samples in memory that are not sealed yet.")
        self.blocks = telemetry.gauge("nunchi_tsdb_blocks", "Blocks on disk.")
        self.runs = telemetry.gauge("nunchi_tsdb_runs", "Runs on disk.")
        self.loaded = telemetry.gauge(
            "nunchi_tsdb_loaded_ratio",
            "How much of what is stored was read since the start; 1 once all of it can be asked.",
        )
