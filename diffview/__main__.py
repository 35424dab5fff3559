"""`python -m diffview`, the same as `diffview`."""

import sys

from diffview.cli import main

if __name__ == "__main__":
    sys.exit(main())
