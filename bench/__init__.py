"""How fast Hector is, next to a bare proxy and to a practical limit. `python -m bench`; see README.md here."""
