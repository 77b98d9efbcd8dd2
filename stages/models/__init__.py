"""The models behind `vad`, `asr`, `mt` and `tts`: loading, checking and calling them. No stage lives here."""
