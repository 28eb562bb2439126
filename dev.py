#!/usr/bin/env python3
"""Everything that is done with this repository on one machine: `python3 dev.py -h` says what.

It needs nothing but a Python: what it uses, `local/bootstrap.py` makes. This file is what an old Python can still read.
"""

import sys

if sys.version_info < (3, 9):
    sys.exit("dev.py needs Python 3.9 or later to start, and this is %d.%d: try python3 dev.py" % sys.version_info[:2])

if __name__ == "__main__":
    try:
        from local.bootstrap import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
