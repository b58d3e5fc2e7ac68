#!/bin/sh
# mobium.app and a .dmg with it. NOT RUN by the project so far: a recipe, to be tried by whoever has a Mac.
#
#   sh packaging/macos.sh
#
# Takes macOS 12 or newer, Python 3.11 or newer with Tk (brew install python-tk), and `brew install portaudio opus`
# for sound. Without a signature of a developer known to Apple the first start is by right click, Open; with one,
# set MOBIUM_SIGN to its name, and notarize dist/mobium.dmg afterwards (xcrun notarytool submit --wait, then
# xcrun stapler staple).
set -eu

cd "$(dirname "$0")/.."
python3 -m venv build/package/venv
. build/package/venv/bin/activate
pip install --quiet . './client_app[desktop,package]'
python tools/package.py --icons
python -m PyInstaller --noconfirm --distpath build/package --workpath build/package/work packaging/mobium-desktop.spec
app=build/package/mobium.app
if [ -n "${MOBIUM_SIGN:-}" ]; then
    codesign --deep --force --options runtime --sign "$MOBIUM_SIGN" "$app"
fi
mkdir -p dist build/package/dmg
cp -R "$app" build/package/dmg/
ln -sf /Applications build/package/dmg/Applications
hdiutil create -volname mobium -srcfolder build/package/dmg -ov -format UDZO dist/mobium.dmg
