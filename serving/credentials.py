"""TLS for both ends, from PEM files."""

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class ServerTls:
    """The files of a server that speaks TLS.

    Attributes:
        certificate: The server's certificate chain.
        key: Its private key.
        client_ca: Certificates that sign clients' certificates; with it, a client without one is refused.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Returns gRPC's credentials; raises OSError for a file that cannot be read."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=self.client_ca.read_bytes() if self.client_ca else None,
            require_client_auth=self.client_ca is not None,
        )


@dataclass(frozen=True)
class SslConfigTls:
    """A server's TLS as TensorFlow Serving's SSLConfig file holds it: the PEM texts themselves.

    Attributes:
        server_key: The server's private key.
        server_cert: Its certificate chain.
        custom_ca: Certificates that sign clients' certificates; empty for none.
        client_verify: Whether a client without a certificate is refused.
    """

    server_key: str
    server_cert: str
    custom_ca: str = ""
    client_verify: bool = False

    def credentials(self) -> grpc.ServerCredentials:
        """Returns gRPC's credentials; raises ValueError where clients are to be verified by nobody."""
        if self.client_verify and not self.custom_ca:
            raise ValueError("client_verify needs custom_ca: the certificates that sign those of clients")
        return grpc.ssl_server_credentials(
            [(self.server_key.encode(), self.server_cert.encode())],
            root_certificates=self.custom_ca.encode() or None,
            require_client_auth=self.client_verify,
        )


@dataclass(frozen=True)
class ClientTls:
    """The files of a client that speaks TLS.

    Attributes:
        root_certificates: Certificates that sign the server's; None for those of gRPC.
        certificate: The client's own certificate chain, where the server asks for one.
        key: Its private key.
    """

    root_certificates: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns gRPC's credentials; raises OSError for a file that cannot be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.root_certificates.read_bytes() if self.root_certificates else None,
            private_key=self.key.read_bytes() if self.key else None,
            certificate_chain=self.certificate.read_bytes() if self.certificate else None,
        )
