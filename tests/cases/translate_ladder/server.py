"""An OpenAI-compatible server on loopback that misbehaves in every way it knows before it answers.

Prints its port. Every question is answered well in the end: its words in capitals between brackets,
numbers lost at first; one text is refused for ever.
"""
import http.server
import json
import re
import socket
import struct
import sys
import threading
import time

WAYS = ["reset", "silence", "drip", "429", "500", "html", "half_json", "no_choices", "bad_utf8",
        "bad_gzip", "bad_chunks", "short"]
asked = {}
lock = threading.Lock()


def completion(text):
    return json.dumps({"id": "x", "object": "chat.completion",
                       "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                    "finish_reason": "stop"}],
                       "usage": {"prompt_tokens": 10, "completion_tokens": 5}}).encode()


def answer(messages):
    last = messages[-1]["content"]
    repair = "<text>" not in last
    text = re.search(r"<text>\n(.*)\n</text>", messages[-3 if repair else -1]["content"], re.S)[1]
    if "station" in text:
        return "I'm sorry, but I cannot translate this."
    shouted = text.upper()
    if "100" in text and not repair:
        shouted = re.sub(r"\d+", "", shouted)
    return f"<translation>[{shouted}]</translation>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self, status, content, **headers):
        self.send_response(status)
        self.send_header("Content-Length", len(content))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def misbehave(self, way, good):
        with lock:
            print("misbehaved:", way, file=sys.stderr, flush=True)
        self.close_connection = True
        if way == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif way == "silence":
            time.sleep(1.5)
        elif way == "drip":
            self.body(200, b"")
            self.wfile.write(b" ")
        elif way == "429":
            self.body(429, b'{"error": {"message": "slow down"}}', Retry_After="0")
        elif way == "500":
            self.body(500, b"oops")
        elif way == "html":
            self.body(200, b"<html><body>Please log in</body></html>", Content_Type="text/html")
        elif way == "half_json":
            self.body(200, good[:len(good) // 2])
        elif way == "no_choices":
            self.body(200, b'{"choices": []}')
        elif way == "bad_utf8":
            self.body(200, good.replace(b'"content": "', b'"content": "\xff\xfe'))
        elif way == "bad_gzip":
            self.body(200, b"\x1f\x8b\x08\x00no gzip at all", Content_Encoding="gzip")
        elif way == "bad_chunks":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
        elif way == "short":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + good)
        self.wfile.flush()

    def do_POST(self):
        question = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            number = asked.setdefault(question, [len(asked), 0])
            attempt = number[1]
            number[1] += 1
        good = completion(answer(json.loads(question)["messages"]))
        # Four ways each, so that all questions together meet all of them, some twice.
        if attempt < 4:
            try:
                self.misbehave(WAYS[(4 * number[0] + attempt) % len(WAYS)], good)
            except OSError:
                pass
        else:
            self.body(200, good)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
