"""How new tokens are fetched: `simplejwt`, `oauth2`, or a callable of your own."""

from rxauth.refreshers.oauth2 import oauth2
from rxauth.refreshers.protocol import Refresher
from rxauth.refreshers.simplejwt import simplejwt

__all__ = ["Refresher", "oauth2", "simplejwt"]
