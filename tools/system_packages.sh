#!/bin/sh
# The one place that installs packages of the operating system.
#
#   sh tools/system_packages.sh WANT...     python | compiler | tk | git | tests (everything that tests need)
#                                           | pi (to build for a Raspberry Pi, and to run that)
#
# What is there already is left alone. At a terminal it asks first; without one it installs without asking. No
# service is started by what it installs. Exit 0 when everything wanted is there, 1 when something is missing still.
set -u

cd "$(dirname "$0")/.." || exit 1

# What the tests need beyond Python and Rust; a test says so itself with @pytest.mark.needs("git").
TESTS="git make turnserver systemd-analyze caddy nginx promtool chromium libopus libportaudio libasound_module_pcm_pulse pulseaudio pactl espeak-ng Xvfb xrandr setxkbmap xdotool dbus-daemon libxcb-randr libxcb-render libxcb-shm libxcb-xfixes"

# What it takes to build for a Raspberry Pi and to run that, beyond what tools/pi_tools.py fetches for itself.
PI="aarch64-linux-gnu-gcc libc-arm64 qemu-aarch64-static"

say() { printf '%s\n' "$*" >&2; }

# Debian keeps servers off the PATH of people.
has() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

library() {
    for folder in /usr/lib /usr/lib64 /usr/lib/*-linux-* /usr/local/lib /opt/homebrew/lib; do
        for file in "$folder/$1".* "$folder/alsa-lib/$1".*; do
            [ -e "$file" ] && return 0
        done
    done
    return 1
}

there() {
    case $1 in
        python) sh tools/find_python.sh >/dev/null ;;
        compiler) has cc ;;
        tk) .venv/bin/python -c 'import _tkinter' 2>/dev/null ;;
        libc-arm64) [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ;;
        systemd-analyze) has "$1" || [ "$(uname)" != Linux ] ;; # nobody else has it, and its tests are skipped
        libasound_module_pcm_pulse) library "$1" || [ "$(uname)" != Linux ] ;; # likewise
        libxcb*) library "$1" || [ "$(uname)" != Linux ] ;; # X11 is on other systems an extra that nobody has
        Xvfb | xrandr | setxkbmap | xdotool | dbus-daemon) has "$1" || [ "$(uname)" != Linux ] ;;
        lib*) library "$1" ;;
        *) has "$1" ;;
    esac
}

manager() {
    for name in apt-get dnf pacman brew; do
        if has "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
}

# The packages behind a want, for the manager in $manager.
packages() {
    case "$manager:$1" in
        apt-get:python)
            # the newest that has its own venv package brings the interpreter along
            for version in 3.14 3.13 3.12 3.11; do
                if apt-cache show "python$version-venv" >/dev/null 2>&1; then
                    printf '%s\n' "python$version-venv"
                    return
                fi
            done
            printf '%s\n' python3-venv
            ;;
        apt-get:compiler) printf '%s\n' gcc libc6-dev ;;
        apt-get:tk) printf '%s\n' python3-tk ;;
        dnf:tk) printf '%s\n' python3-tkinter ;;
        brew:tk) printf '%s\n' python-tk ;;
        apt-get:aarch64-linux-gnu-gcc) printf '%s\n' gcc-aarch64-linux-gnu ;;
        apt-get:libc-arm64) printf '%s\n' libc6-dev-arm64-cross ;;
        *:qemu-aarch64-static) printf '%s\n' qemu-user-static ;;
        dnf:python) printf '%s\n' python3 ;;
        dnf:compiler) printf '%s\n' gcc ;;
        pacman:python) printf '%s\n' python ;;
        pacman:compiler) printf '%s\n' gcc ;;
        brew:python) printf '%s\n' python ;;
        apt-get:chromium)
            # Ubuntu has it as a snap alone; one name that is unknown would keep all others from being installed
            if apt-cache show chromium >/dev/null 2>&1; then
                printf '%s\n' chromium
            fi
            ;;
        brew:chromium) ;; # an application there, not a command
        *:systemd-analyze) printf '%s\n' systemd ;;
        brew:compiler) ;; # comes with the command line tools of Xcode, not with brew
        apt-get:nginx) printf '%s\n' nginx-light ;;
        dnf:promtool) printf '%s\n' golang-github-prometheus ;;
        *:promtool) printf '%s\n' prometheus ;;
        *:turnserver) printf '%s\n' coturn ;;
        apt-get:libopus) printf '%s\n' libopus0 ;;
        apt-get:libportaudio) printf '%s\n' libportaudio2 ;;
        apt-get:libasound_module_pcm_pulse) printf '%s\n' libasound2-plugins ;;
        dnf:libasound_module_pcm_pulse) printf '%s\n' alsa-plugins-pulseaudio ;;
        pacman:libasound_module_pcm_pulse) printf '%s\n' alsa-plugins ;;
        *:libopus) printf '%s\n' opus ;;
        *:libportaudio) printf '%s\n' portaudio ;;
        apt-get:libxcb*) printf '%s\n' "${1}0" ;;
        *:libxcb*) printf '%s\n' libxcb ;;
        pacman:dbus-daemon | brew:dbus-daemon) printf '%s\n' dbus ;;
        apt-get:Xvfb) printf '%s\n' xvfb ;;
        dnf:Xvfb) printf '%s\n' xorg-x11-server-Xvfb ;;
        pacman:Xvfb) printf '%s\n' xorg-server-xvfb ;;
        apt-get:xrandr) printf '%s\n' x11-xserver-utils ;;
        pacman:xrandr) printf '%s\n' xorg-xrandr ;;
        apt-get:setxkbmap) printf '%s\n' x11-xkb-utils ;;
        pacman:setxkbmap) printf '%s\n' xorg-setxkbmap ;;
        pacman:pactl) printf '%s\n' libpulse ;;
        brew:pactl) printf '%s\n' pulseaudio ;;
        *:pactl) printf '%s\n' pulseaudio-utils ;;
        *) printf '%s\n' "$1" ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! has sudo; then
        say "This takes root, and there is no sudo: $*"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" # without a terminal nobody can type a password
    fi
}

# Debian starts what it installs unless policy-rc.d forbids it. Ours goes again whatever happens; one that the
# machine has already is left alone.
POLICY=${MOBIUM_POLICY_RC_D:-/usr/sbin/policy-rc.d}
policy_is_ours=no

forbid_services() {
    [ -e "$POLICY" ] && return 0
    # first, so that an interrupt between the two leaves nothing behind
    policy_is_ours=yes
    trap 'allow_services' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null && as_root chmod 755 "$POLICY"
}

allow_services() {
    [ "$policy_is_ours" = yes ] && as_root rm -f "$POLICY"
    policy_is_ours=no
}

install() {
    case $manager in
        apt-get)
            forbid_services || return 1
            as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                apt-get install -y --no-install-recommends "$@" >&2
            ;;
        dnf) as_root dnf install -y "$@" >&2 ;;
        pacman) as_root pacman -S --needed --noconfirm "$@" >&2 ;;
        brew) brew install "$@" >&2 ;; # refuses to run as root
    esac
}

wants=
for want in "$@"; do
    [ "$want" = tests ] && want=$TESTS
    [ "$want" = pi ] && want=$PI
    wants="$wants $want"
done

missing=
for want in $wants; do
    there "$want" || missing="$missing $want"
done
[ -z "$missing" ] && exit 0

manager=$(manager)
if [ -z "$manager" ]; then
    say "Missing:$missing. None of apt-get, dnf, pacman and brew is here to install it; please install it yourself."
    exit 1
fi

if [ -t 0 ] && [ -t 2 ]; then
    printf 'Missing:%s. Install it with %s? [Y/n] ' "$missing" "$manager" >&2
    read -r answer || answer=n
    case $answer in
        '' | [yY] | [yY][eE][sS]) ;;
        *)
            say "Not installed:$missing."
            exit 1
            ;;
    esac
else
    say "Missing:$missing. Installing it with $manager."
fi

if [ "$manager" = apt-get ]; then
    as_root apt-get update -q >&2 || say "The package lists could not be refreshed; going on with those that are here."
fi
names=
for want in $missing; do
    names="$names $(packages "$want" | tr '\n' ' ')"
done
# shellcheck disable=SC2086  # lists of package names
if ! install $names; then
    # One that this system does not have must not keep the others away.
    set -- $names
    [ $# -gt 1 ] && for name in "$@"; do install "$name"; done
fi

still=
for want in $missing; do
    there "$want" || still="$still $want"
done
if [ -n "$still" ]; then
    say "Still missing:$still."
    [ "$manager" = brew ] && [ "${still#* compiler}" != "$still" ] && say "The compiler comes with: xcode-select --install"
    exit 1
fi
