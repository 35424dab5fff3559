"""diffview: an instrument for looking inside diffusion models."""

__version__ = "0.1.0"
