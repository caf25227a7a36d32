#!/usr/bin/env bash
# PostgreSQL, Redis and an S3 server (radosgw) for development, without containers: tools/services.sh start|stop|status.
#
# They run as an unprivileged user (whoever calls it; called by root, `nobody`), over folders below $SERVICES (build/services),
# on loopback, and outlive the shell. `start` prints the settings that point Millrace at them; doing it again changes nothing.
# Rows and objects are there again after a stop; what Redis has is only of the moment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${SERVICES:-build/services}")
pg_port=${PG_PORT:-55432} redis_port=${REDIS_PORT:-56379} s3_port=${S3_PORT:-56480} s3_mon_port=${S3_MON_PORT:-56481}
s3_url=http://127.0.0.1:$s3_port s3_key=AKTEST s3_secret=SK/test+odd=1
pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)

say() { printf '%s\n' "services: $*" >&2; }
as_user() {
	if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi
}
pg_up() { as_user "$pg_bin/pg_ctl" -D "$folder/postgres" status >/dev/null 2>&1; }
redis_up() { redis-cli -h 127.0.0.1 -p "$redis_port" ping >/dev/null 2>&1; }
s3_up() { tools/radosgw.py status "$folder/s3"; }
bucket() {
	curl -sS -o /dev/null -w '%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 --user "$s3_key:$s3_secret" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@" "$s3_url/millrace"
}

start() {
	if [ -z "$pg_bin" ] || ! command -v redis-server >/dev/null || ! command -v radosgw >/dev/null; then
		say "needs $(tools/deps.sh list services | xargs)"
		exit 1
	fi
	mkdir -p "$folder/postgres" "$folder/redis"
	[ "$(id -u)" != 0 ] || chown nobody:nogroup "$folder/postgres" "$folder/redis"
	chmod 0700 "$folder/postgres"
	if [ ! -f "$folder/postgres/PG_VERSION" ]; then
		as_user "$pg_bin/initdb" -D "$folder/postgres" -U millrace -A trust -E UTF8 --locale=C >/dev/null
	fi
	pg_up || as_user "$pg_bin/pg_ctl" -D "$folder/postgres" -l "$folder/postgres/log" -w \
		-o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start >/dev/null
	"$pg_bin/psql" -h 127.0.0.1 -p "$pg_port" -U millrace -d postgres -Atqc \
		"SELECT 1 FROM pg_database WHERE datname = 'millrace'" | grep -q 1 ||
		"$pg_bin/createdb" -h 127.0.0.1 -p "$pg_port" -U millrace millrace
	redis_up || as_user redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$folder/redis" --save '' --appendonly no \
		--daemonize yes --pidfile "$folder/redis/pid" --logfile "$folder/redis/log" >/dev/null
	tools/radosgw.py start "$folder/s3" "$s3_port" "$s3_mon_port"
	[ "$(bucket -I)" = 200 ] || [ "$(bucket -X PUT)" = 200 ] || { say "the bucket can't be made: $folder/s3"; exit 1; }
	say "PostgreSQL on port $pg_port, Redis on port $redis_port, S3 at $s3_url (bucket millrace, keys $s3_key and $s3_secret)"
	echo "export MILLRACE_DATABASE=postgres://millrace@127.0.0.1:$pg_port/millrace MILLRACE_BUS=redis://127.0.0.1:$redis_port"
	echo "export MILLRACE_STORE='s3://millrace?endpoint=$s3_url' AWS_ACCESS_KEY_ID=$s3_key AWS_SECRET_ACCESS_KEY=$s3_secret"
}

stop() {
	if [ -n "$pg_bin" ] && pg_up; then as_user "$pg_bin/pg_ctl" -D "$folder/postgres" -m fast -w stop >/dev/null; fi
	if redis_up; then redis-cli -h 127.0.0.1 -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true; fi
	if [ -d "$folder/s3" ]; then tools/radosgw.py stop "$folder/s3"; fi
	say "stopped"
}

status() {
	if [ -n "$pg_bin" ] && pg_up; then say "PostgreSQL runs"; else say "PostgreSQL doesn't run"; fi
	if redis_up; then say "Redis runs"; else say "Redis doesn't run"; fi
	if s3_up; then say "S3 runs"; else say "S3 doesn't run"; fi
}

case ${1:-} in
start | stop | status) "$1" ;;
*) say "start, stop or status"; exit 2 ;;
esac
