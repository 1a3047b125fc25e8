#!/usr/bin/env python3
"""Reads and judges passes by docs/formats/pass.md alone. Exit code 0 if all is as the vectors say.

    pip install cryptography blake3 cbor2
    python3 docs/formats/pass/check.py
"""

import importlib.util
import json
import pathlib
import sys

import cbor2

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("log", HERE.parent / "realm-log" / "check.py")
log = importlib.util.module_from_spec(spec)
spec.loader.exec_module(log)

DAY, SKEW = 24 * 3600 * 1000, 300 * 1000
PASS, RECALL = b"freehold 2026 pass\0", b"freehold 2026 recall of passes\0"


def decode(data):
    value = cbor2.loads(data)
    assert cbor2.dumps(value, canonical=True) == data, "not canonical"
    return value


def is_signed(tag, said, key_id, signature, keys):
    message = tag + cbor2.dumps(said, canonical=True)
    for key in keys:
        if log.key_id(key) == key_id:
            try:
                log.verify(key, message, signature)
                return True
            except SystemExit:
                return False
    return False


def judged(file, data, now):
    grant = file["grant"]
    claim, key, signature = decode(data)
    id, lender, borrower, node, begins, ends = claim
    un = bytes.fromhex
    if lender != un(file["realm"]):
        return {"refused": "Realm"}
    if id != un(grant["id"]):
        return {"refused": "Unknown"}
    if borrower != un(grant["other"]):
        return {"refused": "Realm"}
    if not grant["from"] <= now <= grant["until"]:
        return {"refused": "NotNow"}
    if node != un(file["shower"]):
        return {"refused": "Node"}
    if ends <= begins or ends - begins > DAY:
        return {"refused": "Wide"}
    if begins > now + SKEW:
        return {"refused": "Future"}
    if ends < now:
        return {"refused": "Lapsed"}
    if not is_signed(PASS, claim, key, signature, map(un, grant["keys"])):
        return {"refused": "Signature"}
    return {"until": min(ends, grant["until"])}


def main():
    file = json.loads((HERE / "vectors.json").read_text())
    keys = [bytes.fromhex(key) for key in file["grant"]["keys"]]
    for name, data in file["bytes"]:
        value = decode(bytes.fromhex(data))
        if name.startswith(("pass", "recall")):
            assert len(data) <= 1024, name
            said, key, signature = value
            assert is_signed(RECALL if name == "recall" else PASS, said, key, signature, keys), name
        else:
            shapes = {"question": {0: 1, 1: 1, 2: 1}, "answer": {0: 1, 1: 1, 2: 0, 3: 1}}
            sort, fields = value
            assert len(fields) == shapes[name.split()[0]][sort], name
    for number, case in enumerate(file["cases"]):
        found = judged(file, bytes.fromhex(case["pass"]), case["now"])
        assert found == case["judged"], f"case {number}: {found} and not {case['judged']}"
    print(f"{len(file['bytes'])} encodings and {len(file['cases'])} judgements are as they are written down")


if __name__ == "__main__":
    sys.exit(main())
