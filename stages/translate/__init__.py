"""Translation: the stage `translate`, its engines, and which languages they know."""

from stages.translate.translate import Translate

__all__ = ["Translate"]
