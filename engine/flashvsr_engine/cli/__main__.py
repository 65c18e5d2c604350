"""`python -m flashvsr_engine.cli`."""

from flashvsr_engine.cli.main import main

main()
