"""What is sent where: every header and field in which a secret leaves this process, and who gets it.

| secret | travels in | goes to |
|---|---|---|
| access token | `AUTHORIZATION`, as `BEARER` (another name by `header=`, `scheme=`) | the session's own origins |
| access token, at logout | `AUTHORIZATION`, as `BEARER`, if `logout_token=` says so | the refresher's logout URL |
| refresh token | a field `REFRESH_TOKEN` or `SIMPLEJWT_REFRESH`; else as `send=` says | the token endpoint |
| refresh token, at logout | the same, or a field `TOKEN` (RFC 7009 section 2.1) | the refresher's logout URL |
| client's secret | `AUTHORIZATION`, as Basic (RFC 6749 section 2.3.1), or a field `CLIENT_SECRET` | both of these |
| credentials | fields of the names that the caller gave to `login()` | the token endpoint |

Nothing else is sent, and nothing of it in a URL, unless you put it there.
"""

from __future__ import annotations

from typing import Final

AUTHORIZATION: Final = "Authorization"
BEARER: Final = "Bearer"
COOKIE: Final = "Cookie"

#: RFC 6749 sections 4 to 6: the form fields of a request to the token endpoint, and the fields of its answer.
GRANT_TYPE: Final = "grant_type"
CLIENT_ID: Final = "client_id"
CLIENT_SECRET: Final = "client_secret"
SCOPE: Final = "scope"
ACCESS_TOKEN: Final = "access_token"
REFRESH_TOKEN: Final = "refresh_token"
#: RFC 7009 section 2.1.
TOKEN: Final = "token"
TOKEN_TYPE_HINT: Final = "token_type_hint"
#: djangorestframework-simplejwt's names for the two tokens.
SIMPLEJWT_ACCESS: Final = "access"
SIMPLEJWT_REFRESH: Final = "refresh"


def check_sendable(keyword: str, text: str, *, empty: bool = True) -> None:
    """Raise a ValueError unless `text` can stand in a header (RFC 9110 section 5.5), where a secret comes after it.

    An HTTP library would say so as well, but with the whole header, secret included, in its message.
    """
    if not isinstance(text, str) or not (text or empty) or not text.isascii() or not text.isprintable():
        raise ValueError(f"{keyword} must be printable ASCII without line breaks, got {text!r}")
