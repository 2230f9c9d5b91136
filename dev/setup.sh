# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034,SC2154
#
# What ./run, ./check and bench/* share: finding out which tools and libraries are missing and
# installing them, building, and keeping a person informed meanwhile. Sourced, never run:
#
#     root=/path/to/the/checkout; . "$root/dev/setup.sh"
#
# Needs sh, coreutils, sed, and apt where something has to be installed. Every function that fails
# has said why.

# What any build needs.
BUILD_PACKAGES='gcc libc6-dev meson ninja-build pkg-config libuv1-dev libhiredis-dev libjansson-dev libssl-dev libjwt-dev libsqlite3-dev libmariadb-dev librdkafka-dev'

# What ./package needs besides.
PACKAGE_PACKAGES='dpkg-dev debhelper'

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# The Python of the system: the one on PATH may be another build that lacks the packages.
PYTHON=/usr/bin/python3

# has_package PACKAGE: is what PACKAGE gives already here? Looks for the thing itself and not for
# Debian's word, so that tools installed by other means count.
has_package() {
    case $1 in
    gcc) command -v cc || command -v gcc ;;
    libc6-dev) printf '#include <stdio.h>\n' | "${CC:-gcc}" -E - ;;
    ninja-build) command -v ninja ;;
    libuv1-dev) pkg-config --exists 'libuv >= 1.44' ;;
    libjansson-dev) pkg-config --exists 'jansson >= 2.14' ;;
    libhiredis-dev) pkg-config --exists 'hiredis >= 0.14' ;;
    libssl-dev) pkg-config --exists 'libcrypto >= 3.0 libssl >= 3.0' ;;
    libjwt-dev) pkg-config --exists 'libjwt >= 1.10 libjwt < 3' ;;
    libsqlite3-dev) pkg-config --exists 'sqlite3 >= 3.37' ;;
    librdkafka-dev) pkg-config --exists 'rdkafka >= 1.9' ;;
    libmariadb-dev) pkg-config --exists 'libmariadb >= 3.1' ;;
    libcmocka-dev) pkg-config --exists 'cmocka >= 1.1' ;;
    python3) "$PYTHON" --version ;;
    python3-pytest) "$PYTHON" -c 'import pytest' ;;
    python3-venv) "$PYTHON" -c 'import ensurepip, venv' ;;
    python3-yaml) "$PYTHON" -c 'import yaml' ;;
    nodejs) command -v node ;;
    redis-tools) command -v redis-server || command -v redis-check-rdb ;;
    openjdk-17-jre-headless) command -v java ;;
    maven) command -v mvn ;;
    mariadb-client-core) command -v mariadb ;;
    mariadb-server-core) command -v mariadbd || test -x /usr/sbin/mariadbd ;;
    nginx) command -v nginx || test -x /usr/sbin/nginx ;;
    libclang-rt-*) test -n "$(find /usr/lib -name 'libclang_rt.fuzzer*' -print -quit)" ;;
    dpkg-dev) command -v dpkg-buildpackage ;;
    debhelper) command -v dh ;;
    systemd) command -v systemd-analyze && command -v systemd-socket-activate ;;
    fonts-noto-cjk) test -n "$(find /usr/share/fonts -name 'NotoSansCJK*' -print -quit)" ;;
    debootstrap) command -v debootstrap || test -x /usr/sbin/debootstrap ;;
    libc6-dbg) test -d /usr/lib/debug/.build-id ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# package_words PACKAGE: what to look for on a system that names its packages otherwise.
package_words() {
    case $1 in
    gcc) echo 'a C compiler: gcc 12 or newer' ;;
    libc6-dev) echo 'the C library headers' ;;
    meson) echo 'meson 1.0 or newer' ;;
    ninja-build) echo 'ninja' ;;
    pkg-config) echo 'pkg-config or pkgconf' ;;
    libuv1-dev) echo 'libuv 1.44 or newer, with headers' ;;
    libjansson-dev) echo 'jansson 2.14 or newer, with headers' ;;
    libhiredis-dev) echo 'hiredis 0.14 or newer, with headers' ;;
    libssl-dev) echo 'OpenSSL 3.0 or newer (libssl, libcrypto), with headers' ;;
    libjwt-dev) echo 'libjwt 1.10 or newer, older than 3, with headers' ;;
    libsqlite3-dev) echo 'SQLite 3.37 or newer, with headers' ;;
    librdkafka-dev) echo 'librdkafka 1.9 or newer, with headers' ;;
    libmariadb-dev) echo 'the client library of MariaDB (Connector/C 3.1 or newer), with headers' ;;
    openjdk-17-jre-headless) echo 'Java 17 or newer' ;;
    mariadb-client-core) echo "MariaDB's command-line client" ;;
    mariadb-server-core) echo 'the server of MariaDB 10.5 or newer: mariadbd, mariadb-install-db' ;;
    libcmocka-dev) echo 'cmocka 1.1 or newer, with headers' ;;
    python3) echo "Python 3.9 or newer as $PYTHON" ;;
    python3-pytest) echo "pytest 7 or newer for $PYTHON" ;;
    python3-venv) echo "the modules venv and ensurepip for $PYTHON" ;;
    python3-yaml) echo "PyYAML for $PYTHON" ;;
    clang) echo 'clang 14 or newer' ;;
    libclang-rt-*) echo 'the sanitizer and fuzzer libraries of clang (compiler-rt)' ;;
    fonts-noto-cjk) echo 'a font with Korean letters: Noto Sans CJK' ;;
    redis-tools) echo 'Redis 7.0 or newer: its server' ;;
    libc6-dbg) echo 'the debug symbols of the C library' ;;
    *) echo "$1" ;;
    esac
}

# install_packages INSTALL PACKAGE…: brings in what is missing. INSTALL is yes or no; with no it
# prints the command that would, and fails when something is missing.
install_packages() {
    install_allowed=$1
    shift
    missing=
    for package in "$@"; do
        has_package "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        complain 'Missing, and this system has no apt. Install these by its own means and start again:'
        for package in $missing; do
            complain "  - $(package_words "$package")"
        done
        return 1
    fi
    say "Missing Debian packages:$missing"
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo '
    if [ "$install_allowed" = no ]; then
        say 'Install them with:'
        say "  ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends$missing"
        return 1
    fi
    if [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; then
        complain 'Not root, and there is no sudo. As root:'
        complain "  apt-get update && apt-get install -y --no-install-recommends$missing"
        return 1
    fi
    apt_install "$missing" || return 1
    for package in $missing; do
        has_package "$package" && continue
        complain "$package was installed, but $(package_words "$package") is still not found:" \
            'this release of the system is older than what coupond needs (Debian 12).'
        return 1
    done
}

# apt_install "PACKAGE…": the lists are fetched when there are none, or when they are too old to
# find the packages with.
apt_install() {
    apt="${sudo}env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q -o DPkg::Lock::Timeout=300"
    apt_log=$(mktemp) || return 1
    apt_status=0
    # Word splitting is what turns these into a command and its packages.
    # shellcheck disable=SC2086
    {
        [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] ||
            quietly 'Fetching the package lists' "$apt_log" $apt update || apt_status=1
        if [ $apt_status = 0 ]; then
            quietly "Installing$1" "$apt_log" $apt install -y --no-install-recommends $1 || {
                say 'That failed: once more with fresh package lists.'
                quietly 'Fetching the package lists' "$apt_log" $apt update &&
                    quietly "Installing$1" "$apt_log" $apt install -y --no-install-recommends $1
            } || apt_status=1
        fi
    }
    [ $apt_status = 0 ] || tail -n 20 "$apt_log" >&2
    rm -f "$apt_log"
    return $apt_status
}

# find_promtool INSTALL DIR: sets promtool to the program that checks metrics and rules. Where there is
# none it is unpacked, not installed, from Debian's package prometheus into DIR: installed, the package
# would start a server. INSTALL as for install_packages.
find_promtool() {
    promtool=$(command -v promtool) && return 0
    promtool=$2/usr/bin/promtool
    [ ! -x "$promtool" ] || return 0
    if [ "$1" = no ] || ! command -v apt-get >/dev/null 2>&1; then
        complain "Missing: promtool, of Debian's package prometheus. Put it on PATH, or unpack it:"
        complain "  mkdir -p '$2' && cd '$2' && apt-get download prometheus && dpkg-deb -x prometheus_*.deb ."
        return 1
    fi
    rm -rf "$2" && mkdir -p "$2" || return 1
    quietly 'Fetching promtool' "$2/fetch.log" unpack_promtool "$2" && return 0
    tail -n 20 "$2/fetch.log" >&2
    return 1
}

# unpack_promtool DIR: the lists are fetched when the package is not found with those that are here.
unpack_promtool() {
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    (
        cd "$1" || exit 1
        apt-get -q download prometheus || {
            $sudo apt-get -q -o DPkg::Lock::Timeout=300 update && apt-get -q download prometheus
        } || exit 1
        dpkg-deb --extract prometheus_*.deb . && rm -f prometheus_*.deb usr/bin/prometheus
    )
}

# make_venv INSTALL DIR REQUIREMENTS LOG: a Python environment in DIR with the packages of the file
# REQUIREMENTS, from PyPI; one that has them already is left as it is. INSTALL as for install_packages.
make_venv() {
    if cmp -s "$3" "$2/.requirements"; then
        return 0
    fi
    if [ "$1" = no ]; then
        complain "Missing: the Python packages of $3. Bring them from PyPI:"
        complain "  $PYTHON -m venv '$2' && '$2/bin/python' -m pip install -r '$3' && cp '$3' '$2/.requirements'"
        return 1
    fi
    rm -rf "$2"
    quietly "Fetching the Python packages of $3" "$4" fill_venv "$2" "$3" && return 0
    tail -n 3 "$4" >&2
    complain "The Python packages of $3 could not be fetched from PyPI. Without a way there, name a mirror:" \
        'PIP_INDEX_URL=https://… in the environment.'
    return 1
}

# fill_venv DIR REQUIREMENTS
fill_venv() {
    "$PYTHON" -m venv "$1" &&
        "$1/bin/python" -m pip install --disable-pip-version-check --no-input --timeout 30 --retries 2 \
            --requirement "$2" &&
        cp "$2" "$1/.requirements"
}

# find_kafka INSTALL DIR: Kafka's jars in DIR/lib, from Maven Central, which Debian does not package.
# INSTALL as for install_packages.
find_kafka() {
    [ -z "$(find "$2/lib" -name 'kafka_2.13-*.jar' -print -quit 2>/dev/null)" ] || return 0
    if [ "$1" = no ]; then
        complain "Missing: Apache Kafka. Bring it from Maven Central:"
        complain "  mvn -f '$root/deploy/kafka/pom.xml' dependency:copy-dependencies -DoutputDirectory='$2/lib' -DincludeScope=runtime"
        return 1
    fi
    mkdir -p "$2" || return 1
    quietly 'Fetching Apache Kafka' "$2/fetch.log" mvn -q -B -f "$root/deploy/kafka/pom.xml" \
        dependency:copy-dependencies "-DoutputDirectory=$2/lib" -DincludeScope=runtime && return 0
    tail -n 5 "$2/fetch.log" >&2
    rm -rf "${2:?}/lib"
    complain 'Apache Kafka could not be fetched from Maven Central. Behind a mirror: name it in ~/.m2/settings.xml.'
    return 1
}

# quietly LABEL LOG COMMAND…: runs COMMAND with its output in LOG; says LABEL, from two seconds on
# how far it has come, and how long it took. The status is COMMAND's.
quietly() {
    quietly_label=$1
    quietly_log=$2
    shift 2
    say "$quietly_label"
    : >"$quietly_log" || return 1
    quietly_start=$(date +%s)
    heartbeat "$quietly_log" $$ &
    quietly_heartbeat=$!
    "$@" >"$quietly_log" 2>&1 </dev/null
    quietly_status=$?
    kill "$quietly_heartbeat" 2>/dev/null
    wait "$quietly_heartbeat" 2>/dev/null
    quietly_seconds=$(($(date +%s) - quietly_start))
    [ "$quietly_seconds" -lt 2 ] || say "  done in $quietly_seconds s (status $quietly_status)"
    return "$quietly_status"
}

# heartbeat LOG PID: a line at 2 seconds and then every 10, while PID lives. The sleep holds no file
# of ours, so that a pipe behind us closes when we end.
heartbeat() {
    beat=0
    while sleep 1 >/dev/null 2>&1 && kill -0 "$2" 2>/dev/null; do
        beat=$((beat + 1))
        if [ "$beat" = 2 ] || [ $((beat % 10)) = 0 ]; then
            printf '  %3d s  %s\n' "$beat" \
                "$(tail -n 1 "$1" 2>/dev/null | tr -d '\r\033' | cut -c 1-90)"
        fi
    done
}

# build_in DIR LOG TARGET OPTION…: configures DIR with meson's OPTIONs where needed and builds
# TARGET ("all" for everything). A folder that was configured by us for another place or with other
# options is made anew; one that was configured by hand is left as it is.
build_in() {
    build_dir=$1
    build_log=$2
    build_target=$3
    shift 3
    build_stamp="$root $*"
    if [ -f "$build_dir/build.ninja" ] && [ -f "$build_dir/.configured" ] &&
        [ "$(cat "$build_dir/.configured")" != "$build_stamp" ]; then
        rm -rf "$build_dir"
    fi
    if [ ! -f "$build_dir/build.ninja" ]; then
        quietly "Configuring ${build_dir#"$root"/}" "$build_log" meson setup "$build_dir" "$root" "$@" || {
            tail -n 20 "$build_log" >&2
            return 1
        }
        printf '%s\n' "$build_stamp" >"$build_dir/.configured"
    fi
    quietly "Building ${build_dir#"$root"/}" "$build_log" \
        ninja -C "$build_dir" -j "$(nproc)" "$build_target" || {
        tail -n 40 "$build_log" >&2
        return 1
    }
}

# build_program: build/coupond, the place where everything expects it.
build_program() {
    mkdir -p "$root/build" || return 1
    build_in "$root/build" "$root/build/build.log" coupond -Dtests=false
}

# measure NAME "PACKAGE…" ARGUMENT…: what bench/NAME does: brings in what it needs, builds unless
# --coupond names a program, and runs bench/measure/NAME.py in our place.
measure() {
    measure_name=$1
    measure_packages=$2
    shift 2
    measure_install=yes
    measure_build=yes
    for word in "$@"; do
        case $word in
        --no-install) measure_install=no ;;
        --coupond | --coupond=*) measure_build=no ;;
        --help | -h) measure_build=no && measure_packages= ;;
        esac
    done
    # shellcheck disable=SC2086
    install_packages "$measure_install" $BUILD_PACKAGES python3 $measure_packages || exit 1
    [ "$measure_build" = no ] || build_program || exit 1
    PYTHONDONTWRITEBYTECODE=1 exec "$PYTHON" "$root/bench/measure/$measure_name.py" "$@"
}
