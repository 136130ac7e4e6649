"""Faults and abuse from outside that want a rig of their own: long histories, floods, hunger for memory."""
