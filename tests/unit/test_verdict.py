"""What a failure of the connection means."""

import pytest

from speakerd.errors import Cause, Cure, LinkError
from speakerd.live.verdict import Next, verdict


@pytest.mark.parametrize(
    ("code", "reason", "what"),
    [
        (1007, "API key not valid. Please pass a valid API key.", Next.PERSON),
        (1008, "Method doesn't allow unregistered callers (callers without established identity).", Next.PERSON),
        (401, "", Next.PERSON),
        (403, "", Next.PERSON),
        (404, "", Next.PERSON),
        (
            1008,
            "models/gemini-nope-live is not found for API version v1beta, or is not supported for "
            "bidiGenerateContent. Call ModelService",
            Next.PERSON,
        ),
        (
            1007,
            "Invalid JSON payload received. Unknown name \"bogusField\" at 'setup': Cannot find field.",
            Next.PERSON,
        ),
        (1007, "Request contains an invalid argument.", Next.PERSON),
        (1011, "0a1b RESOURCE_EXHAUSTED: You exceeded your current quota", Next.WAIT),
        (1011, "0a1b Maximum concurrent se", Next.WAIT),
        (429, "", Next.WAIT),
        (1011, "Internal error encountered.", Next.RESUME),
        (1011, "The service is currently unavailable.", Next.RESUME),
        (503, "", Next.RESUME),
        (1000, "", Next.RESUME),
        (1001, "", Next.RESUME),
        (1006, "", Next.RESUME),
        (4999, "never seen before", Next.RESUME),
        (None, "", Next.RESUME),
    ],
)
def test_each_failure_of_a_fresh_dial_has_its_verdict(code: int | None, reason: str, what: Next) -> None:
    """Key, model, quota and outage are told apart; what is unknown is tried again."""
    judged = verdict(LinkError("x", code=code, reason=reason), resumed=False, during_setup=True)
    assert judged.next is what
    assert bool(judged.advice) is (what is Next.PERSON)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1008, "BidiGenerateContent session not found"),
        (1007, "Request contains an invalid argument."),
    ],
)
def test_a_refused_handle_is_forgotten(code: int, reason: str) -> None:
    """A conversation that the service does not know any more is not asked for again."""
    assert verdict(LinkError("x", code=code, reason=reason), resumed=True, during_setup=True).next is Next.FORGET


@pytest.mark.parametrize("code", [1000, 1006, 1011])
def test_a_handle_outlives_a_hiccup_and_not_a_row_of_them(code: int | None) -> None:
    """A connection that breaks while it resumes costs the conversation only when it does so again and again."""
    error = LinkError("x", code=code)
    told = [verdict(error, resumed=True, during_setup=True, failures=number).next for number in (1, 2, 3)]
    assert told == [Next.RESUME, Next.RESUME, Next.FORGET]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1007, "Request contains an invalid argument."),
        (1008, "The operation was aborted."),
        (1008, "Operation is not implemented, or supported, or enabled."),
        (1011, "Deadline expired before operation could complete"),
        (1006, ""),
    ],
)
def test_a_conversation_that_breaks_off_is_resumed(code: int, reason: str) -> None:
    """What ends a running connection says nothing against its handle."""
    assert verdict(LinkError("x", code=code, reason=reason), resumed=True, during_setup=False).next is Next.RESUME


def test_a_conversation_on_which_the_server_fails_again_and_again_is_given_up() -> None:
    """A server that takes up the conversation and then chokes on it will choke on it for ever."""
    told = [
        verdict(LinkError("x", code=1011), resumed=True, during_setup=False, failures=number).next
        for number in (1, 3)
    ]
    assert told == [Next.RESUME, Next.FORGET]


@pytest.mark.parametrize(
    ("code", "during_setup"), [(1000, False), (1001, False), (1006, False), (503, True), (None, True)]
)
def test_a_line_that_is_cut_again_and_again_does_not_cost_the_conversation(
    code: int | None, during_setup: bool
) -> None:
    """The line, and whatever stands in front of the service, know nothing of conversations."""
    judged = verdict(LinkError("x", code=code), resumed=True, during_setup=during_setup, failures=9)
    assert judged.next is Next.RESUME


def test_what_is_known_on_the_spot_is_passed_on() -> None:
    """A failure that comes with its own advice calls a person with just that."""
    judged = verdict(LinkError("x", advice="pay the bill"), resumed=True, during_setup=True)
    assert (judged.next, judged.advice) == (Next.PERSON, "pay the bill")


def test_a_network_without_a_server_does_not_cost_the_conversation() -> None:
    """While the internet is away, the handle is kept for when it comes back."""
    assert (
        verdict(LinkError("no route", cure=Cure.NETWORK), resumed=True, during_setup=True, failures=9).next
        is Next.RESUME
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LinkError("x", cure=Cure.NETWORK), Cause.OFFLINE),
        (LinkError("x", code=503), Cause.SERVICE),
        (LinkError("x", code=1007, reason="API key not valid. Please pass a valid API key."), Cause.KEY),
        (LinkError("x", advice="log in", cure=Cure.NETWORK, cause=Cause.LOGIN), Cause.LOGIN),
        (LinkError("x", code=1011, reason="You exceeded your current quota"), Cause.QUOTA),
        (LinkError("x", code=404), Cause.SETTINGS),
        (LinkError("x", code=1007, reason="Request contains an invalid argument."), Cause.SETTINGS),
        (LinkError("x", advice="name another proxy"), Cause.SETTINGS),
        (LinkError("x", cure=Cure.CLOCK), Cause.CLOCK),
        (LinkError("x", cure=Cure.CLOCK, advice="check the clocks of both machines"), Cause.CLOCK),
        (LinkError("x", code=1008, advice="check the key", cause=Cause.KEY), Cause.KEY),
        (LinkError("x", advice="write a key", cause=Cause.NO_KEY), Cause.NO_KEY),
    ],
)
def test_what_is_said_aloud_fits_the_failure(error: LinkError, cause: Cause) -> None:
    """Each failure belongs to one of the sentences that there are."""
    assert verdict(error, resumed=False, during_setup=True).cause is cause
