"""An OpenID provider on the loopback address that takes everybody for the one it was told."""

import json
import threading
import time
from base64 import b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "genecanvas", "not so secret"


class Provider:
    """Answers as OpenID Connect Core has it, authorization code flow."""

    def __init__(self) -> None:
        self.claims: dict[str, object] = {}
        """What it says of whoever signs in next."""
        self.key = RSAKey.generate_key(2048, parameters={"kid": "1", "use": "sig", "alg": "RS256"})
        self._asked: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """What it is, its key, and the way back with a code."""
        parts = urlsplit(request.path)
        if parts.path == "/.well-known/openid-configuration":
            self._answer(request, {
                "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })  # fmt: skip
        elif parts.path == "/keys":
            self._answer(request, {"keys": [self.key.as_dict(private=False)]})
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            code = sha256(parts.query.encode()).hexdigest()
            self._asked[code] = asked
            back = urlencode({"code": code, "state": asked["state"]})
            request.send_response(302)
            request.send_header("Location", f"{asked['redirect_uri']}?{back}")
            request.end_headers()
        else:
            request.send_error(404)

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """A token for a code, once, to the client that knows its secret."""
        sent = parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode())
        known = b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        other = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self._asked.pop(sent.get("code", [""])[0], None)
        if asked is None or request.headers.get("Authorization") not in (
            f"Basic {known}", f"Basic {other}",
        ):  # fmt: skip
            request.send_error(400)
            return
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.claims,
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        self._answer(request, {"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _answer(self, request: BaseHTTPRequestHandler, document: dict) -> None:
        content = json.dumps(document).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
