"""Apps: a configuration turned into running agents."""
