"""Keeps the state in memory, for the pods that have its address."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Keeper(BaseHTTPRequestHandler):
    state = b"{}"

    def do_GET(self):
        self.answer(200, Keeper.state)

    def do_PUT(self):
        Keeper.state = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(port):
    ThreadingHTTPServer(("", port), Keeper).serve_forever()
