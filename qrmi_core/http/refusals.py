"""The error of an error response, described by the core and explained by the driver."""

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
"""Called with an error response and the error that it would become.

It amends that error (its `message`, `vendor_code`, `request_id`, `details`), or returns or raises
another one; texts are redacted afterwards. The error stays as the hook left it where the hook
raises `InvalidResponseError`, as the readers of `Response` do, or anything but a `QrmiError`. A
`ResourceBusyError` is raised at once; otherwise the hook has no influence on whether the call is
repeated, or on `uncertain`."""


def describe(
    response: Response, failure: Failure, kind: type[QrmiError], url: str, proxy_advice: str
) -> QrmiError:
    """Return the error of an error response, as far as HTTP describes it.

    Args:
        response: The response.
        failure: Its row in the table of failures.
        kind: The class of the error.
        url: URL of the request.
        proxy_advice: Advice about the proxy, if the response is probably the proxy's.
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
    """Return the error that a driver's hook makes of an error response, cleaned."""
    described = error.message
    if hook:
        found: object = None
        try:
            found = hook(response, error)
        except InvalidResponseError:
            pass  # an error page of some proxy
        except QrmiError as raised:
            found = raised
        except PASSING:
            raise
        except BaseException as defect:  # vendors' libraries have errors that are no Exception
            # Without its text, which may show the response.
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
