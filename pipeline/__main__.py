"""`python -m pipeline` is `dragoman`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Ctrl-C while it is still being imported ends it as at any other time."""
    try:
        from pipeline.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
