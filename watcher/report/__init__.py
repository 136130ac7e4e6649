"""What is published about a treasury: a page that stands alone, and the evidence for it."""
