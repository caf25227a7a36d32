/* Languages as containers write them (ISO 639-2: "ger", "deu") and as playlists do (RFC 5646: "de"). Pure.
 *
 *   char tag[LANGUAGE_TAG_SIZE];
 *   language_tag("fre", tag);            // "fr"
 *   language_name(tag);                  // "French"
 */
#pragma once

#define LANGUAGE_TAG_SIZE 16

/* The tag for what a container says; "" for what is no language or says that none is known ("und"). Codes without a
 * short form stay what they are. */
void language_tag(const char *found, char ret[LANGUAGE_TAG_SIZE]);
/* The language's English name, or NULL: not known here, or a variety of one. */
const char *language_name(const char *tag);
