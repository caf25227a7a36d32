#!/usr/bin/env bash
# clang-tidy and cppcheck over src/: tools/check.sh BUILD, a folder that clang set up. Prints findings, exits 1 if there are any.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
failed=0

echo "check: clang-tidy"
# Only our sources: what the build generates is data.
find src -name '*.c' -print0 |
	xargs -0 -n 4 -P "$(nproc)" clang-tidy -p "$build" --quiet --warnings-as-errors='*' 2>"$build/clang-tidy.log" || failed=1
[ "$failed" = 0 ] || grep -E 'error:' "$build/clang-tidy.log" || true

echo "check: cppcheck"
# Its preprocessor knows no __VA_OPT__ (the log macros) and reads no system headers (jansson's loops); it does not follow cleanup
# attributes; readdir on a stream of one's own is safe with glibc.
cppcheck --quiet --std=c11 --library=posix --library=gnu --enable=warning,performance,portability --inline-suppr \
	--suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak --suppress=readdirCalled \
	--suppress=nullPointerRedundantCheck -D_GNU_SOURCE -Ulog_debug -Ulog_info -Ulog_warn -Ulog_error -Ulog_at \
	'-Djson_array_foreach(a,i,v)=while((v=json_array_get(a,(i=1))))' '-Djson_object_foreach(o,k,v)=while((v=json_next(o,k)))' \
	-I src --error-exitcode=1 -j "$(nproc)" src || failed=1
exit $failed
