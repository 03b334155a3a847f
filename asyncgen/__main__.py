"""`python -m asyncgen`."""

from asyncgen.cli import main

if __name__ == "__main__":
    main()
