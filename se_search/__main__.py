"""``python -m se_search``: the command line, as ``se-search`` starts it."""

from se_search.cli import main

if __name__ == "__main__":
    main()
