"""`scripts/bench NAME [OPTIONS]`: run one benchmark; without a name, say which there are."""

import sys
from importlib import import_module

from scripts.benchmarks import BENCHMARKS


def main(arguments: list[str]) -> int:
    name, *options = arguments or ["--list"]
    if name in ("--list", "--help", "-h"):
        print("scripts/bench NAME [OPTIONS]; scripts/bench NAME --help tells the options of one\n")
        print("\n".join(f"{name:<9} {what}" for name, (_, what) in BENCHMARKS.items()))
        return 0
    if name not in BENCHMARKS:
        print(f"scripts/bench: {name!r} is no benchmark; right are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    return int(import_module(f"scripts.benchmarks.{BENCHMARKS[name][0]}").main(options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
