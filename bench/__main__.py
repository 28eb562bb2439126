"""`python3 dev.py bench [name …]`: runs benchmarks, all of them if none is named."""

import argparse
import asyncio
import os
import sys

from bench import cold_start, throughput
from local.errors import LocalError

BENCHES = {"cold_start": cold_start, "throughput": throughput}


def main() -> int:
    """Run the benchmarks that are named; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="Measures the service on this machine.",
        epilog="\n\n".join(f"{name}: {module.__doc__}" for name, module in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(BENCHES)}; all if left out")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    try:
        for name in names or BENCHES:
            # The numbers of a busy machine are worth less; Windows does not say how busy it is.
            load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
            print(f"\n== {name} (load before: {load}, {os.cpu_count()} cores)", flush=True)
            asyncio.run(BENCHES[name].run())
    except LocalError as error:
        print(f"dev.py bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
