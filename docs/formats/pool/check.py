#!/usr/bin/env python3
"""Reads and judges a pool's papers by docs/formats/pool.md alone. Exit code 0 if all is as the vectors say.

    pip install cryptography blake3 cbor2
    python3 docs/formats/pool/check.py
"""

import importlib.util
import json
import pathlib

import cbor2

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("log", HERE.parent / "realm-log" / "check.py")
log = importlib.util.module_from_spec(spec)
spec.loader.exec_module(log)

DAY, MOST, ROUNDS = 24 * 3600 * 1000, 1 << 50, 64
CHARTER, LEAVING, ACCOUNT, LETTER = (
    f"freehold 2026 pool {what}\0".encode() for what in ("charter", "leaving", "account", "letter")
)


def canonical(value):
    return cbor2.dumps(value, canonical=True)


def decode(data):
    value = cbor2.loads(data)
    assert canonical(value) == data, "not canonical"
    return value


def is_signed(message, key, signature):
    try:
        log.verify(key, message, signature)
        return True
    except SystemExit:
        return False


def charter_id(charter):
    return log.kdf("freehold 2026 pool charter id", canonical(charter))


def is_sound(charter):
    pool, before, _, _, _, members = charter
    realms, keys = [row[0] for row in members], [row[1] for row in members]
    return (
        len(members) >= 2
        and realms == sorted(set(realms))
        and len(set(keys)) == len(keys)
        and all(max(row[2], row[3]) <= MOST for row in members)
        and (pool is None) == (before is None)
    )


def signers(paper):
    charter, voices = paper
    return {key for key, signature in voices if is_signed(CHARTER + charter_id(charter), key, signature)}


def begins(paper):
    return is_sound(paper[0]) and paper[0][1] is None and {row[1] for row in paper[0][5]} <= signers(paper)


def follows(paper, before, id):
    pool, behind, number, name, rules, members = paper[0]
    _, _, last, old_name, old_rules, old = before
    if not is_sound(paper[0]) or pool != id or behind != charter_id(before) or number <= last:
        return False
    signed, known = signers(paper), {row[0]: row for row in old}
    if sum(row[1] in signed for row in old) < (len(old) if old_rules[0] else len(old) // 2 + 1):
        return False
    for row in members:
        then = known.get(row[0])
        if (then != row or rules != old_rules or name != old_name) and not (
            row[1] in signed and (then is None or then[1] in signed)
        ):
            return False
    return True


def allot(members):
    """Of (gives, uses, place), in the order of the realms."""
    count = len(members)
    left, want, shares = [row[0] for row in members], [row[1] for row in members], {}

    def together(a, b):
        return a == b or (members[a][2] == members[b][2] and members[a][2] != 0)

    def lenders(b, anywhere):
        return [at for at in range(count) if at != b and left[at] > 0 and (anywhere or not together(at, b))]

    def lend(l, b, size):
        size = min(size, left[l], want[b])
        if size:
            left[l], want[b] = left[l] - size, want[b] - size
            shares[l, b] = shares.get((l, b), 0) + size

    def shift(pair, by):
        shares[pair] = shares.get(pair, 0) + by
        if not shares[pair]:
            del shares[pair]

    for anywhere in (False, True):
        for _ in range(ROUNDS):
            asked, moved = {}, False
            for b in range(count):
                from_whom = lenders(b, anywhere)
                each = want[b] // len(from_whom) if from_whom else 0
                for l in from_whom if each else []:
                    asked.setdefault(l, []).append((b, each))
            for l in sorted(asked):
                whole = sum(size for _, size in asked[l])
                has = min(left[l], whole)
                for b, size in asked[l]:
                    moved |= size * has // whole > 0
                    lend(l, b, size * has // whole)
            if not moved:
                break
        for b in range(count):
            for l in lenders(b, anywhere):
                lend(l, b, want[b])
    for _ in range(ROUNDS):
        moved = False
        for l, b in [pair for pair in sorted(shares) if together(*pair)]:
            for m, c in sorted(shares):
                size = min(shares.get((l, b), 0), shares.get((m, c), 0))
                if size and not together(m, b) and not together(l, c):
                    shift((l, b), -size), shift((m, c), -size), shift((l, c), size), shift((m, b), size)
                    moved = True
        if not moved:
            break
    return [[l, b, size] for (l, b), size in sorted(shares.items())]


def main():
    file = json.loads((HERE / "vectors.json").read_text())
    un = bytes.fromhex
    pool, first = un(file["pool"]), None
    for case in file["charters"]:
        paper = decode(un(case["bytes"]))
        if first is None:
            first = paper[0]
            assert charter_id(first) == pool
        counts = begins(paper) if paper[0][1] is None else follows(paper, first, pool)
        assert counts == case["counts"], case["name"]

    leaving, key, signature = decode(un(file["notice"]["bytes"]))
    row = next(row for row in first[5] if row[0] == leaving[1])
    assert row[1] == key and is_signed(LEAVING + canonical(leaving), key, signature)
    assert max(leaving[3], leaving[2] + first[4][1] * DAY) == file["notice"]["free"]

    *says, signature = decode(un(file["account"]))
    row = next(row for row in first[5] if row[0] == says[1])
    assert is_signed(ACCOUNT + canonical(says), row[1], signature)

    *says, key, signature = decode(un(file["letter"]))
    assert is_signed(LETTER + canonical(says), key, signature) and len(un(file["letter"])) <= 48 * 1024

    for case in file["shares"]:
        assert allot(case["members"]) == case["shares"], case
    print(f"{len(file['charters'])} charters, {len(file['shares'])} ways of sharing out: as the vectors say")


main()
