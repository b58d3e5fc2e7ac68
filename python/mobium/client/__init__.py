"""The engine: an identity's messages, contacts and connection, for programs that show them or act on them.

The front door is `from mobium.client import Engine` and the events below. Not its concern: the algorithms
(`mobium.crypto`) and the wire (`mobium.protocol`).
"""

from mobium.client.calls import CallInfo, Calls
from mobium.client.channels import Channel, Channels, Invite, Member
from mobium.client.connecting import ServerInfo
from mobium.client.contacts import Contact, Contacts
from mobium.client.drafts import Drafts
from mobium.client.engine import Engine
from mobium.client.events import (
    CallChanged,
    CallMissed,
    CallScreenChanged,
    ChannelChanged,
    ConnectionChanged,
    ContactKeyChanged,
    Event,
    EventStream,
    MessageReceived,
    MessageStateChanged,
    ScreenChanged,
    SoundChanged,
    SpeakingChanged,
    VoiceChanged,
    VoiceLeft,
)
from mobium.client.recovery import Recovery
from mobium.client.rooms import Rooms
from mobium.client.screens import SCREEN_PRESETS, ScreenPreset, Screens
from mobium.client.sound import sound_devices
from mobium.client.sound_check import FoundDevices, SoundCheck
from mobium.client.store.messages import Conversation, Message
from mobium.client.voice import Voice
from mobium.client.voice_room import Listener as VoiceListener
from mobium.client.voice_room import VoiceRoom

__all__ = [
    "SCREEN_PRESETS",
    "CallChanged",
    "CallInfo",
    "CallMissed",
    "CallScreenChanged",
    "Calls",
    "Channel",
    "ChannelChanged",
    "Channels",
    "ConnectionChanged",
    "Contact",
    "ContactKeyChanged",
    "Contacts",
    "Conversation",
    "Drafts",
    "Engine",
    "Event",
    "EventStream",
    "FoundDevices",
    "Invite",
    "Member",
    "Message",
    "MessageReceived",
    "MessageStateChanged",
    "Recovery",
    "Rooms",
    "ScreenChanged",
    "ScreenPreset",
    "Screens",
    "ServerInfo",
    "SoundChanged",
    "SoundCheck",
    "SpeakingChanged",
    "Voice",
    "VoiceChanged",
    "VoiceLeft",
    "VoiceListener",
    "VoiceRoom",
    "sound_devices",
]
