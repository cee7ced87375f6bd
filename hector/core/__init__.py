"""Nouns and contracts. Imports nothing of Hector's; everything else may import it."""
