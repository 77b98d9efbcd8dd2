"""The command line, `dragoman`. It may import everything; nothing else imports it."""
