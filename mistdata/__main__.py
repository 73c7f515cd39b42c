"""`python -m mistdata` is the command line."""

from mistdata.cli import main

if __name__ == "__main__":
    main()
