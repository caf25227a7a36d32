#!/usr/bin/env bash
# Installs what is missing, and nothing when all is there: tools/deps.sh [build|run|test|check|coverage|bench|fuzz|services]...
#
#   tools/deps.sh build      # what compiles build/millrace and its page
#   tools/deps.sh list test  # prints the Debian packages of a mode, one a line
#
# Debian 12's packages by apt-get (through sudo when not root), the page's and the browser tests' by npm ci from their lock files.
# Does not touch packages that are already installed. Exit: 0 all there, 1 something could not be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

build='gcc libc6-dev make meson ninja-build pkg-config python3 ca-certificates
	libmicrohttpd-dev libjansson-dev libsqlite3-dev libpq-dev libcurl4-openssl-dev libssl-dev libcjose-dev libseccomp-dev
	libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev libebur128-dev flite1-dev
	libhttp-parser-dev libopus-dev libwslay-dev libhiredis-dev libexpat1-dev'
run='ffmpeg curl'
test="$run libcmocka-dev clang binutils python3-pytest python3-pytest-xdist python3-boto3 awscli python3-requests python3-jwt
	python3-websockets python3-yaml python3-jsonschema python3-cryptography chromium firefox-esr flite mp3val flac opus-tools
	vorbis-tools redis-server postgresql nginx-light
	radosgw ceph-mon ceph-osd ceph-common"
check='libcmocka-dev clang clang-tidy cppcheck python3-pytest binutils'
coverage='gcovr'
bench='ffmpeg curl chromium flite nginx-light wrk python3-requests python3-websockets'
services='postgresql redis-server radosgw ceph-mon ceph-osd ceph-common curl python3'
fuzz='libcmocka-dev clang libclang-rt-14-dev'

say() { printf '%s\n' "deps: $*" >&2; }
die() { say "$*"; exit 1; }

packages_of() {
	case $1 in
	build) echo $build ;;
	run) echo $build $run ;;
	test) echo $build $test ;;
	check) echo $build $test $check ;;
	coverage) echo $build $test $coverage ;;
	bench) echo $build $bench ;;
	fuzz) echo $build $fuzz ;;
	services) echo $services ;;
	*) die "unknown mode '$1': build, run, test, check, coverage, bench, fuzz or services" ;;
	esac
}

# Node comes with npm in some packagings and without it in Debian's: what counts is that both commands are there.
node_packages() {
	command -v node >/dev/null || echo nodejs
	command -v npm >/dev/null || echo npm
}

missing_of() {
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root or sudo to run: $*"
	fi
}

install_debian() {
	local missing try
	missing=$(missing_of "$@"; node_packages)
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "not a Debian system: install the equivalents of:" $missing
	say "installing" $missing
	for try in 1 2 3; do
		# A third party's list that cannot be fetched is no reason to stop: the install decides.
		as_root apt-get update -q >&2 || say "apt-get update failed, trying the lists that are there"
		if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2; then
			return 0
		fi
		say "apt-get install failed (try $try of 3)"
		sleep $((try * 3))
	done
	die "could not install:" $missing
}

# npm leaves its own copy of the lock file behind when it is done: older than ours, or absent, means there is work.
install_node_folder() {
	local dir=$1 try
	[ -f "$dir/package-lock.json" ] || return 0
	[ ! "$dir/package-lock.json" -nt "$dir/node_modules/.package-lock.json" ] &&
		[ -f "$dir/node_modules/.package-lock.json" ] && return 0
	for try in 1 2 3; do
		say "npm ci in $dir"
		(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error >&2) && return 0
		say "npm ci failed in $dir (try $try of 3)"
		sleep $((try * 3))
	done
	die "could not install the packages of $dir"
}

if [ "${1:-}" = list ]; then
	shift
	for mode in "${@:-build}"; do packages_of "$mode"; done | tr ' ' '\n' | sort -u
	printf 'nodejs\nnpm\n'
	exit 0
fi

packages=$(for mode in "${@:-build}"; do packages_of "$mode"; done)
install_debian $packages
install_node_folder web
for mode in "${@:-build}"; do
	case $mode in test | check | coverage | bench) install_node_folder tests/browser ;; esac
done
