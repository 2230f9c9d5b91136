# SPDX-License-Identifier: Apache-2.0
"""Keys and tokens for --auth jwt, made without the code under test: HS256 by Python's hmac, RS256 and
ES256 by the openssl command.

    Tokens   a folder with a key file, and tokens that it lets through
    Secret   an HS256 secret, KeyPair an RSA or P-256 key pair: each signs, each has its JWK
"""
import base64
import hashlib
import hmac
import json
import re
import subprocess
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def claims_of(user, **claims):
    """Good ones; a claim given as None is left out."""
    claims = {"sub": user, "exp": int(time.time()) + 3600, **claims}
    return {name: value for name, value in claims.items() if value is not None}


class Key:
    """What Secret and KeyPair have in common: `alg`, `kid`, `signature`."""

    def token_of_text(self, header, claims):
        """Of header and claims as bytes, whatever they are."""
        text = f"{b64(header)}.{b64(claims)}"
        return f"{text}.{b64(self.signature(text.encode()))}"

    def token(self, user, header=None, **claims):
        named = {"alg": self.alg, **({"kid": self.kid} if self.kid else {})}
        return self.token_of_text(compact(header or named), compact(claims_of(user, **claims)))

    def members(self):
        return {"alg": self.alg, **({"kid": self.kid} if self.kid else {})}


class Secret(Key):
    alg = "HS256"

    def __init__(self, secret=b"a secret of 32 bytes, or of more", kid=None):
        self.secret, self.kid = secret, kid

    def signature(self, text):
        return hmac.new(self.secret, text, hashlib.sha256).digest()

    def jwk(self):
        return {"kty": "oct", "k": b64(self.secret), **self.members()}


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True,
                          check=True).stdout


def der_numbers(der):
    """The two numbers of a DER sequence of two, as 32 bytes each."""
    assert der[0] == 0x30 and der[1] == len(der) - 2
    at, numbers = 2, b""
    for _ in range(2):
        assert der[at] == 2
        n = der[at + 1]
        numbers += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + n
    return numbers


class KeyPair(Key):
    """`alg` is RS256 or ES256; the files are in `folder`."""

    def __init__(self, folder, alg, kid=None):
        self.alg, self.kid = alg, kid
        self.private, public = folder / f"{alg}-{kid}.pem", folder / f"{alg}-{kid}.pub"
        kind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else \
            ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", *kind, "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", public)
        self.pem = public.read_text()

    def signature(self, text):
        made = openssl("dgst", "-sha256", "-sign", self.private, data=text)
        return made if self.alg == "RS256" else der_numbers(made)

    def jwk(self):
        der = openssl("pkey", "-in", self.private, "-pubout", "-outform", "DER")
        if self.alg == "ES256":  # ends in 4, x, y
            return {"kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:]),
                    **self.members()}
        modulus = openssl("pkey", "-in", self.private, "-pubout", "-text", "-noout").decode()
        digits = re.search(r"Modulus:\s*([0-9a-f:\s]+?)\s*Exponent: 65537", modulus)[1]
        number = bytes.fromhex(re.sub(r"[:\s]", "", digits)).lstrip(b"\0")
        return {"kty": "RSA", "n": b64(number), "e": "AQAB", **self.members()}


def key_set(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


class Tokens:
    """A key file with one secret, `flags` for a server that reads it, and `sign` for its clients."""

    def __init__(self, folder, key=None, **claims):
        self.key = key or Secret()
        self.path = folder / "keys.json"
        self.claims = claims
        self.write(key_set(self.key))
        self.flags = ("--auth", "jwt", "--jwt-keys", str(self.path))

    def write(self, text, mode=0o600):
        """Replaces the file in one step, as a careful operator would."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.rename(self.path)

    def sign(self, user):
        return self.key.token(user, **self.claims)
