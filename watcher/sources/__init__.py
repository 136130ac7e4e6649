"""Servers that answer questions; none is believed."""
