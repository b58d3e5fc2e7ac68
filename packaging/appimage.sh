#!/bin/sh
# An AppImage of the desktop. NOT RUN by the project so far: a recipe, to be tried by whoever has appimagetool.
#
#   python tools/package.py && sh packaging/appimage.sh
#
# Takes appimagetool (of the AppImage project) on the PATH. The result runs on every Linux whose C library is at
# least as new as that of the machine where it was built: build on the oldest that is meant to be reached.
set -eu

cd "$(dirname "$0")/.."
tree=build/package/mobium.AppDir
rm -rf "$tree"
mkdir -p "$tree/usr/lib" "$tree/usr/share/icons/hicolor/256x256/apps"
cp -a build/package/mobium "$tree/usr/lib/mobium"
cp packaging/mobium.desktop "$tree/mobium.desktop"
cp build/package/mobium-256.png "$tree/mobium.png"
cp build/package/mobium-256.png "$tree/usr/share/icons/hicolor/256x256/apps/mobium.png"
cat >"$tree/AppRun" <<'RUN'
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/usr/lib/mobium/mobium-desktop" "$@"
RUN
chmod 755 "$tree/AppRun"
mkdir -p dist
appimagetool "$tree" "dist/mobium-$(uname -m).AppImage"
