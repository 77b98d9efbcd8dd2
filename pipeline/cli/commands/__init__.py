"""The commands with their options, each importing what it needs when it is called: `--help` comes at once."""
