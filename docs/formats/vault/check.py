#!/usr/bin/env python3
"""Reads the vault's vectors by docs/formats/vault.md alone, with none of Freehold's code.

Opens every blob, payload, wrapped key and envelope of vectors/*.json, seals the blobs again to the
same bytes, and sees that every attack is refused. Exit code 0 if all is as it should be.

    pip install cryptography blake3 cbor2
    python3 docs/formats/vault/check.py
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

import blake3
import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHUNK, TAG, HEADER = 65536, 16, 80
HERE = pathlib.Path(__file__).parent / "vectors"


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def un(text):
    return bytes.fromhex(text)


def derive(context, *pieces):
    return blake3.blake3(b"".join(pieces), derive_key_context=context).digest()


def cbor(value):
    return cbor2.dumps(value, canonical=True)


def from_cbor(data):
    """Decodes, and refuses every spelling but the canonical one."""
    try:
        value = cbor2.loads(data)
    except Exception as error:
        raise Refused(f"not CBOR: {error}")
    need(cbor(value) == data, "not canonical")
    return value


# Streams -----------------------------------------------------------------------------------------


def stream(secret, salt, binding):
    """The key and the commitment of one sealed stream."""
    out = blake3.blake3(salt + binding, key=derive("freehold 2026 stream key", secret)).digest(64)
    return AESGCM(out[:32]), out[32:]


def nonce(index, last):
    return bytes(3) + index.to_bytes(8, "big") + bytes([last])


def unseal(key, index, last, chunk):
    try:
        return key.decrypt(nonce(index, last), chunk, b"")
    except InvalidTag:
        raise Refused(f"chunk {index} does not open")


# Blobs -------------------------------------------------------------------------------------------


def part_binding(prefix, f):
    name = derive("freehold 2026 object name", f["object_name"].encode())
    return cbor([prefix, un(f["realm"]), un(f["bucket"]), name, un(f["version"]), f["part"]])


def seal_blob(f, salt, plain):
    prefix = b"FREEHOLD" + bytes([1, 1, 16]) + bytes(5)
    key, commitment = stream(un(f["object_key"]), salt, part_binding(prefix, f))
    out = prefix + salt + commitment
    count = max(1, -(-len(plain) // CHUNK))
    for i in range(count):
        out += key.encrypt(nonce(i, i == count - 1), plain[i * CHUNK : (i + 1) * CHUNK], b"")
    return out


def open_blob(f, data):
    need(len(data) >= HEADER and data[:8] == b"FREEHOLD", "not a blob")
    need(data[8:16] == bytes([1, 1, 16, 0, 0, 0, 0, 0]), "unknown format, algorithm or chunk size")
    salt = data[16:48]
    need(salt == un(f["blob"]), "another blob than the one asked for")
    key, commitment = stream(un(f["object_key"]), salt, part_binding(data[:16], f))
    need(hmac.compare_digest(commitment, data[48:80]), "not for this object, version and part")
    count = max(1, -(-f["plain_len"] // CHUNK))
    need(len(data) == HEADER + f["plain_len"] + count * TAG, "length")
    plain = b""
    for i in range(count):
        at = HEADER + i * (CHUNK + TAG)
        plain += unseal(key, i, i == count - 1, data[at : at + CHUNK + TAG])
    return plain


def edited(data, edits):
    data = bytearray(data)
    for what, *n in edits:
        if what == "flip":
            data[n[0]] ^= n[1]
        elif what == "cut":
            del data[n[0] :]
        elif what == "drop":
            del data[n[0] : n[0] + n[1]]
        elif what == "copy":
            data[n[1] : n[1] + n[2]] = data[n[0] : n[0] + n[2]]
        elif what == "swap":
            a, b, len_ = n
            data[a : a + len_], data[b : b + len_] = data[b : b + len_], data[a : a + len_]
        else:
            raise ValueError(what)
    return bytes(data)


def refuses(what, attempt):
    try:
        attempt()
    except Refused as why:
        print(f"  refused: {what}: {why}")
    else:
        raise SystemExit(f"ACCEPTED: {what}")


def blobs(file):
    for vector in file["opens"]:
        f = {**file, **vector}
        plain = bytes((31 * i + i // 256) % 256 for i in range(f["plain_len"]))
        data = seal_blob(f, un(f["blob"]), plain)
        assert len(data) == f["cipher_len"]
        assert blake3.blake3(data).hexdigest() == f["hash"], f["name"]
        if "cipher" in f:
            assert base64.b64decode(f["cipher"]) == data
        assert open_blob(f, data) == plain
        print(f"  opened: {f['name']}")
    for attack in file["refused"]:
        altered = edited(data, attack["edits"])
        refuses(attack["name"], lambda: open_blob({**f, **attack["with"]}, altered))


# Payloads ----------------------------------------------------------------------------------------


def open_payload(f, data):
    need(data[:2] == b"FP" and len(data) in [1 << n for n in range(10, 19)], "not a payload")
    need(data[2:4] == b"\x01\x01", "unknown format or algorithm")
    need(int.from_bytes(data[4:8], "big") == f["key_version"], "another key version")
    secret = derive("freehold 2026 payload key", un(f["bucket_key"]))
    binding = cbor([data[:8], un(f["realm"]), un(f["bucket"]), un(f["origin"]), f["seq"]])
    key, commitment = stream(secret, data[8:40], binding)
    need(hmac.compare_digest(commitment, data[40:72]), "not for this entry")
    inner = unseal(key, 0, True, data[72:])
    length = int.from_bytes(inner[:4], "big")
    content, padding = inner[4 : 4 + length], inner[4 + length :]
    need(len(content) == length and not any(padding), "padding")
    total = max(1024, 1 << (length + 92 - 1).bit_length())
    need(total == len(data), "padding")
    return content


KINDS = {
    (None, True): "a null version",
    (None, False): "a tombstone",
    (1, True): "a kept version",
    (1, False): "a marker",
    (2, False): "a null marker",
    (3, False): "a removal",
}
ASPECTS = {1: "tags", 2: "retention", 3: "legal hold", 4: "access control list"}
SETTINGS = {1: "versioning", 2: "object lock", 15: "holders"}


def read_document(what, document):
    need(document is None or len(document) <= 65536, "a document that is too long")
    if document is None or what not in ("retention", "legal hold", "versioning", "object lock", "holders"):
        return document
    value = from_cbor(document)
    if what == "retention":
        need(value[0] in (1, 2) and len(value) == 2, "no retention")
    if what == "versioning":
        need(value in (1, 2), "no versioning")
    if what == "holders":
        need(len(value) <= 512, "too many holders")
        for (kind, (who,)), turn, right, last in value:
            need(len(last) <= 64 and all(len(node) == 32 and number > 0 for node, number in last), "no numbers")
            need(kind in (0, 1) and len(who) == 32, "no holder")
            need(0 <= turn < 1 << 32 and right in (1, 2, 3), "no right")
    return value


ROWS = {
    0: "realm name", 1: "node name", 2: "bucket name", 3: "person name", 4: "addresses", 6: "zone name",
    7: "service name", 8: "box key", 10: "name of a service of the network", 11: "name of a rule", 16: "ready",
    17: "published", 21: "authority", 20: "name of a phone",
    22: "where phones are taken in", 23: "grant",
}
FILTER = {0: "list/", 1: "group/", 2: "record/", 3: "forward/", 4: "upstream", 5: "statistics"}


def manifest(file, fields):
    assert set(fields) <= {0, 1, 2, 3, 4} and len(fields[1]) == 16
    stored, kind = fields.get(3), fields.get(4)
    need((kind, bool(stored)) in KINDS, "stores what it cannot")
    what = KINDS[kind, bool(stored)]
    if stored:
        assert sum(length for _, length in stored[6]) == stored[0]
        said = [[ASPECTS[aspect], document] for aspect, document in stored[9]]
        if 10 in stored:
            width = {1: 4, 2: 4, 3: 8, 4: 20, 5: 32, 6: 16, 7: 32}[stored[10][0]]
            assert len(stored[10][1]) == width * len(stored[6]) <= 65_536
        what += f", {stored[0]} bytes, {stored[1]}, {stored[2]}, parts {stored[6]}, {said}"
        f = {**file, "object_name": fields[0], "version": fields[1].hex()}
        assert unwrap(f, cbor(stored[8])) == b"\x55" * 32
    return f"{fields[0]}: {what}"


def filter_row(key, row=None):
    need(len(key.encode()) <= 300, "too long for what a row is about")
    if row is None:
        return f"{key} is taken back"
    sort, [said] = row
    need(key.startswith(FILTER[sort]), "a row about something else")
    if sort == 0:
        url, syntax, sha256, hours = said
        need(syntax <= 3 and len(url) <= 1024 and (sha256 is None or len(sha256) == 32), "no list")
        return f"{key}: {url}, every {hours} hours"
    if sort == 1:
        members, lists, allow, block, hours, zone, safe, no_name, paused = said + [None] * (9 - len(said))
        need(all(0 <= kind <= 6 for kind, _ in members) and len(lists) <= 32 and safe < 256, "no group")
        for days, begins, ends, more in (span + [None] * (4 - len(span)) for span in hours):
            need(days < 128 and begins <= 1440 and ends <= 1440 and (more is None or len(more) <= 32), "no hours")
        return f"{key}: {len(members)} members, {lists}, but for {allow}, {zone}, paused until {paused}"
    return f"{key}: {said}"


def read_content(file, content):
    sort, fields = content[0], from_cbor(content[1:])
    if sort == 1:
        return manifest(file, fields)
    if sort == 3:
        assert set(fields) <= {0, 1, 2, 3} and fields[1][0] in (0, 1)
        said = read_document(ASPECTS[fields[2]], fields.get(3))
        return f"{fields[0]}: {ASPECTS[fields[2]]}: {said}"
    if sort == 4:
        said = read_document(SETTINGS.get(fields[0]), fields[1] if len(fields) == 2 else None)
        return f"setting {fields[0]}: {said}"
    if sort == 5:
        assert set(fields) == {0, 1, 2, 3, 4} and len(fields[1]) == len(fields[4]) == 32
        need(fields[3][0] in (1, 3, 4), "sealed anew what no bucket says")
        return f"entry {fields[2]} of {fields[1].hex()[:8]}: {read_content(file, fields[3])}"
    assert sort == 2
    if fields[0] == 9:
        [[node, operation, when, signature]] = fields[1]
        said = b"freehold 2026 erased" + cbor([un(file["realm"]), operation, node, when])
        Ed25519PublicKey.from_public_bytes(node).verify(signature, said)
        return f"erased {operation.hex()[:8]} on {node.hex()[:8]}"
    if fields[0] == 17 and fields[1][1:]:
        said = fields[1][1]
        need({0, 1, 2, 6, 7} <= set(said) <= set(range(9)) and said[1] in (0, 1), "not how a service is published")
        need(len(said[0]) <= 32 and 0 < said[2] < 1 << 16 and len(said.get(4, [1, 1])) == 2, "not how it is published")
    if fields[0] == 21 and fields[1]:
        said = fields[1][0]
        need({0, 1, 2, 3} <= set(said) <= set(range(6)) and said[3] in (0, 1, 2), "no authority")
        need(set(said.get(5, {0: 0, 1: 0, 2: 0, 3: 0})) == {0, 1, 2, 3}, "no server of a zone")
        return f"{ROWS[21]}: {said}"
    if fields[0] == 18:
        return f"filter: {filter_row(*fields[1])}"
    return f"{ROWS[fields[0]]}: {fields[1][1:]}"


def says(file, content):
    """What the signed part of the entry says that had this content first."""
    place = [un(file["realm"]), un(file["bucket"]), un(file["origin"]), file["seq"], file["key_version"]]
    blinding = derive("freehold 2026 entry blinding", un(file["bucket_key"]), cbor(place))
    if content[0] == 5:
        fields = from_cbor(content[1:])
        content, blinding = fields[3], fields[4]
    key = bytes(32)
    if content[0] == 1:
        fields = from_cbor(content[1:])
        if 3 in fields:
            f = {**file, "object_name": fields[0], "version": fields[1].hex()}
            key = unwrap(f, cbor(fields[3][8]))
            fields[3][8] = [bytes(32), bytes(32), bytes(48)]
        content = content[:1] + cbor(fields)
    return derive("freehold 2026 entry says", blinding, key, content).hex()


def payloads(file):
    for vector in file["opens"]:
        content = open_payload(file, base64.b64decode(vector["payload"]))
        assert content == un(vector["content"])
        assert vector["says"] == (None if content[0] == 2 else says(file, content))
        print(f"  opened: {vector['name']}: {read_content(file, content)}")
    first = base64.b64decode(file["opens"][0]["payload"])
    for attack in file["refused"]:
        altered = edited(first, attack["edits"])
        refuses(attack["name"], lambda: open_payload({**file, **attack["with"]}, altered))


# Keys --------------------------------------------------------------------------------------------


def unwrap(f, wrapped):
    salt, published, sealed = from_cbor(wrapped)
    name = derive("freehold 2026 object name", f["object_name"].encode())
    binding = cbor([un(f["realm"]), un(f["bucket"]), name, un(f["version"]), f["key_version"]])
    key, commitment = stream(derive("freehold 2026 key wrap", un(f["bucket_key"])), salt, binding)
    need(hmac.compare_digest(commitment, published), "not for this object, or another bucket key")
    return unseal(key, 0, True, sealed)


def keys(file):
    assert derive("freehold 2026 bucket id", un(file["bucket_key"])).hex() == file["bucket_id_of_key"]
    for vector in file["opens"]:
        assert unwrap({**file, **vector}, un(vector["wrapped"])) == un(file["object_key"])
        print(f"  opened: {vector['name']}")
    f = {**file, **file["opens"][0]}
    for attack in file["refused"]:
        refuses(attack["name"], lambda: unwrap({**f, **attack["with"]}, un(f["wrapped"])))


# Envelopes: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, AES-256-GCM -----------------------------

KEM, SUITE = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"


def extract(suite, salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256)


def expand(suite, prk, label, info, length):
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    out = block = b""
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256)
        out += block
    return out[:length]


def box_key(seed):
    sk = expand(KEM, extract(KEM, b"", b"dkp_prk", seed), b"sk", b"", 32)
    return X25519PrivateKey.from_private_bytes(sk)


def public_bytes(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def open_box(key, info, sealed):
    enc, body = sealed[:32], sealed[32:]
    try:
        dh = key.exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:
        raise Refused("a point of small order")
    shared = expand(KEM, extract(KEM, b"", b"eae_prk", dh), b"shared_secret", enc + public_bytes(key), 32)
    context = b"\x00" + extract(SUITE, b"", b"psk_id_hash", b"") + extract(SUITE, b"", b"info_hash", info)
    secret = extract(SUITE, shared, b"secret", b"")
    aead = AESGCM(expand(SUITE, secret, b"key", context, 32))
    try:
        return aead.decrypt(expand(SUITE, secret, b"base_nonce", context, 12), body, b"")
    except InvalidTag:
        raise Refused("the box does not open")


def open_envelope(file, me, ring, data):
    need(data[:3] == b"FE\x01", "not an envelope of format 1")
    fields = from_cbor(data[3:])
    key_of, version, to, link = fields[0], fields[1], fields[2], fields.get(3)
    need(to == me, "boxed to somebody else")
    need(fields[5] == public_bytes(box_key(un(file["box_seed"])))[:8], "boxed to another key of the recipient")
    info = [un(file["realm"]), key_of, version, to] + ([link] if link else [])
    key = open_box(box_key(un(file["box_seed"])), b"freehold 2026 envelope" + cbor(info), fields[4])
    roots = {
        cbor([1, [un(file["bucket"])]]): ("freehold 2026 bucket id", file["bucket"]),
        cbor([1, [un(file["private_bucket"])]]): ("freehold 2026 private bucket id", file["private_bucket"]),
        cbor([0, []]): ("freehold 2026 directory root", file["directory_root"]),
    }
    need(cbor(key_of) in roots, "the key of something else")
    if link is None:
        context, root = roots[cbor(key_of)]
        need(version == 1, "a later key that follows from nothing")
        need(derive(context, key).hex() == root, "not the first key that the realm log means")
    else:
        need(version >> 16 > 0, "of no generation")
        need((cbor(key_of), 1) in ring, "the key that vouches for it is not known")
        place = cbor([un(file["realm"]), key_of, version])
        need(derive("freehold 2026 key succession", ring[cbor(key_of), 1], place, key) == link, "nobody vouches for it")
    return (cbor(key_of), version), key


def envelopes(file):
    assert public_bytes(box_key(un(file["box_seed"]))).hex() == file["box_public"]
    node, ring = [0, [un(file["node"])]], {}
    for vector in file["opens"]:
        me = [1, []] if "recovery" in vector["name"] else node
        version, key = open_envelope(file, me, ring, un(vector["envelope"]))
        assert key == un(vector["key"])
        ring[version] = key
        print(f"  opened: {vector['name']}")
    for attack in file["refused"]:
        refuses(attack["name"], lambda: open_envelope(file, node, ring, un(attack["envelope"])))


# Releases ----------------------------------------------------------------------------------------


def read_release(data):
    need(data[:3] == b"FR\x01", "not a release of format 1")
    fields = from_cbor(data[3:])
    need(isinstance(fields, list) and len(fields) <= 1024, "not a list of nodes")
    entries = []
    for node, numbers in fields:
        need(len(node) == 32 and len(numbers) <= 10_000, "not a node and its numbers")
        entries += [[node.hex(), number] for number in numbers]
    return entries


def releases(file):
    for vector in file["opens"]:
        assert read_release(un(vector["release"])) == vector["entries"]
        print(f"  read: {vector['name']}")
    for attack in file["refused"]:
        refuses(attack["name"], lambda: read_release(un(attack["release"])))


def main():
    checks = {"blob": blobs, "payload": payloads, "key": keys, "envelope": envelopes, "release": releases}
    for name, check in checks.items():
        print(f"{name}.json")
        check(json.loads((HERE / f"{name}.json").read_text()))
    print("all vectors are as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
