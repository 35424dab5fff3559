"""The recipes of the bundled models, one file each."""
