"""Sound devices: what there are, and streams between their threads and the event loop.

Only `portaudio` imports sounddevice; `ring`, `intake`, `timing` and `watchdog` know neither devices nor threads.
"""
