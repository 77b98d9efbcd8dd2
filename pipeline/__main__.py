"""`python -m pipeline` is `dragoman`."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from pipeline.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
