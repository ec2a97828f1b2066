"""The command line, one file per command group. Parses words and prints answers; decides nothing."""
