"""An edge that has enrolled with a province: key, first certificate, and a clock that the test sets."""

from pathlib import Path

from edge_agent import config
from edge_agent.broker_identity import BrokerIdentity
from edge_agent.enrolment import enroll
from protocol import uplink
from sim.province import Province
from sim.province.certificates import Certificates


class CertifiedEdge:
    """The edge `name` and its `province`. The edge's files are in `folder`. Both have the clock `now`.

    Their broker listens on two ports of this machine: with TLS on `port` for the edge, and on `plain` for the province.
    The province connects when it is started.
    """

    def __init__(self, folder: Path, now: float, *, name: str = "pi-1", port: int = 1, plain: int = 1) -> None:
        self.now, self.name, self.folder = float(now), name, folder
        self.province = Province(folder / "province", "127.0.0.1", plain, clock=lambda: self.now)
        self.province.admit_edge(name)
        (folder / "state").mkdir(mode=0o700)
        variables = {
            "NAME": name,
            "STATE_DIR": str(folder / "state"),
            "PROVINCE_PUBLIC_KEY": self.province.public.hex(),
            "MQTT_HOSTS": f"127.0.0.1:{port}",
            "MQTT_CA": str(folder / "ca"),
            "MQTT_CERT": str(folder / "edge.pem"),
            "MQTT_KEY": str(folder / "edge.key"),
        }
        environment = {f"MOORING_EDGE_{key}": value for key, value in variables.items()}
        self.settings = config.load(None, environment, with_files=False)
        enroll(self.settings)
        _, certificate = self.certificates.first((folder / "edge.csr").read_bytes())
        (folder / "edge.pem").write_bytes(certificate)
        self.identity = self.restarted()

    @property
    def certificates(self) -> Certificates:
        """The province's side."""
        return self.province.registry.certificates

    def restarted(self) -> BrokerIdentity:
        """Return what the edge knows after a restart."""
        return BrokerIdentity(self.settings, lambda: self.now)

    def asked(self) -> uplink.CertificateRequest:
        """Return the request that is due now."""
        request = self.identity.request()
        assert request is not None
        return request

    def answered(self, request: uplink.CertificateRequest, edge: str = "") -> uplink.Certificate | None:
        """Send a request on the topic of `edge`, and return the province's answer."""
        answers = self.province.registry.handle(edge or self.name, request.encode())
        if not answers:
            return None
        [(to, leaf, payload)] = answers
        assert (to, leaf) == (edge or self.name, uplink.PASS)
        parsed = uplink.parse_pass(payload)
        assert isinstance(parsed, uplink.Certificate)
        return parsed

    def renewed(self) -> None:
        """Get the next certificate, and let the broker take it."""
        answer = self.answered(self.asked())
        assert answer is not None and self.identity.take(answer)
        self.identity.works(self.identity.pair)
