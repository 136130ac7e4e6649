"""The page: for people who look rather than read a machine's words. Rendered here, works without scripts."""
