/* Whether this build carries a sanitizer, whose runtime needs a wider sandbox and address space without a limit. */
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
