#!/usr/bin/env python3
"""Works out addresses and labels of the vectors by docs/formats/network.md alone. Exit code 0 if all are as they say.

    pip install blake3
    python3 docs/formats/network/check.py
"""

import ipaddress
import json
import pathlib
import re
import sys

import blake3

KINDS = {"node": 0, "phone": 1, "service": 2}


def kdf(context, data):
    return blake3.blake3(data, derive_key_context=context).digest()


def network(realm):
    return ipaddress.ip_network((b"\xfd" + kdf("freehold 2026 network prefix", realm)[:5] + bytes(10), 48))


def own_range(realm):
    a, b = kdf("freehold 2026 network range", realm)[:2]
    return ipaddress.ip_network((bytes([100, 64 | a & 63, b & 0xF0, 0]), 20))


def address(realm, kind, id):
    hashed = kdf("freehold 2026 network address", realm + bytes([KINDS[kind]]) + id)
    own = int.from_bytes(hashed[:10], "big") % (1 << 78) | KINDS[kind] << 78
    return network(realm)[own]


def label(name):
    return re.sub("[^a-z0-9]+", "-", re.sub("[A-Z]", lambda m: m[0].lower(), name)).lstrip("-")[:63].rstrip("-")


def labels(said):
    """Of {id: name}."""
    own = {id: label(name) for id, name in said.items()}

    def behind(id, digits):
        room = max(63 - 1 - digits, 0)
        return "-".join(filter(None, [own[id][:room].rstrip("-"), id[:digits]]))

    often = list(own.values())
    short = {id: name if name and often.count(name) == 1 else behind(id, 8) for id, name in own.items()}
    often = list(short.values())
    return {id: name if often.count(name) == 1 else behind(id, 63) for id, name in short.items()}


def outcome(vectors):
    for realm in vectors["realms"]:
        id = bytes.fromhex(realm["realm"])
        yield realm["network"], str(network(id))
        yield realm["range"], str(own_range(id))
        for row in realm["addresses"]:
            yield row["address"], str(address(id, row["kind"], bytes.fromhex(row["id"])))
    for rows in vectors["labels"]:
        made = labels({row["id"]: row["name"] for row in rows})
        for row in rows:
            yield row["label"], made[row["id"]]


def main():
    vectors = json.loads((pathlib.Path(__file__).parent / "vectors.json").read_text())
    compared = list(outcome(vectors))
    wrong = [f"{said} should be {is_}" for said, is_ in compared if said != is_]
    print("\n".join(wrong + [f"{len(compared)} values, {len(wrong)} differences"]))
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
