"""The realtime service: its protocol, and a client to embed in any program that runs on asyncio or trio.

from stages.translate.realtime import FileAudio, ServerEventType, SpeechFile, connect
"""

from stages.translate.realtime.events import ErrorEvent, Event, LocalProtocolError, ServerEventType
from stages.translate.realtime.link import SessionEnded, SessionNotReady, SessionRefused
from stages.translate.realtime.live_sound import MicrophoneAudio, SpeakerAudio
from stages.translate.realtime.pair import RealtimePair, Speaker, connect_pair
from stages.translate.realtime.session import RealtimeSession, connect
from stages.translate.realtime.sound import FileAudio, SpeechFile
from stages.translate.realtime.transport import RealtimeError, ServiceUnreachable, SocketClosed, SocketOptions

__all__ = [
    "ErrorEvent",
    "Event",
    "FileAudio",
    "LocalProtocolError",
    "MicrophoneAudio",
    "RealtimeError",
    "RealtimePair",
    "RealtimeSession",
    "ServerEventType",
    "ServiceUnreachable",
    "SessionEnded",
    "SessionNotReady",
    "SessionRefused",
    "SocketClosed",
    "SocketOptions",
    "Speaker",
    "SpeakerAudio",
    "SpeechFile",
    "connect",
    "connect_pair",
]
