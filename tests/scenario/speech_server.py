#!/usr/bin/env python3
"""A speech endpoint like OpenAI's, for tests: POST /v1/audio/speech, with the failures that real ones have.

    speech_server.py [--key KEY] [--fail SHARE] [--slow SECONDS] [--seed N]     # prints its port, serves until stdin ends

A sentence is spoken by a tone whose pitch and length follow from text and voice, in the format asked for: the same
question has the same answer. A word in the sentence makes a request fail, the first time or always:

    fail500 fail429 reset cut cutchunked html empty noise slow never hollow    the first request for the sentence fails like this
    always500 always400 always401 always302 noquota echokey huge               every one does, until `mended` is set

GET /stats answers {"asked": {sentence: requests}, "spoken": {sentence: good answers}, "at_once": most requests under way,
"keys": [...]}.
POST /knobs changes fail and slow.
"""
import argparse
import collections
import hashlib
import http.server
import io
import json
import math
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import wave

FORMATS = {'mp3': ('audio/mpeg', ['-f', 'mp3']), 'wav': ('audio/wav', None), 'flac': ('audio/flac', ['-f', 'flac']),
           'opus': ('audio/ogg', ['-c:a', 'libopus', '-f', 'ogg']), 'aac': ('audio/aac', ['-f', 'adts'])}
RATE = 24000


def tone(text, voice):
    """A WAV file: 40 ms a character, as long as speech is, never less than 0.3 s."""
    pitch = 150 + int.from_bytes(hashlib.sha256(f'{voice} {text}'.encode()).digest()[:2], 'big') % 400
    count = int(RATE * max(0.3, 0.04 * len(text)))
    samples = (int(9000 * math.sin(2 * math.pi * pitch * i / RATE)) for i in range(count))
    out = io.BytesIO()
    with wave.open(out, 'wb') as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(b''.join(struct.pack('<h', s) for s in samples))
    return out.getvalue()


def hollow():
    """A WAV file that tells of an hour and has nothing of it."""
    return tone('', '')[:40] + struct.pack('<I', 3600 * RATE * 2)


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, key=None, fail=0.0, slow=0.0, seed=1):
        super().__init__(('127.0.0.1', 0), Handler)
        self.key, self.fail, self.slow = key, fail, slow
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.asked, self.spoken = collections.Counter(), collections.Counter()
        self.under_way = self.at_once = 0
        self.keys = set()
        self.sounds = {}
        self.mended = False
        self.most, self.go_on = None, threading.Event()   # requests beyond `most` wait for that

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}/v1'

    def stats(self):
        with self.lock:
            return {'asked': dict(self.asked), 'spoken': dict(self.spoken), 'at_once': self.at_once, 'keys': sorted(self.keys)}

    def sound(self, text, voice, form):
        with self.lock:
            known = self.sounds.get((text, voice, form))
        if known:
            return known
        made, how = tone(text, voice), FORMATS[form][1]
        if how:
            made = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'wav', '-i', '-', '-bitexact', *how, '-'], input=made,
                                  stdout=subprocess.PIPE, check=True).stdout
        with self.lock:
            return self.sounds.setdefault((text, voice, form), made)

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind='application/json', headers=()):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, message, code=None, headers=()):
        self.answer(status, json.dumps({'error': {'message': message, 'type': 'error', 'code': code}}).encode(), headers=headers)

    def do_GET(self):
        self.answer(200, json.dumps(self.server.stats()).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        if self.path == '/knobs':
            self.server.fail, self.server.slow = body.get('fail', 0), body.get('slow', 0)
            self.answer(200, b'{}')
            return
        s = self.server
        with s.lock:
            s.under_way += 1
            s.at_once = max(s.at_once, s.under_way)
        try:
            self.speak(body)
        finally:
            with s.lock:
                s.under_way -= 1

    def speak(self, body):
        s, text = self.server, body['input']
        with s.lock:
            s.asked[text] += 1
            first = s.asked[text] == 1
            s.keys.add(self.headers.get('Authorization', ''))
            unlucky = s.random.random() < s.fail
            waits = s.most is not None and s.asked.total() > s.most
        if waits:
            s.go_on.wait()
        if s.slow:
            time.sleep(s.slow)
        if s.key and self.headers.get('Authorization') != f'Bearer {s.key}':
            self.error(401, f'Incorrect API key provided: {self.headers.get("Authorization", "none")}', 'invalid_api_key')
        elif self.path != '/v1/audio/speech' or body['response_format'] not in FORMATS or len(text) > 4096:
            self.error(400, 'Invalid request')
        elif s.mended or not self.misbehave(text, first, unlucky):
            sound = s.sound(text, body['voice'], body['response_format'])
            with s.lock:
                s.spoken[text] += 1
            self.answer(200, sound, FORMATS[body['response_format']][0])

    def misbehave(self, text, first, unlucky):
        """True if it has answered, in a bad way."""
        words = set(text.replace('.', ' ').lower().split())
        has = lambda word: word in words and first
        if 'always401' in words or 'echokey' in words:
            self.error(401, f'Incorrect API key provided: {self.headers.get("Authorization")}', 'invalid_api_key')
        elif 'always400' in words:
            self.error(400, 'The voice\nis not supported')
        elif 'always302' in words:
            self.answer(302, b'', headers=[('Location', '/v1/audio/speech')])
        elif 'noquota' in words:
            self.error(429, 'You exceeded your current quota', 'insufficient_quota')
        elif unlucky or 'always500' in words or has('fail500'):
            self.error(500, 'The server had an error')
        elif has('fail429'):
            self.error(429, 'Rate limit reached', 'rate_limit_exceeded', [('Retry-After', '1')])
        elif has('reset'):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()
            self.close_connection = True
        elif has('cut') or has('cutchunked'):
            self.cut(has('cutchunked'))
        elif has('html'):
            self.answer(200, b'<html>Bad gateway</html>', 'text/html')
        elif has('empty'):
            self.answer(200, b'', 'audio/mpeg')
        elif has('noise'):
            self.answer(200, random.Random(1).randbytes(5000), 'audio/mpeg')
        elif has('hollow'):
            self.answer(200, hollow(), 'audio/mpeg')
        elif has('never'):
            self.connection.recv(1)  # until whoever asks gives up
            self.close_connection = True
        elif 'huge' in words:
            self.huge()
        elif has('slow'):
            time.sleep(20)
            return False
        else:
            return False
        return True

    def huge(self):
        """A sound that doesn't end."""
        self.send_response(200)
        self.send_header('Content-Type', 'audio/wav')
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(tone('huge', 'alloy')[:44])
        try:
            while True:
                self.wfile.write(bytes(1 << 20))
        except OSError:
            self.close_connection = True

    def cut(self, chunked):
        """Half of a sound, then the end of the connection."""
        sound = self.server.sound('half', 'alloy', 'mp3')
        self.send_response(200)
        self.send_header('Content-Type', 'audio/mpeg')
        self.send_header('Transfer-Encoding', 'chunked') if chunked else self.send_header('Content-Length', str(len(sound)))
        self.end_headers()
        half = sound[:len(sound) // 2]
        self.wfile.write(b'%x\r\n%s\r\n' % (len(half), half) if chunked else half)
        self.close_connection = True


if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--key')
    p.add_argument('--fail', type=float, default=0)
    p.add_argument('--slow', type=float, default=0)
    p.add_argument('--seed', type=int, default=1)
    server = Endpoint(**vars(p.parse_args()))
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # ends with whoever started it
