#!/usr/bin/env python3
"""Seals and opens archives by docs/sealed-archive.md, and shares no code with bkp.

    sealed_archive.py open FILE (--key-file F | --password-file F) -o ZIP
    sealed_archive.py seal ZIP (--key-file F | --password-file F) [--segment-size N] -o FILE
    sealed_archive.py fixtures FIXTURES     writes FIXTURES/archives, the frozen ones

Needs the package `cryptography`. `open` decrypts with the package `tink` as well, when it is
installed, and fails if the two disagree.
"""

import argparse
import hashlib
import io
import json
import os
import sys
import zipfile
from base64 import b64encode
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"\x89BKPZ\r\n\x1a"
HEADER = 88
TAG = 16


def hkdf(key, salt, info):
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def derive(header, key, password):
    kdf, rounds = header[9], int.from_bytes(header[16:20], "big")
    if kdf == 0:
        return key
    return hashlib.pbkdf2_hmac("sha256", password, header[20:52], rounds)


def check(key, start):
    return hkdf(key, start, b"bkp sealed key check")


def nonce(prefix, index, last):
    return prefix + index.to_bytes(4, "big") + bytes([last])


def seal(plain, size, key=None, password=None, rounds=600_000):
    salt = os.urandom(32) if password is not None else bytes(32)
    start = MAGIC + bytes([1, password is not None, 0, 0]) + size.to_bytes(4, "big")
    start += (rounds if password is not None else 0).to_bytes(4, "big") + salt
    key = derive(start, key, password)
    header = start + check(key, start)
    header += hashlib.sha256(header).digest()[:4]
    assert len(header) == HEADER
    stream_salt, prefix = os.urandom(32), os.urandom(7)
    out = [header, bytes([40]), stream_salt, prefix]
    cipher = AESGCM(hkdf(key, stream_salt, header))
    at, index, room = 0, 0, size - TAG - 40
    while True:
        last = len(plain) - at <= room
        out.append(cipher.encrypt(nonce(prefix, index, last), plain[at : at + room], None))
        if last:
            return b"".join(out)
        at, index, room = at + room, index + 1, size - TAG


def unseal(sealed, key=None, password=None):
    header, stream = sealed[:HEADER], sealed[HEADER:]
    assert header[:8] == MAGIC and header[8] == 1 and header[10:12] == b"\0\0", "header"
    assert header[84:] == hashlib.sha256(header[:84]).digest()[:4], "checksum"
    key = derive(header, key, password)
    assert header[52:84] == check(key, header[:52]), "wrong key"
    size = int.from_bytes(header[12:16], "big")
    assert stream[0] == 40
    prefix, cipher = stream[33:40], AESGCM(hkdf(key, stream[1:33], header))
    out, at, index = [], 40, 0
    while True:
        end = min((index + 1) * size, len(stream))
        last = end == len(stream)
        out.append(cipher.decrypt(nonce(prefix, index, last), stream[at:end], None))
        if last:
            return b"".join(out), key
        at, index = end, index + 1


def unseal_with_tink(sealed, key):
    """Opens the stream with Tink, or returns nothing where it is not installed."""
    try:
        import tink
        from tink import secret_key_access, streaming_aead
        from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2
    except ImportError:
        return None
    streaming_aead.register()
    proto = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=key)
    proto.params.ciphertext_segment_size = int.from_bytes(sealed[12:16], "big")
    proto.params.derived_key_size = 32
    proto.params.hkdf_hash_type = common_pb2.SHA256
    url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    data = {
        "typeUrl": url,
        "value": b64encode(proto.SerializeToString()).decode(),
        "keyMaterialType": "SYMMETRIC",
    }
    entry = {"keyData": data, "status": "ENABLED", "keyId": 1, "outputPrefixType": "RAW"}
    keyset = json.dumps({"primaryKeyId": 1, "key": [entry]})
    handle = tink.json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
    primitive = handle.primitive(streaming_aead.StreamingAead)
    with primitive.new_decrypting_stream(io.BytesIO(sealed[HEADER:]), sealed[:HEADER]) as stream:
        return stream.read()


def pack(bundle, record):
    """A plain archive as bkp writes it, by Python's own zip writer."""
    first = ["Info.plist", "Manifest.plist", "Status.plist", "Manifest.db", "Manifest.mbdb"]
    names = [p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()]
    names.sort(key=lambda n: (first.index(n) if n in first else len(first), n))
    members = [(name, (bundle / name).read_bytes()) for name in names]
    members.append(("bkp-run.json", record))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100600 << 16
            archive.writestr(info, content)
    return out.getvalue()


def fixtures(folder):
    target = folder / "archives"
    target.mkdir(exist_ok=True)
    plain = pack(folder / "encrypted-mbdb", b'{"schema_version":1}\n')
    key, password = bytes(range(32)), b"correct horse battery staple"
    (target / "v1.zip").write_bytes(plain)
    (target / "v1-key-file.bkpz").write_bytes(seal(plain, 1 << 20, key=key))
    (target / "v1-small-segments.bkpz").write_bytes(seal(plain, 1000, key=key))
    (target / "v1-password.bkpz").write_bytes(seal(plain, 1 << 16, password=password))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["open", "seal", "fixtures"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--segment-size", type=int, default=1 << 20)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    if args.command == "fixtures":
        return fixtures(args.file)
    key = args.key_file.read_bytes() if args.key_file else None
    password = args.password_file.read_bytes() if args.password_file else None
    content = args.file.read_bytes()
    if args.command == "seal":
        args.output.write_bytes(seal(content, args.segment_size, key, password))
        return None
    plain, key = unseal(content, key, password)
    theirs = unseal_with_tink(content, key)
    if theirs is not None and theirs != plain:
        sys.exit("Tink opens something else")
    args.output.write_bytes(plain)
    print("opened" if theirs is None else "opened, and with Tink")
    return None


if __name__ == "__main__":
    main()
