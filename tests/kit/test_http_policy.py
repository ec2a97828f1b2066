"""`nunchi.kit.http_policy`: decisions, without a server."""

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from nunchi.kit.errors import InputError
from nunchi.kit.http_policy import Gate, HttpPolicy
from nunchi.kit.http_route import Access, Route

CHANGES = [Access.CHANGE, Access.LIFECYCLE, Access.ADMIN, Access.INGEST]


async def unused(_request: web.Request) -> web.StreamResponse:
    raise NotImplementedError


def route(access: Access, *content_types: str) -> Route:
    return Route("POST", "/x", unused, access, content_types=content_types)


def gate(*, is_loopback_listener: bool = True, **policy: object) -> Gate:
    return Gate(HttpPolicy(**policy), is_loopback_listener, frozenset({"192.168.0.7", "mon"}))  # type: ignore[arg-type] # by name


def headers(**values: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in values.items()}))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "localhost",
        "localhost:9190",
        "LOCALHOST.:1",
        "127.0.0.1:9",
        "[::1]:9190",
        "[::1]",
        "mon:9190",
        "192.168.0.7:1",
    ],
)
def test_own_names_are_served(host: str | None) -> None:
    assert gate().refuse_host(host) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:9190", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example"]
)
def test_names_that_a_rebinding_page_would_send_are_refused(host: str) -> None:
    refusal = gate(external_url="https://mon.example/").refuse_host(host)
    assert refusal is not None
    assert refusal.status == 403
    assert "--web.external-url" in refusal.reason


def test_the_external_url_adds_its_host_and_policy_its_own() -> None:
    assert gate(external_url="https://Mon.Example:99/x").refuse_host("mon.example:99") is None
    open_gate = gate(is_loopback_listener=False)
    assert open_gate.refuse_host("10.0.0.1:9190") is None
    assert open_gate.refuse_host("evil.example") is not None


@pytest.mark.parametrize("access", CHANGES)
@pytest.mark.parametrize(
    "values",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://localhost:8080"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost:9190", "Sec_Fetch_Site": "cross-site"},
        {"Origin": ""},
    ],
)
def test_pages_of_other_sites_may_change_nothing(access: Access, values: dict[str, str]) -> None:
    refusal = gate().refuse_cross_site(route(access), headers(Host="localhost:9190", **values))
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize("access", CHANGES)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost:9190"},
        {"Origin": "https://mon.example"},
    ],
)
def test_programs_and_own_pages_may(access: Access, values: dict[str, str]) -> None:
    own = gate(external_url="https://mon.example/nunchi")
    assert own.refuse_cross_site(route(access), headers(Host="localhost:9190", **values)) is None


def test_reads_are_answered_whoever_asks() -> None:
    assert (
        gate().refuse_cross_site(route(Access.READ), headers(Origin="http://evil.example", Sec_Fetch_Site="cross-site"))
        is None
    )
    assert gate().refuse_content_type(route(Access.READ), "application/x-www-form-urlencoded", has_body=True) is None


@pytest.mark.parametrize("access", CHANGES)
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "Text/Plain", ""]
)
def test_what_a_form_can_send_changes_nothing(access: Access, content_type: str) -> None:
    refusal = gate().refuse_content_type(route(access), content_type, has_body=True)
    assert refusal is not None
    assert refusal.status == 415
    assert gate().refuse_content_type(route(access), content_type, has_body=False) is None


def test_a_route_may_name_the_types_it_takes() -> None:
    json_only = route(Access.CHANGE, "application/json")
    assert gate().refuse_content_type(json_only, "application/json; charset=utf-8", has_body=True) is None
    refusal = gate().refuse_content_type(json_only, "application/xml", has_body=True)
    assert refusal is not None
    assert "send application/json" in refusal.reason
    form = route(Access.ADMIN, "application/x-www-form-urlencoded")
    assert gate().refuse_content_type(form, "application/x-www-form-urlencoded", has_body=True) is None


@pytest.mark.parametrize(
    ("access", "flag", "policy"),
    [
        (Access.LIFECYCLE, "--web.enable-lifecycle", {"lifecycle": True}),
        (Access.ADMIN, "--web.enable-admin-api", {"admin": True}),
    ],
)
def test_dangerous_routes_are_off_and_say_which_flag_switches_them_on(
    access: Access, flag: str, policy: dict[str, bool]
) -> None:
    refusal = gate().refuse_access(route(access), "127.0.0.1", is_authenticated=True)
    assert refusal is not None
    assert flag in refusal.reason
    assert gate(**policy).refuse_access(route(access), "127.0.0.1", is_authenticated=False) is None


def test_pushes_without_authentication_come_from_loopback_to_loopback() -> None:
    push = route(Access.INGEST)
    assert gate().refuse_access(push, "127.0.0.1", is_authenticated=False) is None
    assert gate().refuse_access(push, "::ffff:127.0.0.1", is_authenticated=False) is None
    for refused in (
        gate(is_loopback_listener=False).refuse_access(push, "127.0.0.1", is_authenticated=False),
        gate().refuse_access(push, "10.0.0.1", is_authenticated=False),
        gate().refuse_access(push, None, is_authenticated=False),
    ):
        assert refused is not None
        assert refused.status == 403
    assert gate(is_loopback_listener=False).refuse_access(push, "10.0.0.1", is_authenticated=True) is None


@pytest.mark.parametrize("access", list(Access))
def test_programs_that_bring_something_may_call_us_what_they_like_and_pages_may_not(access: Access) -> None:
    assert Gate.is_push_of_program(route(access), headers()) is (access in {Access.INGEST, Access.JOIN})
    assert not Gate.is_push_of_program(route(access), headers(Origin="https://evil.example"))


@pytest.mark.parametrize(
    ("external_url", "route_prefix", "prefix"),
    [
        ("", None, ""),
        ("http://h/", None, ""),
        ("http://h/a/b/", None, "/a/b"),
        ("http://h/a", "/", ""),
        ("", "nunchi", "/nunchi"),
        ("/nunchi/", None, "/nunchi"),
    ],
)
def test_prefix_is_the_path_of_the_external_url_unless_given(
    external_url: str, route_prefix: str | None, prefix: str
) -> None:
    assert HttpPolicy(external_url=external_url, route_prefix=route_prefix).prefix == prefix


@pytest.mark.parametrize("external_url", ["mon.example/x", "//mon.example/x", "ftp://mon.example", "http://", "x"])
def test_an_external_url_must_be_one(external_url: str) -> None:
    with pytest.raises(InputError, match=r"--web\.external-url"):
        HttpPolicy(external_url=external_url)


def test_origins_that_are_no_regular_expression_are_refused() -> None:
    with pytest.raises(InputError, match=r"--web.cors.origin: .*no regular expression"):
        HttpPolicy(cors_origin="(")
