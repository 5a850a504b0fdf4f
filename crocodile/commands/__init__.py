"""The commands, one module each: `add_parser` describes the command, and `run` carries it out."""
