"""A question to the resident agent, and its answer."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter

from harness.errors import TargetFailed, TargetLost, TargetStalled
from harness.runtimes.agent_replies import decoded, failure
from harness.runtimes.replies import Reply, checked
from harness.transports.transport import Process

MOST_CHATTER = 100  # lines before an answer
LINGER_S = 2.0  # for an agent that takes no more input to end


class AgentEnded(TargetLost):
    """The agent ended by itself."""


def ask(
    agent: Process,
    request: Mapping[str, Any],
    reply: TypeAdapter[Reply],
    timeout_s: float,
    about: str = "",
) -> Reply:
    """What the agent answers; `about`: the workload, for people.

    Raises:
        AgentEnded, TargetLost: it is gone.
        TargetStalled: it is silent for so long.
        TargetFailed: it could not do it.
        NoReply: it answers something else.
    """
    asked = request["op"]
    _send(agent, json.dumps(request))
    try:
        answer = _answer(agent, timeout_s)
    except TargetStalled as error:
        raise TargetStalled(
            f"the device gave no answer ({asked}{about and f' {about}'}) within {timeout_s:.0f} s: "
            f"it hangs, or takes longer than we wait; {error}"
        ) from error
    if (why := failure(answer)) is not None:
        raise TargetFailed(f"the device could not {asked}{about and f' {about}'}: {why}")
    return checked(reply, answer, f"the device's answer to {asked!r}")


def _send(agent: Process, line: str) -> None:
    try:
        agent.send(line)
    except TargetLost as error:
        # An agent that has ended takes no input, and over a broken link none arrives: who reads to
        # the end learns which of them it is.
        with suppress(TargetStalled):
            for _ in range(MOST_CHATTER):
                if agent.receive(LINGER_S) is None:
                    raise AgentEnded(f"the agent {agent.ending()}") from error
        raise


def _answer(agent: Process, timeout_s: float) -> dict[str, Any]:
    """The next line of the agent's; whatever starts it may talk before."""
    for _ in range(MOST_CHATTER):
        line = agent.receive(timeout_s)
        if line is None:
            raise AgentEnded(f"the agent {agent.ending()}")
        if (answer := decoded(line)) is not None:
            return answer
    raise AgentEnded(f"what was started there is not our agent: it says {line!r:.100}")
