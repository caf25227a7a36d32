"""What a server's store holds, alike for a folder and a bucket: how tests look at objects, take them away and damage them.

    for o in server.store.below('hls/local/JOB'):    # all below a folder, by key; below() is everything
        o.key, o.name, o.stem, o.suffix; o.read(); o.size(); o.exists()
    server.store['speech/x'].write(b'damaged'); server.store['speech/x'].delete()
    source = server.store.one('uploads/local/' + file_id)    # the only one whose key begins so
    with source.taken():                             # away for a while; back as it was
        ...
    digest = server.store.digests('hls/local/JOB')   # {key below it: SHA-256}
    folder = server.store.copy('hls/local/JOB', tmp_path)    # as files, for what reads files
    server.store.arriving()                          # sizes of what has begun to arrive and isn't stored yet

A bucket takes what is small in one piece: what arrives is seen there from the first part on (8 MiB).
"""
import contextlib
import hashlib
import os
import pathlib
import urllib.parse

from botocore.exceptions import ClientError

import s3_server


def of(url):
    """As a server's --store names it."""
    if url.startswith('file:'):
        return Folder(url.removeprefix('file:'))
    parts = urllib.parse.urlsplit(url)
    endpoint = dict(urllib.parse.parse_qsl(parts.query))['endpoint']
    return Bucket(s3_server.client(urllib.parse.urlsplit(endpoint).port), parts.netloc, urllib.parse.unquote(parts.path).strip('/'))


class Stored:
    """An object, or where one may be."""

    def __init__(self, store, key):
        self.store, self.key = store, key
        path = pathlib.PurePosixPath(key)
        self.name, self.stem, self.suffix = path.name, path.stem, path.suffix

    def __repr__(self):
        return f'<{self.key}>'

    def read(self):
        return self.store.read(self.key)

    def write(self, data):
        self.store.write(self.key, data)

    def delete(self):
        self.store.delete(self.key)

    def size(self):
        return self.store.size(self.key)

    def exists(self):
        return self.store.exists(self.key)

    def version(self):
        """Another one with each time that it is written."""
        return self.store.version(self.key)

    def taken(self):
        return self.store.taken(self.key)


class Store:
    """What both have in common; they list, read, write and delete."""

    def __getitem__(self, key):
        return Stored(self, key)

    def below(self, folder=''):
        return [self[key] for key in self.keys(folder and folder + '/')]

    def one(self, begin):
        found, = self.keys(begin)
        return self[found]

    def remove(self, folder):
        for o in self.below(folder):
            o.delete()

    def digests(self, folder=''):
        return {o.key.removeprefix(folder + '/'): hashlib.sha256(o.read()).hexdigest() for o in self.below(folder)}

    def copy(self, folder, to):
        for o in self.below(folder):
            path = pathlib.Path(to) / o.key.removeprefix(folder + '/')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(o.read())
        return pathlib.Path(to)


class Folder(Store):
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def keys(self, begin=''):
        """A server may be removing files and folders at the same time, over which Path.rglob stumbles."""
        found = (os.path.relpath(os.path.join(path, name), self.path) for path, _, names in os.walk(self.path) for name in names)
        return sorted(key for key in found if key.startswith(begin) and not key.startswith('.millrace/'))

    def arriving(self):
        sizes = []
        for path in (self.path / '.millrace' / 'tmp').iterdir():
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return sizes

    def read(self, key):
        return (self.path / key).read_bytes()

    def write(self, key, data):
        (self.path / key).write_bytes(data)

    def delete(self, key):
        (self.path / key).unlink(missing_ok=True)

    def size(self, key):
        return (self.path / key).stat().st_size

    def exists(self, key):
        return (self.path / key).exists()

    def version(self, key):
        stat = (self.path / key).stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    @contextlib.contextmanager
    def taken(self, key):
        away = self.path.with_name('taken')   # in the same file system: it comes back as the same file
        (self.path / key).rename(away)
        yield
        away.rename(self.path / key)


class Bucket(Store):
    def __init__(self, client, bucket, prefix=''):
        self.client, self.bucket, self.prefix = client, bucket, prefix and prefix + '/'

    def _at(self, key):
        return {'Bucket': self.bucket, 'Key': self.prefix + key}

    def _pages(self, operation, what, **more):
        for page in self.client.get_paginator(operation).paginate(Bucket=self.bucket, **more):
            yield from page.get(what, [])

    def keys(self, begin=''):
        return [o['Key'].removeprefix(self.prefix) for o in self._pages('list_objects_v2', 'Contents', Prefix=self.prefix + begin)]

    def arriving(self):
        sizes = []
        for upload in self._pages('list_multipart_uploads', 'Uploads', Prefix=self.prefix):
            with contextlib.suppress(ClientError):   # it has ended meanwhile
                parts = self._pages('list_parts', 'Parts', Key=upload['Key'], UploadId=upload['UploadId'])
                sizes.append(sum(part['Size'] for part in parts))
        return sizes

    def read(self, key):
        return self.client.get_object(**self._at(key))['Body'].read()

    def write(self, key, data):
        self.client.put_object(**self._at(key), Body=data)

    def delete(self, key):
        self.client.delete_object(**self._at(key))

    def size(self, key):
        return self.client.head_object(**self._at(key))['ContentLength']

    def exists(self, key):
        try:
            self.size(key)
            return True
        except ClientError as e:
            if e.response['ResponseMetadata']['HTTPStatusCode'] != 404:
                raise
            return False

    def version(self, key):
        """LastModified in a list is exact to the millisecond here, in a header to the second."""
        found, = self._pages('list_objects_v2', 'Contents', Prefix=self.prefix + key)
        return found['LastModified'], found['ETag'], found['Size']

    @contextlib.contextmanager
    def taken(self, key):
        kept = self.client.get_object(**self._at(key))
        body = kept['Body'].read()
        self.delete(key)
        yield
        self.client.put_object(**self._at(key), Body=body, ContentType=kept['ContentType'], Metadata=kept['Metadata'])
