/* Languages' codes and names: see job/language.h. */
#include "job/language.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* The languages that have a code of two letters (ISO 639-1), with their codes of three (ISO 639-2: terminological, then
 * bibliographic where that is another) and English names. RFC 5646, 2.2.1: the shortest code is the one to use. */
static const struct {
	char two[3], three[4], other[4];
	const char *name;
} languages[] = {
	{ "aa", "aar", "", "Afar" }, { "ab", "abk", "", "Abkhazian" }, { "ae", "ave", "", "Avestan" },
	{ "af", "afr", "", "Afrikaans" }, { "ak", "aka", "", "Akan" }, { "am", "amh", "", "Amharic" },
	{ "an", "arg", "", "Aragonese" }, { "ar", "ara", "", "Arabic" }, { "as", "asm", "", "Assamese" },
	{ "av", "ava", "", "Avaric" }, { "ay", "aym", "", "Aymara" }, { "az", "aze", "", "Azerbaijani" },
	{ "ba", "bak", "", "Bashkir" }, { "be", "bel", "", "Belarusian" }, { "bg", "bul", "", "Bulgarian" },
	{ "bi", "bis", "", "Bislama" }, { "bm", "bam", "", "Bambara" }, { "bn", "ben", "", "Bengali" },
	{ "bo", "bod", "tib", "Tibetan" }, { "br", "bre", "", "Breton" }, { "bs", "bos", "", "Bosnian" },
	{ "ca", "cat", "", "Catalan" }, { "ce", "che", "", "Chechen" }, { "ch", "cha", "", "Chamorro" },
	{ "co", "cos", "", "Corsican" }, { "cr", "cre", "", "Cree" }, { "cs", "ces", "cze", "Czech" },
	{ "cu", "chu", "", "Church Slavic" }, { "cv", "chv", "", "Chuvash" }, { "cy", "cym", "wel", "Welsh" },
	{ "da", "dan", "", "Danish" }, { "de", "deu", "ger", "German" }, { "dv", "div", "", "Dhivehi" },
	{ "dz", "dzo", "", "Dzongkha" }, { "ee", "ewe", "", "Ewe" }, { "el", "ell", "gre", "Greek" },
	{ "en", "eng", "", "English" }, { "eo", "epo", "", "Esperanto" }, { "es", "spa", "", "Spanish" },
	{ "et", "est", "", "Estonian" }, { "eu", "eus", "baq", "Basque" }, { "fa", "fas", "per", "Persian" },
	{ "ff", "ful", "", "Fulah" }, { "fi", "fin", "", "Finnish" }, { "fj", "fij", "", "Fijian" },
	{ "fo", "fao", "", "Faroese" }, { "fr", "fra", "fre", "French" }, { "fy", "fry", "", "Western Frisian" },
	{ "ga", "gle", "", "Irish" }, { "gd", "gla", "", "Scottish Gaelic" }, { "gl", "glg", "", "Galician" },
	{ "gn", "grn", "", "Guarani" }, { "gu", "guj", "", "Gujarati" }, { "gv", "glv", "", "Manx" },
	{ "ha", "hau", "", "Hausa" }, { "he", "heb", "", "Hebrew" }, { "hi", "hin", "", "Hindi" },
	{ "ho", "hmo", "", "Hiri Motu" }, { "hr", "hrv", "", "Croatian" }, { "ht", "hat", "", "Haitian" },
	{ "hu", "hun", "", "Hungarian" }, { "hy", "hye", "arm", "Armenian" }, { "hz", "her", "", "Herero" },
	{ "ia", "ina", "", "Interlingua" }, { "id", "ind", "", "Indonesian" }, { "ie", "ile", "", "Interlingue" },
	{ "ig", "ibo", "", "Igbo" }, { "ii", "iii", "", "Sichuan Yi" }, { "ik", "ipk", "", "Inupiaq" },
	{ "io", "ido", "", "Ido" }, { "is", "isl", "ice", "Icelandic" }, { "it", "ita", "", "Italian" },
	{ "iu", "iku", "", "Inuktitut" }, { "ja", "jpn", "", "Japanese" }, { "jv", "jav", "", "Javanese" },
	{ "ka", "kat", "geo", "Georgian" }, { "kg", "kon", "", "Kongo" }, { "ki", "kik", "", "Kikuyu" },
	{ "kj", "kua", "", "Kuanyama" }, { "kk", "kaz", "", "Kazakh" }, { "kl", "kal", "", "Greenlandic" },
	{ "km", "khm", "", "Khmer" }, { "kn", "kan", "", "Kannada" }, { "ko", "kor", "", "Korean" },
	{ "kr", "kau", "", "Kanuri" }, { "ks", "kas", "", "Kashmiri" }, { "ku", "kur", "", "Kurdish" },
	{ "kv", "kom", "", "Komi" }, { "kw", "cor", "", "Cornish" }, { "ky", "kir", "", "Kyrgyz" },
	{ "la", "lat", "", "Latin" }, { "lb", "ltz", "", "Luxembourgish" }, { "lg", "lug", "", "Ganda" },
	{ "li", "lim", "", "Limburgish" }, { "ln", "lin", "", "Lingala" }, { "lo", "lao", "", "Lao" },
	{ "lt", "lit", "", "Lithuanian" }, { "lu", "lub", "", "Luba-Katanga" }, { "lv", "lav", "", "Latvian" },
	{ "mg", "mlg", "", "Malagasy" }, { "mh", "mah", "", "Marshallese" }, { "mi", "mri", "mao", "Maori" },
	{ "mk", "mkd", "mac", "Macedonian" }, { "ml", "mal", "", "Malayalam" }, { "mn", "mon", "", "Mongolian" },
	{ "mr", "mar", "", "Marathi" }, { "ms", "msa", "may", "Malay" }, { "mt", "mlt", "", "Maltese" },
	{ "my", "mya", "bur", "Burmese" }, { "na", "nau", "", "Nauru" }, { "nb", "nob", "", "Norwegian Bokmål" },
	{ "nd", "nde", "", "North Ndebele" }, { "ne", "nep", "", "Nepali" }, { "ng", "ndo", "", "Ndonga" },
	{ "nl", "nld", "dut", "Dutch" }, { "nn", "nno", "", "Norwegian Nynorsk" }, { "no", "nor", "", "Norwegian" },
	{ "nr", "nbl", "", "South Ndebele" }, { "nv", "nav", "", "Navajo" }, { "ny", "nya", "", "Chichewa" },
	{ "oc", "oci", "", "Occitan" }, { "oj", "oji", "", "Ojibwa" }, { "om", "orm", "", "Oromo" },
	{ "or", "ori", "", "Odia" }, { "os", "oss", "", "Ossetian" }, { "pa", "pan", "", "Punjabi" },
	{ "pi", "pli", "", "Pali" }, { "pl", "pol", "", "Polish" }, { "ps", "pus", "", "Pashto" },
	{ "pt", "por", "", "Portuguese" }, { "qu", "que", "", "Quechua" }, { "rm", "roh", "", "Romansh" },
	{ "rn", "run", "", "Rundi" }, { "ro", "ron", "rum", "Romanian" }, { "ru", "rus", "", "Russian" },
	{ "rw", "kin", "", "Kinyarwanda" }, { "sa", "san", "", "Sanskrit" }, { "sc", "srd", "", "Sardinian" },
	{ "sd", "snd", "", "Sindhi" }, { "se", "sme", "", "Northern Sami" }, { "sg", "sag", "", "Sango" },
	{ "si", "sin", "", "Sinhala" }, { "sk", "slk", "slo", "Slovak" }, { "sl", "slv", "", "Slovenian" },
	{ "sm", "smo", "", "Samoan" }, { "sn", "sna", "", "Shona" }, { "so", "som", "", "Somali" },
	{ "sq", "sqi", "alb", "Albanian" }, { "sr", "srp", "", "Serbian" }, { "ss", "ssw", "", "Swati" },
	{ "st", "sot", "", "Southern Sotho" }, { "su", "sun", "", "Sundanese" }, { "sv", "swe", "", "Swedish" },
	{ "sw", "swa", "", "Swahili" }, { "ta", "tam", "", "Tamil" }, { "te", "tel", "", "Telugu" },
	{ "tg", "tgk", "", "Tajik" }, { "th", "tha", "", "Thai" }, { "ti", "tir", "", "Tigrinya" },
	{ "tk", "tuk", "", "Turkmen" }, { "tl", "tgl", "", "Tagalog" }, { "tn", "tsn", "", "Tswana" },
	{ "to", "ton", "", "Tongan" }, { "tr", "tur", "", "Turkish" }, { "ts", "tso", "", "Tsonga" },
	{ "tt", "tat", "", "Tatar" }, { "tw", "twi", "", "Twi" }, { "ty", "tah", "", "Tahitian" },
	{ "ug", "uig", "", "Uyghur" }, { "uk", "ukr", "", "Ukrainian" }, { "ur", "urd", "", "Urdu" },
	{ "uz", "uzb", "", "Uzbek" }, { "ve", "ven", "", "Venda" }, { "vi", "vie", "", "Vietnamese" },
	{ "vo", "vol", "", "Volapük" }, { "wa", "wln", "", "Walloon" }, { "wo", "wol", "", "Wolof" },
	{ "xh", "xho", "", "Xhosa" }, { "yi", "yid", "", "Yiddish" }, { "yo", "yor", "", "Yoruba" },
	{ "za", "zha", "", "Zhuang" }, { "zh", "zho", "chi", "Chinese" }, { "zu", "zul", "", "Zulu" },
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Subtags of one to eight letters and digits, the first of letters alone (RFC 5646, 2.1). */
static bool well_formed(const char *tag)
{
	size_t in_subtag = 0;
	bool first = true;
	for (const char *s = tag; *s; s++) {
		if (*s == '-' && in_subtag) {
			first = false;
			in_subtag = 0;
			continue;
		}
		if (!is_letter(*s) && (first || *s < '0' || *s > '9'))
			return false;
		if (++in_subtag > 8)
			return false;
	}
	return in_subtag > 0 && (!first || in_subtag > 1);
}

/* What follows the language itself: "-BR", or "". */
static const char *rest_of(const char *tag)
{
	return tag + strcspn(tag, "-");
}

static bool is_code(const char *tag, size_t len, const char *code)
{
	return len > 0 && strlen(code) == len && strncasecmp(tag, code, len) == 0;
}

static const char *find_two(const char *tag, const char **ret_name)
{
	size_t len = strcspn(tag, "-");
	for (size_t i = 0; i < MR_ARRAY_SIZE(languages); i++)
		if (is_code(tag, len, languages[i].two) || is_code(tag, len, languages[i].three) ||
		    is_code(tag, len, languages[i].other)) {
			*ret_name = languages[i].name;
			return languages[i].two;
		}
	return NULL;
}

void language_tag(const char *found, char ret[LANGUAGE_TAG_SIZE])
{
	static const char *const none[] = { "und", "mis", "mul", "zxx" };
	ret[0] = '\0';
	if (strlen(found) >= LANGUAGE_TAG_SIZE || !well_formed(found))
		return;
	for (size_t i = 0; i < MR_ARRAY_SIZE(none); i++)
		if (is_code(found, strcspn(found, "-"), none[i]))
			return;
	const char *name, *two = find_two(found, &name);
	if (two)
		(void)snprintf(ret, LANGUAGE_TAG_SIZE, "%s%s", two, rest_of(found));
	else
		(void)snprintf(ret, LANGUAGE_TAG_SIZE, "%s", found);
}

const char *language_name(const char *tag)
{
	const char *name = NULL;
	/* Of a variety ("pt-BR") the name of its language says too little; of an unknown one there is none. */
	if (!*tag || *rest_of(tag) || !find_two(tag, &name))
		return NULL;
	return name;
}
