"""A Redis server of a test's own: real, without persistence, with or without TLS, stopped, paused and started again.

    with Redis(tmp_path, tls=True, password='secret') as redis:
        redis.url          # rediss://:secret@localhost:12345?ca=…
        redis.stop(); redis.start()
"""
import datetime
import pathlib
import signal
import socket
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import limit, reserve_port, wait_for


def make_certificates(folder, name='localhost'):
    """ca.pem, and a certificate for `name` with its key: (ca, certificate, key)."""
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def signed(subject, key, issuer, issuer_key, is_ca):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer)).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if not is_ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    folder = pathlib.Path(folder)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    paths = folder / 'ca.pem', folder / 'redis.pem', folder / 'redis.key'
    paths[0].write_bytes(signed('test CA', ca_key, 'test CA', ca_key, True).public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(signed(name, key, 'test CA', ca_key, False).public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return paths


class Redis:
    def __init__(self, folder, tls=False, password=None, certified_name='localhost'):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = reserve_port()
        self.options = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', str(self.folder)]
        more = ''
        if tls:
            ca, certificate, key = make_certificates(self.folder, certified_name)
            self.options += ['--port', '0', '--tls-port', str(self.port), '--tls-cert-file', str(certificate), '--tls-key-file',
                             str(key), '--tls-ca-cert-file', str(ca), '--tls-auth-clients', 'no']
            more = f'?ca={ca}'
        else:
            self.options += ['--port', str(self.port)]
        if password:
            self.options += ['--requirepass', password]
        login = f':{password}@' if password else ''
        self.url = f'redis{"s" if tls else ""}://{login}localhost:{self.port}{more}'
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with (self.folder / 'redis.log').open('ab') as log:
            self.process = subprocess.Popen(['redis-server', *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._listens, 'Redis listens')
        return self

    def _listens(self):
        assert self.process.poll() is None, (self.folder / 'redis.log').read_text()
        try:
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True
        except OSError:
            return False

    def cli(self, *words):
        """A command's answer as text (without TLS and password)."""
        return subprocess.run(['redis-cli', '-p', str(self.port), *map(str, words)], capture_output=True, text=True, check=True,
                              timeout=limit(10)).stdout.strip()

    def pause(self):
        """It takes connections and doesn't answer."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(limit(10))
            self.process = None
