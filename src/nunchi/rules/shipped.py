"""Loads the rules that ship in `defaults/`."""

from importlib.resources import files

from nunchi.rules.files import RuleFile, parse_rule_file

SHIPPED = ("host.yml",)


def load_shipped_rules() -> tuple[RuleFile, ...]:
    """Every shipped file, under a path that says where it comes from."""
    folder = files("nunchi.rules.defaults")
    return tuple(parse_rule_file((folder / name).read_text("utf-8"), f"nunchi:{name}") for name in SHIPPED)
