"""A conversation through Vision Agents, put together as its documentation does, on its local edge.

See https://visionagents.ai/integrations/gemini and its local transport, which plays and records through sounddevice.
Run as a script, in an environment of its own.
"""

import asyncio
import sys

from vision_agents.core import Agent, User
from vision_agents.plugins import gemini, local
from vision_agents.plugins.local.devices import list_audio_input_devices, list_audio_output_devices


async def main() -> None:
    """Talk until told to stop."""
    microphone = next(device for device in list_audio_input_devices() if device.is_default)
    speaker = next(device for device in list_audio_output_devices() if device.is_default)
    edge = local.LocalEdge(
        audio_input=local.AudioInputDevice(microphone.index, microphone.name, sample_rate=16_000, channels=1),
        audio_output=local.AudioOutputDevice(speaker.index, speaker.name, sample_rate=24_000, channels=1),
    )
    agent = Agent(
        edge=edge,
        agent_user=User(name="Kitchen", id="agent"),
        instructions="You are a helpful assistant.",
        llm=gemini.Realtime(model=sys.argv[1]),
    )
    call = await edge.create_call("kitchen")
    async with agent.join(call):
        await agent.finish()


if __name__ == "__main__":
    asyncio.run(main())
