"""The commands of `mobium`, their options, and what all of them share.

Not its concern: the commands about channels (`channel_app`), what a command does (`profiles`, `contacts`,
`talk`, `chat`, `records`) and how it fails (`failures`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mobium_client.cli import call as call_command
from mobium_client.cli import chat as chat_command
from mobium_client.cli import contacts, profiles, records, talk
from mobium_client.cli import voice as voice_command
from mobium_client.cli.arguments import (
    Channel,
    Json,
    Microphone,
    Peer,
    PeerOrChannel,
    Record,
    Said,
    Seconds,
    ShownScreen,
    Speaker,
    Talked,
)
from mobium_client.cli.channel_app import channel_app
from mobium_client.cli.screen import Screen
from mobium_client.cli.secrets import Secrets
from mobium_client.cli.session import Run

__all__ = ["run"]

_HELP = """
Encrypted messages through a server that you or a friend hosts.

Begin with: mobium profile create, mobium whoami, mobium contact add, mobium chat.

Passwords come from a prompt, from --password-fd or from MOBIUM_PASSWORD. Data lies in the folder that the
system has for it, or in MOBIUM_DATA_DIR.
"""
_EPILOG = """
Exit codes: 0 done · 1 refused or failed · 2 wrong command line, or no such name · 3 no connection, or
not taken or delivered yet (what was to be sent need not be sent again) · 4 wrong password or recovery words ·
5 unreadable, locked or unwritable data · 70 unexpected failure, see the log file that is named · 130
interrupted · 141 nobody reads the output
"""
_GLOBAL = {"--profile", "--server", "--password-fd"}

app = typer.Typer(
    name="mobium",
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
profile_app = typer.Typer(
    help="Make, recover and list profiles; each is an identity of its own.", no_args_is_help=True
)
contact_app = typer.Typer(help="Whom you know, under which name, and how surely.", no_args_is_help=True)
app.add_typer(profile_app, name="profile")
app.add_typer(contact_app, name="contact")
app.add_typer(channel_app, name="channel")


def run(arguments: Sequence[str]) -> object:
    """Run the command line. Returns an exit code or None; raises what the command raises."""
    return typer.main.get_command(app).main(_hoisted(arguments), prog_name="mobium", standalone_mode=False)


def _hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the options that every command knows in front, where the parser wants them."""
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += [word, *left]
            break
        if word in _GLOBAL and left:
            front += [word, left.pop(0)]
        elif word.partition("=")[0] in _GLOBAL:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _version(wanted: bool) -> None:
    if wanted:
        from mobium import __version__
        from mobium.client.profile import backend_name

        Screen().line(f"mobium {__version__} ({backend_name()} kernels)")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="The profile's name; needed only if there are several.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="The server: a name, ws://... or wss://...; the last one is remembered."),
    ] = None,
    password_fd: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Read the password from this file descriptor, one line."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show version and kernels.")
    ] = False,
) -> None:
    """What every command shares."""
    del version
    screen = Screen()
    context.obj = Run(screen, Secrets(screen, password_fd), profile, server)


# ---------------------------------------------------------------- profiles


@profile_app.command("create")
def profile_create(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="What to call it on this machine.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask any of the recovery words back.")] = False,
) -> None:
    """Make a profile with a new identity, and show its 24 recovery words once."""
    profiles.create(context.obj, name, ask_back=not yes)


@profile_app.command("recover")
def profile_recover(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="What to call it on this machine.")] = None,
    words_fd: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Read the words from this file descriptor.")
    ] = None,
) -> None:
    """Bring an identity back from its 24 recovery words."""
    profiles.recover(context.obj, name, words_fd)


@profile_app.command("list")
def profile_list(context: typer.Context) -> None:
    """The profiles on this machine."""
    profiles.list_all(context.obj)


@profile_app.command("passwd")
def profile_passwd(context: typer.Context) -> None:
    """Change a profile's password (--password-fd: the old one, then the new one in the next line)."""
    profiles.change_password(context.obj)


@profile_app.command("name")
def profile_name(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help='The name; "" takes it away.')] = None,
) -> None:
    """What you call yourself to the members of your channels; without NAME, show it."""
    profiles.name(context.obj, name)


@profile_app.command("hide-address")
def profile_hide_address(
    context: typer.Context,
    choice: Annotated[
        str | None, typer.Argument(metavar="[on|off]", help="on: every call goes through a relay.")
    ] = None,
) -> None:
    """Whether calls with verified contacts, too, go through a relay, so that they learn no address; without a
    word, show it.
    """
    profiles.hide_address(context.obj, choice)


@app.command()
def whoami(
    context: typer.Context,
    qr: Annotated[
        bool | None, typer.Option("--qr/--no-qr", help="Show the QR code; by default on a terminal.")
    ] = None,
    json: Json = False,
) -> None:
    """Your key, and the link and the QR code that others add you with."""
    profiles.whoami(context.obj, qr, json)


# ---------------------------------------------------------------- contacts


@contact_app.command("add")
def contact_add(
    context: typer.Context,
    contact: Annotated[str, typer.Argument(help="A key of 64 hexadecimal digits, or a contact link.")],
    nickname: Annotated[str | None, typer.Argument(help="What you want to call them.")] = None,
) -> None:
    """Add a contact."""
    contacts.add(context.obj, contact, nickname)


@contact_app.command("list")
def contact_list(context: typer.Context, json: Json = False) -> None:
    """Everybody you know, and who has asked to be known."""
    contacts.list_all(context.obj, json)


@contact_app.command("verify")
def contact_verify(
    context: typer.Context,
    peer: Peer,
    yes: Annotated[bool, typer.Option("--yes", help="The numbers were compared; do not ask.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the mark back.")] = False,
) -> None:
    """Show the safety number, and note that it is the same on both sides."""
    contacts.verify(context.obj, peer, yes=yes, undo=undo)


@contact_app.command("rename")
def contact_rename(
    context: typer.Context, peer: Peer, nickname: Annotated[str, typer.Argument(help="The new nickname.")]
) -> None:
    """Call a contact something else."""
    contacts.rename(context.obj, peer, nickname)


@contact_app.command("accept")
def contact_accept(context: typer.Context, peer: Peer) -> None:
    """Accept somebody who has written to you, or the new key of a contact whose keys have changed."""
    contacts.accept(context.obj, peer)


@contact_app.command("block")
def contact_block(context: typer.Context, peer: Peer) -> None:
    """Take nothing from somebody any more, and tell them nothing."""
    contacts.block(context.obj, peer, blocked=True)


@contact_app.command("unblock")
def contact_unblock(context: typer.Context, peer: Peer) -> None:
    """Hear from somebody again."""
    contacts.block(context.obj, peer, blocked=False)


# ---------------------------------------------------------------- conversations


@app.command()
def send(
    context: typer.Context,
    peer: PeerOrChannel,
    text: Annotated[
        str,
        typer.Argument(
            help="The message; - reads it from standard input. Before one that begins with a dash, write --."
        ),
    ],
    wait: Annotated[
        talk.Wait, typer.Option(help="Wait until the server has it, or until it has been delivered.")
    ] = talk.Wait.SENT,
    timeout: Annotated[float, typer.Option(min=0.0, help="How long to wait, in seconds.")] = 30.0,
) -> None:
    """Send a message. What cannot go out now stays queued and goes out at the next connection."""
    talk.send(context.obj, peer, text, wait, timeout)


@app.command()
def call(
    context: typer.Context,
    peer: Peer,
    said: Said = None,
    record: Record = None,
    microphone: Microphone = None,
    speaker: Speaker = None,
    seconds: Talked = None,
    screen: ShownScreen = None,
    as_json: Json = False,
) -> None:
    """Call a contact and talk; Ctrl-C hangs up.

    With a file for the microphone or the speaker no device of this machine is used, so that a bot can speak
    and listen.
    """
    talk = call_command.Talk(said, record, microphone, speaker, seconds, screen, as_json)
    call_command.call(context.obj, peer, talk)


@app.command()
def answer(
    context: typer.Context,
    peer: Annotated[
        str | None, typer.Argument(metavar="PEER", help="Take calls of this contact, and decline others.")
    ] = None,
    said: Said = None,
    record: Record = None,
    microphone: Microphone = None,
    speaker: Speaker = None,
    seconds: Talked = None,
    screen: ShownScreen = None,
    as_json: Json = False,
) -> None:
    """Wait for a call, take it, and talk; Ctrl-C hangs up."""
    talk = call_command.Talk(said, record, microphone, speaker, seconds, screen, as_json)
    call_command.answer(context.obj, peer, talk)


@app.command()
def voice(
    context: typer.Context,
    channel: Channel,
    said: Said = None,
    record: Record = None,
    microphone: Microphone = None,
    speaker: Speaker = None,
    seconds: Seconds = None,
    screen: ShownScreen = None,
    as_json: Json = False,
) -> None:
    """Be in the voice room of a channel and talk; Ctrl-C leaves.

    With a file for the microphone or the speaker no device of this machine is used, so that a bot can speak
    and listen.
    """
    voice_command.voice(context.obj, channel, said, record, microphone, speaker, seconds, screen, as_json)


@app.command()
def chat(
    context: typer.Context,
    peer: PeerOrChannel,
    read: Annotated[bool, typer.Option("--read/--no-read", help="Let them know what you have read.")] = True,
) -> None:
    """Talk with somebody or in a channel: type lines and read the answers; Ctrl-D leaves.

    Works on a pipe, too.
    """
    chat_command.chat(context.obj, peer, tell_read=read)


@app.command()
def listen(
    context: typer.Context,
    json: Json = False,
    count: Annotated[int | None, typer.Option(min=1, help="Leave after so many messages.")] = None,
) -> None:
    """Stay connected and show what comes in.

    With --json every line is an object whose "event" is connection, message, state, key_changed or channel;
    fields stay what they are, and new ones may come.
    """
    talk.listen(context.obj, json, count)


@app.command()
def history(
    context: typer.Context,
    peer: Annotated[
        str | None, typer.Argument(help="With whom, or '#name'; without it, the conversations are listed.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The last so many messages.")] = 50,
    json: Json = False,
) -> None:
    """Show what was said."""
    records.history(context.obj, peer, limit, json)


@app.command()
def export(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A new file, for its owner alone; - is standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write everything that can be read, in clear text, as JSON lines."""
    records.export(context.obj, file, force=force)


@app.command()
def retry(
    context: typer.Context,
    message: Annotated[
        str | None, typer.Argument(help="The message's id; without it, all that failed.")
    ] = None,
) -> None:
    """Send again what has failed or expired."""
    talk.retry(context.obj, message)


@app.command()
def trust_server(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="The key was compared; do not ask.")] = False,
) -> None:
    """Accept the new key of the server, after its operator has confirmed it."""
    profiles.trust_server(context.obj, yes=yes)


if __name__ == "__main__":  # pragma: no cover
    sys.exit("Use: python -m mobium_client")
