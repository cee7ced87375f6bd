"""What durability costs and how far it carries: `python -m bench.durable`."""
