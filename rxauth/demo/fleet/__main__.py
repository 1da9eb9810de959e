"""`python -m rxauth.demo.fleet`."""

import sys

from rxauth.demo.fleet.run import main

if __name__ == "__main__":
    sys.exit(main())
