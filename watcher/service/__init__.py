"""The daemon's surroundings: systemd, logging, scheduling, the control socket."""
