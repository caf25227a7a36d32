#!/usr/bin/env bash
# Serves on LISTEN (127.0.0.1:8080), sends a sample video through, and prints the address of the page that plays it.
# Stays in the foreground until Ctrl-C; the server then drains and ends. Called by make run, which has built build/millrace.
set -euo pipefail
cd "$(dirname "$0")/.."

listen=${LISTEN:-127.0.0.1:8080}
data=${DATA:-data}
build=${BUILD:-build}
base=http://$listen

die() { printf 'run: %s\n' "$*" >&2; exit 1; }
# The value of a field, "a.b" inside an object, of the JSON on standard input; empty where there is none.
field() {
	/usr/bin/python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = (value or {}).get(key)
print("" if value is None else value)' "$1"
}

if (exec 3<>"/dev/tcp/${listen%:*}/${listen##*:}") 2>/dev/null; then
	die "$listen is taken by another program: stop it, or choose another: make run LISTEN=127.0.0.1:8090"
fi
[ -x "$build/millrace" ] || die "$build/millrace is not built: make build"

echo "run: making a sample video"
sample=$(MILLRACE_TEST_MEDIA=$build/test-media /usr/bin/python3 tests/media/make_media.py sample.mp4)

mkdir -p "$data"
log=$data/server.log
"$build/millrace" serve --data "$data" --listen "$listen" 2>>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for _ in $(seq 100); do
	kill -0 "$server" 2>/dev/null || die "the server ended: $(tail -n 3 "$log")"
	curl -fsS -o /dev/null "$base/readyz" 2>/dev/null && ready=1 && break
	sleep 0.1
done
[ "${ready:-}" = 1 ] || die "the server is not ready after 10 s: curl $base/readyz"

file=$(curl -fsS -F "file=@$sample" "$base/api/files" | field file_id)
order="{\"kind\":\"ladder\",\"file_id\":\"$file\"}"
job=$(curl -fsS -H 'Content-Type: application/json' -d "$order" "$base/api/jobs" | field job_id)
page=$base/#/jobs/$job
printf '\nrun: watch it being made: %s\n\n' "$page"

while :; do
	state=$(curl -fsS "$base/api/jobs/$job") || die "the server does not answer any more"
	status=$(field status <<<"$state")
	printf '\rrun: %-10s %5s %%  ' "$status" "$(field progress.percent <<<"$state")"
	case $status in
	completed) break ;;
	failed | canceled) printf '\n'; die "the job $status: $(field error.message <<<"$state")" ;;
	esac
	sleep 0.5
done
printf '\n\nrun: done. The page:     %s\n' "$page"
printf 'run: the playlist: %s\n' "$(field streaming.playlist_url <<<"$state")"
echo "run: the server's log is $log; Ctrl-C stops the server."
wait "$server"
