"""`python -m toolkit` is the command `toolkit`."""

from toolkit.cli.main import entry

if __name__ == "__main__":
    entry()
