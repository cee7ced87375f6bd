"""What may be asked, spent and run: rate limits, budgets, caps and switches. Runs see it through one port."""
