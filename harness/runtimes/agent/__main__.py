"""The resident agent: loads, times and runs networks on the device it was started on.

One JSON object a line on standard input, one answer a line on standard output; the end of input
ends it at once. An empty line is a sign of life: whoever gives them and falls silent is gone, too.
All files of this folder and networks/layers.py go there as one zip file, which Python runs. They
import nothing else of the project, need only the standard library and the runtime that is asked
for, and run on Python 3.6. Operations:

open    {runtime (its file here), threads, cpus, settings}
                                             -> {environment, meter, no_meter}
read    {model}                              -> {inputs: [[name, dtype, shape]]}
load    {id, blocks | model, weights, batch, seed, warm (whether it runs until it is),
         feeds [{name, dtype, shape, file}], signature}
                                             -> {load_ns, first_ns, memory_mb, run_ns}
visit   {id, warmup, runs}                   -> {at_ns, values: {clock: [ns of each run]}}
infer   {id, images (base64 float32), batches, shape of a batch} -> {logits (base64 float32)}
energy  {id (null: idle), window_s}          -> {energy_mj, seconds, runs}
profile {id, runs}                           -> {ops: [[type, count, ms, [[node, ms]] if told]]}
play    {id, scenario, seconds, run_ns}      -> {value, valid}
unload  {id}
conditions {}                                -> {load_1m, other_cpus, frequency_mhz, ...}
resume  {}                                   -> {}; what was done meanwhile is not others' work
"""

import json
import os
import queue
import select
import sys
import threading

from operations import Agent

# Without these glibc gives memory back between runs: one block took 6.3 ms alone and 1.8 ms
# inside a network.
MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
SILENCE_S = 180  # of somebody who gave signs of life


def keep_memory():
    """Begin again with a glibc that keeps memory: it looks only when a program starts."""
    if all(name in os.environ for name in MALLOC):
        return
    os.environ.update((name, str(1 << 30)) for name in MALLOC)
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # so that CUDA and NVML number GPUs alike
    if hasattr(sys, "orig_argv"):
        arguments = sys.orig_argv[1:]
    else:
        with open("/proc/self/cmdline", "rb") as file:
            arguments = [os.fsdecode(each) for each in file.read().split(b"\0")[1:-1]]
    os.execv(sys.executable, [sys.executable] + arguments)  # noqa: S606


def read_requests(requests):
    """Queue the lines of standard input; when nobody is there any more, end whatever runs."""
    line, alive = bytearray(), False
    while True:
        if alive and not select.select([0], [], [], SILENCE_S)[0]:
            os._exit(1)
        chunk = os.read(0, 1 << 16)
        if not chunk:
            os._exit(0)
        first, *others = chunk.split(b"\n")
        line += first
        for other in others:
            if line:
                requests.put(bytes(line))
            else:
                alive = True
            line = bytearray(other)


def main():
    keep_memory()
    # Libraries that print must not break the protocol: what they write goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    agent = Agent()
    operations = {
        "open": agent.open,
        "read": agent.read,
        "load": agent.load,
        "visit": agent.visit,
        "energy": agent.energy,
        "profile": agent.profile,
        "infer": agent.infer,
        "play": agent.play,
        "unload": agent.unload,
        "conditions": agent.conditions,
        "resume": agent.resume,
    }
    requests = queue.Queue()
    threading.Thread(target=read_requests, args=(requests,), daemon=True).start()
    while True:
        line = requests.get()
        try:
            request = json.loads(line.decode("utf-8"))
            answer = operations[request["op"]](request)
        except Exception as error:  # whatever failed, the other side is told and we go on
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
