"""The certificate authority of one run, and the TLS that it vouches for."""

import ssl
from pathlib import Path

from speakerd.errors import SpeakerdError

NAMES = ("127.0.0.1", "::1", "localhost")
"""Where the stand-in may be found; a client checks the certificate against the one that it dialled."""


def make(directory: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """Make a new authority; return its certificate, a PEM file in ``directory``, and the server's TLS context.

    ``names`` are further names or addresses of the server. Raise SpeakerdError where trustme is missing.
    """
    try:
        import trustme
    except ImportError as error:
        raise SpeakerdError(
            "The stand-in Live API needs the package trustme: pip install 'speakerd[demo]'"
        ) from error
    authority = trustme.CA(organization_name="speakerd stand-in")
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES, *(name for name in names if name not in NAMES)).configure_cert(context)
    return ca_file, context
