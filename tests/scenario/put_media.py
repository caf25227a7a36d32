"""A producer that shares nothing with the server: botocore's signature, HTTP on a bare socket, Matroska by hand.

    p = Producer(server, 'stream', ID, SECRET)
    p.send(header()); p.send(cluster(at_ms, sound)); p.send(end_of_fragment())
    p.until('PERSISTED')
    p.end(); p.rest()
"""
import json
import select
import socket
import struct
import time

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from server import limit


# ---- Matroska ----

def element(number, data):
    return number + b'\x01' + len(data).to_bytes(7, 'big') + data


def uint(number, value, length=1):
    return element(bytes.fromhex(number), value.to_bytes(max(length, (value.bit_length() + 7) // 8, 1), 'big'))


def text(number, value):
    return element(bytes.fromhex(number), value.encode())


def master(number, *parts):
    return element(bytes.fromhex(number), b''.join(parts))


def track(number, codec='A_PCM/INT/LIT', kind=2):
    audio = master('e1', element(b'\xb5', struct.pack('>f', 16000)), uint('9f', 1), uint('6264', 16))
    return master('ae', uint('d7', number), uint('73c5', number), uint('83', kind), text('86', codec), audio)


def header(tracks=1, doc='matroska'):
    ebml = master('1a45dfa3', uint('4286', 1), uint('42f7', 1), uint('42f2', 4), uint('42f3', 8), text('4282', doc),
                  uint('4287', 4), uint('4285', 2))
    segment = bytes.fromhex('18538067') + b'\x01' + b'\xff' * 7
    info = master('1549a966', uint('2ad7b1', 1000000), text('4d80', 'test'), text('5741', 'test'))
    return ebml + segment + info + master('1654ae6b', *(track(i + 1) for i in range(tracks)))


def block(number, at_ms, data):
    return element(b'\xa3', bytes([0x80 | number]) + struct.pack('>h', at_ms) + b'\x80' + data)


def cluster(timecode_ms, sound, tracks=(1,), step_ms=100):
    """Blocks of step_ms of 16 kHz mono s16 in each of the tracks."""
    size = step_ms * 32
    blocks = [block(t, i // 32, sound[i:i + size]) for i in range(0, len(sound), size) for t in tracks]
    return master('1f43b675', uint('e7', timecode_ms), *blocks)


def tags(**values):
    return master('1254c367', master('7373', *(master('67c8', text('45a3', k), text('4487', v)) for k, v in values.items())))


def end_of_fragment():
    return tags(AWS_KINESISVIDEO_END_OF_FRAGMENT='')


def read_fragment(payload):
    """What GetMedia sends of one fragment: up to its continuation token, 47 digits behind their name."""
    got = bytearray()
    while got[-85:-50] != b'AWS_KINESISVIDEO_CONTINUATION_TOKEN':
        piece = payload.read(1)
        assert piece, 'the answer ended'
        got += piece
    return bytes(got)


# ---- HTTP ----

def endpoint(server, stream, key, secret):
    client = boto3.client('kinesisvideo', endpoint_url=server.url, region_name='us-west-2', aws_access_key_id=key,
                          aws_secret_access_key=secret, config=Config(retries={'max_attempts': 0}))
    return client.get_data_endpoint(StreamName=stream, APIName='PUT_MEDIA')['DataEndpoint']


class Refused(Exception):
    def __init__(self, status, headers, body):
        super().__init__(f'{status} {headers} {body}')
        self.status, self.code, self.message = status, headers.get('x-amzn-errortype'), json.loads(body)['Message']


class Producer:
    """One connection; raises Refused where the answer isn't 200."""

    def __init__(self, server, stream, key, secret, kind='ABSOLUTE', start='1732622783.456', host=None, expect=False, headers=None,
                 where=None, path='/putMedia', unsigned=None):
        url = where or endpoint(server, stream, key, secret)
        self.address = url.split('//')[1]
        name, port = self.address.split(':')
        sent = {'Host': host or self.address, 'Connection': 'keep-alive', 'Transfer-Encoding': 'chunked', 'User-Agent': 'test',
                'x-amzn-stream-name': stream, 'x-amzn-fragment-timecode-type': kind,
                'x-amzn-producer-start-timestamp': start, 'x-amzn-fragment-acknowledgment-required': '1', **(headers or {})}
        sent = {k: v for k, v in sent.items() if v is not None}
        request = AWSRequest('POST', url + path, headers=sent, data=b'')
        SigV4Auth(Credentials(key, secret), 'kinesisvideo', 'eu-west-1').add_auth(request)
        head = dict(request.headers.items())
        head.update({'Expect': '100-continue'} if expect else {})
        head.update(unsigned or {})
        self.socket = socket.create_connection((name, int(port)), limit(60))
        self.socket.sendall((f'POST {path} HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in head.items()) + '\r\n').encode())
        self.buffer = b''
        self.acks = []
        self.ended = False
        if expect:
            assert self._line() == 'HTTP/1.1 100 Continue' and self._line() == ''
        status = int(self._line().split()[1])
        self.headers = {}
        while line := self._line():
            k, v = line.split(': ', 1)
            self.headers[k.lower()] = v
        if status != 200:
            raise Refused(status, self.headers, self._exactly(int(self.headers['content-length'])))

    def _more(self, seconds=60.0):
        self.socket.settimeout(limit(seconds))
        got = self.socket.recv(1024)
        if not got:
            raise EOFError
        self.buffer += got

    def _line(self):
        while b'\r\n' not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line.decode()

    def _exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, data, pieces=1):
        """One HTTP chunk for each piece."""
        size = -(-len(data) // pieces)
        for i in range(0, len(data), size):
            piece = data[i:i + size]
            self.socket.sendall(b'%x\r\n' % len(piece) + piece + b'\r\n')

    def ack(self):
        """The next acknowledgement; None at the end of the answer."""
        if self.ended:
            return None
        size = int(self._line(), 16)
        data = self._exactly(size)
        assert self._line() == ''
        if not size:
            self.ended = True
            return None
        assert data.endswith(b'\n'), data
        self.acks.append(json.loads(data))
        return self.acks[-1]

    def until(self, event, count=1):
        """Acknowledgements up to the count-th of that kind, which is given."""
        while count:
            found = self.ack()
            assert found, f'the answer ended; {self.acks}'
            assert found['EventType'] != 'ERROR' or event == 'ERROR', found
            count -= found['EventType'] == event
        return found

    def end(self):
        self.socket.sendall(b'0\r\n\r\n')

    def rest(self):
        while self.ack():
            pass
        self.close()
        return self.acks

    def close(self):
        self.socket.close()

    def numbers(self, event='PERSISTED'):
        return [a['FragmentNumber'] for a in self.acks if a['EventType'] == event]

    def is_cut(self, seconds=20.0):
        """The server closes without another word."""
        end = time.monotonic() + limit(seconds)
        while time.monotonic() < end:
            if select.select([self.socket], [], [], 1)[0]:
                try:
                    return self.socket.recv(1) == b''
                except ConnectionResetError:
                    return True
        return False
