"""Looking into a process that runs graphs, from another one: a private socket, and who speaks on it."""
