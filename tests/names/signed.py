"""A name server with signed zones under a root of its own: good ones, and some that are wrong in ways
that a resolver has to find. Says its port and the root's key, then serves until its input ends."""

import datetime
import socket
import struct
import sys
import threading

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

IN = dns.rdataclass.IN
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)

HEAD = "@ 300 IN SOA ns.good. x. 1 3600 600 86400 60\n@ 300 IN NS ns.good.\n"
TEXTS = {
    "good.": "a 300 IN A 192.0.2.1\nwww 300 IN CNAME a\n*.wild 300 IN A 192.0.2.7\ndeep.er 300 IN TXT hello\n",
    "forged.": "a 300 IN A 192.0.2.2\n",
    "expired.": "a 300 IN A 192.0.2.3\n",
    "stripped.": "a 300 IN A 192.0.2.4\n",
    "plain.": "a 300 IN A 192.0.2.5\nto 300 IN CNAME a.good.\n",
}
UNSIGNED = ["plain."]


def key():
    private = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.ECDSAP256SHA256, flags=257)
    return private, public


def zone(origin, text, pair=None, until=NOW + 7 * DAY):
    made = dns.zone.from_text(HEAD + text, origin, relativize=False)
    if pair:
        dns.dnssec.sign_zone(made, keys=[pair], dnskey_ttl=300, inception=until - 14 * DAY, expiration=until)
    return made


def make():
    zones, delegations = {}, ""
    for origin, text in TEXTS.items():
        name = dns.name.from_text(origin)
        delegations += f"{origin} 300 IN NS ns.good.\n"
        pair = None if origin in UNSIGNED else key()
        until = NOW - DAY if origin == "expired." else NOW + 7 * DAY
        zones[name] = zone(origin, text, pair, until)
        if pair:
            ds = dns.dnssec.make_ds(name, pair[1], "SHA256", validating=True)
            delegations += f"{origin} 300 IN DS {ds.to_text()}\n"
    root = key()
    zones[dns.name.root] = zone(".", delegations, root)
    # Somebody on the way has put another address in the place of the signed one.
    forged = zones[dns.name.from_text("forged.")]
    node = forged.find_node(dns.name.from_text("a.forged."))
    node.replace_rdataset(dns.rdataset.from_text("IN", "A", 300, "203.0.113.66"))
    return zones, root[1]


def find(made, name, kind):
    """A set of records and its signatures."""
    found = made.get_rrset(name, kind)
    if found is None:
        return []
    signatures = made.get_rrset(name, dns.rdatatype.RRSIG, kind)
    return [found] + ([signatures] if signatures else [])


def covering(made, name):
    """The NSEC of a name or of the one before it."""
    known = sorted(n for n in made.nodes if made.get_rdataset(n, dns.rdatatype.NSEC))
    before = [n for n in known if n <= name]
    return find(made, before[-1], dns.rdatatype.NSEC) if before else []


def is_there(made, name):
    return any(n.is_subdomain(name) for n in made.nodes)


def nothing(answer, made, proofs):
    answer.authority += find(made, made.origin, dns.rdatatype.SOA)
    for proof in proofs:
        answer.authority += [rrset for rrset in proof if rrset not in answer.authority]


def fill(zones, answer, name, kind):
    home = name.parent() if kind == dns.rdatatype.DS and name != dns.name.root else name
    made = max((z for o, z in zones.items() if home.is_subdomain(o)), key=lambda z: len(z.origin.labels))
    found = find(made, name, kind)
    alias = find(made, name, dns.rdatatype.CNAME)
    if found or alias:
        answer.answer += found or alias
        if alias and not found:
            fill(zones, answer, alias[0][0].target, kind)
        return
    if is_there(made, name):
        nothing(answer, made, [covering(made, name)])
        return
    encloser = name.parent()
    while not is_there(made, encloser):
        encloser = encloser.parent()
    star = dns.name.from_text("*", encloser)
    wild = find(made, star, kind)
    if wild:
        # Written out for the name that was asked for; the signatures still say "wildcard".
        answer.answer += [dns.rrset.from_rdata_list(name, r.ttl, list(r)) for r in wild]
        answer.authority += covering(made, name)
        return
    answer.set_rcode(dns.rcode.NXDOMAIN)
    nothing(answer, made, [covering(made, name), covering(made, star)])


def answer(zones, packet, most):
    question = dns.message.from_wire(packet)
    said = dns.message.make_response(question, recursion_available=True)
    asked = question.question[0]
    fill(zones, said, asked.name, asked.rdtype)
    wants = bool(question.ednsflags & dns.flags.DO)
    for section in (said.answer, said.authority):
        if not wants or asked.name.is_subdomain(dns.name.from_text("stripped.")):
            section[:] = [r for r in section if r.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]
    try:
        return said.to_wire(max_size=most)
    except dns.exception.TooBig:
        short = dns.message.make_response(question, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()


def datagrams(zones, server):
    while True:
        packet, client = server.recvfrom(4096)
        server.sendto(answer(zones, packet, 1232), client)


def streams(zones, listener):
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=talk, args=(zones, stream), daemon=True).start()


def talk(zones, stream):
    while True:
        head = stream.recv(2, socket.MSG_WAITALL)
        if len(head) < 2:
            return
        packet = stream.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
        said = answer(zones, packet, 65535)
        stream.sendall(struct.pack("!H", len(said)) + said)


def main():
    zones, anchor = make()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    listener = socket.create_server(server.getsockname())
    print(server.getsockname()[1], flush=True)
    print(f". 300 IN DNSKEY {anchor.to_text()}".replace("\n", " "), flush=True)
    for serve, at in ((datagrams, server), (streams, listener)):
        threading.Thread(target=serve, args=(zones, at), daemon=True).start()
    sys.stdin.read()


main()
