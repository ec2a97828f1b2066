"""Which proxy a URL is asked through, by settings or by the environment's HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

Invariant: pure; the environment is a mapping that is passed in.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from nunchi.kit.http_client_settings import ProxySettings
from nunchi.kit.listen_address import is_loopback


def proxy_of(url: str, settings: ProxySettings, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL, None where the peer is asked directly."""
    parts = urlsplit(url)
    if settings.proxy_from_environment:
        variable = f"{parts.scheme}_proxy"
        proxy = environment.get(variable) or environment.get(variable.upper())
        exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        return proxy if proxy and not is_exempt(parts.hostname or "", parts.port, exempt) else None
    if settings.proxy_url is None:
        return None
    if settings.no_proxy and is_exempt(parts.hostname or "", parts.port, settings.no_proxy):
        return None
    return settings.proxy_url.reveal()


def is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether a list of names, domains, addresses and networks, names perhaps with a port, or `*`, covers the host."""
    host = host.lower().rstrip(".")
    if host == "localhost" or is_loopback(host):
        return True
    return any(_is_named(host, port, entry.strip().lower()) for entry in no_proxy.split(","))


def _is_named(host: str, port: int | None, entry: str) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    network = _network_of(entry)
    if network is not None:
        address = _network_of(host)
        return address is not None and address.version == network.version and address.network_address in network
    name, colon, entry_port = entry.partition(":")
    if colon and entry_port != str(port):
        return False
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
