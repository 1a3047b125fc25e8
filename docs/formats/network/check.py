#!/usr/bin/env python3
"""Works out addresses, labels and who may reach whom by docs/formats/network.md alone, from the state that
../realm-log/check.py derives. Exit code 0 if all is as the vectors say.

    pip install cryptography blake3 cbor2
    python3 docs/formats/network/check.py [DIRECTORY of rules]
"""

import importlib.util
import ipaddress
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("log", HERE.parent / "realm-log" / "check.py")
log = importlib.util.module_from_spec(spec)
spec.loader.exec_module(log)

KINDS = {"node": 0, "phone": 1, "service": 2}
ADMIN, OPERATOR, MEMBER, GUEST = 1, 2, 8, 16
MEMBERS, GATEWAY = ADMIN | OPERATOR | MEMBER, 4
TCP, UDP, ECHOES, EVERYTHING = 6, 17, (1, 58), [0, 0, 65535]
STEWARDS = [[TCP, p, p] for p in (22, 53, 8443, 9000)] + [[UDP, 53, 53]]
NAMES = [[TCP, 53, 53], [TCP, 853, 853], [UDP, 53, 53]]

WORLD = [ipaddress.ip_network(n) for n in ("0.0.0.0/0", "2000::/3")]
SPECIAL = [ipaddress.ip_network(n) for n in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]


def private(at):
    return any(at.version == n.version and at in n for n in log.PRIVATE + SPECIAL)


# Addresses and labels --------------------------------------------------------------------------------


def network(realm):
    return ipaddress.ip_network((b"\xfd" + log.kdf("freehold 2026 network prefix", realm)[:5] + bytes(10), 48))


def own_range(realm):
    a, b = log.kdf("freehold 2026 network range", realm)[:2]
    return ipaddress.ip_network((bytes([100, 64 | a & 63, b & 0xF0, 0]), 20))


def address(realm, kind, id):
    hashed = log.kdf("freehold 2026 network address", realm + bytes([KINDS[kind]]) + id)
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


# Who may reach whom ----------------------------------------------------------------------------------


class Network:
    def __init__(self, walk, realm, now):
        self.walk, self.realm, self.now = walk, realm, now

    def suspended(self, target, admin=False):
        return any(True for _ in self.walk.suspensions(None, target, admin))

    def active_person(self, person):
        """Their roles, or none."""
        roles = self.walk.member(None, person)
        keys = [k for k in self.walk.holder if self.walk.person_of(None, k) == person]
        burned = all(k in self.walk.burned for k in keys)
        gone = roles is None or burned or self.suspended(("p", person), bool(roles & ADMIN))
        return None if gone else roles

    def roles(self, node):
        """Of a node whose rights hold; none of another."""
        roles = self.walk.newest(None, self.walk.nodes.get(node, []))
        burned = log.key_id(b"\1" + node) in self.walk.burned
        return None if roles is None or burned or self.suspended(("n", node)) else roles

    def roles_in(self, table):
        return table[-1][0]

    def owner(self, node):
        """Whose machine it is, their roles, the operations that say both; or none."""
        person, by = self.walk.parts[node][4], self.walk.by.get((node, 4))
        if not any(person):
            key = self.walk.brought[node]
            person, by = key and self.walk.person_of(None, key), self.walk.admitted[node]
            if not person or key in self.walk.burned:
                return None
            if self.suspended(("d", key), self.walk.is_admin(None, person)):
                return None
        return self.person(person, by)

    def forsaken(self, node):
        """Whether a laptop is somebody's whose rights do not hold."""
        person = self.walk.parts[node][4]
        if any(person):
            return self.active_person(person) is None
        key = self.walk.brought[node]
        person = key and self.walk.person_of(None, key)
        return bool(key) and (not person or self.active_person(person) is None)

    def person(self, person, by):
        roles = self.active_person(person)
        return None if roles is None else (person, roles, by, self.roles_in(self.walk.roles[person]))

    def party(self, kind, id, grant=None):
        """What rules ask about a party, or none if it does not count."""
        what = {"kind": kind, "id": id, "roles": None, "owner": None, "by": None}
        if kind == "node":
            roles = self.roles(id)
            if roles is None or (roles == 0 and self.forsaken(id)):
                return None
            return what | {"roles": roles, "owner": self.owner(id), "by": self.walk.admitted[id]}
        if kind == "phone":
            op, b = self.walk.phones.get(id) or (None, None)
            if b is None or (b.get(4) is not None and self.now > b[4]):
                return None
            owner = self.person(b[2], op)
            giver = self.walk.ops[op].author
            by_whom = self.walk.person_of(None, giver)
            roles = self.active_person(by_whom) if by_whom else None
            held = by_whom and self.suspended(("d", giver), self.walk.is_admin(None, by_whom))
            if roles is None or held or giver in self.walk.burned or not (by_whom == b[2] or roles & ADMIN):
                return None
            served = any((self.roles(g) or 0) & GATEWAY for g in b[3])
            return what | {"owner": owner, "by": op} if owner and served else None
        if kind == "guest":
            b = self.walk.grants.get(grant)
            terms = b and b.get(2)
            ended = b is None or grant in self.walk.revoked or self.suspended(("g", grant))
            return None if ended or not terms[2] <= self.now <= terms[3] else what | {"grant": grant, "by": self.walk.by[grant]}
        return what

    def hand(self, party):
        laptop = party["kind"] == "node" and party["roles"] == 0
        return party["owner"] if laptop or party["kind"] == "phone" else None

    def meant(self, said, party):
        kind, (who,) = said
        hand = self.hand(party)
        return [
            lambda: hand and hand[0] == who,
            lambda: hand and hand[1] & who,
            lambda: party["kind"] == "node" and party["roles"] & who,
            lambda: party["kind"] == "node" and party["id"] == who,
            lambda: party["kind"] == "phone" and party["id"] == who,
            lambda: party["kind"] == "guest" and party["grant"] == who,
        ][kind]()

    def service(self, at, b, party):
        hand, owner = self.hand(party), self.owner(at)
        if b[3] == 0 and ((hand and hand[1] & MEMBERS) or (party["kind"] == "node" and party["roles"] & ~1)):
            return True
        if b[3] == 1 and ((hand and owner and hand[0] == owner[0]) or party["kind"] == "lan"):
            return True
        if b[3] == 2 and party["kind"] != "guest":
            return True
        if party["kind"] == "guest":
            return party["grant"] in b[4]
        return party["kind"] == "node" and party["id"] in b[5] and party["roles"] & GATEWAY

    def rules(self, at, party):
        """What is open at a node to a party: (goal, ports, word, operation)."""
        walk, roles, hand = self.walk, self.roles(at), self.hand(party)
        if roles is None or (roles == 0 and self.forsaken(at)):
            return
        laptop = hand if party["kind"] == "node" else None
        if party["kind"] in ("node", "phone"):
            yield "own", None, "ping", party["by"]
        owner = self.owner(at)
        if laptop and owner and laptop[0] == owner[0] and not (walk.said and walk.said[2]):
            yield "own", [EVERYTHING], "own", laptop[2]
        if roles and laptop and laptop[1] & (ADMIN | OPERATOR):
            yield "own", STEWARDS, "steward", laptop[3]
        if roles & GATEWAY and hand and hand[1] & MEMBERS:
            yield "own", NAMES, "names", self.roles_in(walk.nodes[at])
        services = {i: row for i, row in sorted(walk.services.items()) if row and at in row[1][1]}
        for id, (op, b) in services.items():
            if self.service(at, b, party):
                yield id, b[2], "service", op
        for _, (op, b) in sorted((i, row) for i, row in walk.rules.items() if row):
            lapsed = b.get(4) is not None and self.now > b[4]
            if lapsed or not any(self.meant(said, party) for said in b[1]):
                continue
            for kind, what in b[2]:
                if kind == 0 or (kind == 1 and what[0] == at):
                    yield "own", b[3], "rule", op
                elif kind == 2 and what[0] in services:
                    yield what[0], services[what[0]][1][2], "rule", op
        part = walk.parts[at]
        if part[3] and hand and hand[1] & MEMBERS:
            yield "route", [EVERYTHING], "route", walk.by[at, 3]
        if part[2] and hand and hand[1] & MEMBERS:
            yield "world", [EVERYTHING], "exit", walk.by[at, 2]
        elif part[2] and hand and hand[1] & GUEST and walk.said and walk.said[1]:
            yield "world", [EVERYTHING], "exit", walk.by["network"]

    def goal(self, at, to):
        """What an address is at a node."""
        services = {address(self.realm, "service", i): i for i, row in self.walk.services.items() if row}
        if to == address(self.realm, "node", at):
            return "own"
        if to in services:
            return services[to] if at in self.walk.services[services[to]][1][1] else None
        if to in network(self.realm) or to in self.walk.range():
            return None
        if any(to in log.network(r) for r in self.walk.parts.get(at, {3: []})[3]):
            return "route"
        return "world" if any(to.version == w.version and to in w for w in WORLD) and not private(to) else None

    def judge(self, party, at, to, proto, port):
        goal = self.goal(at, to)
        if party is None or goal is None:
            return None
        inside = goal not in ("route", "world")
        for opened, ports, word, op in self.rules(at, party):
            there = opened == goal or (goal == "own" and opened not in ("route", "world"))
            if word == "ping":
                open = inside and proto in ECHOES
            elif inside and proto in ECHOES:
                open = there and EVERYTHING in ports
            else:
                open = there and any(p in (0, proto) and a <= port <= b for p, a, b in ports)
            if open:
                return word, op
        return None


def told(vector):
    """Every question of a vector with its answer."""
    realm = bytes.fromhex(vector["realm"])
    encoded = [bytes.fromhex(op) for op in vector["operations"]]
    net = Network(log.Log(realm, encoded, set()).fold(), realm, vector["now"])
    parties = []
    for text in vector["parties"]:
        kind, *ids = text.split(" ")
        ids = [bytes.fromhex(i) for i in ids]
        parties.append(net.party(kind, ids[0] if ids else None, *ids[1:]))
    said = {(f, t, a, proto, port): (word, op) for f, t, a, proto, port, word, op in vector["open"]}
    for f, party in enumerate(parties):
        for t, node in enumerate(vector["receivers"]):
            for a, to in enumerate(vector["addresses"]):
                for proto, port in vector["kinds"]:
                    at = bytes.fromhex(node)
                    where = address(realm, "node", at) if to == "own" else ipaddress.ip_address(to)
                    got = net.judge(party, at, where, proto, port)
                    expected = said.get((f, t, a, proto, port))
                    want = expected and (expected[0], bytes.fromhex(vector["operations_by"][expected[1]]))
                    yield want, got and (got[0], got[1])


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
    compared = list(outcome(json.loads((HERE / "vectors.json").read_text())))
    where = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "rules"
    for file in sorted(where.glob("*.json")):
        compared += told(json.loads(file.read_text()))
    wrong = [f"{said} should be {is_}" for said, is_ in compared if said != is_]
    print("\n".join(wrong[:40] + [f"{len(compared)} values, {len(wrong)} differences"]))
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
