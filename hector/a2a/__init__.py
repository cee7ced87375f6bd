"""The A2A protocol as pure functions: bytes to requests, tasks and updates to bytes. No I/O, no framework."""
