#!/usr/bin/env python3
"""A worker in Python, made from the .proto files alone.

The stubs are generated once (Debian: protobuf-compiler, protobuf-compiler-grpc, python3-grpcio,
python3-protobuf):

    mkdir stubs
    protoc -I proto --python_out=stubs --grpc_out=stubs \\
        --plugin=protoc-gen-grpc=$(command -v grpc_python_plugin) \\
        beamline/v1/worker.proto beamline/v1/usage.proto
    PYTHONPATH=stubs python3 examples/worker.py SOCKET QUEUE TASK

It upper-cases the text in {"text": ...}, four attempts at a time, and reconnects when the daemon
comes back. What matters: every word about an attempt carries the lease epoch that came with it; the
daemon is never told more credit than there are threads; a heartbeat goes out even if nothing happens.
"""

import json
import os
import queue
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from beamline.v1 import worker_pb2 as pb
from beamline.v1 import worker_pb2_grpc as rpc

CREDIT = 4
HEARTBEAT_S = 3  # Welcome wants a word every 10 s, and a third of the step's own `heartbeat`


def upper(task_input):
    return {"text": task_input["text"].upper()}


def result_of(assign):
    """A Result with the output, or with what went wrong."""
    result = pb.Result(ref=assign.ref, lease_epoch=assign.lease_epoch)
    try:
        result.output = json.dumps(upper(json.loads(assign.input))).encode()
    except Exception as error:  # pylint: disable=broad-except
        result.failure.kind = "bad_input"
        result.failure.message = repr(error)
    return result


def words(said):
    """What the stream sends: whatever is put on the queue, a heartbeat in silence, None ends it."""
    while True:
        try:
            word = said.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            word = pb.WorkerWord(heartbeat=pb.Heartbeat(credit=CREDIT))
        if word is None:
            return
        yield pb.AttachRequest(words=[word])


def attach(path, queue_name, task):
    """One stream; returns True if the daemon asked the worker to leave."""
    said = queue.Queue()
    said.put(pb.WorkerWord(hello=pb.Hello(
        worker_id=f"{socket.gethostname()}:{os.getpid()}", protocol_version=1, credit=CREDIT,
        capabilities=[pb.Capability(queue=queue_name, tasks=[task])], program="worker.py")))
    with grpc.insecure_channel(f"unix:{path}", [("grpc.default_authority", "localhost")]) as channel, \
            ThreadPoolExecutor(CREDIT) as pool:
        leave = threading.Event()

        def work(assign):
            said.put(pb.WorkerWord(result=result_of(assign)))

        for response in rpc.WorkerServiceStub(channel).Attach(words(said)):
            for word in response.words:
                if word.HasField("assign"):
                    pool.submit(work, word.assign)
                elif word.HasField("drain"):
                    leave.set()
                    pool.shutdown(wait=True)  # its results go out before the goodbye
                    said.put(pb.WorkerWord(goodbye=pb.Goodbye()))
        said.put(None)
        return leave.is_set()


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: worker.py SOCKET QUEUE TASK")
    while True:
        try:
            if attach(*sys.argv[1:]):
                return
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                sys.exit(f"worker.py: {error.details()}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
