"""``python -m calibkit.cli`` is the command ``calibkit``."""

from calibkit.cli.main import main

if __name__ == "__main__":
    main()
