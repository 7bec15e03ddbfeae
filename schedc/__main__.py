"""`python -m schedc` is the same as `schedc`."""

from schedc.cli import main

if __name__ == "__main__":
    main()
