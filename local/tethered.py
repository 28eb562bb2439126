"""`python -m local.tethered <module> …`: runs a module as a program that ends when its parent is gone.

A parent that is killed cannot end its servers. But the pipe to our standard input then closes, on every system, and
that is taken for a SIGTERM.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1024):  # nothing is ever sent; the end of it is what counts
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the module that the command line names, with what follows as its arguments."""
    del sys.argv[0]
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
