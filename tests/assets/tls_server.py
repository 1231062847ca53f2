"""A model server behind TLS with a certificate nobody trusts: /cert.pem has it and its key."""

import http.server
import ssl


class Handler(http.server.BaseHTTPRequestHandler):
    """Lists one model."""

    def do_GET(self):
        """Answer each path with the list."""
        body = b'{"object": "list", "data": [{"id": "secure", "object": "model"}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/cert.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
