"""The commands of `mobium channel` and their options.

Not its concern: what a command does (`channels`, `invites`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from mobium_client.cli import channels, invites
from mobium_client.cli.arguments import Channel, Json, Member

__all__ = ["channel_app"]

channel_app = typer.Typer(
    help="Conversations of many: make them, invite, join, leave. Write their names in quotes, '#name'.",
    no_args_is_help=True,
)


@channel_app.command("create")
def channel_create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What to call it; its members see that.")],
    is_open: Annotated[
        bool, typer.Option("--open", help="Whoever knows its link may join; no secrets from the server.")
    ] = False,
    topic: Annotated[str, typer.Option(help="What it is about.")] = "",
) -> None:
    """Make a channel: private, into which only invite links lead, unless --open."""
    channels.create(context.obj, name, topic, is_open=is_open)


@channel_app.command("join")
def channel_join(
    context: typer.Context,
    link: Annotated[str, typer.Argument(help="The link, in quotes: 'mobium://join/...'.")],
) -> None:
    """Come into the channel of an invite link."""
    channels.join(context.obj, link)


@channel_app.command("list")
def channel_list(context: typer.Context, json: Json = False) -> None:
    """Your channels, those that you have left included."""
    channels.list_all(context.obj, json)


@channel_app.command("members")
def channel_members(context: typer.Context, channel: Channel, json: Json = False) -> None:
    """Who is in a channel, as of the last connection."""
    channels.members(context.obj, channel, json)


@channel_app.command("invite")
def channel_invite(
    context: typer.Context,
    channel: Channel,
    uses: Annotated[
        int | None, typer.Option(min=0, max=10_000, help="How many may join by it; 0: any number.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long: 30m, 12h, 7d, 4w, or ever.")
    ] = None,
    qr: Annotated[bool, typer.Option("--qr", help="Show it as a QR code, too.")] = False,
) -> None:
    """Make an invite link: for one person and 7 days, unless told otherwise."""
    invites.invite(context.obj, channel, uses, lasting, qr=qr)


@channel_app.command("invites")
def channel_invites(context: typer.Context, channel: Channel, json: Json = False) -> None:
    """The invites in force."""
    invites.invites(context.obj, channel, json)


@channel_app.command("revoke")
def channel_revoke(
    context: typer.Context,
    channel: Channel,
    invite: Annotated[str, typer.Argument(help="The invite's id, or its link in quotes.")],
) -> None:
    """End an invite before its time."""
    invites.revoke(context.obj, channel, invite)


@channel_app.command("renew")
def channel_renew(context: typer.Context, channel: Channel) -> None:
    """Draw a new secret, so that every earlier invite link is worthless."""
    invites.renew(context.obj, channel)


@channel_app.command("remove")
def channel_remove(context: typer.Context, channel: Channel, peer: Member) -> None:
    """Remove a member, who cannot read what follows."""
    channels.remove(context.obj, channel, peer)


@channel_app.command("ban")
def channel_ban(context: typer.Context, channel: Channel, peer: Member) -> None:
    """Remove somebody and keep him out, or keep out who is not in yet."""
    channels.ban(context.obj, channel, peer)


@channel_app.command("unban")
def channel_unban(context: typer.Context, channel: Channel, peer: Member) -> None:
    """Let somebody join again."""
    channels.unban(context.obj, channel, peer)


@channel_app.command("banned")
def channel_banned(context: typer.Context, channel: Channel) -> None:
    """Who may not join a channel."""
    channels.banned(context.obj, channel)


@channel_app.command("role")
def channel_role(
    context: typer.Context,
    channel: Channel,
    peer: Member,
    role: Annotated[channels.RoleChoice, typer.Argument(help="owner hands the channel over.")],
) -> None:
    """Make a member an admin, a member like others again, or the owner."""
    channels.role(context.obj, channel, peer, role)


@channel_app.command("rename")
def channel_rename(
    context: typer.Context, channel: Channel, name: Annotated[str, typer.Argument(help="The new name.")]
) -> None:
    """Call a channel something else, for everybody in it."""
    channels.rename(context.obj, channel, name)


@channel_app.command("topic")
def channel_topic(
    context: typer.Context,
    channel: Channel,
    text: Annotated[str | None, typer.Argument(help='The new topic; "" takes it away.')] = None,
) -> None:
    """Show what a channel is about, or change it."""
    channels.topic(context.obj, channel, text)


@channel_app.command("leave")
def channel_leave(context: typer.Context, channel: Channel) -> None:
    """Leave a channel; what was said stays here."""
    channels.leave(context.obj, channel)


@channel_app.command("forget")
def channel_forget(context: typer.Context, channel: Channel) -> None:
    """Delete a channel that you have left from this machine, and everything said there."""
    channels.forget(context.obj, channel)
