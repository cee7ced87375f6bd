"""What the operator sees: logs, and the redaction of secrets in them."""
