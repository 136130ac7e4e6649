"""From a committed delivery to an endpoint's verdict."""
