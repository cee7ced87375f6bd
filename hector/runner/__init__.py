"""One turn: what an agent yields, with its state applied and its outcome read."""
