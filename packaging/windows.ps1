# mobium-desktop.exe in one folder, and an .msi that installs it for the person who runs it. NOT RUN by the project
# so far: a recipe, to be tried by whoever has Windows 10 or newer.
#
#   powershell -ExecutionPolicy Bypass -File packaging\windows.ps1
#
# Takes Python 3.11 or newer from python.org (which has Tk), and for the .msi the WiX toolset 5
# (dotnet tool install --global wix --version 5.*). Opus and PortAudio come with the packages that are installed.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")

py -m venv build\package\venv
$python = "build\package\venv\Scripts\python.exe"
& $python -m pip install --quiet . ".\client_app[desktop,package]"
& $python tools\package.py --icons
& $python -m PyInstaller --noconfirm --distpath build\package --workpath build\package\work packaging\mobium-desktop.spec

New-Item -ItemType Directory -Force dist | Out-Null
Compress-Archive -Force -Path build\package\mobium -DestinationPath dist\mobium-windows.zip
wix build packaging\mobium.wxs -bindpath build\package\mobium -o dist\mobium.msi
