"""A chain made in Python and a server of it: what no real node would do, on a real socket."""
