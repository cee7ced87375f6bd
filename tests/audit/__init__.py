"""The audit log: what is written, that the chain holds, and that each kind of damage shows."""
