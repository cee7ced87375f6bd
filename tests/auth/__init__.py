"""Who may do what, and how it is found out who asks."""
