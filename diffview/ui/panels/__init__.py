"""The panels: they show choices and facts, and ask for changes by signals."""
