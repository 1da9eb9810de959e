"""The error codes of token endpoints, and what they mean: lower case, as they come in."""

from __future__ import annotations

import re
from collections.abc import Collection

#: RFC 6749 section 5.2 and RFC 6750 section 3.1, simplejwt, Matrix, and what others call the same; OpenID Connect Core
#: section 3.1.2.6, where the user is needed.
FINAL_CODES = {
    "invalid_grant",
    "invalid_token",
    "invalid_refresh_token",
    "token_not_valid",
    "no_active_account",
    "token_expired",
    "token_revoked",
    "expired_token",
    "refresh_token_expired",
    "refresh_token_revoked",
    "refresh_token_not_found",
    "bad_refresh_token",
    "m_unknown_token",
    "interaction_required",
    "login_required",
    "consent_required",
}
CLIENT_CODES = {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request"}
#: RFC 6749 section 4.1.2.1, RFC 8628 section 3.5, and what other servers say, where a status of 5xx or 429 would say
#: the same; compared without regard to how its words are joined, and without `Exception` at its end.
_PASSING_CODES = {
    "authorizationpending",
    "temporarilyunavailable",
    "servererror",
    "slowdown",
    "ratelimited",
    "ratelimitexceeded",
    "toomanyrequests",
    "throttled",
    "throttling",
    "tryagain",
    "tryagainlater",
    "unavailable",
    "serviceunavailable",
    "serverunavailable",
    "overloaded",
    "serveroverloaded",
    "serverbusy",
    "internal",
    "internalerror",
    "internalfailure",
    "internalservererror",
    "internalserviceerror",
    "internalservicefailure",
    "serverfailure",
    "serviceerror",
    "backenderror",
    "databaseerror",
    "unknownerror",
    "unexpectederror",
    "timeout",
    "requesttimeout",
    "gatewaytimeout",
    "badgateway",
}


def passes(codes: Collection[str]) -> bool:
    """Does one of these codes say that the trouble passes?"""
    return any(re.sub("[^a-z0-9]", "", code).removesuffix("exception") in _PASSING_CODES for code in codes)
