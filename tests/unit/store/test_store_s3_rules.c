/* A bucket's documents of rules: what is ours is made and known again, what is others' stays byte for byte. */
#include "store_fixture.h"

#include "store/s3.h"

#define ROOT(rules)                                                                                                    \
	"<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" rules "</LifecycleConfiguration>"
#define PARTS                                                                                                          \
	"<Rule><ID>millrace-parts</ID><Filter><Prefix>parts/</Prefix></Filter><Status>Enabled</Status>"                \
	"<Expiration><Days>1</Days></Expiration></Rule>"
#define MULTIPARTS                                                                                                     \
	"<Rule><ID>millrace-incomplete-multipart</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"       \
	"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
#define THEIRS                                                                                                         \
	"<Rule><Status>Enabled</Status>\n <Prefix>logs/&amp;</Prefix><ID>theirs</ID><Expiration><Days>3</Days></Expiration></Rule>"

static const struct store_lifetime lifetimes[] = { { "parts", 1 } };
static const char *const origins[] = { "https://a.example", "https://b.example" };
static const struct store_needs needs = {
	.lifetimes = lifetimes, .lifetime_count = 1, .multipart_days = 1, .origins = origins, .origin_count = 2
};

static void expect(const char *current, const char *document, bool same, size_t others)
{
	struct s3_rules rules;
	struct buf out;
	struct err e = { 0 };
	bool is_same = !same;
	size_t found = 99;
	buf_init(&out, 1 << 16);
	s3_rules_lifecycle("", &needs, &rules);
	assert_int_equal(s3_rules_merge(&rules, current, current ? strlen(current) : 0, &out, &is_same, &found, &e), 0);
	assert_string_equal(out.data, document);
	assert_int_equal(is_same, same);
	assert_int_equal(found, others);
	s3_rules_release(&rules);
	buf_release(&out);
}

static void test_lifecycle(void **state)
{
	(void)state;
	static const char ours[] = ROOT(PARTS MULTIPARTS), both[] = ROOT(PARTS MULTIPARTS THEIRS);
	expect(NULL, ours, false, 0);
	expect(ours, ours, true, 0);
	/* In another order, with white space, and said in the old way. */
	expect("<?xml version=\"1.0\"?><LifecycleConfiguration>\n" MULTIPARTS
	       "\n<Rule><Expiration>\n<Days>1</Days></Expiration><ID>millrace-parts</ID><Prefix>parts/</Prefix>"
	       "<Status>Enabled</Status></Rule></LifecycleConfiguration>",
	       ours, true, 0);
	expect(ROOT(THEIRS), both, false, 1);
	expect(ROOT(PARTS THEIRS MULTIPARTS), both, true, 1);
	/* Switched off, other days, one missing. */
	expect(ROOT("<Rule><ID>millrace-parts</ID><Filter><Prefix>parts/</Prefix></Filter><Status>Disabled</Status>"
		    "<Expiration><Days>1</Days></Expiration></Rule>" MULTIPARTS),
	       ours, false, 0);
	expect(ROOT("<Rule><ID>millrace-parts</ID><Filter><Prefix>parts/</Prefix></Filter><Status>Enabled</Status>"
		    "<Expiration><Days>2</Days></Expiration></Rule>" THEIRS MULTIPARTS),
	       both, false, 1);
	expect(ROOT(PARTS), ours, false, 0);
}

static void test_prefixes_have_rules_of_their_own(void **state)
{
	(void)state;
	struct s3_rules a, b, plain;
	struct buf out;
	struct err e = { 0 };
	bool same = true;
	size_t others = 0;
	buf_init(&out, 1 << 16);
	s3_rules_lifecycle("", &needs, &plain);
	s3_rules_lifecycle("a&b/", &needs, &a);
	s3_rules_lifecycle("b/", &needs, &b);
	assert_non_null(strstr(a.wanted[0], "<Prefix>a&amp;b/parts/</Prefix>"));
	_cleanup_free_ char *others_text =
		mr_asprintf("<LifecycleConfiguration>%s%s</LifecycleConfiguration>", b.wanted[0], plain.wanted[0]);
	assert_int_equal(s3_rules_merge(&a, others_text, strlen(others_text), &out, &same, &others, &e), 0);
	assert_false(same);
	assert_int_equal(others, 2);
	assert_non_null(strstr(out.data, b.wanted[0]));
	assert_non_null(strstr(out.data, plain.wanted[0]));
	s3_rules_release(&a);
	s3_rules_release(&b);
	s3_rules_release(&plain);
	buf_release(&out);
}

static void test_cors(void **state)
{
	(void)state;
	struct s3_rules rules;
	struct buf out;
	struct err e = { 0 };
	bool same = false;
	size_t others = 0;
	static const char current[] =
		"<CORSConfiguration><CORSRule><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod>"
		"<AllowedMethod>HEAD</AllowedMethod><ID>millrace-cors</ID><AllowedOrigin>https://b.example</AllowedOrigin>"
		"<AllowedOrigin>https://a.example</AllowedOrigin><AllowedHeader>*</AllowedHeader>"
		"<MaxAgeSeconds>3600</MaxAgeSeconds><ExposeHeader>Content-Range</ExposeHeader>"
		"<ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>";
	buf_init(&out, 1 << 16);
	s3_rules_cors("", &needs, &rules);
	assert_int_equal(s3_rules_merge(&rules, current, strlen(current), &out, &same, &others, &e), 0);
	assert_true(same);
	assert_int_equal(others, 0);
	s3_rules_release(&rules);
	buf_release(&out);
}

static void test_damaged_documents_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "<LifecycleConfiguration><Rule>", "no XML", "<!DOCTYPE a><a/>" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct s3_rules rules;
		struct buf out;
		struct err e = { 0 };
		bool same;
		size_t others;
		buf_init(&out, 1 << 16);
		s3_rules_lifecycle("", &needs, &rules);
		assert_int_equal(s3_rules_merge(&rules, bad[i], strlen(bad[i]), &out, &same, &others, &e),
				 -ERR_PROTOCOL);
		s3_rules_release(&rules);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifecycle),
		cmocka_unit_test(test_prefixes_have_rules_of_their_own),
		cmocka_unit_test(test_cors),
		cmocka_unit_test(test_damaged_documents_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
