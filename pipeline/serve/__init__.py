"""The server of the realtime protocol. Each connection runs a graph: so it may import everything, like the CLI."""
