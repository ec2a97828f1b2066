"""What else of nunchi lies in a data folder, beside what the database keeps there. Invariant: whoever puts something there
names it here, so that work on the folder knows it for ours.
"""

RECORDS_FILE = "records.sqlite"
SILENCES_FILE = "silences.json"
AGENT_FOLDER = "agent"  # the state of the agent of `nunchi up`

# SQLite keeps its log and its index of the log beside the file.
_SILENCES = (SILENCES_FILE, f"{SILENCES_FILE}.damaged")
NEIGHBOURS = frozenset(
    {AGENT_FOLDER, *_SILENCES, *(RECORDS_FILE + suffix for suffix in ("", "-wal", "-shm", "-journal"))}
)
