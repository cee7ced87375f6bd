"""Tools that an agent may call: Python functions, and the generic ones that every agent may have."""
