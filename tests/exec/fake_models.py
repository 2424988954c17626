"""A model provider of a test: speaks OpenAI's Chat Completions and Anthropic's Messages, streamed.

    fake_models.py PORT_FILE [--script FILE] [--log FILE] [--tls CERT KEY]

Listens on 127.0.0.1 and writes its port to PORT_FILE. POST /v1/chat/completions and /v1/messages
are answered by the first rule of the script (JSON, a list) whose `match` is in the last message:

    [{"match": "Score", "answers": [{"json": {"score": 5}}, {"json": {"score": 9}}]}]

The answers of a rule are used one after the other, the last one for ever. One may have
    text, json            what the model says (default: the last message again)
    stop                  the reason it stops, in the words of the format asked
    input, output, cached tokens, as the format counts them
    status, error         an error: {"type", "code", "message"}
    headers               more headers, a map
    stream_error          sent in the middle of the stream
    cut                   true: the connection ends in the middle of the stream
    raw                   sent in place of the stream's events
    delay_s               before each piece of the text
--log appends each request as a line of JSON: path, headers (lower case), body.
"""

import argparse
import http.server
import json
import os
import ssl
import threading
import time

PIECE = 5  # characters of a delta


class Script:
    """Which answer comes next."""

    def __init__(self, rules):
        self.rules, self.used, self.lock = rules, {}, threading.Lock()

    def answer(self, question):
        with self.lock:
            for i, rule in enumerate(self.rules):
                if rule.get("match", "") in question:
                    n = self.used[i] = self.used.get(i, -1) + 1
                    return rule["answers"][min(n, len(rule["answers"]) - 1)]
        return {"text": question}


def said(answer):
    return json.dumps(answer["json"]) if "json" in answer else answer.get("text", "")


def pieces(text):
    return [text[i:i + PIECE] for i in range(0, len(text), PIECE)]


def openai_events(answer, model):
    """(event name or None, data) of a whole stream."""
    def chunk(choices, **more):
        return None, {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
                      "choices": choices, **more}
    yield chunk([{"index": 0, "delta": {"role": "assistant", "content": ""},
                  "finish_reason": None}])
    for piece in pieces(said(answer)):
        yield chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
    if "stream_error" in answer:
        yield None, {"error": answer["stream_error"]}
    yield chunk([{"index": 0, "delta": {}, "finish_reason": answer.get("stop", "stop")}])
    prompt, completion = answer.get("input", 10), answer.get("output", 5)
    yield chunk([], usage={"prompt_tokens": prompt, "completion_tokens": completion,
                           "total_tokens": prompt + completion,
                           "prompt_tokens_details": {"cached_tokens": answer.get("cached", 0)}})
    yield None, "[DONE]"


def anthropic_events(answer, model):
    def event(kind, **data):
        return kind, {"type": kind, **data}
    yield event("message_start", message={
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": answer.get("input", 10), "output_tokens": 1,
                  "cache_read_input_tokens": answer.get("cached", 0),
                  "cache_creation_input_tokens": 0}})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for piece in pieces(said(answer)):
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    if "stream_error" in answer:
        yield event("error", error=answer["stream_error"])
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": answer.get("stop", "end_turn")},
                usage={"output_tokens": answer.get("output", 5)})
    yield event("message_stop")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script, log = Script([]), None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.log:
            headers = {k.lower(): v for k, v in self.headers.items()}
            with open(self.log, "a", encoding="utf-8") as f:
                f.write(json.dumps({"path": self.path, "headers": headers, "body": body}) + "\n")
        answer = self.script.answer(str(body["messages"][-1]["content"]))
        if "status" in answer:
            return self.refuse(answer)
        events = {"/v1/chat/completions": openai_events, "/v1/messages": anthropic_events}
        self.stream(answer, events[self.path](answer, body["model"]))

    def refuse(self, answer):
        text = json.dumps({"type": "error", "error": answer.get("error", {})}).encode()
        self.send_response(answer["status"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, answer, events):
        self.send_response(200)
        self.send_header("Content-Type", answer.get("type", "text/event-stream; charset=utf-8"))
        self.send_header("X-Request-Id", "req_1")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if "raw" in answer:
            self.chunk(answer["raw"].encode("latin-1"))
            self.chunk(b"")
            return
        for i, (name, data) in enumerate(events):
            if answer.get("cut") and i == 3:
                self.close_connection = True
                return
            text = data if isinstance(data, str) else json.dumps(data)
            self.chunk((f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode())
            time.sleep(answer.get("delay_s", 0))
        self.chunk(b"")

    def chunk(self, data):
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        except OSError:  # whoever asked is gone
            self.close_connection = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port_file")
    parser.add_argument("--script")
    parser.add_argument("--log")
    parser.add_argument("--tls", nargs=2)
    arguments = parser.parse_args()
    if arguments.script:
        with open(arguments.script, encoding="utf-8") as f:
            Handler.script = Script(json.load(f))
    Handler.log = arguments.log
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(arguments.port_file + ".new", "w", encoding="ascii") as f:
        f.write(str(server.server_port))
    os.rename(arguments.port_file + ".new", arguments.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
