"""A conversation through LiveKit Agents, put together as its documentation does, in its console mode.

See https://docs.livekit.io/agents/integrations/realtime/gemini/ and its page on the console mode, which plays and
records through sounddevice and needs no server. Run as a script with the word ``console``, in its own environment.
"""

import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import google


async def entrypoint(ctx: JobContext) -> None:
    """Talk until told to stop."""
    session: AgentSession = AgentSession(llm=google.realtime.RealtimeModel(model=os.environ["PEER_MODEL"]))
    await session.start(agent=Agent(instructions="You are a helpful assistant."), room=ctx.room)


if __name__ == "__main__":
    server = AgentServer()
    server.rtc_session()(entrypoint)
    cli.run_app(server)
