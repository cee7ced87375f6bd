"""A certificate authority of our own, made on the spot."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def _signs_certificates() -> x509.KeyUsage:
    """What an authority has to say of its key; from Python 3.13 on it is checked."""
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    never = dict.fromkeys((*uses, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**never, key_cert_sign=True, crl_sign=True)


def make(folder: Path, *, host: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """The authority's PEM file, and a server context with a certificate for `host` that it signed."""
    now = dt.datetime.now(dt.UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        x509.CertificateBuilder(root_name, root_name, root_key.public_key(), 1, now - DAY, now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(root_id, critical=False)
        .add_extension(_signs_certificates(), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test server")])
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    leaf = (
        x509.CertificateBuilder(root_name, name, key.public_key(), 2, now - DAY, now + DAY)
        .add_extension(place, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return authority, context
