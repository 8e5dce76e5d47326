"""A real SMTP server (aiosmtpd) for the tests of mail.

Prints its port, then one JSON line for each mail it took. Arguments: port (0: a free one), tls mode (none, starttls, tls),
certificate and key (or -), user:password (or -), and what it answers first: codes with commas, such as 451,554.
"""

import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

port, mode, cert, key, login, script = sys.argv[1:7]
answers = [code for code in script.split(",") if code]


class Keeps:
    async def handle_DATA(self, server, session, envelope):
        if answers:
            code = answers.pop(0)
            return f"{code} as scripted"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "login": bool(session.authenticated),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "parts": parts,
            "longest": max(len(line) for line in envelope.content.split(b"\r\n")),
        }
        print(json.dumps(line), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    return AuthResult(success=given == login, handled=False)


context = None
if mode != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

settings = {}
if login != "-":
    settings = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": mode == "starttls"}
if mode == "starttls":
    settings |= {"tls_context": context, "require_starttls": True}


class Listens(Controller):
    def factory(self):
        return SMTP(self.handler, hostname="mail.example.com", **settings)


implicit = context if mode == "tls" else None
controller = Listens(Keeps(), hostname="127.0.0.1", port=int(port), ssl_context=implicit)
# The controller asks its own port whether it listens: it must know it before.
if int(port) == 0:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
controller.start()
print(controller.port, flush=True)
sys.stdin.read()
controller.stop()
