#!/usr/bin/env python3
"""Derives the state of the realm log's vectors by docs/formats/realm-log.md alone, with none of
Freehold's code and no care for speed. Exit code 0 if every outcome is as the vector says.

    pip install cryptography blake3 cbor2
    python3 docs/formats/realm-log/check.py [FILE or DIRECTORY]
"""

import ipaddress
import json
import pathlib
import random
import sys

import blake3
import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

HERE = pathlib.Path(__file__).parent / "vectors"
ADMIN, OPERATOR, MEMBER = 1, 2, 8
STORAGE, GATEWAY, WITNESS, SECRETS = 1, 4, 16, 32
REDUCTIONS = {3, 5, 6, 11, 16, 20, 23, 43, 45, 47}
PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]
EVERYTHING = [0, 0, 65535]
FORTNIGHT = 14 * 24 * 3600 * 1000
ID = "freehold 2026 realm operation"
STATEMENT = "freehold 2026 person statement"


class Refused(Exception):
    pass


class Again(Exception):
    pass


class Rivals(Exception):
    pass


class Invalid(Exception):
    pass


def network(prefix):
    return ipaddress.ip_network((prefix[0], prefix[1]))


def within(inner, outer):
    return inner.version == outer.version and inner.subnet_of(outer)


def order(prefix):
    return len(prefix[0]), prefix


def need(condition, why):
    if not condition:
        raise Refused(why)


def ascend(items):
    return all(a < b for a, b in zip(items, items[1:]))


def kdf(context, data):
    return blake3.blake3(data, derive_key_context=context).digest()


def cbor(value):
    return cbor2.dumps(value, canonical=True)


def key_id(key):
    return kdf("freehold 2026 key id", key)


def verify(key, message, signature):
    try:
        if key[0] == 1:
            ed25519.Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, message)
        else:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key[1:])
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SystemExit("a signature does not match")


# Persons -----------------------------------------------------------------------------------------


def bare(map_, without):
    return cbor({k: v for k, v in map_.items() if k != without})


def statement_id(s):
    return kdf(STATEMENT, bare(s, 4))


def check_statement(s):
    wanted = {s[3]} | ({s[2][1][0]} if s[2][0] == 1 else set())
    assert wanted == {key for key, _ in s[4]}
    for key, signature in s[4]:
        verify(key, STATEMENT.encode() + b" signature" + statement_id(s), signature)


def read_chain(chain):
    """The person and the devices {key id: key} that a list of statements leaves them."""
    need(chain and chain[0][2][0] == 0, "statement")
    by_id, seen_keys = {}, set()
    person = statement_id(chain[0])

    def way(s):
        while s is not None:
            yield s
            s = by_id.get(s.get(1))

    for n, s in enumerate(chain):
        kind, fields = s[2]
        need((kind == 0) == (n == 0) == (s.get(0) is None and s.get(1) is None), "statement")
        if n:
            need(s[0] == person and s[1] in by_id, "statement")
            back = list(way(by_id[s[1]]))
            by = s[3]
            added = any((p[2][0] == 0 and p[3] == by) or (p[2][0] == 1 and p[2][1][0] == by) for p in back)
            removed = any(p[2][0] == 3 and p[2][1][0] == key_id(by) for p in back)
            delegated = any(p[2][0] == 2 and p[2][1][0] == by for p in back)
            used = any(p[2][0] == 1 and p[3] == by for p in back)
            need(not removed and (added or (delegated and kind == 1 and not used)), "statement")
        key = s[3] if kind == 0 else fields[0] if kind in (1, 2) else None
        need(statement_id(s) not in by_id and key not in seen_keys, "statement")
        by_id[statement_id(s)] = s
        if key:
            seen_keys.add(key)
    removals = [(s[2][1][0], [id(p) for p in way(s)]) for s in chain if s[2][0] == 3]
    devices = {}
    for s in chain:
        if s[2][0] not in (0, 1):
            continue
        key = s[3] if s[2][0] == 0 else s[2][1][0]
        void = any(
            p[2][0] in (1, 2) and gone == key_id(p[3]) and id(p) not in known
            for p in way(s)
            for gone, known in removals
        )
        if not void and key_id(key) not in [gone for gone, _ in removals]:
            devices[key_id(key)] = key
    return person, devices


# Operations --------------------------------------------------------------------------------------


class Op:
    def __init__(self, data):
        value = cbor2.loads(data)
        assert cbor(value) == data and value[0] == "freehold realm log"
        self.id, self.size = kdf(ID, bare(value, 11)), len(data)
        self.realm = value.get(1, self.id)
        self.level, self.kind, self.author, self.seq = value[2], value[3], key_id(value[4]), value[5]
        self.author_key, self.prev = value[4], value.get(6)
        self.parents = set(value[7]) | ({self.prev} if self.prev else set())
        self.epoch, self.wall = value[8], value[9][0]
        self.body = cbor2.loads(value[10]) if self.level == 1 else {}
        self.signers = set()
        for key, signature in value[11]:
            self.sign(self.level, key, signature)
        assert self.author in self.signers
        for s in self.statements():
            check_statement(s)
        if self.kind in (17, 18) and self.level == 1:
            assert key_id(self.body[0]) in self.signers

    def sign(self, level, key, signature):
        message = ID.encode() + b" signature" + self.realm + level.to_bytes(4, "big") + self.id
        verify(key, message, signature)
        self.signers.add(key_id(key))

    def statements(self):
        b, k = self.body, self.kind if self.level == 1 else -1
        one = {4: 0, 5: 0, 15: 3, 17: 2}
        if k in (0, 1):
            return b[1] if k == 0 else b[0]
        if k == 10:
            return [s for chain in b[1] for s in chain]
        return [b[one[k]]] if k in one and b.get(one[k]) else []

    def admits(self):
        """Ids of the keys it would let in."""
        b, k = self.body, self.kind if self.level == 1 else -1
        keys = []
        for chain in {0: [b.get(1)], 1: [b.get(0)], 10: b.get(1)}.get(k, []):
            try:
                keys += read_chain(chain)[1]
            except Refused:
                pass
        if k in (4, 17):
            keys += [key_id(s[2][1][0]) for s in self.statements() if s[2][0] == 1]
        if k in (15, 17, 18):
            keys.append(key_id(b[0]))
        return keys


# The walk ----------------------------------------------------------------------------------------


class Walk:
    def __init__(self, log, chain, invalid, immediate):
        self.log, self.ops, self.past = log, log.ops, log.past
        self.chain, self.invalid, self.immediate = chain, invalid, immediate
        self.roles, self.devices, self.statements, self.holder = {}, {}, {}, {}
        self.nodes, self.sites, self.node_keys, self.invitations, self.cuts = {}, {}, {}, {}, {}
        self.guardians, self.witnesses, self.newer, self.bases = [], [], [], []
        self.grants, self.buckets, self.quotas, self.vetoed = {}, {}, {}, {}
        self.erased = set()
        self.said, self.parts, self.services, self.rules, self.phones = None, {}, {}, {}, {}
        # By which operation something of the network, a node or a grant is so: see ../network/check.py.
        self.by, self.admitted, self.brought, self.revoked = {}, {}, {}, set()
        self.ended = {}
        self.burned, self.void, self.senior = {}, {}, {}
        self.rivals = {}
        self.verdict, self.scope, self.sealed = {}, set(), set()
        self.standing, self.listed, self.base, self.directory = [], None, None, None

    # What an operation can see: accepted operations in its past; None sees all.

    def sees(self, at, op):
        return at is None or op in self.past[at]

    def newest(self, at, rows):
        return next((value for op, value in reversed(rows) if self.sees(at, op)), None)

    def member(self, at, person):
        return self.newest(at, self.roles.get(person, []))

    def is_admin(self, at, person):
        return bool((self.member(at, person) or 0) & ADMIN)

    def person_of(self, at, key):
        holder = self.holder.get(key)
        if holder and holder[0] == "device" and self.newest(at, self.devices[key]):
            return holder[1]
        return None

    def suspensions(self, at, target, admin):
        for cut in self.cuts.get(target, []):
            lifted = any(self.sees(at, lift) for lift in cut["lifted"])
            if cut["suspends"] and self.sees(at, cut["op"]) and not lifted and not (admin and cut["by"] == "lone"):
                yield cut

    def suspended(self, at, person, key):
        admin = self.is_admin(at, person)
        return any(True for t in (("p", person), ("d", key)) for _ in self.suspensions(at, t, admin))

    def void_by(self, op, key, seq, admin):
        invitation = self.holder.get(key, ("none",))[0] == "invitation"
        if key in self.burned and not invitation and (seq is None or seq >= self.burned[key]):
            return "equivocation", None
        kind, who = self.holder.get(key, ("none", None))
        found = []
        targets = {"device": [("d", key), ("p", who)], "node": [("n", who)], "invitation": [("d", key)]}
        targets = [(target, admin) for target in targets.get(kind, [])]
        if kind == "invitation":
            row = self.invitations[key]
            targets += [(("d", row["with"]), True), (("p", row["by"]), True)]
        for target, firm in targets:
            for cut in self.cuts.get(target, []):
                known = cut["op"] == op or cut["op"] in self.past[op]
                if known or (cut["suspends"] and cut["lifted"]) or (firm and cut["by"] == "lone"):
                    continue
                if seq is not None and key in cut["last"]:
                    hit = seq > cut["last"][key]
                else:
                    hit = op not in self.past[cut["op"]]
                if hit:
                    weak = cut["by"] == "own" and op in self.past[cut["op"]]
                    found.append((weak, cut["suspends"], cut["op"], cut))
        if not found:
            return None
        cut = min(found, key=lambda f: f[:3])[3]
        return ("held" if cut["suspends"] else "revoked"), cut

    def actor(self, op):
        o = self.ops[op]
        key, stranger = o.author, "cascade" if o.author in self.void else "stranger"
        kind, who = self.holder.get(key, ("none", None))
        roles = 0
        if kind == "device":
            who = self.person_of(op, key)
            roles = self.member(op, who) if who else None
            need(roles is not None, stranger)
            need(not self.suspended(op, who, key), "suspended")
        elif kind == "node":
            roles = self.newest(op, self.nodes[who])
            need(roles is not None, stranger)
            need(not any(True for _ in self.suspensions(op, ("n", who), False)), "suspended")
        elif kind == "invitation":
            need(self.sees(op, self.invitations[key]["op"]), stranger)
        else:
            raise Refused(stranger)
        void = self.void_by(op, key, o.seq, kind == "device" and bool(roles & ADMIN))
        need(void is None, void and void[0])
        return kind, who, roles

    def admin(self, op):
        kind, who, roles = self.actor(op)
        need(kind == "device" and roles & ADMIN, "not-allowed")
        return who

    def signers(self, op):
        firm, weak = set(), set()
        for key in self.ops[op].signers:
            person = self.person_of(op, key)
            if person is None or not self.is_admin(op, person) or self.suspended(op, person, key):
                continue
            seq = self.ops[op].seq if key == self.ops[op].author else None
            void = self.void_by(op, key, seq, True)
            if void is None:
                firm.add(person)
            elif void[1] and void[1]["by"] == "own" and op in self.past[void[1]["op"]]:
                weak.add(person)
        return firm, weak

    def quorum(self, op):
        counted = {
            p
            for p in self.roles
            if self.is_admin(op, p) and not any(c["by"] == "quorum" for c in self.suspensions(op, ("p", p), True))
        }
        firm, weak = self.signers(op)
        have = (firm | weak if firm else firm) & counted
        need(len(have) > len(counted) // 2, "too-few-signatures")

    def in_time(self, op):
        o = self.ops[op]
        need(all(op in self.past[n] for n in self.newer), "newer-than-me")
        known = max((n + 1 for n, base in enumerate(self.bases) if base in self.past[op]), default=0)
        need(o.epoch <= known, "epoch-ahead")
        need(self.base is None or self.ops[self.base].wall <= o.wall + FORTNIGHT, "lapsed")
        need(len(self.bases) < o.epoch + 2, "lapsed")
        need(self.listed is None or op in self.listed, "left-out")

    def power(self, op):
        self.in_time(op)
        self.quorum(op)
        self.standing.append(op)

    def guardians_signing(self, op, at):
        named = self.newest(at, self.guardians)
        return {key_id(g[0]) for g in named[1]} & self.ops[op].signers if named else set()

    def against(self, op, person, guardian):
        if not self.is_admin(op, person) and not self.is_admin(None, person):
            self.admin(op)
            return "lone"
        try:
            self.power(op)
            return "quorum"
        except Refused as why:
            if str(why) != "too-few-signatures" or not guardian:
                raise
        both = self.guardians_signing(op, op) & self.guardians_signing(op, None)
        need(self.signers(op)[0] and both, "too-few-signatures")
        self.standing.append(op)
        return "guardian"

    # Kinds.

    def fresh_chain(self, chain):
        person, devices = read_chain(chain)
        need(0 < len(devices) <= 16, "numbers")
        for key in devices:
            holder = self.holder.get(key, ("invitation", None))
            need(holder[0] == "invitation" or holder == ("device", person), "in-use")
        return person, devices

    def admit(self, op, person, devices, chain, roles):
        self.senior.setdefault(person, len(self.senior))
        for key, holder in self.holder.items():
            if holder == ("device", person) and key not in devices:
                self.devices[key].append((op, False))
        for key in devices:
            self.devices.setdefault(key, []).append((op, True))
            self.holder[key] = ("device", person)
        self.statements[person] = list(chain)
        self.roles.setdefault(person, []).append((op, roles))

    def last_admin(self, person):
        need(any(p != person and self.is_admin(None, p) for p in self.roles), "last-admin")

    def revoke(self, op, target, last, by, suspends=False):
        cut = {"op": op, "last": dict(last), "by": by, "suspends": suspends, "lifted": []}
        return target, cut

    def own_statement(self, op, s):
        kind, who, _ = self.actor(op)
        need(kind == "device", "not-allowed")
        need(s[3] == self.ops[op].author_key, "statement")
        self.extends(who, s)
        return who

    def extends(self, person, s):
        need(person in self.statements, "no-such")
        need(read_chain(self.statements[person] + [s])[0] == person, "statement")

    def add_device(self, op, person, s):
        need(s[2][0] == 1, "statement")
        key = key_id(s[2][1][0])
        need(self.holder.get(key, ("invitation",))[0] == "invitation", "in-use")
        self.room(person, 1)
        self.devices[key] = [(op, True)]
        self.holder[key] = ("device", person)
        self.statements[person].append(s)

    def room(self, person, statements):
        need(person in self.statements, "no-such")
        mine = sum(1 for k, h in self.holder.items() if h == ("device", person) and self.person_of(None, k))
        need(mine < 16 and len(self.statements[person]) + statements <= 128, "numbers")

    def promised(self, person):
        now = self.ops[self.base].wall if self.base else 0
        open = lambda row: "redeemed" not in row and not row.get("cancelled") and now <= row["body"][2]
        return sum(1 for row in self.invitations.values() if row["by"] == person and row["body"].get(3) and open(row))

    def fresh_node(self, key):
        need(key[0] == 1, "numbers")
        holder = self.holder.get(key_id(key), ("invitation",))
        back = holder == ("node", key[1:]) and key_id(key) not in self.burned
        need(holder[0] == "invitation" or back, "in-use")
        need(self.newest(None, self.nodes.get(key[1:], [])) is None, "in-use")

    def add_node(self, op, key, roles):
        self.senior.setdefault(key[1:], len(self.senior))
        self.holder[key_id(key)] = ("node", key[1:])
        self.nodes.setdefault(key[1:], []).append((op, roles))
        self.sites[key[1:]] = {1: bytes(16), 2: "ZZ", 3: False, 4: 0}
        self.parts[key[1:]] = {1: bytes(4), 2: False, 3: [], 4: bytes(32), 5: False}
        self.admitted[key[1:]], self.brought[key[1:]] = op, None

    def judge(self, op):
        o, b = self.ops[op], self.ops[op].body
        if o.prev:
            prev = self.ops[o.prev]
            need(prev.author == o.author and prev.seq + 1 == o.seq, "broken-chain")
        if o.level > 1:
            try:
                self.quorum(op)
                self.newer.append(op)
            except Refused:
                pass
            raise Refused("unknown-kind")
        if o.kind in (10, 12):
            raise Refused(self.invalid.get(op, "overtaken") if op in self.log.links else "no-base")
        return getattr(self, f"kind_{o.kind}")(op, b)

    def kind_0(self, op, b):
        person, devices = self.fresh_chain(b[1])
        need(self.ops[op].author in devices, "not-allowed")
        self.guardians.append((op, b[2]))
        assert len(b[3]) == 32
        self.directory = b[3]
        self.admit(op, person, devices, b[1], ADMIN)

    def kind_1(self, op, b):
        person, devices = self.fresh_chain(b[0])
        there = self.is_admin(op, person) if b[1] & ADMIN else self.member(None, person) is not None
        need(not there, "in-use")
        (self.power if b[1] & ADMIN else self.admin)(op)
        self.admit(op, person, devices, b[0], b[1])

    def kind_2(self, op, b):
        becomes = b[1] & ADMIN
        roles = self.member(None, b[0])
        if roles is None and becomes:
            roles = self.member(op, b[0])
        need(roles is not None, "no-such")
        was = roles & ADMIN or self.is_admin(op, b[0])
        if was and not becomes:
            self.last_admin(b[0])
        (self.power if was or becomes else self.admin)(op)
        self.roles[b[0]].append((op, b[1]))
        if was and not becomes:
            return self.revoke(op, ("p", b[0]), b[2], "quorum")

    def kind_3(self, op, b):
        roles = self.member(None, b[0])
        need(roles is not None, "no-such")
        if roles & ADMIN:
            self.last_admin(b[0])
        try:
            own = self.actor(op)[:2] == ("device", b[0])
        except Refused:
            own = False
        admin = roles & ADMIN or self.is_admin(op, b[0])
        by = "own" if own and not admin else self.against(op, b[0], False)
        self.roles[b[0]].append((op, None))
        return self.revoke(op, ("p", b[0]), b[1], by)

    def kind_4(self, op, b):
        person = self.own_statement(op, b[0])
        self.room(person, 1 + self.promised(person))
        self.add_device(op, person, b[0])

    def kind_5(self, op, b):
        person = self.own_statement(op, b[0])
        need(b[0][2][0] == 3, "statement")
        key = b[0][2][1][0]
        need(key != key_id(b[0][3]), "not-allowed")
        need(self.person_of(None, key) == person, "no-such")
        self.statements[person].append(b[0])
        self.devices[key].append((op, False))
        return self.revoke(op, ("d", key), {key: b[1]}, "own")

    def kind_6(self, op, b):
        kind, (who,) = b[0]
        if kind == 0:
            need(self.member(None, who) is not None, "no-such")
            by = self.against(op, who, True)
        elif kind == 1:
            owner = self.person_of(None, who)
            need(owner is not None, "no-such")
            need(who != self.ops[op].author, "not-allowed")
            try:
                own = self.actor(op)[:2] == ("device", owner)
            except Refused:
                own = False
            by = "own" if own else self.against(op, owner, True)
        else:
            self.admin(op)
            there = self.newest(None, self.nodes.get(who, [])) is not None if kind == 2 else who in self.grants
            need(there, "no-such")
            by = "lone"
        return self.revoke(op, ("pdng"[kind], who), b[1], by, True)

    def kind_7(self, op, b):
        target = ("pdng"[b[0][0]], b[0][1][0])
        need(any(c["suspends"] and c["op"] in self.past[op] for c in self.cuts.get(target, [])), "no-such")
        self.power(op)
        return target, None

    def kind_8(self, op, b):
        self.power(op)
        self.guardians.append((op, b[0]))

    def kind_9(self, op, b):
        self.admin(op)
        need(b[0] in self.guardians_signing(op, None), "not-allowed")

    def kind_11(self, op, b):
        need(b[0] in self.past[op] and b[0] in self.log.links and self.ops[b[0]].kind == 10, "no-such")
        self.power(op)
        self.vetoed.setdefault(b[0], op)

    def kind_13(self, op, b):
        need(b[0] == sorted(set(b[0])) and b[1] <= len(b[0]) and (not b[0] or b[1] > len(b[0]) // 2), "numbers")
        self.power(op)
        self.witnesses.append((op, b))

    def kind_14(self, op, b):
        need(b[1] <= len(b[0]), "numbers")
        self.power(op)

    def kind_15(self, op, b):
        by = self.admin(op)
        need(key_id(b[0]) not in self.holder, "in-use")
        if b.get(3):
            need(self.own_statement(op, b[3]) == by and b[3][2][0] == 2 and b[3][2][1][0] == b[0], "statement")
            self.room(by, 2 + self.promised(by))
        if b[1] & SECRETS:
            self.power(op)
        if b.get(3):
            self.statements[by].append(b[3])
        self.holder[key_id(b[0])] = ("invitation", None)
        self.invitations[key_id(b[0])] = {"op": op, "by": by, "with": self.ops[op].author, "body": b}

    def kind_16(self, op, b):
        self.admin(op)
        need(b[0] in self.invitations, "no-such")
        self.invitations[b[0]]["cancelled"] = True
        return self.revoke(op, ("d", b[0]), {}, "lone")

    def kind_17(self, op, b):
        need(self.actor(op)[0] == "invitation", "not-allowed")
        row = self.invitations[self.ops[op].author]
        base_time = self.ops[self.base].wall if self.base else 0
        stands = self.person_of(op, row["with"]) == row["by"] and self.is_admin(op, row["by"])
        need(stands and not self.suspended(op, row["by"], row["with"]), "not-allowed")
        need(max(self.ops[op].wall, base_time) <= row["body"][2], "invitation-lapsed")
        by = self.sponsor(op)
        need(by, "not-allowed")
        for rival, (key, other) in self.rivals.items():
            same = key == self.ops[op].author and rival in self.scope and rival != op
            need(not same or other < by or op in self.past[rival], "equivocation")
        if "redeemed" in row:
            first, other = row["redeemed"]
            if first not in self.sealed and first not in self.past[op] and by >= other:
                raise Rivals([(o, (self.ops[op].author, n)) for o, n in [(first, other), (op, by)] if n >= by])
            raise Refused("in-use")
        self.fresh_node(b[0])
        if b.get(2):
            delegate = row["body"].get(3)
            need(delegate is not None and b[2].get(1) == statement_id(delegate), "statement")
            need(key_id(b[2][3]) == self.ops[op].author, "statement")
            self.extends(row["by"], b[2])
            need(self.member(None, row["by"]) is not None, "no-such")
            self.add_device(op, row["by"], b[2])
        self.add_node(op, b[0], row["body"][1])
        self.brought[b[0][1:]] = key_id(b[2][2][1][0]) if b.get(2) else None
        row["redeemed"] = (op, by)

    def sponsor(self, op):
        if self.signers(op)[0]:
            return 2
        for key in self.ops[op].signers:
            kind, node = self.holder.get(key, ("none", None))
            if kind == "node" and (self.newest(op, self.nodes[node]) or 0) & ~STORAGE:
                if not any(True for _ in self.suspensions(op, ("n", node), False)):
                    if self.void_by(op, key, None, False) is None:
                        return 1
        return 0

    def kind_18(self, op, b):
        self.admin(op)
        self.fresh_node(b[0])
        if b[2] & SECRETS:
            self.power(op)
        self.add_node(op, b[0], b[2])

    def kind_19(self, op, b):
        self.admin(op)
        has = self.newest(None, self.nodes.get(b[0], []))
        need(has is not None, "no-such")
        if b[1] & SECRETS and not has & SECRETS:
            self.power(op)
        self.nodes[b[0]].append((op, b[1]))

    def kind_20(self, op, b):
        kind, who, roles = self.actor(op)
        own = kind == "node" and who == b[0]
        need(own or (kind == "device" and roles & ADMIN), "not-allowed")
        need(self.newest(None, self.nodes.get(b[0], [])) is not None, "no-such")
        self.nodes[b[0]].append((op, None))
        return self.revoke(op, ("n", b[0]), {key_id(b"\1" + b[0]): b[1]}, "own" if own else "lone")

    def kind_21(self, op, b):
        self.admin(op)
        if 4 in b:
            need(b[4] and all(x < y for x, y in zip(b[4], b[4][1:])) and b[2][0] == 0, "numbers")
            need(all(n in self.nodes for n in b[4]), "no-such")
        need(b[2][2] < b[2][3], "numbers")
        need(b[0] not in self.grants, "in-use")
        self.grants[b[0]] = b
        self.by[b[0]] = op

    def kind_22(self, op, b):
        self.kind_21(op, {0: b[0], 2: b[3]})

    def kind_23(self, op, b):
        self.admin(op)
        need(b[0] in self.grants, "no-such")
        self.revoked.add(b[0])

    def operator(self, op):
        kind, _, roles = self.actor(op)
        need((kind == "device" and roles & (ADMIN | OPERATOR)) or (kind == "node" and roles & GATEWAY), "not-allowed")

    def kind_24(self, op, b):
        self.operator(op)
        rules = b.get(3) or [0, [[], []]]
        zones, (only, never) = rules
        ordered = all(list(r) == sorted(set(r)) and "ZZ" not in r for r in (only, never))
        need(0 < b[2] <= b[1] and zones <= b[1] and ordered and not set(only) & set(never), "numbers")
        need(b.get(3) is None or zones or only or never, "numbers")
        need(self.buckets.get(b[0], True) is not None, "no-such")
        known = self.buckets.get(b[0])
        need(not known or known[2] == rules or self.actor(op)[0] == "device", "not-allowed")
        self.buckets[b[0]] = (b[1], b[2], rules)

    def kind_25(self, op, b):
        self.operator(op)
        need(self.buckets.get(b[0]) is not None, "no-such")
        self.buckets[b[0]] = None

    def kind_29(self, op, b):
        self.admin(op)
        need(b[0] in self.buckets and b[0] not in self.erased, "no-such")
        self.buckets[b[0]] = None
        self.erased.add(b[0])

    def kind_30(self, op, b):
        self.admin(op)
        need(b[0] in self.buckets and b[0] not in self.erased, "no-such")
        last = self.ended.get(b[0], 0) >> 16
        need(max(last, 1) <= b[1] >> 16 <= last + 4096, "numbers")
        self.ended[b[0]] = b[1]

    def kind_31(self, op, b):
        self.admin(op)
        need(b[0] in self.roles, "no-such")
        need(len(b[1]) <= 1024 and all(bucket in self.buckets for bucket in b[1]), "no-such")
        for bucket in b[1]:
            self.buckets[bucket] = None
            self.erased.add(bucket)
        self.quotas.pop((1, b[0]), None)

    def kind_26(self, op, b):
        self.actor(op)

    def kind_28(self, op, b):
        self.admin(op)
        kind, of = b[0]
        there = (
            kind in (0, 3)
            or (kind == 1 and self.member(None, of[0]) is not None)
            or (kind == 2 and self.buckets.get(of[0]) is not None)
        )
        need(there or b.get(1) is None, "no-such")
        self.quotas.pop((kind, *of), None)
        if b.get(1) is not None:
            self.quotas[(kind, *of)] = b[1]

    def kind_27(self, op, b):
        self.admin(op)
        need(self.newest(None, self.nodes.get(b[0], [])) is not None, "no-such")
        self.sites[b[0]] |= {field: b[field] for field in (1, 2, 3, 4) if b.get(field) is not None}

    # The network.

    def range(self):
        if self.said and self.said.get(0):
            return network(self.said[0])
        a, b = kdf("freehold 2026 network range", self.log.realm)[:2]
        return ipaddress.ip_network((bytes([100, 64 | a & 63, b & 0xF0, 0]), 20))

    def own_network(self):
        return ipaddress.ip_network((b"\xfd" + kdf("freehold 2026 network prefix", self.log.realm)[:5] + bytes(10), 48))

    def there(self, *nodes):
        need(all(self.newest(None, self.nodes.get(n, [])) is not None for n in nodes), "no-such")

    def others(self, node):
        return [p for n, p in self.parts.items() if n != node and self.newest(None, self.nodes[n]) is not None]

    def kind_40(self, op, b):
        self.admin(op)
        if b.get(0):
            said = network(b[0])
            need(said.version == 4 and any(within(said, p) for p in PRIVATE) and b[0][1] <= 30, "numbers")
        before, self.said = self.said, b
        if any(network(r).overlaps(self.range()) for p in self.others(None) for r in p[3] if len(r[0]) == 4):
            self.said = before
            raise Refused("in-use")
        self.by["network"] = op

    def kind_41(self, op, b):
        self.admin(op)
        self.there(b[0])
        v4, routes = b.get(1), b.get(3)
        if v4 and any(v4):
            at, within_range = ipaddress.ip_address(v4), self.range()
            need(at in within_range and at not in (within_range[0], within_range[-1]), "numbers")
            need(all(p[1] != v4 for p in self.others(b[0])), "in-use")
        if routes is not None:
            need(routes == sorted(routes, key=order) and all(a != c for a, c in zip(routes, routes[1:])), "numbers")
            for route in map(network, routes):
                narrow = route.prefixlen >= (8 if route.version == 4 else 16)
                own = [n for n in (self.range(), self.own_network()) if n.version == route.version]
                need(narrow and any(within(route, p) for p in PRIVATE), "numbers")
                need(not any(route.overlaps(n) for n in own), "numbers")
            need(not any(r in p[3] for p in self.others(b[0]) for r in routes), "in-use")
            need(sum(len(p[3]) for p in self.others(b[0])) + len(routes) <= 1024, "numbers")
        if b.get(4) and any(b[4]):
            need(self.member(None, b[4]) is not None, "no-such")
        said = {f: b[f] for f in (1, 2, 3, 4, 5) if b.get(f) is not None}
        self.parts[b[0]] = self.parts[b[0]] | said
        self.by |= {(b[0], f): op for f in said}

    def ports_fit(self, ports):
        need(ascend(ports), "numbers")
        need(all(p == EVERYTHING or (p[0] in (6, 17) and 0 < p[1] <= p[2]) for p in ports), "numbers")

    def room_for(self, table, known, most=1024):
        need(known or sum(1 for row in table.values() if row) < most, "numbers")

    def kind_42(self, op, b):
        self.operator(op)
        need(all(map(ascend, (b[1], b[4], b[5]))) and b[1] and b[2], "numbers")
        self.ports_fit(b[2])
        known = self.services.get(b[0])
        need(known or b[0] not in self.services, "no-such")
        kind, who, _ = self.actor(op)
        for row in (known, (None, b)):
            own = row is None or (row[1][1] == [who] and row[1][3] != 2 and not row[1][4])
            need(kind == "device" or own, "not-allowed")
        mine = sum(1 for row in self.services.values() if row and row[1][1] == [who])
        need(kind == "device" or known or mine < 64, "numbers")
        self.there(*b[1], *b[5])
        need(all(g in self.grants for g in b[4]), "no-such")
        self.room_for(self.services, known)
        self.services[b[0]] = op, b

    def kind_43(self, op, b):
        kind, who, roles = self.actor(op)
        row = self.services.get(b[0])
        home = kind == "node" and row and row[1][1] == [who]
        need(home or (kind == "device" and roles & (ADMIN | OPERATOR)), "not-allowed")
        need(row, "no-such")
        self.services[b[0]] = None

    def kind_44(self, op, b):
        self.admin(op)
        need(ascend(b[1]) and ascend(b[2]) and b[1] and b[2], "numbers")
        self.ports_fit(b[3])
        need(all(to[0] == 2 for to in b[2]) == (not b[3]), "numbers")
        need(all(f[1][0] for f in b[1] if f[0] in (1, 2)), "numbers")
        known = self.rules.get(b[0])
        need(known or b[0] not in self.rules, "no-such")
        for kind, (who,) in b[1]:
            need(kind != 0 or self.member(None, who) is not None, "no-such")
            need(kind != 4 or self.phones.get(who), "no-such")
            need(kind != 5 or who in self.grants, "no-such")
            if kind == 3:
                self.there(who)
        for kind, who in b[2]:
            need(kind != 2 or self.services.get(who[0]), "no-such")
            if kind == 1:
                self.there(who[0])
        self.room_for(self.rules, known)
        self.rules[b[0]] = op, b

    def kind_45(self, op, b):
        self.admin(op)
        need(self.rules.get(b[0]), "no-such")
        self.rules[b[0]] = None

    def kind_46(self, op, b):
        kind, who, roles = self.actor(op)
        own = who == b[2] and roles & (OPERATOR | MEMBER)
        need(kind == "device" and (roles & ADMIN or own), "not-allowed")
        need(ascend(b[3]) and b[3], "numbers")
        need(self.member(None, b[2]) is not None, "no-such")
        self.there(*b[3])
        known = self.phones.get(b[0])
        need(b[0] not in self.phones or (known and known[1][1] == b[1] and known[1][2] == b[2]), "in-use")
        live = [row[1] for id, row in self.phones.items() if row and id != b[0]]
        need(all(row[1] != b[1] for row in live), "in-use")
        need(sum(1 for row in live if row[2] == b[2]) < 16, "numbers")
        self.room_for(self.phones, known, 4096)
        self.phones[b[0]] = op, b

    def kind_47(self, op, b):
        kind, who, roles = self.actor(op)
        row = self.phones.get(b[0])
        need(kind == "device" and (roles & ADMIN or (row and row[1][2] == who)), "not-allowed")
        need(row, "no-such")
        self.phones[b[0]] = None

    # Segments.

    def run(self, notes):
        rest = sorted(self.ops, key=lambda i: self.log.depth[i])
        for base in self.chain:
            segment = [i for i in rest if i in self.past[base]]
            rest = [i for i in rest if i not in self.past[base] and i != base]
            body = self.ops[base].body
            self.listed = set(body[1] if self.ops[base].kind == 12 else body[3])
            self.segment(segment, notes)
            self.scope.add(base)
            try:
                self.judge_base(base)
            except Refused as why:
                raise Invalid(base, str(why))
            self.sealed |= self.scope
            self.verdict[base] = None
            self.bases.append(base)
            self.base, self.standing = base, []
        self.listed = None
        self.segment(rest, notes)

    def lifts_in_force(self, target, cut, notes):
        return [
            l
            for l, t in notes["lifts"].items()
            if t == target and l in self.scope and cut["suspends"] and cut["op"] in self.past[l]
        ]

    def segment(self, ops, notes):
        self.scope |= set(ops)
        for (key, seq), twins in self.log.twins.items():
            if len(twins & self.scope) > 1:
                self.burned[key] = min(seq, self.burned.get(key, seq))
        self.rivals = dict(notes["rivals"])
        for target, cuts in self.cuts.items():
            for cut in cuts:
                cut["lifted"] += [l for l in self.lifts_in_force(target, cut, notes) if l not in cut["lifted"]]
        noted = [op for op in ops if op in notes["cuts"]]
        for op in noted:
            target, cut = notes["cuts"][op]
            self.cuts.setdefault(target, []).append(dict(cut, lifted=self.lifts_in_force(target, cut, notes)))
        for depth in sorted({self.log.depth[i] for i in ops}):
            level = [i for i in ops if self.log.depth[i] == depth]
            level.sort(key=self.order)
            for op in level:
                self.settle(op, notes)
        reduces = lambda i: self.ops[i].level == 1 and self.ops[i].kind in REDUCTIONS
        for op in sorted(ops, key=lambda i: (self.log.depth[i], not reduces(i), i)):
            broken = (op in notes["cuts"] or op in notes["lifts"]) and self.verdict[op] is not None
            if broken or (op in notes["rivals"] and self.verdict[op] not in (None, "equivocation")):
                notes["cuts"].clear()
                notes["lifts"].clear()
                notes["rivals"].clear()
                notes["defeated"].add(op)
                raise Again

    def order(self, op):
        o = self.ops[op]
        holder = self.holder.get(o.author, ("none", None))
        reduces = o.level == 1 and o.kind in REDUCTIONS
        return not reduces, self.senior.get(holder[1], 1 << 32), op

    def settle(self, op, notes):
        effect = None
        try:
            need(op not in notes["defeated"], "self-defeating")
            effect = self.judge(op)
            self.verdict[op] = None
        except Rivals as found:
            notes["rivals"].update(found.args[0])
            raise Again
        except Refused as why:
            self.verdict[op] = str(why)
            for key in self.ops[op].admits():
                self.void.setdefault(key, op)
        if effect is None:
            return
        target, cut = effect
        keys = self.keys_of(target)
        if cut is None and op not in notes["lifts"]:
            lifted = [c for c in self.cuts.get(target, []) if c["suspends"] and c["op"] in self.past[op]]
            for c in lifted:
                c["lifted"].append(op)
            for other, why in self.verdict.items():
                o = self.ops[other]
                touched = o.author in keys or (why == "too-few-signatures" and o.signers & keys)
                if why and other not in self.sealed and touched:
                    if any(c["op"] not in self.past[other] for c in lifted):
                        notes["lifts"][op] = target
                        raise Again
        if cut is not None and op not in notes["cuts"]:
            cut["lifted"] = self.lifts_in_force(target, cut, notes)
            for other, why in self.verdict.items():
                o = self.ops[other]
                if why or other in self.sealed or other == op or op in self.past[other]:
                    continue
                after = o.seq > cut["last"][o.author] if o.author in cut["last"] else other not in self.past[op]
                if (o.author in keys and after) or (other in self.standing and o.signers & keys):
                    notes["cuts"][op] = effect
                    raise Again
            self.cuts.setdefault(target, []).append(cut)

    def keys_of(self, target):
        kind, who = target
        given = {k for k, row in self.invitations.items() if who == row["by" if kind == "p" else "with"]}
        if kind == "p":
            return {k for k, h in self.holder.items() if h == ("device", who)} | given
        return {"d": {who} | given, "n": {key_id(b"\1" + who)}, "g": set()}[kind]

    def judge_base(self, op):
        o = self.ops[op]
        if o.kind == 12:
            try:
                return self.quorum(op)
            except Refused:
                named = self.newest(op, self.witnesses)
                signed = [n for n in named[0] if self.witness_signed(op, n)] if named else []
                if not signed or len(signed) < named[1]:
                    raise
                return None
        named = self.newest(op, self.guardians)
        need(named and named[0] > 0, "no-such")
        need(len(self.guardians_signing(op, op)) >= named[0], "too-few-signatures")
        chains = [self.fresh_chain(c) + (c,) for c in o.body[1] if o.author is not None]
        need(any(o.author in devices for _, devices, _ in chains), "not-allowed")
        held = op in self.log.matured
        need(held or (op in self.immediate and self.signers(op)[0]), "waiting")
        people = [p for p, _, _ in chains]
        every = [k for _, d, _ in chains for k in d]
        need(people and len(set(people)) == len(people) and len(set(every)) == len(every), "numbers")
        ended = []
        for p in [p for p in self.roles if self.is_admin(None, p) and p not in people]:
            self.roles[p].append((op, None))
            ended.append(("p", p))
        for p, devices, chain in chains:
            ended += [("d", k) for k, h in self.holder.items() if h == ("device", p) and k not in devices]
            self.admit(op, p, devices, chain, (self.member(None, p) or 0) | ADMIN)
            for target in [("p", p)] + [("d", k) for k in devices]:
                for cut in self.cuts.get(target, []):
                    if cut["suspends"]:
                        cut["lifted"].append(op)
        for target in ended:
            self.cuts.setdefault(target, []).append(self.revoke(op, target, {}, "quorum")[1])
        if o.body.get(2):
            self.guardians.append((op, o.body[2]))

    def witness_signed(self, op, node):
        key = key_id(b"\1" + node)
        seq = self.ops[op].seq if key == self.ops[op].author else None
        return (
            key in self.ops[op].signers
            and (self.newest(op, self.nodes.get(node, [])) or 0) & WITNESS
            and not any(True for _ in self.suspensions(op, ("n", node), False))
            and self.void_by(op, key, seq, False) is None
        )


# A log -------------------------------------------------------------------------------------------


class Log:
    def __init__(self, realm, encoded, matured):
        self.matured, self.realm = matured, realm
        everything = {}
        for data in encoded:
            op = Op(data)
            assert op.realm == realm
            if op.id in everything:
                everything[op.id].signers |= op.signers
            everything.setdefault(op.id, op)
        self.ops, self.past, self.depth, self.at, self.twins = {}, {}, {}, {}, {}
        self.waiting = dict(everything)
        self.claims, self.made, self.lists = {}, {}, []
        moved = True
        while moved:
            moved = False
            for id, op in sorted(self.waiting.items()):
                if not op.parents <= set(self.ops):
                    continue
                del self.waiting[id]
                moved = True
                past = set(op.parents).union(*(self.past[p] for p in op.parents))
                if not self.hear(op, past):
                    continue
                self.ops[id], self.past[id], self.at[id] = op, past, len(self.at)
                self.depth[id] = max((self.depth[p] + 1 for p in op.parents), default=0)
                self.twins.setdefault((op.author, op.seq), set()).add(id)
                self.introduce(op)
                b = op.body
                if op.level == 1 and op.kind == 26 and b[0] in past and self.ops[b[0]].level == b[1]:
                    self.ops[b[0]].sign(b[1], *b[2])
                    self.introduce(self.ops[b[0]])
        self.links = {}
        for id in sorted(self.ops, key=lambda i: self.at[i]):
            self.link(id)

    # Whose operations are kept at all.

    def voice(self, key, past):
        """0 none, 1 an invitation, 2 quiet, 3 a speaker, 4 an admin."""
        best = 0
        for op, kind, what, _ in self.claims.get(key, []):
            if op not in past:
                continue
            if kind == "device":
                roles = 0
                for made, r in self.made.get(what, []):
                    roles |= r if made in past else 0
                best = max(best, 4 if roles & ADMIN else 3 if roles & OPERATOR else 2)
            else:
                loud = kind == "node" and what & ~STORAGE
                best = max(best, 1 if kind == "invitation" else 3 if loud else 2)
        return best

    def hear(self, op, past):
        if op.level == 1 and op.kind in (0, 10):
            guarded = any(at in past and 0 < k <= len(keys & op.signers) for at, k, keys in self.lists)
            return op.author in op.admits() and (op.kind == 0 or guarded)
        voice = self.voice(op.author, past)
        signed = max(self.voice(k, past) for k in op.signers)
        if voice == 0:
            return False
        if op.level == 1 and op.kind == 17:
            return signed >= 3
        if voice == 1 or (op.level > 1 and signed < 4):
            return False
        prev = self.ops.get(op.prev)
        follows = op.prev is None or (prev.author == op.author and prev.seq + 1 == op.seq)
        return signed == 4 or voice > 2 or (op.seq <= 256 and op.size <= 4096 and follows)

    def introduce(self, op):
        b, past = op.body, self.past[op.id]
        claim = lambda key, kind, what, who=None: self.claims.setdefault(key, []).append((op.id, kind, what, who))

        def chain(statements, roles):
            try:
                person, devices = read_chain(statements)
            except Refused:
                return
            for key in devices:
                claim(key, "device", person, True)
            self.made.setdefault(person, []).append((op.id, roles))

        kind = op.kind if op.level == 1 else None
        mine = [c for c in self.claims.get(op.author, []) if c[0] in past]
        guardians = {0: lambda: b[2], 8: lambda: b[0], 10: lambda: b.get(2)}
        backed = kind in (0, 10) or max(self.voice(k, past) for k in op.signers) == 4
        if kind == 4 and any(c[1:3] == ("device", b[0].get(0)) for c in mine) and b[0][2][0] == 1:
            device = ("device", b[0][0])
            known = sum(1 for cs in self.claims.values() if any(c[1:3] == device and c[0] in past for c in cs))
            loud = backed or self.voice(op.author, past) >= 3
            if loud or ((*device, True) in [c[1:] for c in mine] and known < 16):
                claim(key_id(b[0][2][1][0]), *device, loud)
        if kind == 17:
            for _, _, roles, person in [c for c in mine if c[1] == "invitation"]:
                claim(key_id(b[0]), "node", roles)
                if b.get(2) and b[2].get(0) == person and b[2][2][0] == 1:
                    claim(key_id(b[2][2][1][0]), "device", person, True)
        if not backed:
            return
        if kind == 0:
            chain(b[1], ADMIN)
        elif kind == 10:
            for c in b[1]:
                chain(c, ADMIN)
        elif kind == 1:
            chain(b[0], b[1])
        elif kind == 2:
            self.made.setdefault(b[0], []).append((op.id, b[1]))
        elif kind == 15:
            claim(key_id(b[0]), "invitation", b[1], b[3].get(0) if b.get(3) else None)
        elif kind == 18:
            claim(key_id(b[0]), "node", b[2])
        elif kind == 19:
            claim(key_id(b"\1" + b[0]), "node", b[1])
        if kind in guardians and guardians[kind]():
            need, named = guardians[kind]()[0], {key_id(guardian[0]) for guardian in guardians[kind]()[1]}
            self.lists.append((op.id, need, named))
            for guardian in named:
                claim(guardian, "guardian", None)

    def link(self, id):
        op = self.ops[id]
        if op.level != 1 or op.kind not in (10, 12):
            return
        base = op.body.get(0)
        if base is not None and (base not in self.past[id] or base not in self.links):
            return
        beyond = lambda k: any(c[0] in self.past[id] and c[1] == "node" and c[2] & ~STORAGE for c in self.claims.get(k, []))
        if op.kind == 12 and not any(self.voice(k, self.past[id]) == 4 or beyond(k) for k in op.signers):
            return
        before = self.links[base] if base else {"epoch": 0, "recoveries": 0}
        prev = self.ops.get(op.prev)
        if prev and (prev.author != op.author or prev.seq + 1 != op.seq) or op.epoch != before["epoch"]:
            return
        recoveries = before["recoveries"] + (op.kind == 10)
        self.links[id] = {"base": base, "epoch": before["epoch"] + 1, "recoveries": recoveries}

    def chain_of(self, tip):
        chain = []
        while tip is not None:
            chain.insert(0, tip)
            tip = self.links[tip]["base"]
        return chain

    def settle(self, immediate):
        invalid = {}
        while True:
            alive = [t for t in self.links if not set(self.chain_of(t)) & set(invalid)]
            turned = lambda t: bytes(255 - x for x in t)
            rank = lambda t: (self.links[t]["recoveries"], self.links[t]["epoch"], len(self.past[t]), turned(t))
            chain = self.chain_of(max(alive, key=rank)) if alive else []
            notes = {"cuts": {}, "lifts": {}, "rivals": {}, "defeated": set()}
            while True:
                walk = Walk(self, chain, invalid, immediate)
                try:
                    walk.run(notes)
                    return walk
                except Again:
                    continue
                except Invalid as stop:
                    invalid[stop.args[0]] = stop.args[1]
                    break

    def fold(self):
        walk = self.settle(set())
        named = walk.newest(None, walk.guardians)
        ready = set()
        for id in self.links:
            signed = len(walk.guardians_signing(id, None)) >= named[0]
            now = [
                k
                for k in self.ops[id].signers
                if (p := walk.person_of(None, k)) and walk.is_admin(None, p) and not walk.suspended(None, p, k)
                and walk.void_by(id, k, self.ops[id].seq if k == self.ops[id].author else None, True) is None
            ]
            if self.ops[id].kind == 10 and id not in self.matured and signed and now:
                ready.add(id)
        return self.settle(ready) if ready else walk


def names(roles, words):
    return [word for bit, word in words.items() if roles & bit]


def said_of_network(walk, words):
    """What the vectors have under "network"."""
    members = {1: "admin", 2: "operator", 4: "auditor", 8: "member", 16: "guest"}
    hexes = lambda ids: [i.hex() for i in ids]
    lists = lambda ports: [list(p) for p in ports]
    rows = lambda table: [(i.hex(), row[0].hex(), row[1]) for i, row in sorted(table.items()) if row]
    nodes = []
    for node, part in sorted(walk.parts.items()):
        if walk.newest(None, walk.nodes[node]) is not None:
            held = any(part[1]) and ipaddress.ip_address(part[1]) in walk.range()
            v4 = str(ipaddress.ip_address(part[1])) if held else None
            owner = part[4].hex() if any(part[4]) else None
            routes = [str(network(r)) for r in part[3]]
            nodes.append({"id": node.hex(), "v4": v4, "exit": part[2], "routes": routes, "owner": owner, "ingress": part[5]})
    who = lambda f: [f[0], names(f[1][0], {1: members, 2: words}[f[0]]) if f[0] in (1, 2) else f[1][0].hex()]
    return {
        "range": str(walk.range()),
        "guests_exit": bool(walk.said and walk.said[1]),
        "strict": bool(walk.said and walk.said[2]),
        "nodes": nodes,
        "services": [
            {"id": i, "by": by, "homes": hexes(b[1]), "ports": lists(b[2]), "preset": b[3]}
            | {"grants": hexes(b[4]), "gateways": hexes(b[5]), "sign_on": b[6]}
            for i, by, b in rows(walk.services)
        ],
        "rules": [
            {"id": i, "by": by, "from": [who(f) for f in b[1]], "to": [[t[0], *hexes(t[1])] for t in b[2]]}
            | {"ports": lists(b[3]), "until": b.get(4)}
            for i, by, b in rows(walk.rules)
        ],
        "phones": [
            {"id": i, "by": by, "person": b[2].hex(), "gateways": hexes(b[3]), "until": b.get(4)}
            | {"given_by": walk.ops[bytes.fromhex(by)].author.hex()}
            for i, by, b in rows(walk.phones)
        ],
    }


def outcome(log):
    walk = log.fold()
    members = sorted(p for p in walk.roles if walk.member(None, p) is not None)
    mine = {p: [k for k in walk.holder if walk.person_of(None, k) == p] for p in members}
    burned = [p for p in members if all(k in walk.burned for k in mine[p])]
    admin = lambda p: walk.is_admin(None, p)
    suspended = [p for p in members if p not in burned and any(True for _ in walk.suspensions(None, ("p", p), admin(p)))]
    words = {1: "storage", 2: "compute", 4: "gateway", 8: "relay", 16: "witness", 32: "secrets"}
    nodes = []
    for node in sorted(walk.nodes):
        roles = walk.newest(None, walk.nodes[node])
        if roles is not None:
            held = any(True for _ in walk.suspensions(None, ("n", node), False))
            active = not held and key_id(b"\1" + node) not in walk.burned
            names = [word for bit, word in words.items() if roles & bit]
            zone, region, draining, pace = (walk.sites[node][field] for field in (1, 2, 3, 4))
            place = {"zone": zone.hex(), "region": region, "draining": draining, "pace": pace}
            nodes.append({"id": node.hex(), "roles": names, "active": active, **place})
    pending = {"too-few-signatures", "waiting"}
    final = lambda i, why: "vetoed" if why == "waiting" and walk.vetoed.get(i) in walk.sealed else why
    verdicts = [(i, final(i, why)) for i, why in sorted(walk.verdict.items())]
    return {
        "epoch": len(walk.bases),
        "base": walk.base and walk.base.hex(),
        "directory": walk.directory and walk.directory.hex(),
        "members": [p.hex() for p in members],
        "admins": [p.hex() for p in members if admin(p)],
        "suspended": [p.hex() for p in suspended],
        "burned": [p.hex() for p in burned],
        "nodes": nodes,
        "buckets": [
            {"id": b.hex(), "copies": row[0], "confirm": row[1], "zones": row[2][0]}
            | {"only": list(row[2][1][0]), "never": list(row[2][1][1])}
            for b, row in sorted(walk.buckets.items())
            if row
        ],
        "quotas": [
            {"of": " ".join([["realm", "person", "bucket", "service"][of[0]], *(i.hex() for i in of[1:])]), "bytes": n}
            for of, n in sorted(walk.quotas.items())
        ],
        "network": said_of_network(walk, words),
        "newer_than_me": max((log.ops[n].level for n in walk.newer), default=None),
        "refused": [{"id": i.hex(), "reason": why} for i, why in verdicts if why and why not in pending],
        "pending": [i.hex() for i, why in verdicts if why in pending],
    }


def main():
    where = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    files = sorted(where.glob("*.json")) if where.is_dir() else [where]
    wrong = 0
    for file in files:
        vector = json.loads(file.read_text())
        encoded = [bytes.fromhex(op) for op in vector["operations"]]
        random.Random(1).shuffle(encoded)
        matured = {bytes.fromhex(id) for id in vector["clock"]["matured"]}
        got = outcome(Log(bytes.fromhex(vector["realm"]), encoded, matured))
        for field, value in vector["expect"].items():
            if got[field] != value:
                wrong += 1
                print(f"{file.name}: {field} is\n  {got[field]}\nshould be\n  {value}")
    print(f"{len(files)} vectors, {wrong} differences")
    sys.exit(1 if wrong or not files else 0)


if __name__ == "__main__":
    main()
