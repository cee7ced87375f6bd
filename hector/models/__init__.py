"""Language models over raw HTTP: one wire format per file, as pure encode and decode functions over one shared loop."""
