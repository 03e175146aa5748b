"""The route to a tenant's host: its address, and the environment's proxies and certificates.

This is the only module that imports requests. requests works out the route once. Each request then uses urllib3 alone,
which costs half as much.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from gong_source.errors import ConfigurationError

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

_CONNECTIONS = 32
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Route(HTTPAdapter):
    """The connections to the host of `base_url`, in `pool`, which threads may share; opens none yet.

    Raises `ConfigurationError` for a base URL that would send the key unencrypted, and for proxies and certificates of
    the environment that cannot be used.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(pool_maxsize=_CONNECTIONS)
        self.base_url = _checked(base_url)
        with requests.Session() as session:
            # A proxy cannot reach this machine's own server, and with http the proxy would see the key.
            session.trust_env = not self.base_url.lower().startswith("http:")
            settings = session.merge_environment_settings(self.base_url, {}, False, None, None)
        self.pool = self._pool(settings["verify"], settings["proxies"], settings["cert"])

    def _pool(self, verify: Any, proxies: dict[str, str], cert: Any) -> HTTPConnectionPool:
        if isinstance(verify, str):
            _check_certificates(verify)
        try:
            request = requests.Request("GET", self.base_url).prepare()
            pool = self.get_connection_with_tls_context(request, verify, proxies, cert)
        except (requests.RequestException, TypeError, ValueError) as error:
            if proxies:  # the error may contain the proxy's login
                raise ConfigurationError(
                    "HTTPS_PROXY or ALL_PROXY cannot be used: write http://user:password@host:port, with %23 for a # in"
                    " the password and the like; for socks5://, pip install pysocks"
                ) from None
            raise ConfigurationError(f"base_url: {error}") from None
        self.cert_verify(pool, self.base_url, verify, cert)  # requests' own certificates, if none are named
        return pool


def _check_certificates(path: str) -> None:
    try:
        if not Path(path).is_dir():
            ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ConfigurationError(f"REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE: {path}: {error}") from None


def _checked(base_url: str) -> str:
    """The base URL without a trailing slash; raises `ConfigurationError` if it would send the key unencrypted."""
    url = base_url.strip().rstrip("/")
    shown = url.rpartition("@")[2]  # without a login
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(mark in url for mark in "@?#\\") or any(map(str.isspace, url)):
        raise ConfigurationError(f"base_url: write it like https://api.gong.io, not {shown!r}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(f"base_url: {shown} would send the access key unencrypted; use https")
    return url.removesuffix("/v2")
