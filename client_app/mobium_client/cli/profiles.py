"""The commands about one's own identity: making, recovering and listing profiles, the password, the link.

Not its concern: options and their help (`mobium_client.cli.app`).
"""

from __future__ import annotations

import sys
from shlex import quote

from rich.text import Text

from mobium.client import Engine
from mobium.client.links import contact_link, qr_code
from mobium.client.profile import DEFAULT_NAME, Profile, Profiles
from mobium.errors import InvalidInput, MobiumError, ServerKeyChanged
from mobium_client.cli.session import Run, run_async
from mobium_client.plain import one_line

__all__ = [
    "change_password",
    "create",
    "hide_address",
    "list_all",
    "name",
    "recover",
    "trust_server",
    "whoami",
]

_QR_STYLE = "bright_white on black"
_KEY_GROUP = 8


def create(run: Run, name: str | None, *, ask_back: bool) -> None:
    """Make a profile and show its recovery words."""
    profiles, profile = _new(run, name)

    def show(words: str) -> None:
        try:
            run.secrets.show_words(words, ask_back=ask_back)
            sys.stdout.flush()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise MobiumError(f"The words could not be shown ({reason}), so no profile was made.") from error

    try:
        run_async(Engine.create(profile.folder, run.secrets.new_password(), show))
    except BaseException:
        profiles.discard(profile)
        raise
    among = f" --profile {quote(profile.name)}" if len(profiles.all()) > 1 else ""
    run.screen.remark(f"The profile {profile.name} was made. Next: mobium{among} whoami")


def recover(run: Run, name: str | None, words_fd: int | None) -> None:
    """Make a profile from recovery words."""
    profiles, profile = _new(run, name)
    try:
        words = run.secrets.words(words_fd)
        run_async(Engine.recover(profile.folder, run.secrets.new_password(), words))
    except BaseException:
        profiles.discard(profile)
        raise
    run.screen.remark(f"The profile {profile.name} has its identity back; contacts and messages begin anew.")


def _new(run: Run, name: str | None) -> tuple[Profiles, Profile]:
    if name is not None and run.profile is not None and name != run.profile:
        raise InvalidInput("The profile is named twice, and differently.")
    profiles = Profiles()
    return profiles, profiles.new(name or run.profile or DEFAULT_NAME)


def list_all(run: Run) -> None:
    """Print every profile's name and folder."""
    found = Profiles().all()
    if not found:
        run.screen.remark("There is no profile yet; make one with: mobium profile create")
    for profile in found:
        run.screen.line(Text.assemble((profile.name, "bold"), f"  {profile.folder}"))


def change_password(run: Run) -> None:
    """Replace the password."""

    async def work() -> None:
        old = run.secrets.password()
        async with Engine.open(run.chosen().folder, old) as engine:
            await engine.change_password(old, run.secrets.next_password())

    run_async(work())
    run.screen.remark("The password was changed.")


def hide_address(run: Run, choice: str | None) -> None:
    """Say whether calls hide this machine's address from everybody, or let them."""
    if choice not in {None, "on", "off"}:
        raise InvalidInput("Say on or off.")

    async def work() -> bool:
        async with run.engine() as engine:
            if choice is not None:
                await engine.calls.set_hide_address(choice == "on")
            return await engine.calls.hide_address()

    hidden = run_async(work())
    if choice is None:
        run.screen.line("on" if hidden else "off")
    elif hidden:
        run.screen.remark(
            "Every call goes through the server's relay from now on, with verified contacts too."
        )
    else:
        run.screen.remark("Verified contacts learn your address in calls; all others do not.")


def name(run: Run, chosen: str | None) -> None:
    """Say what one calls oneself to the members of channels, or call oneself something else."""

    async def work() -> str:
        async with run.engine() as engine:
            if chosen is not None:
                await engine.set_name(chosen)
            return await engine.name()

    called = run_async(work())
    if chosen is None:
        if called:
            run.screen.line(one_line(called))
        else:
            run.screen.remark("You have no name for the members of channels: mobium profile name NAME")
    elif called:
        run.screen.remark(
            f"Members of your channels will see you as ~{called}, unless they call you something else; "
            "those who have heard from you before learn it little by little."
        )
    else:
        run.screen.remark("Members of your channels will see the first digits of your key.")


def whoami(run: Run, qr: bool | None, as_json: bool) -> None:
    """Print key, link and QR code."""

    async def work() -> tuple[str, str]:
        async with run.engine() as engine:
            if run.server is not None:
                return engine.me, contact_link(bytes.fromhex(engine.me), run.server)
            return engine.me, await engine.contact_link()

    key, link = run_async(work())
    screen = run.screen
    if as_json:
        screen.json({"key": key, "link": link})
        return
    screen.line(key)
    screen.line(link)
    if qr or (qr is None and screen.is_terminal and screen.can_draw):
        for line in qr_code(link):
            screen.line(Text("  ").append(line, _QR_STYLE))


def trust_server(run: Run, *, yes: bool) -> None:
    """Show the key that the server has changed to, and accept it."""

    async def work() -> str:
        async with run.engine() as engine:
            await run.check_server(engine)
            try:
                await engine.connect(run.server)
            except ServerKeyChanged as changed:
                _show_keys(run, changed)
                if not yes and not _agreed(run):
                    raise MobiumError("The new key was not accepted; nothing was changed.") from None
                await engine.accept_server_key(changed.offered.hex())
                await engine.connect(run.server)
                return "The new key was accepted, and the login worked."
            return "The server shows the key that is known; there is nothing to accept."

    run.screen.remark(run_async(work()))


def _show_keys(run: Run, changed: ServerKeyChanged) -> None:
    run.screen.line(f"known until now:  {_grouped(changed.pinned)}")
    run.screen.line(f"shown now:        {_grouped(changed.offered)}")


def _grouped(key: bytes) -> str:
    digits = key.hex()
    return " ".join(digits[i : i + _KEY_GROUP] for i in range(0, len(digits), _KEY_GROUP))


def _agreed(run: Run) -> bool:
    answer = run.screen.ask("Has the operator of the server confirmed the key shown now? (yes/no) ")
    return answer.strip().lower() in {"y", "yes"}
