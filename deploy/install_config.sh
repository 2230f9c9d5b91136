#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install_config.sh FILE FOLDER: installs FILE where there is none of its name. Run by `meson install`.
set -eu
target=${DESTDIR:-}$2/$(basename "$1")
[ -e "$target" ] || install -D -m 644 "$1" "$target"
