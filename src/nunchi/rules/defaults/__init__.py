"""Rules that ship: `host.yml`. Where and how they are evaluated is decided by who loads them, like with any rule file."""
