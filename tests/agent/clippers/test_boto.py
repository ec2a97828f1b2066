"""What botocore's errors mean: which may pass, which name a wrong key, and what a region that is none looks like."""

import pytest

from nunchi.agent.clippers.aws.boto import translate
from nunchi.agent.cloud.errors import Kind

exceptions = pytest.importorskip(
    "botocore.exceptions", reason="the extra aws is not installed: pip install 'nunchi[aws]'"
)
WHERE = "cloudwatch.get_metric_data in eu-nowhere-9"


def refused(code: str, status: int, operation: str = "GetMetricData") -> Exception:
    """An answer that is an error."""
    answer = {"Error": {"Code": code, "Message": "said\nmore"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = exceptions.ClientError(answer, operation)
    return error


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Kind.THROTTLED),
        ("RequestLimitExceeded", 503, Kind.THROTTLED),
        ("Unknown", 429, Kind.THROTTLED),
        ("InvalidClientTokenId", 403, Kind.CREDENTIALS),
        ("ExpiredToken", 400, Kind.CREDENTIALS),
        ("AccessDeniedException", 400, Kind.DENIED),
        ("OptInRequired", 403, Kind.DENIED),
        ("InternalServiceFault", 500, Kind.SERVER),
        ("ServiceUnavailable", 503, Kind.SERVER),
        ("InvalidParameterValue", 400, Kind.INVALID),
    ],
)
def test_an_answer_that_is_an_error_says_what_to_do(code: str, status: int, kind: Kind) -> None:
    found = translate(refused(code, status), WHERE)
    assert found is not None
    assert found.kind is kind
    assert str(found).startswith(f"{WHERE}: {code}: said")
    assert "\n" not in str(found)
    assert found.kind.is_passing == (kind in {Kind.THROTTLED, Kind.SERVER})


def test_a_role_that_is_refused_is_told_from_the_call_that_needed_it() -> None:
    found = translate(refused("AccessDenied", 403, "AssumeRole"), WHERE)
    assert str(found).startswith(f"AssumeRole for {WHERE}: AccessDenied")


def test_a_region_that_is_none_is_named_with_the_cure() -> None:
    url = "https://monitoring.eu-nowhere-9.amazonaws.com/"
    unreachable = translate(exceptions.EndpointConnectionError(endpoint_url=url, error="no such name"), WHERE)
    assert unreachable is not None
    assert unreachable.kind is Kind.UNREACHABLE
    assert "is the region's name right" in str(unreachable)
    for error in (exceptions.InvalidRegionError(region_name="eu nowhere"), exceptions.NoRegionError()):
        found = translate(error, WHERE)
        assert found is not None
        assert found.kind is Kind.REGION
        assert not found.kind.is_passing


def test_what_is_wrong_on_this_machine_is_told_from_what_is_wrong_there() -> None:
    for error in (exceptions.NoCredentialsError(), exceptions.ProfileNotFound(profile="monitoring")):
        found = translate(error, WHERE)
        assert found is not None
        assert found.kind is Kind.CREDENTIALS
    lost = translate(exceptions.ReadTimeoutError(endpoint_url="https://x"), WHERE)
    assert lost is not None
    assert lost.kind is Kind.UNREACHABLE
    assert translate(ValueError("a bug"), WHERE) is None
