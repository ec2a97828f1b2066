"""`nunchi.kit.passwords`: users, hashes, and how often a hash is compared."""

import asyncio
import base64
import threading

import bcrypt
import pytest

from nunchi.kit import passwords
from nunchi.kit.passwords import Busy, PasswordFile
from nunchi.kit.secrets import Secret


def hashed(password: bytes) -> Secret:
    return Secret(bcrypt.hashpw(password, bcrypt.gensalt(4)).decode())


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that bcrypt was asked to compare with."""
    compared: list[bytes] = []
    real = bcrypt.checkpw

    def counting(password: bytes, hashed_password: bytes) -> bool:
        compared.append(hashed_password)
        return real(password, hashed_password)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return compared


async def test_the_right_password_proves_the_user_and_is_compared_once(comparisons: list[bytes]) -> None:
    users = PasswordFile({"ann": hashed(b"one"), "bob": hashed(b"two")})
    for _ in range(3):
        assert await users.user_of(basic("ann", "one")) == "ann"
    assert await users.user_of(basic("bob", "two")) == "bob"
    assert len(comparisons) == 2


async def test_a_wrong_password_is_compared_every_time(comparisons: list[bytes]) -> None:
    users = PasswordFile({"ann": hashed(b"one")})
    for _ in range(2):
        assert await users.user_of(basic("ann", "two")) is None
    assert len(comparisons) == 2


async def test_an_unknown_user_costs_a_comparison_as_well(comparisons: list[bytes]) -> None:
    users = PasswordFile({"ann": hashed(b"one")})
    assert await users.user_of(basic("eve", "one")) is None
    assert await users.user_of(basic("eve", "one")) is None
    assert len(comparisons) == 2


async def test_a_password_that_was_right_for_another_user_is_not_remembered_for_this_one() -> None:
    users = PasswordFile({"ann": hashed(b"one"), "bob": hashed(b"two")})
    assert await users.user_of(basic("ann", "one")) == "ann"
    assert await users.user_of(basic("bob", "one")) is None


async def test_passwords_beyond_72_bytes_count_as_far_as_bcrypt_looks() -> None:
    users = PasswordFile({"ann": hashed(b"x" * 72)})
    assert await users.user_of(basic("ann", "x" * 100)) == "ann"
    assert await users.user_of(basic("ann", "x" * 71)) is None


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic /w=="]
)
async def test_a_header_that_proves_nothing_costs_nothing(header: str, comparisons: list[bytes]) -> None:
    users = PasswordFile({"ann": hashed(b"one")})
    assert await users.user_of(header) is None
    assert comparisons == []


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch, comparisons: list[bytes]) -> None:
    monkeypatch.setattr(passwords, "REMEMBERED_MAX", 1)
    users = PasswordFile({"ann": hashed(b"one"), "bob": hashed(b"two")})
    for _ in range(2):
        await users.user_of(basic("ann", "one"))
        await users.user_of(basic("bob", "two"))
    assert len(comparisons) == 4


async def test_too_many_waiting_comparisons_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING_MAX", 3)
    gate = threading.Event()

    def slow(_password: bytes, _hashed: bytes) -> bool:
        gate.wait()
        return False

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    users = PasswordFile({"ann": hashed(b"one")})
    tasks = [asyncio.create_task(users.user_of(basic("ann", str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await users.user_of(basic("ann", "more"))
    gate.set()
    assert await asyncio.gather(*tasks) == [None, None, None]


async def test_without_users_nobody_is_one() -> None:
    users = PasswordFile({})
    assert not users
    assert await users.user_of(basic("ann", "one")) is None
