"""`python -m mgjax` is the command `mgjax`."""

import sys

from mgjax.cli import main

if __name__ == "__main__":
    sys.exit(main())
