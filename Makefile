# The commands of the project; meson and ninja do the building. make help lists them.
# Everything is found from here: no target needs an environment variable, those below may be set.

PYTHON := /usr/bin/python3
LISTEN ?= 127.0.0.1:8080
DATA ?= data
# How long make fuzz runs each target.
FUZZ_SECONDS ?= 30
SETUP := tools/setup.sh
SANITIZED := env ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 MILLRACE_TEST_TIMEOUT_SCALE=3

NOT_UNDER_ASAN := kill or limits or matrix or memory or byproducts or copy or tracks or test_s3_store or test_outages or test_services or \
	live_page or listen_page or page_restart or page_sign_in
ASAN := -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false

.DEFAULT_GOAL := build
.PHONY: help deps build run services services-stop test test-build test-asan test-clang check sanitize fuzz coverage soak screenshots bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[a-z -]*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

deps: ## install what is missing: Debian's packages, the page's from npm
	tools/deps.sh build run

build: ## build/millrace and build/millrace-task
	tools/deps.sh build
	$(SETUP) build -Dtests=false

run: ## serve on LISTEN (127.0.0.1:8080) and send a sample video through
	tools/deps.sh run
	$(SETUP) build -Dtests=false
	@LISTEN=$(LISTEN) DATA=$(DATA) tools/run.sh

services: ## PostgreSQL, Redis and an S3 server for development, on loopback, and the settings that use them
	tools/deps.sh services
	@tools/services.sh start

services-stop: ## stop them
	@tools/services.sh stop

# What the tests need, without running them; .ci/run starts with it.
test-build:
	tools/deps.sh test
	$(SETUP) build-test -Dwerror=true

test: test-build ## all tests: unit, browser, lint and scenario; warnings are errors
	tests/run --build build-test

check: ## clang's build, clang-tidy, cppcheck, the layers
	tools/deps.sh check
	CC=clang $(SETUP) build-clang -Dwerror=true
	tools/check.sh build-clang
	$(PYTHON) -m pytest -q -p no:cacheprovider tests/lint

# The part of `make sanitize` for every submission: without what takes long and without timing. On PostgreSQL, S3 and Redis, as make
# test is on SQLite and a folder; without what brings services of its own or looks at the page, which make test has run.
test-asan: test-build
	$(SETUP) build-asan $(ASAN)
	$(SANITIZED) MILLRACE_SANITIZER=address MILLRACE_QUICK=1 tests/run --build build-asan --only unit,python \
		--backends postgres+s3+redis -- -k 'not ($(NOT_UNDER_ASAN))' tests/scenario

test-clang: test-build
	CC=clang $(SETUP) build-clang -Dwerror=true

sanitize: ## the tests under ASan+UBSan, and what has threads under TSan
	tools/deps.sh test
	$(SETUP) build-asan $(ASAN)
	$(SANITIZED) MILLRACE_SANITIZER=address tests/run --build build-asan --only unit,python tests/scenario
	$(SETUP) build-tsan -Dwerror=true -Db_sanitize=thread -Db_lundef=false
	$(SANITIZED) TSAN_OPTIONS=halt_on_error=1 MILLRACE_SANITIZER=thread tests/run --build build-tsan --only unit,python -- -m threads tests/scenario

fuzz: ## each fuzz target for FUZZ_SECONDS (30), with libFuzzer and ASan
	tools/deps.sh fuzz
	CC=clang $(SETUP) build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
	tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

coverage: ## build-coverage/report/index.html, and the share of src/ that the tests run
	tools/deps.sh coverage
	$(SETUP) build-coverage -Db_coverage=true
	find build-coverage -name '*.gcda' -delete
	MILLRACE_COVERAGE=1 tests/run --build build-coverage --only unit,python tests/scenario
	mkdir -p build-coverage/report
	gcovr --root . --filter 'src/' --object-directory build-coverage --exclude-throw-branches \
		--html-details build-coverage/report/index.html --print-summary build-coverage

soak: test-build ## the kill tests in full
	MILLRACE_SOAK=1 MILLRACE_TEST_TIMEOUT_SCALE=8 tests/run --build build-test --only python -- -k 'kill or soak' tests/scenario

screenshots: ## pictures of every view of the page, in build/screenshots
	tools/deps.sh run test
	$(SETUP) build -Dtests=false
	tools/screenshots.sh

bench: ## the benchmarks
	tools/deps.sh bench
	$(SETUP) build -Dtests=false
	$(PYTHON) bench/run.py

clean: ## remove what was built (not data/, not installed packages)
	rm -rf build build-test build-clang build-asan build-tsan build-fuzz build-coverage web/dist
