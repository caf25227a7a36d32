"""Tokens and keys of made-up identity providers: HS256 by secret, RS256 and ES256 with their key set."""
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SECRET = 'a-secret-of-at-least-thirty-two-bytes!'


def claims(user, **more):
    """A None leaves a claim out."""
    all_claims = {'sub': user, 'exp': int(time.time()) + 3600, **more}
    return {k: v for k, v in all_claims.items() if v is not None}


def hs256(user, secret=SECRET, **more):
    return jwt.encode(claims(user, **more), secret, algorithm='HS256')


class Provider:
    """One signing key with its public half as a JWK."""

    def __init__(self, kid, algorithm='RS256'):
        self.kid, self.algorithm = kid, algorithm
        rs = algorithm == 'RS256'
        self.key = rsa.generate_private_key(65537, 2048) if rs else ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        if self.algorithm == 'RS256':
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        else:
            numbers = self.key.public_key().public_numbers()
            text = [jwt.utils.base64url_encode(n.to_bytes(32, 'big')).decode() for n in (numbers.x, numbers.y)]
            public = {'kty': 'EC', 'crv': 'P-256', 'x': text[0], 'y': text[1]}
        public.pop('key_ops', None)
        return {**public, 'kid': self.kid, 'use': 'sig', 'alg': self.algorithm}

    def token(self, user, **more):
        return jwt.encode(claims(user, **more), self.key, algorithm=self.algorithm, headers={'kid': self.kid})


def key_set(*providers):
    return json.dumps({'keys': [p.jwk() for p in providers]})
