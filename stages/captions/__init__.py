"""Captions: what a text becomes on a screen, by rules that do not depend on any file or device."""
