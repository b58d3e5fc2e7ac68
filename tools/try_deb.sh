#!/bin/sh
# Installs the newest .deb of dist/ in a fresh Debian without anything else, and looks whether its window opens.
#
#   sudo sh tools/try_deb.sh [SUITE]     bookworm without a word; takes debootstrap, and 1 GB in build/package
#
# The system is made anew each time in build/package/chroot, and nothing is kept outside the checkout.
set -eu

cd "$(dirname "$0")/.."
suite=${1:-bookworm}
root=$PWD/build/package/chroot
deb=$(ls -t dist/mobium_*.deb | head -n 1)

in_it() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp/home DEBIAN_FRONTEND=noninteractive "$@"; }

leave() { umount "$root/proc" 2>/dev/null || true; }
trap leave EXIT

leave
rm -rf "$root"
mkdir -p "$root"
debootstrap --variant=minbase "$suite" "$root" >"$root.log"
mount -t proc proc "$root/proc"
cp "$deb" "$root/mobium.deb"
mkdir -p "$root/tmp/home"
in_it apt-get update -q >>"$root.log"
in_it apt-get install -q -y --no-install-recommends /mobium.deb >>"$root.log"
echo "Installed with $(in_it dpkg -l | grep -c '^ii') packages in the whole system."
# what shows a window to somebody is not the package's concern
in_it apt-get install -q -y --no-install-recommends xvfb xdotool >>"$root.log"
cat >"$root/try.sh" <<'TRY'
Xvfb -displayfd 3 -screen 0 1000x700x24 -nolisten tcp 3>/tmp/display >/dev/null 2>&1 &
server=$!
while [ ! -s /tmp/display ]; do sleep 0.1; done
DISPLAY=:$(cat /tmp/display)
export DISPLAY
mobium-desktop &
program=$!
found=
for _ in $(seq 1 100); do
    found=$(xdotool search --onlyvisible --class Mobium 2>/dev/null) && break
    sleep 0.2
done
sleep 2
[ -n "$found" ] && kill -0 $program && answer=0 || answer=1
kill $program $server
cat /tmp/home/.local/share/Mobium/log/mobium.log 2>/dev/null
exit $answer
TRY
if in_it sh /try.sh; then
    echo "$deb opens its window on $suite."
else
    echo "$deb does not open its window on $suite; $root.log has what was installed." >&2
    exit 1
fi
in_it dpkg --remove mobium >>"$root.log"
[ ! -e "$root/opt/mobium" ] || { echo "Removing it leaves something behind." >&2; exit 1; }
