"""One account of AWS as boto3 sees it: credentials, roles, clients. Everything here blocks.

boto3 is imported when the first call is made: an agent without clouds does not carry it. Retries are ours (`calls.py`), so
that they are counted and wait by our clock.
Invariant: what is raised is a CloudError whose text has no secrets in it.
"""

import threading
from pathlib import Path
from typing import Any, Protocol

from nunchi.agent.clipper_settings import AwsCredentials
from nunchi.agent.cloud.errors import CloudError, Kind

CONNECT_SECONDS_MAX = 5
READ_SECONDS_MAX = 40
MESSAGE_CHARACTERS_MAX = 200
ROLE_SESSION_NAME = "nunchi-agent"

THROTTLED = ("Throttl", "RequestLimitExceeded", "TooManyRequests", "RequestThrottled", "SlowDown", "LimitExceeded")
BAD_CREDENTIALS = frozenset({
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidToken", "MissingAuthenticationToken", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
DENIED = ("AccessDenied", "Unauthorized", "Forbidden", "OptInRequired", "AuthorizationError", "NotAuthorized")


class Transport(Protocol):
    """Calls of one account."""

    def invoke(self, region: str, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """One call, once; blocks. Raises CloudError."""
        ...


class BotoTransport:
    """Implements `Transport`. Clients may be used by several threads, sessions may not: they are behind a lock."""

    def __init__(
        self,
        credentials: AwsCredentials | None,
        role_arn: str,
        external_id: str,
        endpoint_url: str,
        folder: Path,
        connections_max: int,
    ) -> None:
        self._credentials = credentials
        self._role_arn = role_arn
        self._external_id = external_id
        self._endpoint_url = endpoint_url or None
        self._folder = folder
        self._connections_max = connections_max
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}

    def invoke(self, region: str, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """See `Transport.invoke`."""
        where = f"{service}.{operation} in {region}"
        try:
            answer = getattr(self._client(region, service), operation)(**parameters)
        except ImportError as error:
            raise CloudError(
                Kind.MISSING, f"AWS needs the extra aws: pip install 'nunchi[aws]' ({error.name})"
            ) from None
        except CloudError:
            raise
        except Exception as error:
            translated = translate(error, where)
            if translated is None:
                raise
            if translated.kind is Kind.CREDENTIALS:
                self._forget_session()
            raise translated from None
        assert isinstance(answer, dict)
        return answer

    def _client(self, region: str, service: str) -> Any:
        with self._lock:
            client = self._clients.get((region, service))
            if client is None:
                if self._session is None:
                    self._session = self._open_session(region)
                client = self._clients[region, service] = self._new_client(self._session, region, service)
            return client

    def _forget_session(self) -> None:
        """The next call reads the credentials again: a key in a file may have been changed."""
        with self._lock:
            self._session = None
            self._clients.clear()

    def _new_client(self, session: Any, region: str, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS_MAX,
            read_timeout=READ_SECONDS_MAX,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=self._connections_max,
            user_agent_extra="nunchi",
        )
        return session.client(service, region_name=region, endpoint_url=self._endpoint_url, config=config)

    def _open_session(self, region: str) -> Any:
        import boto3
        import botocore.session

        own = self._credentials
        if own is None:
            core = botocore.session.Session()
        elif own.profile:
            core = botocore.session.Session(profile=own.profile)
        else:
            core = botocore.session.Session()
            core.set_credentials(own.access_key_id, self._secret(own), own.session_token.reveal() or None)
        session = boto3.Session(botocore_session=core)
        return self._assume(session, region) if self._role_arn else session

    def _secret(self, own: AwsCredentials) -> str:
        if not own.secret_access_key_file:
            return own.secret_access_key.reveal()
        try:
            return (self._folder / own.secret_access_key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CloudError(Kind.CREDENTIALS, f"{own.secret_access_key_file} cannot be read: {error}") from error

    def _assume(self, source: Any, region: str) -> Any:
        """A session of the role; its keys are renewed before they expire."""
        import boto3
        import botocore.session
        from botocore.credentials import CredentialProvider, DeferredRefreshableCredentials

        wanted = {"RoleArn": self._role_arn, "RoleSessionName": ROLE_SESSION_NAME}
        if self._external_id:
            wanted["ExternalId"] = self._external_id
        sts = self._new_client(source, region, "sts")

        def renew() -> dict[str, str]:
            found = sts.assume_role(**wanted)["Credentials"]
            return {
                "access_key": found["AccessKeyId"],
                "secret_key": found["SecretAccessKey"],
                "token": found["SessionToken"],
                "expiry_time": found["Expiration"].isoformat(),
            }

        class RoleProvider(CredentialProvider):  # type: ignore[misc]  # botocore has no types
            METHOD = CANONICAL_NAME = "nunchi-role"

            def load(self) -> Any:
                return DeferredRefreshableCredentials(renew, self.METHOD)

        core = botocore.session.Session()
        core.get_component("credential_provider").insert_before("env", RoleProvider())
        return boto3.Session(botocore_session=core)


def translate(error: Exception, where: str) -> CloudError | None:
    """What an error of botocore means; None where it is none of its errors."""
    from botocore import exceptions as known

    if isinstance(error, known.ClientError):
        return translate_answer(error, where)
    text = f"{where}: {str(error).partition(chr(10))[0][:MESSAGE_CHARACTERS_MAX]}"
    credentials = (
        known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound, known.CredentialRetrievalError,
    )  # fmt: skip
    if isinstance(error, credentials):
        return CloudError(Kind.CREDENTIALS, text)
    if isinstance(error, (known.InvalidRegionError, known.NoRegionError)):
        return CloudError(Kind.REGION, text)
    if isinstance(error, known.EndpointConnectionError):
        return CloudError(Kind.UNREACHABLE, f"{text} (is the region's name right, is there a way out?)")
    if isinstance(error, known.HTTPClientError):
        return CloudError(Kind.UNREACHABLE, text)
    if isinstance(error, known.BotoCoreError):
        return CloudError(Kind.INVALID, text)
    return None


def translate_answer(error: Any, where: str) -> CloudError:
    """What an answer that is an error means."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", "")).partition("\n")[0][:MESSAGE_CHARACTERS_MAX]
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if error.operation_name == "AssumeRole":
        where = f"AssumeRole for {where}"
    text = f"{where}: {code}: {said}" if said else f"{where}: {code}"
    if any(word in code for word in THROTTLED) or status == 429:
        return CloudError(Kind.THROTTLED, text)
    if code in BAD_CREDENTIALS:
        return CloudError(Kind.CREDENTIALS, f"{text} (wrong key, or a region that is not enabled for the account)")
    if any(word in code for word in DENIED) or status == 403:
        return CloudError(Kind.DENIED, text)
    if status >= 500:
        return CloudError(Kind.SERVER, text)
    return CloudError(Kind.INVALID, text)
