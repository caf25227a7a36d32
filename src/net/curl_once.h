/* libcurl's own beginning, before its first use. Private to net/; any thread. */
#pragma once

void net_curl_init(void);
