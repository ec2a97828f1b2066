"""Ways of having a message bus; each is imported by who wants it."""
