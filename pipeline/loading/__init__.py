"""From YAML text to a graph, piece by piece; `pipeline.load` puts them together."""
