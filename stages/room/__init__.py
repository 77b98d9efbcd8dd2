"""A room: what one speaker says, shown and spoken to many listeners, in languages that others make."""
