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
RECEIPT = b"freehold 2026 receipt of deletion\0"
WARNED = 14 * DAY
NUMBER = range(2**64)


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


def is_name(value):
    return isinstance(value, bytes) and len(value) == 32


def is_object(value):
    name, length, time = value
    return is_name(name) and length in NUMBER and time in NUMBER


def is_phase(value):
    sort, fields = value
    return sort in range(5) and len(fields) == (sort in (2, 3)) and all(at in NUMBER for at in fields)


def is_errand(value):
    grant, (sort, fields) = value
    names, numbers = {0: (0, 0), 1: (1, 0), 2: (1, 1), 3: (2, 1), 4: (1, 0), 5: (1, 2), 6: (1, 0), 7: (1, 0)}[sort]
    return (
        is_name(grant)
        and len(fields) == names + numbers
        and all(map(is_name, fields[:names]))
        and all(number in NUMBER for number in fields[names:])
    )


def is_outcome(value):
    sort, fields = value
    if sort == 0:
        ((phase, *numbers),) = fields
        return is_phase(phase) and len(numbers) == 5 and all(number in NUMBER for number in numbers)
    if sort == 2:
        return len(fields) == 1 and is_object(fields[0])
    if sort == 4:
        return len(fields) == 1 and len(fields[0]) <= 512 and all(map(is_object, fields[0]))
    if sort == 5:
        return len(fields) == 1 and fields[0][0] in range(9) and fields[0][1] == []
    return sort in (1, 3) and fields == []


def is_shelf_errand(value):
    grant, of, (sort, fields) = value
    if not (grant is None or is_name(grant)) or not is_name(of):
        return False
    if sort in (0, 4):
        return fields == []
    if sort == 1:
        kind, *after = fields
        return kind in range(6) and len(after) <= 1 and all(map(is_name, after))
    if sort == 2:
        kind, name, *numbers = fields
        return kind in range(6) and is_name(name) and len(numbers) == 2 and all(n in NUMBER for n in numbers)
    (part,) = fields
    kind, name, *numbers = part
    return (
        sort == 3 and kind in range(6) and is_name(name) and len(numbers) == 3 and all(n in NUMBER for n in numbers)
    )


def is_shelf_outcome(value):
    sort, fields = value
    if sort in (1, 3):
        return fields == []
    (said,) = fields
    if sort == 0:
        stands, *numbers = said
        return is_phase(stands) and len(numbers) == 3 and all(n in NUMBER for n in numbers)
    if sort == 4:
        return len(said) <= 512 and all(
            is_name(name) and length in NUMBER and len(time) <= 1 and all(at in NUMBER for at in time)
            for name, length, *time in said
        )
    if sort == 5:
        return len(said) <= 256 and all(map(is_name, said))
    return said in NUMBER if sort == 2 else sort == 6 and said[0] in range(9) and said[1] == []


def is_receipt(value):
    deletion, key, signature = value
    grant, lender, borrower, node, objects, length, time = deletion
    # Ed25519 is 01, and a machine's id is its key.
    return key == b"\x01" + node and is_signed(RECEIPT, deletion, log.key_id(key), signature, [key])


def phase(room, ended, now):
    end = room["until"] if ended is None else min(ended, room["until"])
    wound_down = end + room["wind_down_days"] * DAY
    if ended is None and now < room["from"]:
        return [0, []]
    if ended is None and now <= end:
        return [2, [end]] if end - now <= WARNED else [1, []]
    return [3, [wound_down]] if now < wound_down else [4, []]


def rooms_are_right(room):
    for case in room["phases"]:
        found = cbor2.dumps(phase(room, case["ended"], case["now"]), canonical=True).hex()
        assert found == case["phase"], f"{found} and not {case}"
    for case in room["shares"]:
        ceiling, shares = case["ceiling"], case["shares"]
        count = len(shares)
        assert shares == [ceiling // count + (i < ceiling % count) for i in range(count)], case
        assert sum(shares) == ceiling, case
    return len(room["phases"]) + len(room["shares"])


def main():
    file = json.loads((HERE / "vectors.json").read_text())
    keys = [bytes.fromhex(key) for key in file["grant"]["keys"]]
    for name, data in file["bytes"]:
        value = decode(bytes.fromhex(data))
        if name.startswith(("pass", "recall")):
            assert len(data) <= 1024, name
            said, key, signature = value
            assert is_signed(RECALL if name == "recall" else PASS, said, key, signature, keys), name
        elif name.startswith(("errand", "outcome", "receipt", "shelf")):
            reads = {"errand": is_errand, "outcome": is_outcome, "receipt": is_receipt}
            reads |= {"shelf-errand": is_shelf_errand, "shelf-outcome": is_shelf_outcome}
            assert reads[name.split()[0]](value), name
        else:
            shapes = {"question": {0: 1, 1: 1, 2: 1}, "answer": {0: 1, 1: 1, 2: 0, 3: 1, 4: 1}}
            sort, fields = value
            assert len(fields) == shapes[name.split()[0]][sort], name
    for number, case in enumerate(file["cases"]):
        found = judged(file, bytes.fromhex(case["pass"]), case["now"])
        assert found == case["judged"], f"case {number}: {found} and not {case['judged']}"
    stands = rooms_are_right(file["room"])
    print(f"{len(file['bytes'])} encodings and {len(file['cases'])} judgements are as they are written down")
    print(f"{stands} phases and shares of rooms, too")


if __name__ == "__main__":
    sys.exit(main())
