"""What stands between us and the servers: proxies, certificates, the clock. Nothing is sent.

The rules are those of `providers/client.py`: servers on this machine are never asked through a proxy; `network.proxy`
goes before the environment, and then NO_PROXY does not count; certificates of the user's own are trusted besides the
usual ones, and `network.ca_file` takes the place of SSL_CERT_FILE.
"""

import os
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from tui_chat.bootstrap import Ground
from tui_chat.doctor.check import Check

_DAY_S = 86_400
_KINDS = ("http", "https", "socks5", "socks5h")


def network(ground: Ground, environ: Mapping[str, str]) -> list[Check]:
    return [_proxy(ground), *_certificates(ground, environ), _clock()]


def _proxy(ground: Ground) -> Check:
    own = ground.config.network.proxy
    if own:
        detail = f"{masked(own)} (network.proxy) for all servers but those on this machine"
        return _usable_proxy([own]) or Check("network", "proxy", "ok", detail)
    from urllib.request import getproxies  # what httpx asks; on a Mac it knows the system's settings too

    found = getproxies()
    without = found.pop("no", "")
    used = {name: url for name, url in found.items() if name in ("http", "https", "all")}
    if not used:
        return Check("network", "proxy", "ok", "none")
    detail = ", ".join(f"{name.upper()}_PROXY {masked(url)}" for name, url in used.items())
    if "*" in (name.strip() for name in without.split(",")):
        return Check("network", "proxy", "ok", f"none: NO_PROXY is *, so {detail} does not count")
    detail += f"; not for {without}" if without else ""
    return _usable_proxy(list(used.values())) or Check(
        "network", "proxy", "ok", f"{detail}; never for servers on this machine"
    )


def has_proxy(ground: Ground) -> bool:
    from urllib.request import getproxies

    return bool(ground.config.network.proxy or {"http", "https", "all"} & getproxies().keys())


def _usable_proxy(urls: list[str]) -> Check | None:
    """Return what is wrong with one of these, `None` when nothing is."""
    for url in urls:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            wrong = parts.scheme not in _KINDS or not parts.hostname or parts.port == 0
        except ValueError:
            wrong, parts = True, urlsplit("")
        if wrong:
            step = "write it as http://HOST:PORT, or unset it"
            return Check("network", "proxy", "fail", f"{masked(url)} is no address of a proxy", step)
        if parts.scheme.startswith("socks") and find_spec("socksio") is None:
            detail = f"{masked(url)} needs a package that is not installed"
            return Check("network", "proxy", "fail", detail, "pip install 'httpx[socks]'")
    return None


def masked(url: str) -> str:
    """Return an address without the name and the password in it."""
    head, slashes, rest = url.rpartition("://")
    before, at, host = rest.rpartition("@")
    return f"{head}{slashes}***@{host}" if at and before else url


def _certificates(ground: Ground, environ: Mapping[str, str]) -> list[Check]:
    roots = 0
    if find_spec("certifi") is not None:  # httpx brings it
        import certifi

        roots, _ = _held(certifi.where())
    found = [Check("network", "TLS", "ok", f"{ssl.OPENSSL_VERSION}, {roots} roots built in")]
    own, file = ground.config.network.ca_file, environ.get("SSL_CERT_FILE")
    for name, path in (("network.ca_file", own), ("SSL_CERT_FILE", file)):
        if path and name == "SSL_CERT_FILE" and own:
            found.append(Check("network", name, "ok", f"{path} does not count: network.ca_file is set"))
        elif path:
            count, problem = _held(path)
            step = f"mend {name}, or take it out: every https server is refused until then"
            if problem:
                found.append(Check("network", name, "fail", f"{path}: {problem}", step))
            else:
                found.append(
                    Check("network", name, "ok", f"{path}, {count} more certificate{'' if count == 1 else 's'}")
                )
    if folder := environ.get("SSL_CERT_DIR"):
        found.append(_certificate_folder(folder))
    return found


def _held(path: str) -> tuple[int, str]:
    """Return how many certificates a file holds, and why it cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        return 0, "it holds no certificate in PEM format"
    except OSError as failed:
        return 0, f"it cannot be read ({failed.strerror})"
    return context.cert_store_stats()["x509"], ""


def _certificate_folder(folders: str) -> Check:
    """OpenSSL looks for certificates there by the hash of their names, and says nothing when there are none."""
    held = 0
    for folder in folders.split(os.pathsep):
        try:
            held += sum(re.fullmatch(r"[0-9a-f]{8}\.\d+", each.name) is not None for each in Path(folder).iterdir())
        except OSError as failed:
            detail = f"{folder} cannot be read ({failed.strerror})"
            return Check("network", "SSL_CERT_DIR", "warn", detail, "mend SSL_CERT_DIR, or unset it")
    if not held:
        detail, step = f"{folders} holds no hashed certificates", f"openssl rehash {folders}"
        return Check("network", "SSL_CERT_DIR", "warn", detail, step)
    return Check("network", "SSL_CERT_DIR", "ok", f"{folders}, {held} certificates")


def _clock() -> Check:
    now = datetime.now(UTC)
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if time.time() < Path(__file__).stat().st_mtime - _DAY_S:
        detail = f"{shown}, which is before this program was installed"
        return Check("network", "clock", "warn", detail, "set the clock: certificates look invalid to a wrong one")
    return Check("network", "clock", "ok", shown)
