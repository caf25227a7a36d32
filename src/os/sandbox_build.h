/* Builds for tests that need a wider sandbox: with a sanitizer, whose runtime calls more and wants address space without a
 * limit; and for coverage (meson's b_coverage), where each task writes its counters into files before it exits. */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MR_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MR_SANITIZED 1
#endif
#ifndef MR_SANITIZED
#define MR_SANITIZED 0
#endif
#ifndef MR_COVERAGE
#define MR_COVERAGE 0
#endif
