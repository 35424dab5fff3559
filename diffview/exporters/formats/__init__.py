"""The formats, one file each; a file registers its writer (see diffview.exporters)."""
