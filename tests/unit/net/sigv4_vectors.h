/* Signatures made by others, as data: Amazon's published examples, and URLs made by botocore 1.29 (generate_presigned_url,
 * signature_version s3v4, path style) with its clock at 2026-11-21T08:36:12Z.
 *
 * Sources: Amazon S3 API Reference, "Signature Calculations for the Authorization Header" and "Authenticating Requests:
 * Using Query Parameters"; the aws-sig-v4-test-suite of the IAM User Guide.
 */
#pragma once

#include "net/sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key s3_example_key = {
	.access_key_id = "AKIAIOSFODNN7EXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.region = "us-east-1",
	.service = "s3",
};
#define S3_EXAMPLE_MS 1369353600000 /* 20130524T000000Z */

static const struct sigv4_key suite_key = {
	.access_key_id = "AKIDEXAMPLE",
	.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	.region = "us-east-1",
	.service = "service",
};
#define SUITE_MS 1440938160000 /* 20150830T123600Z */

static const struct sigv4_key boto_key = {
	.access_key_id = "AKIDMILLRACE",
	.secret = "s3cr3t/With+Odd=Chars",
	.region = "us-east-1",
	.service = "s3",
};
static const struct sigv4_key boto_token_key = {
	.access_key_id = "AKIDMILLRACE",
	.secret = "s3cr3t/With+Odd=Chars",
	.session_token = "tok/en+with==",
	.region = "us-east-1",
	.service = "s3",
};
#define BOTO_MS 1795250172000 /* 20261121T083612Z */
#define BOTO_HOST "127.0.0.1:8080"

#define VECTOR_PAIRS 8
struct header_vector {
	const char *name;
	const struct sigv4_key *key;
	int64_t wall_ms;
	const char *method;
	const char *path;
	struct sigv4_pair query[VECTOR_PAIRS]; /* ends at the first without a name */
	struct sigv4_pair headers[VECTOR_PAIRS];
	const char *payload_hash;
	const char *signed_headers;
	const char *signature;
};

#define S3_HOST { "Host", "examplebucket.s3.amazonaws.com" }
#define S3_DATE { "x-amz-date", "20130524T000000Z" }
#define SUITE_HOST { "Host", "example.amazonaws.com" }
#define SUITE_DATE { "X-Amz-Date", "20150830T123600Z" }
#define SUITE(test_name, verb, url_path) \
	.name = test_name, .key = &suite_key, .wall_ms = SUITE_MS, .method = verb, .path = url_path

static const struct header_vector header_vectors[] = {
	{ .name = "s3: GET object with range", .key = &s3_example_key, .wall_ms = S3_EXAMPLE_MS, .method = "GET",
	  .path = "/test.txt",
	  .headers = { S3_HOST, { "Range", "bytes=0-9" }, { "x-amz-content-sha256", EMPTY_HASH }, S3_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
	  .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
	{ .name = "s3: PUT object", .key = &s3_example_key, .wall_ms = S3_EXAMPLE_MS, .method = "PUT",
	  .path = "/test$file.text",
	  .headers = { S3_HOST, { "Date", "Fri, 24 May 2013 00:00:00 GMT" }, S3_DATE,
		       { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		       { "x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072" } },
	  .payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	  .signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	  .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
	{ .name = "s3: GET bucket lifecycle", .key = &s3_example_key, .wall_ms = S3_EXAMPLE_MS, .method = "GET",
	  .path = "/", .query = { { "lifecycle", "" } },
	  .headers = { S3_HOST, { "x-amz-content-sha256", EMPTY_HASH }, S3_DATE }, .payload_hash = EMPTY_HASH,
	  .signed_headers = "host;x-amz-content-sha256;x-amz-date",
	  .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
	{ .name = "s3: list objects", .key = &s3_example_key, .wall_ms = S3_EXAMPLE_MS, .method = "GET", .path = "/",
	  .query = { { "prefix", "J" }, { "max-keys", "2" } },
	  .headers = { S3_HOST, { "x-amz-content-sha256", EMPTY_HASH }, S3_DATE }, .payload_hash = EMPTY_HASH,
	  .signed_headers = "host;x-amz-content-sha256;x-amz-date",
	  .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
	{ SUITE("get-vanilla", "GET", "/"), .headers = { SUITE_HOST, SUITE_DATE }, .payload_hash = EMPTY_HASH,
	  .signed_headers = "host;x-amz-date",
	  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ SUITE("get-vanilla-query-order-key-case", "GET", "/"),
	  .query = { { "Param2", "value2" }, { "Param1", "value1" } }, .headers = { SUITE_HOST, SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;x-amz-date",
	  .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ SUITE("get-relative-relative", "GET", "/example1/example2/../.."), .headers = { SUITE_HOST, SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;x-amz-date",
	  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ SUITE("get-slash-dot-slash", "GET", "/./"), .headers = { SUITE_HOST, SUITE_DATE }, .payload_hash = EMPTY_HASH,
	  .signed_headers = "host;x-amz-date",
	  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ SUITE("get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
	  .headers = { SUITE_HOST, SUITE_DATE }, .payload_hash = EMPTY_HASH, .signed_headers = "host;x-amz-date",
	  .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
	{ SUITE("botocore: path encoded twice", "GET", "/a b/./c+//d\xC3\xBC"), .headers = { SUITE_HOST, SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;x-amz-date",
	  .signature = "7bd4f70adba73886b47030a62db4edfbbbd265c2a121b5db437b69d12461f2d9" },
	{ SUITE("get-header-key-duplicate", "GET", "/"),
	  .headers = { SUITE_HOST, { "My-Header1", "value2" }, { "my-header1", "value2" }, { "My-Header1", "value1" },
		       SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;my-header1;x-amz-date",
	  .signature = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
	{ SUITE("get-header-value-order", "GET", "/"),
	  .headers = { SUITE_HOST, { "My-Header1", "value4" }, { "My-Header1", "value1" }, { "My-Header1", "value3" },
		       { "My-Header1", "value2" }, SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;my-header1;x-amz-date",
	  .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01" },
	{ SUITE("get-header-value-trim", "GET", "/"),
	  .headers = { SUITE_HOST, { "My-Header1", " value1" }, { "My-Header2", " \"a   b   c\"\t" }, SUITE_DATE },
	  .payload_hash = EMPTY_HASH, .signed_headers = "host;my-header1;my-header2;x-amz-date",
	  .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
	{ SUITE("post-vanilla", "POST", "/"), .headers = { SUITE_HOST, SUITE_DATE }, .payload_hash = EMPTY_HASH,
	  .signed_headers = "host;x-amz-date",
	  .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ SUITE("post-x-www-form-urlencoded", "POST", "/"),
	  .headers = { { "Content-Type", "application/x-www-form-urlencoded" }, SUITE_HOST, SUITE_DATE },
	  .payload_hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
	  .signed_headers = "content-type;host;x-amz-date",
	  .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
};

/* Made with botocore: ExpiresIn=3600, SignedHeaders=host. */
static const struct {
	const char *method;
	const char *path; /* as sent, encoded */
	const char *signature;
} boto_urls[] = {
	{ "GET", "/media/hls/u/j/master.m3u8",
	  "1d3c9ce929d34d90a000d064bee2dc8778941211146d01942fb5b7833882fb32" },
	{ "PUT", "/media/hls/u/j/master.m3u8",
	  "a502bfd6d5eedf399fe4c0a13c3bbd823c0d0bbd77ea2e40395de3cdf85ad11e" },
	{ "HEAD", "/media/hls/u/j/master.m3u8",
	  "9e83a3748d6d6ac2574ecad569f054d2f436d54c365c88d85377bc1da1ec0917" },
	{ "GET", "/media/a%20b/c%20d.mp4",
	  "fc3943064013c0a1f5db936fa4f4534c8d45a0c5842915bc6bcad0732faa4442" },
	{ "PUT", "/media/a%20b/c%20d.mp4",
	  "75e97e15836f6239186ef33c29d8285ecfe309aab0c649ece93440430e2351f6" },
	{ "HEAD", "/media/a%20b/c%20d.mp4",
	  "5d4ebce99799d56841b20fc714afd6ca9d59528d0715fda56b455eab68075428" },
	{ "GET", "/media/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC%E8%AA%9E%20%F0%9F%8E%AC.mp4",
	  "ff5050791bfd3e322745eb6bbc0ea1fd33682cc1a8cde112da23c4f7e05c524f" },
	{ "PUT", "/media/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC%E8%AA%9E%20%F0%9F%8E%AC.mp4",
	  "89730cc3b51cfbd1936133439b5d5d9311eeea99f90720872618369060cb8465" },
	{ "HEAD", "/media/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC%E8%AA%9E%20%F0%9F%8E%AC.mp4",
	  "a6818281fcea21a55c6ecab11ffaa98b8ccc919c38d07e701dd80c64e0b509ec" },
	{ "GET", "/media/plus%2Band%3Dequals%26amp%3B.ts",
	  "170cf8dce3331c8b593de8e940e0357d01cd15da74f611cdbd08adfe33881644" },
	{ "PUT", "/media/plus%2Band%3Dequals%26amp%3B.ts",
	  "fa9a0df500086add3896756f809bb954e91c91c85df4660578cef79c8386bea2" },
	{ "HEAD", "/media/plus%2Band%3Dequals%26amp%3B.ts",
	  "132bff71432ec14b811bcfc3f5f17683f4d80d354157ebbe9629647d22fd2b83" },
	{ "GET", "/media/par%28en%29%27s%21%2A~tilde.bin",
	  "edf6036693ae97780a92104fd50e959124a8e600ef9290b869ed5797fb5eaad8" },
	{ "PUT", "/media/par%28en%29%27s%21%2A~tilde.bin",
	  "7dfb3ff7c98969cf8df600958e566dabd02d8103ce232a87437c4b0ce3f0f4ae" },
	{ "HEAD", "/media/par%28en%29%27s%21%2A~tilde.bin",
	  "c01d55160f786a5f7b00cdd34a89011b3afddea0f6596ad7d4444ba56cdde33a" },
	{ "GET", "/media/a%252Fb%25zz",
	  "27df8e3f3fc2768a04ad1349243061bf7b797baf67b1f79ff5ff434a6c4dd157" },
	{ "PUT", "/media/a%252Fb%25zz",
	  "fac728f56ce814d05830f4358b181a453ae3273fbef60df0538b639674637f9a" },
	{ "HEAD", "/media/a%252Fb%25zz",
	  "14a6ab3f4dbf1a9a9e8d42757a45c539fecc9bb79d89379b3e0404a33e6ec785" },
	{ "GET", "/media/q%3Fx%23frag%3Bsemi%2Ccomma",
	  "bcb40add7f8df44d08dbdf8a667b2edef9b2e606ed3ac60b086986c155109565" },
	{ "PUT", "/media/q%3Fx%23frag%3Bsemi%2Ccomma",
	  "6a7528c7f834943960837b1f6d53b8c7fa38bfccef84b7c8dbfa8d7c79794aae" },
	{ "HEAD", "/media/q%3Fx%23frag%3Bsemi%2Ccomma",
	  "2aa7ee07e95beeb91786ca9775af67db0ddcfc44d4aaa673a03341b143b8740b" },
	{ "GET", "/media/dots/..hidden/.x%40%3A%24",
	  "ed1d76c29923a1ec6ee54ae9f107e43d65381d60b7d05940ea25b53f75c9fb72" },
	{ "PUT", "/media/dots/..hidden/.x%40%3A%24",
	  "7e08f35c2bccf2bf7ab562e45b57f4022fbc42fee475f4e631b0f5ebf0f25e76" },
	{ "HEAD", "/media/dots/..hidden/.x%40%3A%24",
	  "6f1ab158ba5ed576dcfdee2d877e41ade8c21407aca8b533b8cf78e9c9952677" },
};
