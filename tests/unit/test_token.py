"""The token of the next dial: what an answer says, when it is fetched anew, and what a failure means."""

import asyncio
import contextlib
import datetime as dt
import json
import sys
import time
from pathlib import Path

import pytest

from speakerd.errors import Cure, LinkError
from speakerd.live import token as module
from speakerd.live.token import Token, Tokens, token_in
from speakerd.live.verdict import refuses_credentials
from speakerd.settings import Token as TokenSettings
from tests.integration.household import until

NAME = "auth_tokens/0123456789abcdef"


def later(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def answer(lives: float = 1800, opens: float = 60, name: str = NAME) -> str:
    return json.dumps({"name": name, "expireTime": later(lives), "newSessionExpireTime": later(opens)})


def program(script: str) -> Tokens:
    """Return tokens from a small program."""
    return Tokens(TokenSettings(command=[sys.executable, "-c", script]), "")


def printing(file: Path) -> Tokens:
    return Tokens(TokenSettings(command=["cat", str(file)]), "")


@pytest.mark.parametrize("text", [NAME, f"  {NAME}\n", json.dumps({"name": NAME})])
def test_a_token_may_come_without_its_times(text: str) -> None:
    """It is used until it is refused."""
    token = token_in(text)
    assert token.name == NAME
    assert token.expires_at == token.opens_until == float("inf")


@pytest.mark.parametrize(
    "spelling",
    [
        {},
        {"expireTime": "expire_time", "newSessionExpireTime": "new_session_expire_time"},
        {"Z": "123Z"},  # nanoseconds, as the service writes them
        {"Z": "+00:00"},
    ],
)
def test_every_way_to_write_a_token_is_understood(spelling: dict[str, str]) -> None:
    """JSON in either spelling, with its times however they are written."""
    text = answer()
    for usual, other in spelling.items():
        text = text.replace(f'"{usual}"' if usual != "Z" else usual, f'"{other}"' if usual != "Z" else other)
    token = token_in(text)
    assert token.name == NAME
    assert token.expires_at - time.monotonic() == pytest.approx(1800, abs=5)
    assert token.opens_until - time.monotonic() == pytest.approx(60, abs=5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AIzaSyA-hunter2",
        "auth_tokens/",
        "auth_tokens/two words hunter2",
        "auth_tokens/hunter2\nauth_tokens/hunter2",
        '{"name": "hunter2"}',
        '{"name": 7}',
        '{"token": "auth_tokens/hunter2"}',
        '{"name": "auth_tokens/hunter2", "expireTime": "soon"}',
        '{"name": "auth_tokens/hunter2", "expireTime": 7}',
        '{"name": "auth_tokens/hunter2"',
        "<html>hunter2</html>",
        "{" * 100_000,
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    """An answer may hold another secret; it is in no message."""
    with pytest.raises(ValueError, match=r"^(no|Invalid)") as refusal:
        token_in(text)
    assert "hunter2" not in str(refusal.value)


def test_a_token_does_not_show_itself() -> None:
    """Whoever prints it, as a traceback of a debugger does, sees until when it is good and not its name."""
    assert NAME not in repr(token_in(answer()))


async def test_a_token_is_used_again_while_it_is_good(tmp_path: Path) -> None:
    """It is fetched once for many dials, as long as it has a minute to live and may begin sessions."""
    file = tmp_path / "token"
    tokens = printing(file)
    for text, fetched in (
        (answer(opens=1800), [True, False, False]),
        (answer(lives=59, opens=59), [True, True]),
        (answer(lives=1800, opens=0.001), [True, True]),
        (NAME, [True, False]),
    ):
        tokens = printing(file)
        file.write_text(text)
        assert [(await tokens.take())[1] for _ in fetched] == fetched


REFUSED = LinkError("x", code=1008, reason="The auth token has expired.")
BAD_SETUP = LinkError("x", code=1007, reason="Request contains an invalid argument.")
BUSY = LinkError("x", code=1011, reason="The service is currently unavailable.")
NO_NETWORK = LinkError("x", cure=Cure.NETWORK)


async def test_an_old_token_that_is_refused_is_replaced_without_a_word_to_the_owner(tmp_path: Path) -> None:
    """Whatever words the service has for it, the next dial has a new token, and the conversation goes on."""
    file = tmp_path / "token"
    file.write_text(answer(opens=1800))
    for error, plain in ((REFUSED, True), (BAD_SETUP, True), (BUSY, False)):
        tokens = printing(file)
        token, _ = await tokens.take()
        judged = tokens.judge(token, error, fresh=False, was_up=False)
        assert (judged is not None) is plain
        assert judged is None or (judged.code, judged.reason, judged.advice) == (None, "", "")
        assert (await tokens.take())[1], "the old token is kept"


@pytest.mark.parametrize(
    ("reason", "refused"),
    [
        ("The auth token has expired.", True),
        ("Token expired", True),
        ("Request had invalid authentication credentials.", True),
        ("API key not valid. Please pass a valid API key.", True),
        ("Method doesn't allow unregistered callers", True),
        ("RESOURCE_EXHAUSTED: quota of this API key", False),
        ("Invalid value at 'setup.context_window_compression.trigger_tokens' (TYPE_INT64)", False),
        ("BidiGenerateContent session not found", False),
        ("The service is currently unavailable.", False),
    ],
)
def test_words_about_tokens_are_told_from_others(reason: str, refused: bool) -> None:
    """Quota, settings, handles and outages are no reason to suspect a token that is new."""
    assert refuses_credentials(LinkError("x", code=1008, reason=reason)) is refused


async def test_a_network_that_is_away_costs_no_token(tmp_path: Path) -> None:
    """A token that the service never saw is as good as before."""
    file = tmp_path / "token"
    file.write_text(answer(opens=1800))
    tokens = printing(file)
    token, _ = await tokens.take()
    assert tokens.judge(token, NO_NETWORK, fresh=False, was_up=False) is None
    assert not (await tokens.take())[1]


async def test_a_new_token_that_is_refused_is_a_matter_for_the_owner(tmp_path: Path) -> None:
    """Another one would fare no better; what is wrong with the settings stays what it is."""
    file = tmp_path / "token"
    file.write_text(answer(opens=1800))
    tokens = printing(file)
    token, _ = await tokens.take()
    judged = tokens.judge(token, REFUSED, fresh=True, was_up=False)
    assert judged is not None
    assert "live.token.command" in judged.advice
    assert tokens.judge(token, BAD_SETUP, fresh=True, was_up=False) is None


async def test_a_token_that_ends_in_a_conversation_is_replaced(tmp_path: Path) -> None:
    """The service ends the connection; the next one has another token, and nobody must act."""
    file = tmp_path / "token"
    file.write_text(answer(opens=1800))
    tokens = printing(file)
    token, _ = await tokens.take()
    judged = tokens.judge(token, REFUSED, fresh=True, was_up=True)
    assert judged is not None
    assert (judged.code, judged.reason, judged.advice) == (None, "", "")
    assert (await tokens.take())[1]
    assert tokens.judge(token, BUSY, fresh=True, was_up=True) is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('auth_tokens/hunter2 and more')", "live.token.command answers with something else"),
        ("pass", "live.token.command answers with something else"),
        ("import sys; print('auth_tokens/hunter2'); sys.exit('no key: auth_tokens/hunter2')", "no key: (a secret)"),
        ("import sys; sys.exit(7)", "ended with 7"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
    ],
)
async def test_a_program_without_a_token_is_a_matter_for_the_owner(script: str, words: str) -> None:
    """It is told how the program ended and what it complained of last, and never what it printed."""
    with pytest.raises(LinkError) as failure:
        await program(script).take()
    assert words in str(failure.value)
    assert failure.value.advice
    assert "hunter2" not in str(failure.value) + failure.value.advice
    assert NAME not in str(failure.value)


async def test_a_token_that_has_expired_already_is_a_matter_of_clocks() -> None:
    """One of the two machines may have a clock that is not set yet; then the return of the right time ends it."""
    with pytest.raises(LinkError, match="expired already") as failure:
        await program(f"print({answer(lives=-1)!r})").take()
    assert failure.value.cure is Cure.CLOCK
    assert "clocks of both machines" in failure.value.advice


@pytest.mark.parametrize("words", [["/nowhere/token"], ["/etc/passwd"], ["cat\0"]])
async def test_a_program_that_is_none_is_a_matter_for_the_owner(words: list[str]) -> None:
    """A missing program, one that may not be run, and a name that cannot be one are told as such."""
    with pytest.raises(LinkError, match=r"live\.token\.command cannot be run") as failure:
        await Tokens(TokenSettings(command=words), "").take()
    assert "live.token.command" in failure.value.advice


@pytest.mark.parametrize(
    "complaint",
    [
        "ssh: connect to host home port 22: Network is unreachable",
        "ssh: Could not resolve hostname home: Temporary failure in name resolution",
        "speakerd: the server cannot be reached: Connection refused",
    ],
)
async def test_a_program_without_a_network_is_tried_again(complaint: str) -> None:
    """Nobody must act while the internet is away, also where it is a program that says so."""
    with pytest.raises(LinkError) as failure:
        await program(f"import sys; sys.exit({complaint!r})").take()
    assert (failure.value.advice, failure.value.cure) == ("", Cure.NETWORK)


SLOW = """
import os, sys, time
if os.fork() == 0:
    os.close(1), os.close(2)
    time.sleep(60)
print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
time.sleep(60)
"""


def group_lives(group: int) -> bool:
    """Say whether a process of this group still runs; one that nobody has collected yet is dead."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


@pytest.mark.parametrize("how", ["too-slow", "cancelled", "cancelled-at-once"])
async def test_a_program_is_ended_with_its_children(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes too long, or is not needed any more, leaves no process behind."""
    monkeypatch.setattr(module, "LIMIT_S", 1.0 if how == "too-slow" else 60.0)
    file = tmp_path / "pid"
    tokens = Tokens(TokenSettings(command=[sys.executable, "-c", SLOW, str(file)]), "")
    taking = asyncio.create_task(tokens.take())
    if how == "cancelled-at-once":
        for _ in range(2):  # it is started, and the event loop does not know yet
            await asyncio.sleep(0)
        deadline = time.monotonic() + 30
        while not (file.exists() and file.read_text().strip()):
            assert time.monotonic() < deadline, "the program was not started"
            time.sleep(0.01)  # noqa: ASYNC251 - it shall not get to know
    if how != "too-slow":
        await until(lambda: file.exists() and bool(file.read_text().strip()), "the program")
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    else:
        with pytest.raises(LinkError, match="did not end within 1 s") as failure:
            await taking
        assert (failure.value.advice, failure.value.cure) == ("", Cure.NETWORK)
        if not file.exists():
            return  # a busy machine: it was ended before it began
    group = int(file.read_text())
    await until(lambda: not group_lives(group), "the end of its children")


async def test_a_program_that_prints_without_end_is_ended() -> None:
    """What it prints does not fill the memory."""
    began = time.monotonic()
    with pytest.raises(LinkError, match="did not end"):
        await Tokens(TokenSettings(command=["yes"]), "").take()
    assert time.monotonic() - began < 9


async def test_a_program_gets_no_input_and_no_shell() -> None:
    """Its words are its arguments as they are."""
    script = f"import sys; assert sys.stdin.read() == ''; assert sys.argv[1] == '$HOME;'; print({NAME!r})"
    tokens = Tokens(TokenSettings(command=[sys.executable, "-c", script, "$HOME;"]), "")
    assert (await tokens.take())[0] == Token(NAME)


async def test_the_loop_turns_while_a_program_runs() -> None:
    """Sound goes on while a token is on its way."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.create_task(turn())
    await program(f"import time; time.sleep(0.5); print({NAME!r})").take()
    turning.cancel()
    assert turns > 10


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_descriptor_is_left_over(tmp_path: Path) -> None:
    """A hundred tokens leave nothing open."""
    file = tmp_path / "token"
    file.write_text(answer(lives=30))
    tokens = printing(file)
    await tokens.take()
    await asyncio.sleep(0.05)
    before = descriptors()
    for _ in range(100):
        await tokens.take()
    await until(lambda: descriptors() <= before, "closed pipes")
