"""`python -m chat`: the same as `hubbub`."""

from chat.cli.main import main

if __name__ == "__main__":
    main()
