"""Turns sources' answers into facts, commits them, and keeps looking.

Claims come in from `watcher.sources`; what goes on from here has been hashed, folded and linked.
"""
