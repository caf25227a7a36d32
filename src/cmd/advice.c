/* Known failures by what their texts say; the texts come from libpq, S3 and Redis and are the only thing that tells
 * them apart. */
#include "cmd/advice.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct known {
	const char *said, *advice;
};

static const char *find(const struct known *all, size_t count, const struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (strcasestr(e->message, all[i].said))
			return all[i].advice;
	return e->kind == ERR_TIMEOUT ? "no answer in time: check the address, and firewalls on the way" : NULL;
}

const char *advice_database(const struct err *e)
{
	static const struct known all[] = {
		{ "password authentication failed",
		  "user or password of --database is wrong (or set PGPASSWORD, ~/.pgpass)" },
		{ "no password supplied", "give the password in --database, PGPASSWORD or ~/.pgpass" },
		{ "no pg_hba.conf entry",
		  "the server doesn't let this machine in: see its pg_hba.conf, or add ?sslmode=require" },
		{ "database \"", "make the database: createdb -O USER -E UTF8 NAME; the URL's last part names it" },
		{ "role \"", "make the role: createuser NAME; the URL's user names it" },
		{ "permission denied",
		  "the role may not do that: make it the owner, or GRANT what docs/OPERATIONS.md names" },
		{ "could not translate host name", "no such host: check --database, and this machine's DNS" },
		{ "Connection refused", "nothing listens there: is PostgreSQL running, at this host and port?" },
		{ "timeout expired", "no answer: check the address, and firewalls on the way" },
		{ "too many", "its max_connections are used up: raise them, or lower --database-connections" },
		{ "certificate", "the server's certificate isn't trusted: ?sslrootcert=FILE" },
		{ "read-only",
		  "this is a replica: name the primary, or several hosts with target_session_attrs=read-write" },
		{ "newer program", "another machine runs a newer version: use the same here" },
		{ "unable to open database file", "the file's folder has to be there, and writable for this user" },
		{ "readonly database", "the file and its folder have to be writable for this user" },
		{ "not a database", "the file is something else: name another with --database" },
		{ "database is locked",
		  "somebody holds the file locked for long: a copy or backup, or a program other than Millrace" },
		{ "disk is full", "make room on the database's disk" },
	};
	return find(all, MR_ARRAY_SIZE(all), e);
}

const char *advice_store(const struct err *e)
{
	static const struct known all[] = {
		{ "the public URL answers",
		  "public_url has to lead to the bucket's root, and everybody has to be allowed to read it" },
		{ "the signed URL answers",
		  "something on the way changes host or query: a proxy or CDN before the endpoint?" },
		{ "NoSuchBucket", "make it: millrace setup; or correct the bucket's name in --store" },
		{ "InvalidAccessKeyId",
		  "the service doesn't know this access key: check AWS_ACCESS_KEY_ID, or the profile" },
		{ "SignatureDoesNotMatch",
		  "the secret key is wrong: check AWS_SECRET_ACCESS_KEY (or a proxy changes the Host)" },
		{ "AuthorizationHeaderMalformed",
		  "the region is wrong: ?region=… in --store; the message may name the right one" },
		{ "PermanentRedirect", "the bucket is in another region: ?region=… (and endpoint) in --store" },
		{ " 301", "the bucket is in another region: ?region=… (and endpoint) in --store" },
		{ "LocationConstraint", "the service has no such region: ?region=… in --store" },
		{ "RequestTimeTooSkewed", "this machine's clock is wrong: synchronize it (chrony, systemd-timesyncd)" },
		{ "ExpiredToken", "the temporary credentials have run out: fetch new ones" },
		{ "BucketAlreadyExists", "the name is somebody else's: choose another" },
		{ "AccessDenied",
		  "the key may not do that: give it the rights of deploy/iam (store.json; for setup also setup.json)" },
		{ "NotImplemented", "the service doesn't know this: do without, or have it done by its own means" },
		{ "credentials",
		  "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or any other of the places that OPERATIONS.md names" },
		{ "resolve host",
		  "no such host: check the endpoint in --store, and path_style=1 if the bucket was put before it" },
		{ "certificate", "the service's certificate isn't trusted: AWS_CA_BUNDLE=FILE" },
		{ "connect", "nothing answers there: check the endpoint in --store, and firewalls on the way" },
		{ "timed out", "no answer in time: check the endpoint in --store, and firewalls on the way" },
		{ "Permission denied", "the folder has to be writable for this user" },
		{ "No space left", "make room on the store's disk" },
		{ "Read-only file system", "the folder has to be on something that can be written to" },
		{ "the store's URL", "see \"Objects in S3\" in docs/OPERATIONS.md" },
	};
	return find(all, MR_ARRAY_SIZE(all), e);
}

const char *advice_bus(const struct err *e)
{
	static const struct known all[] = {
		{ "WRONGPASS", "the password of --bus is wrong" },
		{ "NOAUTH", "it wants a password: redis://:PASSWORD@HOST" },
		{ "certificate", "its authority isn't trusted: ?ca=FILE" },
		{ "refused",
		  "nothing listens there: is Redis running? Until then everything goes on, a little later (polling)" },
		{ "resolve", "no such host: check --bus" },
	};
	const char *known = find(all, MR_ARRAY_SIZE(all), e);
	return known ? known : "check --bus; until then everything goes on, a little later (polling)";
}

const char *advice_speech(const struct err *e)
{
	static const struct known all[] = {
		{ "answers 400", "it doesn't take what is asked: check model, voice and format in --speech" },
		{ "answers 401", "the key is wrong: MILLRACE_SPEECH_API_KEY" },
		{ "answers 403", "the key may not do that: MILLRACE_SPEECH_API_KEY" },
		{ "answers 404", "no such path or model: check --speech (…/v1?model=…)" },
		{ "answers 429", "its quota is used up, or ask for less at once: &concurrency=" },
		{ "connect to server", "nothing listens there: check --speech" },
		{ "resolve", "no such host: check --speech" },
		{ "certificate", "the endpoint's certificate isn't trusted by this system" },
	};
	return find(all, MR_ARRAY_SIZE(all), e);
}

const char *advice_task(const struct err *e)
{
	static const struct known all[] = {
		{ "SIGSYS", "the sandbox forbids something that this system's libraries do: please report it" },
		{ "seccomp", "the kernel or the container's profile has no seccomp filters: allow them" },
		{ "cannot be executed", "install both executables, or point --task to it" },
		{ "millrace-task", "install both executables, or point --task to it" },
		{ "No space left", "make room on that disk" },
		{ "memory", "give the process more memory, or a higher limit" },
	};
	return find(all, MR_ARRAY_SIZE(all), e);
}
