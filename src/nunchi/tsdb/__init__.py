"""The embedded time-series database: head, WAL, runs, blocks, index, compaction. Only the server names it."""
