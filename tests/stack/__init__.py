"""The real parts: a Bitcoin node, an Electrum server, the daemon and a receiver of its webhooks."""
