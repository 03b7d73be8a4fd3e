"""Times of operators, by what onnxruntime writes down of runs."""

_SUFFIX = "_kernel_time"
_LONGEST = 1000  # characters of a name


def times_of_operators(events):
    """[type, count, ms, nodes] of all operators in one run, by onnxruntime's profile of whole runs.

    Nodes are [name, ms] of the graph as onnxruntime runs it.

    The time of a Loop, If or Scan holds those of the operators in it, which have events of their
    own: it keeps the rest.
    """
    ends = [each["ts"] + each["dur"] for each in events if each["name"] == "model_run"]
    if not ends:  # it stops at a million events
        raise ValueError("onnxruntime's profile has no room for a run of so many operators")
    ops = {}  # by type the number of runs, and microseconds by node
    for event, own_us in own_times([each for each in events if each["ts"] < max(ends)]):
        count, nodes = ops.get(event["args"]["op_name"], (0, {}))
        node = event["name"][: -len(_SUFFIX)][:_LONGEST] or "unnamed"
        nodes[node] = nodes.get(node, 0) + own_us
        ops[event["args"]["op_name"]] = count + 1, nodes
    runs = len(ends)

    def ms(us):
        return max(0.0, us / runs / 1e3)  # rounded: a loop's may be less than that of those in it

    return [
        [op, count // runs, ms(sum(nodes.values())), [[name, ms(us)] for name, us in nodes.items()]]
        for op, (count, nodes) in ops.items()
    ]


def own_times(events):
    """Operators, each with its time in microseconds without that of those in it."""
    nodes = [
        event
        for event in events
        if event.get("cat") == "Node"
        and event["name"].endswith(_SUFFIX)
        and event.get("args", {}).get("op_name")
    ]
    own_us = [event["dur"] for event in nodes]
    # Written as they end: of two that begin and end alike, the later one is around the other.
    order = sorted(range(len(nodes)), key=lambda n: (nodes[n]["ts"], -nodes[n]["dur"], -n))
    around = {}  # by thread, those that run: the innermost last
    for number in order:
        event = nodes[number]
        outer = around.setdefault(event["tid"], [])
        while outer and event["ts"] >= nodes[outer[-1]]["ts"] + nodes[outer[-1]]["dur"]:
            outer.pop()
        if outer:
            own_us[outer[-1]] -= event["dur"]
        outer.append(number)
    return [(node, own_us[number]) for number, node in enumerate(nodes)]
