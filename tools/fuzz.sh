#!/usr/bin/env bash
# Runs each libFuzzer target for some seconds: tools/fuzz.sh BUILD SECONDS
#
# Starts from tests/fuzz/corpus/NAME, which it does not change; what is found new goes to BUILD/corpus/NAME and is used again next
# time. A finding is written to BUILD/crash-… and is an error: put the file into the corpus with its fix.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
seconds=$2
failed=0
found=0
for target in "$build"/tests/fuzz/fuzz_*; do
	[ -f "$target" ] && [ -x "$target" ] || continue
	found=1
	name=$(basename "$target")
	name=${name#fuzz_}
	mkdir -p "$build/corpus/$name"
	echo "fuzz: $name, $seconds s"
	seeds=tests/fuzz/corpus/$name
	[ -d "$seeds" ] || seeds=
	if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/crash-$name-" "$build/corpus/$name" $seeds >"$build/fuzz-$name.log" 2>&1; then
		failed=1
		tail -n 60 "$build/fuzz-$name.log"
	fi
	grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$build/fuzz-$name.log" || true
done
[ "$found" = 1 ] || { echo "fuzz: no targets in $build/tests/fuzz" >&2; exit 1; }
exit $failed
