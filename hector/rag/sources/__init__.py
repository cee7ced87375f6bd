"""Where documents come from: `kinds` makes them, one module per kind."""
