"""Servers on loopback: an S3 service, and a web server that can be told to misbehave."""

import functools
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import boto3
import botocore.exceptions

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


@contextmanager
def s3():
    """Run an S3 service in a process of its own; yield the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            environment = CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
            _make_bucket(environment["AWS_ENDPOINT_URL"])
            yield environment
        finally:
            server.kill()


def _make_bucket(endpoint):
    """Create the bucket that tests use, as soon as the service answers."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    for _ in range(300):
        try:
            client.create_bucket(Bucket="bucket")
        except botocore.exceptions.EndpointConnectionError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the S3 service does not answer")


class Web:
    """What a web server was asked, and how it is to misbehave."""

    def __init__(self, url):
        self.url = url
        self.asked = []
        self.refuse = {}  # path -> how many times it is answered 503
        self.damage = {}  # path -> how many times a byte of it is wrong


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with ranges, and with the faults that were ordered."""

    protocol_version = "HTTP/1.1"

    def __init__(self, web, *arguments, **options):
        self.web = web
        super().__init__(*arguments, **options)

    def do_GET(self):
        """Answer with a file, or a part of it."""
        self._answer(body=True)

    def do_HEAD(self):
        """Answer with what is known of a file."""
        self._answer(body=False)

    def _answer(self, body):
        self.web.asked.append((self.command, self.path, self.headers.get("Range")))
        if self._is_due(self.web.refuse):
            return self._send(503, b"busy", body)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self._send(404, b"no such file", body)
        content = bytearray(path.read_bytes())
        if body and self._is_due(self.web.damage):
            content[len(content) // 2] ^= 1
        part = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            return self._send(200, bytes(content), body)
        first, last = self._span(part, len(content))
        there = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return self._send(206, bytes(content[first : last + 1]), body, there)

    def _span(self, part, size):
        if not part[1]:
            return size - int(part[2]), size - 1
        return int(part[1]), min(int(part[2] or size), size - 1)

    def _is_due(self, faults):
        left = faults.get(self.path, 0)
        faults[self.path] = left - 1
        return left > 0

    def _send(self, status, content, body, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        """Be silent."""


@contextmanager
def web(folder):
    """Serve a folder on loopback."""
    served = Web("")
    handler = functools.partial(Handler, served, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
