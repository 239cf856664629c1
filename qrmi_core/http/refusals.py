"""Conversion of error responses to errors, by HTTP status and by the driver."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qrmi_core.errors import PASSING, InvalidResponseError, QrmiError
from qrmi_core.http.failures import REDIRECTED, SEE_OTHER, Failure
from qrmi_core.http.response import Response, status_phrase
from qrmi_core.redaction import Redactor
from qrmi_core.urls import redirect_target

_log = logging.getLogger("qrmi_core.http")

_REQUEST_ID_HEADERS = ("X-Request-ID", "X-Correlation-ID")

ErrorHook = Callable[[Response, QrmiError], QrmiError | None]
"""A driver's function that refines the error for an error response.

It is called with the response and the error described by its HTTP status. It amends that error
(`message`, `vendor_code`, `request_id`, `details`), or returns or raises another one; texts are
redacted afterwards. If it raises `InvalidResponseError`, as the readers of `Response` do, or
anything but a `QrmiError`, the error is used with the amendments made so far. A `ResourceBusyError`
is raised at once; otherwise the hook influences neither retries nor `uncertain`."""


def describe(
    response: Response, failure: Failure, kind: type[QrmiError], url: str, proxy_advice: str
) -> QrmiError:
    """Return the error for an error response, described by its HTTP status and text.

    Args:
        response: The response.
        failure: Its row in the table of failures.
        kind: The class of the error.
        url: URL of the request.
        proxy_advice: Advice about the proxy, if the response is probably the proxy's; else empty.
    """
    wait = response.retry_after
    said, advice = response.excerpt(), failure.advice
    if proxy_advice:
        advice = f"this may be the proxy's response and not the service's: {proxy_advice}"
    elif failure in (REDIRECTED, SEE_OTHER):
        target = redirect_target(url, response.headers.get("Location"))
        said = f"redirects{target and f', here to {target},'} are not followed"
    elif failure.retryable:
        advice = f"the vendor asks to wait {wait:.0f} s" if wait else "try again later"
    what = f"{response.call}: {status_phrase(response.status_code)}"
    error = kind(f"{what}{said and f': {said}'}{advice and f'; {advice}'}")
    error.retry_after = wait
    if kind is failure.error:
        error.retryable = failure.retryable
    return error


def explain(
    hook: ErrorHook | None, response: Response, error: QrmiError, redact: Redactor
) -> QrmiError:
    """Return the error after the driver's hook has refined it, with all texts redacted."""
    described = error.message
    if hook:
        found: object = None
        try:
            found = hook(response, error)
        except InvalidResponseError:
            pass  # a proxy's error page
        except QrmiError as raised:
            found = raised
        except PASSING:
            raise
        except BaseException as defect:  # some vendors' errors are not an `Exception`
            # The text is left out, since it may contain parts of the response.
            _log.warning(
                "%s: the driver could not read the error response (%s); please report this to "
                "the authors of the plugin",
                *(response.call, type(defect).__name__),
            )
        error = found if isinstance(found, QrmiError) else error
    ids = [response.headers.get(name) for name in _REQUEST_ID_HEADERS]
    error.request_id = error.request_id or next(filter(None, ids), None)
    redact.clean(error)
    error.message = error.message or described
    if error.retry_after is None:
        error.retry_after = response.retry_after
    error.status_code = response.status_code
    return error
