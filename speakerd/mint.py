"""An ephemeral token, made with the API key for a device that has none."""

import datetime as dt
import json
import warnings

import httpx2
from google import genai
from google.genai import errors, types

from speakerd.errors import LinkError, SettingsError, SpeakerdError
from speakerd.live.setup import setup_of
from speakerd.live.trouble import trouble
from speakerd.live.verdict import refuses_credentials
from speakerd.settings import Settings

LIMIT_S = 8.0
"""How long the service may take; who runs this for a device is given up by it after ten seconds."""


def mint(settings: Settings, key: str, minutes: float, opening_minutes: float, uses: int) -> str:
    """Return a new token as JSON: ``name``, ``expireTime`` and ``newSessionExpireTime``.

    It lives for ``minutes``, and can begin ``uses`` sessions within ``opening_minutes``; 0 uses is any number. It is
    good only for the model, the voice, the instructions and whatever else of a setup is set in ``settings``; a
    device may resume sessions with it, and ask for what is not set there.

    Raises:
        SpeakerdError: the service cannot be reached, or refuses; SettingsError where the key is the reason.
    """
    now = dt.datetime.now(dt.UTC)
    expires, opens = (now + dt.timedelta(minutes=length) for length in (minutes, opening_minutes))
    setup = setup_of(settings, None)
    del setup["session_resumption"]  # a lock on it would keep handles out
    config = types.CreateAuthTokenConfig(
        uses=uses,
        expire_time=expires,
        new_session_expire_time=opens,
        live_connect_constraints=types.LiveConnectConstraints(
            model=settings.assistant.model, config=types.LiveConnectConfig.model_validate(setup)
        ),
        lock_additional_fields=[],  # lock what is set, and only that
    )
    name = _made(settings, key, config).name
    if not name:
        raise SpeakerdError("the server answered without a token")
    return json.dumps({"name": name, "expireTime": _written(expires), "newSessionExpireTime": _written(opens)})


def _made(settings: Settings, key: str, config: types.CreateAuthTokenConfig) -> types.AuthToken:
    warnings.filterwarnings("ignore", "The SDK's token creation", errors.ExperimentalWarning)
    options = types.HttpOptions(api_version="v1alpha", base_url=settings.live.base_url, timeout=round(LIMIT_S * 1000))
    try:
        with genai.Client(api_key=key, vertexai=False, http_options=options) as client:
            token: types.AuthToken = client.auth_tokens.create(config=config)
            return token
    except errors.APIError as error:
        raise _refusal(error) from error
    except httpx2.HTTPError as error:
        raise _unreachable(error, settings) from error
    except (OSError, ValueError, ImportError) as error:
        text = (
            f"the network cannot be set up ({error}); look at SSL_CERT_FILE and the proxy variables (HTTPS_PROXY …)"
        )
        raise SpeakerdError(text) from error


def _refusal(error: errors.APIError) -> SpeakerdError:
    said = (error.message or "").strip()
    text = f"the server makes no token ({error.code} {said})"
    if refuses_credentials(LinkError(text, code=error.code, reason=said)):
        return SettingsError([text, "check the API key: it was refused (https://aistudio.google.com/apikey)"])
    return SpeakerdError(text)


def _unreachable(error: httpx2.HTTPError, settings: Settings) -> SpeakerdError:
    if isinstance(error, httpx2.TimeoutException):
        return trouble(TimeoutError(), LIMIT_S, settings.live.base_url)
    deepest: BaseException = error
    while deeper := deepest.__cause__ or deepest.__context__:
        deepest = deeper
    if isinstance(deepest, OSError):
        return trouble(deepest, LIMIT_S, settings.live.base_url)
    return SpeakerdError(f"the server does not answer as it should ({type(error).__name__})")


def _written(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
