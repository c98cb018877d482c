"""Asks a WSGI application, as a server would; no port is opened."""

import io
import json
from wsgiref.util import setup_testing_defaults


def ask(app, path, method="GET", content=None, host="127.0.0.1:8080"):
    """Return the status, as ``200``, and the body, a value where it is JSON."""
    body = b"" if content is None else json.dumps(content).encode()
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": host,
        "HTTP_ACCEPT_ENCODING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    told = {}

    def start(status, headers, *_):
        told.update(status=int(status.split()[0]), headers=dict(headers))

    chunks = app(environ, start)
    answer = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    if told["headers"].get("Content-Type", "").startswith("application/json"):
        answer = json.loads(answer or b"null")
    return told["status"], answer
