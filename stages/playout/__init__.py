"""What a speaker plays, and when: pure parts without a clock, a thread or a device."""

from stages.playout.playout import Playout
from stages.playout.waiting import Skipped

__all__ = ["Playout", "Skipped"]
