"""Bitcoin's own rules, pure: bytes in, facts or a refusal out."""
