"""Builds the daemon from a config and runs it: the only place where the parts meet."""
