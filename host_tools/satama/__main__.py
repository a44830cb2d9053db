"""Where the `satama` command begins. It is light, so that Ctrl-C gets a sentence also while the rest is being loaded."""

import sys


def main() -> None:
    try:
        from . import cli
    except KeyboardInterrupt:
        sys.exit("stopped -> nothing was done; run the same command again")  # on standard error, and ends with 1
    cli.main()


if __name__ == "__main__":
    main()
