"""What people read of a delivery, in one catalogue per language."""
