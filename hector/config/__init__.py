"""One YAML or JSON file as frozen, checked sections."""
