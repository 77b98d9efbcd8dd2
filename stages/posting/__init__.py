"""Captions posted by HTTP to where people watch: what the services want, and how a post gets there once."""
