"""In which format an answer is wanted: the Accept header against what an endpoint can write."""

from typing import Final

from nunchi.web.prometheus_api.errors import ApiError

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
QUERY_CONTENT_TYPES: Final = (JSON, ARROW)


def choose_content_type(accept: str, offers: tuple[str, ...]) -> str:
    """The offer that the header likes best, the first among equals; without a header the first. Raises `ApiError`."""
    wishes = [_wish(item) for item in accept.lower().split(",") if item.strip()]
    if not wishes:
        return offers[0]
    best, best_quality = "", 0.0
    for offer in offers:
        quality = _quality(offer, wishes)
        if quality > best_quality:
            best, best_quality = offer, quality
    if not best:
        raise ApiError("not_acceptable", f"cannot answer as {accept.strip()}: this endpoint writes {', '.join(offers)}")
    return best


def _wish(item: str) -> tuple[str, float]:
    """A media range and its quality; a quality that is no number is 0."""
    kind, *parameters = (part.strip() for part in item.split(";"))
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, min(1.0, float(text))
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _quality(offer: str, wishes: list[tuple[str, float]]) -> float:
    """That of the most specific range that covers an offer; 0 where none does."""
    family = f"{offer.partition('/')[0]}/*"
    for covering in (offer, family, "*/*"):
        found = [quality for kind, quality in wishes if kind == covering]
        if found:
            return max(found)
    return 0.0
