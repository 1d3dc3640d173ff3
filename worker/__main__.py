"""Lets `python -m worker` be the command `undertone`."""

from worker.cli import main

if __name__ == "__main__":
    main()
