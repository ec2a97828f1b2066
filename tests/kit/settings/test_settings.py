"""`nunchi.kit.settings`: files to structs, errors at their node, structs to text."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml

from nunchi.kit.settings import Duration, Expanded, FieldError, Secret, SettingsError, Url, dump, load, load_file


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Even:
    """A type of our own for a field."""

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def parse(cls, text: str) -> "Even":
        if not text.isdigit() or int(text) % 2:
            raise ValueError(f'"{text}" is not even: add one')
        return cls(int(text))

    def __str__(self) -> str:
        return str(self.number)


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    job_name: Annotated[str, msgspec.Meta(min_length=1)]
    interval: Duration = msgspec.field(default=Duration(60_000), name="scrape_interval")
    labels: dict[str, str] = {}
    params: dict[str, list[str]] = {}
    scheme: Literal["http", "https"] = "http"
    sample_limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    ratio: float = 0.5
    is_honest: bool = msgspec.field(default=False, name="honest")
    password: Secret = Secret("")
    url: Url | None = None
    even: Even | None = None
    colour: Colour = Colour.RED
    either: str | list[str] = ""
    anything: Any = None

    def __post_init__(self) -> None:
        if self.job_name == "impossible":
            raise ValueError("nobody is called impossible")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jobs: list[Job] = msgspec.field(default_factory=list, name="scrape_configs")
    external_labels: dict[str, Expanded] = {}

    def __post_init__(self) -> None:
        names = [job.job_name for job in self.jobs]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise FieldError(
                    f'job "{name}" is there already: name it otherwise', "scrape_configs", index, "job_name"
                )


def job(text: str) -> Job:
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    return load(Settings, f"scrape_configs:\n- job_name: j\n{lines}", "p.yml").jobs[0]


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(Settings, text, "p.yml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def job_refusal(line: str) -> str:
    return refusal(f"scrape_configs:\n- job_name: j\n  {line}\n")


@pytest.mark.parametrize("text", ["", "# nothing\n", "~", "scrape_configs:\n", "scrape_configs: null\n"])
def test_nothing_is_all_defaults(text: str) -> None:
    assert load(Settings, text, "p.yml") == Settings()


def test_every_known_type_is_read() -> None:
    found = job(
        "scrape_interval: 1m30s\nlabels: {a: 010, b: yes, c: 17:00, d: ~, e: 1.0}\nparams: {m: [1, x]}\nscheme: https\n"
        "sample_limit: 0x10\nratio: 1\nhonest: on\npassword: 1234\nurl: http://u:p@h/\neven: 4\ncolour: blue\n"
        "either: [a]\nanything: {a: [1, true, x]}"
    )
    assert found.interval == Duration(90_000)
    assert found.labels == {"a": "010", "b": "yes", "c": "17:00", "d": "", "e": "1.0"}
    assert found.params == {"m": ["1", "x"]}
    assert (found.scheme, found.sample_limit, found.ratio, found.is_honest) == ("https", 16, 1.0, True)
    assert type(found.ratio) is float
    assert found.password.reveal() == "1234"
    assert found.url is not None
    assert found.url.reveal() == "http://u:p@h/"
    assert found.even is not None
    assert found.even.number == 4
    assert found.colour is Colour.BLUE
    assert found.either == ["a"]
    assert found.anything == {"a": [1, True, "x"]}


def test_null_takes_the_default() -> None:
    found = job("scrape_interval:\nurl: ~\nratio: null\nlabels:")
    assert (found.interval, found.url, found.ratio, found.labels) == (Duration(60_000), None, 0.5, {})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("scrape_intervall: 5s", 'p.yml:3:3: unknown field "scrape_intervall"; did you mean "scrape_interval"?'),
        ("zzz: 5s", 'p.yml:3:3: unknown field "zzz"; known here: anything, colour, '),
        ("scrape_interval: 5", 'p.yml:3:20: scrape_interval: "5" is not a duration'),
        ("scrape_interval: [5s]", "p.yml:3:20: scrape_interval: expected text, found a list"),
        ("labels: [a]", "p.yml:3:11: labels: expected a mapping (name: value), found a list"),
        ("labels: {a: {b: c}}", "p.yml:3:15: a: expected text, found a mapping"),
        ("params: {m: x}", 'p.yml:3:15: m: expected a list, found "x"'),
        ("scheme: ftp", 'p.yml:3:11: scheme: "ftp" is not known: use one of http, https'),
        ("colour: green", 'p.yml:3:11: colour: "green" is not known: use one of red, blue'),
        ("sample_limit: -1", "p.yml:3:17: sample_limit: -1 is too small: at least 0"),
        ("sample_limit: 5000", "p.yml:3:17: sample_limit: 5000 is too large: at most 1000"),
        ("sample_limit: 1.5", 'p.yml:3:17: sample_limit: expected a whole number, found "1.5"'),
        ("sample_limit: '5'", 'p.yml:3:17: sample_limit: expected a whole number, found the quoted text "5"'),
        ("ratio: high", 'p.yml:3:10: ratio: expected a number, found "high"'),
        ("honest: 1", 'p.yml:3:11: honest: expected true or false, found "1"'),
        ("url: host:90", 'p.yml:3:8: url: "host:90" is not a URL'),
        ("even: 3", 'p.yml:3:9: even: "3" is not even: add one'),
        ("either: {a: b}", "p.yml:3:11: either: expected text or a list, found a mapping"),
    ],
)
def test_errors_name_the_place_what_and_what_to_do(line: str, message: str) -> None:
    assert job_refusal(line).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "p.yml:1:1: expected a mapping (name: value), found a list"),
        ("just text", 'p.yml:1:1: expected a mapping (name: value), found "just text"'),
        ("scrape_configs:\n- scheme: http\n", 'p.yml:2:3: "job_name" of scrape_configs is missing: add it'),
        ("scrape_configs:\n- job_name: ''\n", "p.yml:2:13: job_name: must not be empty"),
        ("scrape_configs:\n- job_name: a\n-\n", "p.yml:3:2: scrape_configs: this entry is empty: fill it or remove it"),
        ("scrape_configs:\n- job_name: impossible\n", "p.yml:2:3: nobody is called impossible"),
        (
            "scrape_configs:\n- job_name: a\n- job_name: b\n- job_name: a\n",
            'p.yml:4:13: job "a" is there already: name it otherwise',
        ),
    ],
)
def test_errors_of_the_whole_stand_at_the_node_they_are_about(text: str, message: str) -> None:
    assert refusal(text) == message


def test_a_long_value_is_shortened_in_the_message() -> None:
    assert len(job_refusal(f"ratio: {'x' * 5000}")) < 120


def test_the_environment_is_looked_at_only_where_a_type_asks_for_it() -> None:
    text = "external_labels: {a: $HOST, b: '${HOST}-$$-${NONE}x', c: $5}\nscrape_configs: [{job_name: $HOST}]\n"
    found = load(Settings, text, "p.yml", {"HOST": "web$NONE"})
    assert found.external_labels == {"a": "web$NONE", "b": "web$NONE-$-x", "c": "$5"}
    assert found.jobs[0].job_name == "$HOST"


def test_dump_writes_names_of_the_file_and_no_secret() -> None:
    found = Settings(
        [job("password: hunter2\nurl: http://u:hunter2@h/\nhonest: yes\nlabels: {a: 17:00}\neven: 2\ncolour: blue")]
    )
    text = dump(found)
    assert "hunter2" not in text
    (shown,) = yaml.safe_load(text)["scrape_configs"]
    assert shown == {
        "job_name": "j",
        "scrape_interval": "1m",
        "labels": {"a": "17:00"},
        "scheme": "http",
        "ratio": 0.5,
        "honest": True,
        "password": "<secret>",
        "url": "http://u:<secret>@h/",
        "even": "2",
        "colour": "blue",
    }


def test_dumped_settings_are_read_again_as_the_same() -> None:
    first = load(
        Settings, "scrape_configs: [{job_name: 010, labels: {a: 'true', b: '~', c: '눈치\\n'}, either: [a]}]", "p.yml"
    )
    assert load(Settings, dump(first), "p.yml") == first


def test_long_text_stays_on_one_line() -> None:
    assert dump(Settings([job(f"either: {'word ' * 100}")])).count("\n") < 12


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file: create it"):
        load_file(Settings, tmp_path / "none.yml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_file(Settings, tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"a: b\nc: \xe9\n")
    with pytest.raises(SettingsError, match=r"latin\.yml:2:1: not UTF-8 text"):
        load_file(Settings, tmp_path / "latin.yml")
    (tmp_path / "good.yml").write_text("external_labels: {a: b}")
    assert load_file(Settings, tmp_path / "good.yml").external_labels == {"a": "b"}
