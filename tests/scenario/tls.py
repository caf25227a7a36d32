"""TLS in front of a server, with a CA of the test's own.

    ca = Authority(tmp_path)                       # ca.file: what clients are to trust
    with TlsProxy(ca, port) as front: front.url    # https://localhost:… → 127.0.0.1:port
    TlsProxy(ca, port, name='elsewhere')           # a certificate for another host
"""
import asyncio
import socket
import ssl
import subprocess
import threading


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.file, self.key = folder / 'ca.pem', folder / 'ca.key'
        self._openssl('req', '-x509', *self._new(self.key), '-subj', '/CN=the test', '-days', '2', '-out', self.file)

    @staticmethod
    def _new(key):
        return '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key

    @staticmethod
    def _openssl(*words):
        subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True)

    def context(self, name):
        """Of a server of that name."""
        key, request, cert, names = (self.folder / f'{name}.{end}' for end in ('key', 'csr', 'pem', 'ext'))
        self._openssl('req', *self._new(key), '-subj', f'/CN={name}', '-out', request)
        names.write_text(f'subjectAltName=DNS:{name}')
        self._openssl('x509', '-req', '-in', request, '-CA', self.file, '-CAkey', self.key, '-CAcreateserial', '-days', '2',
                      '-extfile', names, '-out', cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context


class TlsProxy:
    def __init__(self, authority, target=0, name='localhost'):
        self.target = target
        self.loop = asyncio.new_event_loop()
        listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'https://localhost:{listener.getsockname()[1]}'
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, sock=listener, ssl=authority.context(name)))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._end)
        self.thread.join()
        self.loop.close()

    def _end(self):
        self.server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_later(0.05, self.loop.stop)   # they see to their ends

    async def _serve(self, client, to_client):
        server, to_server = await asyncio.open_connection('127.0.0.1', self.target)
        both = [asyncio.ensure_future(self._pass(client, to_server)), asyncio.ensure_future(self._pass(server, to_client))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task, writer in zip(both, (to_client, to_server)):
            task.cancel()
            writer.close()

    @staticmethod
    async def _pass(reader, writer):
        try:
            while data := await reader.read(16384):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
