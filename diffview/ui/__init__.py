"""The window: the only package that knows Qt. Nothing here computes; it shows and it asks."""
