"""Who is in the lab, and who talks to whom. Data only; addresses follow from a router's number.

    origin AS64500 --- 2 of 4 transits, a full mesh --- 14 peers, 2 transits each --- collector AS64499, which listens
    AS64501, AS64502 --- the other 2 transits           10 of them in a ring as well

FRR and BIRD routers pass their best path to every neighbour, so that a withdrawal is hunted from path to path as on the
real internet, at the pace of the FRR routers' advertisement interval. The 4 GoBGP peers give paths to nobody but the
collector (configs.gobgp says why).
"""

from dataclasses import dataclass, field

COLLECTOR_ASN = 64499
ORIGIN_ASN = 64500
FLAPPER_ASN = 64501
HEARTBEAT_ASN = 64502

# Seconds between two updates to one neighbour (RFC 4271 9.2.1.1 suggests 30 for external peers; shorter here, so
# that the whole story fits into a few minutes).
ADVERTISEMENT_INTERVAL = 5

NAME_SERVER_V4 = ["198.18.30.0/24", "198.18.31.0/24"]
NAME_SERVER_V6 = ["2001:db8:30::/48", "2001:db8:31::/48"]
COVER_V4 = ["198.18.0.0/17"]
COVER_V6 = ["2001:db8::/40"]
WEB_V4 = ["203.0.113.0/24"]
WEB_V6 = ["2001:db8:80::/48"]
FLAPPING = "192.0.2.0/24"
# Announced again every half minute with another community: it keeps the capture's time moving and its peers audible, in
# both families, while nothing else happens.
HEARTBEAT_V4 = "198.51.100.0/24"
HEARTBEAT_V6 = "2001:db8:ff::/48"


@dataclass
class Router:
    """One routing daemon in its own network namespace. `number` gives its addresses on the lab's one LAN."""

    asn: int
    daemon: str  # frr, bird or gobgp
    number: int
    role: str
    v4: list = field(default_factory=list)  # prefixes announced from the start
    v6: list = field(default_factory=list)
    neighbours: list = field(default_factory=list)

    @property
    def name(self):
        return f"as{self.asn}"

    @property
    def addr4(self):
        return f"100.64.0.{self.number}"

    @property
    def addr6(self):
        return f"fd64::{self.number}"

    @property
    def router_id(self):
        return f"10.0.0.{self.number}"


def build():
    """Every router of the lab by AS number, sessions entered at both ends."""
    lab = {}

    def add(asn, daemon, role, v4=(), v6=()):
        lab[asn] = Router(asn, daemon, len(lab) + 1, role, list(v4), list(v6))

    def connect(a, b):
        lab[a].neighbours.append(lab[b])
        lab[b].neighbours.append(lab[a])

    add(COLLECTOR_ASN, "frr", "collector")
    add(ORIGIN_ASN, "frr", "origin", NAME_SERVER_V4 + COVER_V4 + WEB_V4, NAME_SERVER_V6 + COVER_V6 + WEB_V6)
    add(FLAPPER_ASN, "gobgp", "origin", [FLAPPING])
    add(HEARTBEAT_ASN, "gobgp", "origin", [HEARTBEAT_V4], [HEARTBEAT_V6])
    transits = [64510, 64511, 64512, 64513]
    for asn in transits:
        add(asn, "frr", "transit")
    peers = [64520, 64521, 64522, 64523, 64524, 64525, 64526, 64527, 64528, 64529, 65536, 65537, 65538, 65539]
    for i, asn in enumerate(peers):
        add(asn, ["frr", "bird", "gobgp"][i % 3], "peer")

    for i, a in enumerate(transits):
        for b in transits[i + 1 :]:
            connect(a, b)
    for asn in transits[:2]:
        connect(ORIGIN_ASN, asn)
    for asn in transits[2:]:
        connect(FLAPPER_ASN, asn)
        connect(HEARTBEAT_ASN, asn)
    for i, asn in enumerate(peers):
        connect(asn, transits[i % 4])
        connect(asn, transits[(i + 1) % 4])
        connect(asn, COLLECTOR_ASN)
    ring = [asn for asn in peers if lab[asn].daemon != "gobgp"]
    for i, asn in enumerate(ring):
        connect(asn, ring[(i + 1) % len(ring)])
    return lab
