"""What an agent's import brings with it: an operator puts it on every host."""

import json
import subprocess
import sys

FORBIDDEN = ("numpy", "re2", "rich", "Cython", "bcrypt", "httptools", "msgspec._utils.numpy")
PROGRAM = """
import json, sys
import nunchi.agent.wiring
import nunchi.agent.settings
print(json.dumps(sorted(sys.modules)))
"""


def imported_modules() -> list[str]:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(answer.stdout)
    return modules


def test_agent_imports_nothing_heavy_even_indirectly() -> None:
    modules = imported_modules()
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []


def test_agent_imports_no_other_part_of_nunchi() -> None:
    packages = {name.split(".")[1] for name in imported_modules() if name.startswith("nunchi.")}
    assert packages <= {"agent", "kit", "model", "wire"}


def test_what_settings_do_not_ask_for_is_not_imported() -> None:
    optional = (
        "nunchi.agent.statsd.statsd", "nunchi.agent.statsd.kernels", "nunchi.agent.cloud.", "nunchi.agent.clippers",
        "nunchi.agent.relay.", "nunchi.agent.udp_sender.", "nunchi.agent.udp_wire", "nunchi.agent.bus_carrier.",
        "nunchi.kit.buses.", "nats.", "psycopg", "pymysql", "boto3", "cryptography", "tomllib", "sqlite3",
    )  # fmt: skip
    assert [name for name in imported_modules() if f"{name}.".startswith(optional)] == []
