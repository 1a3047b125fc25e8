#!/usr/bin/env python3
"""Makes and reads packs by docs/formats/backend.md alone, with none of Freehold's code.

Seals every pack of vectors/packs.json to the same bytes, opens it again, and sees that a pack that
was cut, altered or renamed does not open. Makes the names of what lies beside the packs, reads a part
of a journal, and checks who signed a letter (vectors/journal.json). Exit code 0 if all is as it should be.

    pip install cryptography blake3 cbor2
    python3 docs/formats/backend/check.py
"""

import json
import pathlib

import blake3
import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK, TAG = 65536, 16
HERE = pathlib.Path(__file__).parent / "vectors"


def stream_key(secret, name):
    keyed = blake3.blake3(secret, derive_key_context="freehold 2026 stream key").digest()
    binding = b"freehold backend pack, format 1"
    return AESGCM(blake3.blake3(name + binding, key=keyed).digest(64)[:32])


def nonce(index, last):
    return bytes(3) + index.to_bytes(8, "big") + bytes([last])


def padded(length):
    if length <= 1 << 20:
        return max(1 << 14, 1 << (length - 1).bit_length())
    magnitude = length.bit_length() - 1
    mask = (1 << (magnitude - magnitude.bit_length())) - 1
    return (length + mask) & ~mask


def seal(secret, name, number, time, blobs):
    """`blobs`: name, time, bytes."""
    index = cbor2.dumps([number, time, [[b, len(data), at] for b, at, data in blobs]], canonical=True)
    end = index + len(index).to_bytes(4, "big") + b"FHB1"
    content = b"".join(data for _, _, data in blobs)
    plain = content + bytes(padded(len(content) + len(end)) - len(content) - len(end)) + end
    key = stream_key(secret, name)
    starts = range(0, len(plain), CHUNK)
    return b"".join(
        key.encrypt(nonce(i, at == starts[-1]), plain[at : at + CHUNK], None) for i, at in enumerate(starts)
    )


def opened(secret, name, pack):
    key = stream_key(secret, name)
    starts = range(0, len(pack), CHUNK + TAG)
    plain = b"".join(
        key.decrypt(nonce(i, at == starts[-1]), pack[at : at + CHUNK + TAG], None)
        for i, at in enumerate(starts)
    )
    assert plain[-4:] == b"FHB1"
    length = int.from_bytes(plain[-8:-4], "big")
    number, time, rows = cbor2.loads(plain[-8 - length : -8])
    blobs, at = [], 0
    for blob, size, came in rows:
        blobs.append((blob, came, plain[at : at + size]))
        at += size
    return number, time, blobs


def refused(secret, name, pack):
    try:
        opened(secret, name, pack)
    except InvalidTag:
        return
    raise AssertionError("what was tampered with opened")


def check(vector):
    secret, name = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["name"])
    blobs = [
        (bytes.fromhex(row["name"]), row["time"], bytes([row["byte"]]) * row["length"])
        for row in vector["blobs"]
    ]
    pack = seal(secret, name, vector["number"], vector["time"], blobs)
    assert len(pack) == vector["sealed_length"], vector["what"]
    assert blake3.blake3(pack).hexdigest() == vector["sealed_blake3"], vector["what"]
    assert opened(secret, name, pack) == (vector["number"], vector["time"], blobs)
    refused(secret, bytes([name[0] ^ 1]) + name[1:], pack)
    refused(secret, name, pack[:-1])
    refused(secret, name, bytes([pack[0] ^ 1]) + pack[1:])
    if len(pack) > CHUNK + TAG:
        refused(secret, name, pack[: CHUNK + TAG])
        refused(secret, name, pack[CHUNK + TAG :] + pack[: CHUNK + TAG])


def kdf(context, data):
    return blake3.blake3(data, derive_key_context=context).digest()


def beside(secret, pieces):
    """The name of a letter or a claim."""
    told = b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)
    first = kdf("freehold 2026 backend name", secret + told)[:16]
    return first + kdf("freehold 2026 backend name mark", secret + first)[:16]


def seal_beside(secret, name, lot, content):
    keyed = blake3.blake3(secret, derive_key_context="freehold 2026 stream key").digest()
    binding = b"freehold backend beside, format 1" + lot
    key = AESGCM(blake3.blake3(name + binding, key=keyed).digest(64)[:32])
    plain = len(content).to_bytes(4, "big") + content
    plain += bytes(padded(len(plain) + 16) - 16 - len(plain))
    starts = range(0, len(plain), CHUNK)
    return lot + b"".join(
        key.encrypt(nonce(i, at == starts[-1]), plain[at : at + CHUNK], None) for i, at in enumerate(starts)
    )


def check_journal(vectors):
    secret = bytes.fromhex(vectors["secret"])
    part, claim, letter = vectors["part"], vectors["claim"], vectors["letter"]
    name = kdf("freehold 2026 backend journal", secret)[:16] + part["number"].to_bytes(8, "big")
    assert name + bytes.fromhex(part["lot"]) == bytes.fromhex(part["name"])
    content = bytes.fromhex(part["content"])
    assert kdf("freehold 2026 backend journal part", content).hex() == part["hash"]
    matured, operations, entries, after = cbor2.loads(content)
    assert after == bytes([11]) * 32
    assert (matured, operations) == ([bytes([9]) * 32], [[bytes([1]) * 32, b"operation"]])
    place = [bytes([2]) * 32, bytes([3]) * 32]
    assert entries == [[*place, 1, bytes([4]) * 5, b"payload"], [*place, 300, bytes([4]) * 5]]

    claims = kdf("freehold 2026 backend claims", secret)
    name = beside(claims, [claim["number"].to_bytes(8, "big")])
    assert name.hex() == claim["name"]
    sealed = seal_beside(claims, name, bytes.fromhex(claim["lot"]), bytes.fromhex(claim["holder"]))
    assert blake3.blake3(sealed).hexdigest() == claim["sealed_blake3"]

    letters = kdf("freehold 2026 backend letters", bytes.fromhex(letter["realm"]))
    name = beside(letters, [letter["bucket"].encode(), letter["prefix"].encode()])
    assert name.hex() == letter["name"]
    content = bytes.fromhex(letter["content"])
    sealed = seal_beside(letters, name, bytes.fromhex(letter["lot"]), content)
    assert blake3.blake3(sealed).hexdigest() == letter["sealed_blake3"]

    boxed, store, head, signature = cbor2.loads(content)
    assert (boxed, store, head[1:4]) == ([b"guardians", b"box"], 2, [7, 1000, 3])
    assert head[4].hex() == part["hash"]
    signed = b"freehold 2026 backend letter" + bytes.fromhex(letter["realm"])
    node = Ed25519PublicKey.from_public_bytes(head[0])
    node.verify(signature, signed + cbor2.dumps([boxed, store, head], canonical=True))
    try:
        node.verify(signature, signed + cbor2.dumps([boxed, store + 1, head], canonical=True))
    except InvalidSignature:
        return
    raise AssertionError("a letter that was altered is signed")


def main():
    check_journal(json.loads((HERE / "journal.json").read_text()))
    vectors = json.loads((HERE / "packs.json").read_text())
    for vector in vectors:
        check(vector)
    print(f"{len(vectors)} packs, a part of a journal, a claim and a letter are as the page says")


main()
