"""Server and agent in one process: everything on one machine with one command."""
