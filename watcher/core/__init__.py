"""The decisions, pure: what was known and what was observed in, events and notices out."""
