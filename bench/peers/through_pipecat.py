"""A conversation through Pipecat, put together as its documentation does: microphone, Gemini Live, loudspeaker.

See https://docs.pipecat.ai/server/services/s2s/gemini-live and its page on the local audio transport. Run as a
script, in an environment of its own.
"""

import asyncio
import os
import sys

from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams


async def main() -> None:
    """Talk until told to stop."""
    transport = LocalAudioTransport(LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True))
    llm = GeminiLiveLLMService(
        api_key=os.environ["GOOGLE_API_KEY"],
        settings=GeminiLiveLLMService.Settings(model=f"models/{sys.argv[1]}"),
        # Nobody has asked anything yet.
        inference_on_context_initialization=False,
    )
    aggregators = LLMContextAggregatorPair(LLMContext())
    pipeline = Pipeline([transport.input(), aggregators.user(), llm, transport.output(), aggregators.assistant()])
    params = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    task = PipelineTask(pipeline, params=params, idle_timeout_secs=None)
    # Without a context it does not connect.
    await task.queue_frames([LLMRunFrame()])
    await PipelineRunner().run(task)


if __name__ == "__main__":
    asyncio.run(main())
