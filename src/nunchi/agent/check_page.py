"""A check that reads one page over HTTP. What the page means is each check's own affair."""

from collections.abc import Mapping

from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.http import NO_HEADERS, HttpAsker, HttpCheckSettings, require_url
from nunchi.kit.secrets import redact_url


class PageSettings(HttpCheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`url`: the page, as an http or https URL in full."""

    url: str

    def __post_init__(self) -> None:
        require_url("url", self.url)


class PageCheck(ServiceCheck):
    """`measure` calls `read_page`."""

    def __init__(self, settings: PageSettings) -> None:
        super().__init__(settings)
        self._url = settings.url
        self._asker = HttpAsker(settings)

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return redact_url(self._url)

    def read_page(self, deadline: Deadline, headers: Mapping[str, str] = NO_HEADERS) -> str:
        """The page as text; ServiceError where it is not answered with 200."""
        return self._asker.ask_for_body(self._url, deadline, headers).decode(errors="replace")
