"""How senders of webhooks sign what they send, written down once more from their documentation."""

import base64
import hashlib
import hmac

SECRET = "a-secret-of-one-webhook"
OTHER = "another-secret-of-the-same"
NOW = 1_700_000_000


def digest(content: bytes, secret: str = SECRET, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), content, getattr(hashlib, algorithm)).digest()


def github(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={digest(body, secret).hex()}"}


def shopify(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest(body, secret)).decode()}


def stripe(body: bytes, at: int = NOW, secret: str = SECRET) -> dict[str, str]:
    return {"Stripe-Signature": f"t={at},v1={digest(f'{at}.'.encode() + body, secret).hex()}"}


def slack(body: bytes, at: int = NOW, secret: str = SECRET) -> dict[str, str]:
    signed = digest(f"v0:{at}:".encode() + body, secret).hex()
    return {"X-Slack-Signature": f"v0={signed}", "X-Slack-Request-Timestamp": str(at)}


def standard(body: bytes, at: int = NOW, secret: str = SECRET, name: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = base64.b64encode(hmac.digest(key, f"{name}.{at}.".encode() + body, "sha256")).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signed}"}
