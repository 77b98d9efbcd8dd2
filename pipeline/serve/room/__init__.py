"""The hall: one speaker is recognised once, and translated into whatever language somebody listens to."""
