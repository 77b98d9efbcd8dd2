"""Telling our own speech, heard again, from what somebody says: pure, without clock, thread or device."""
