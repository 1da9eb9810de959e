"""What the text of a failure suggests: only keywords that whoever asked has."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Advice:
    """Half-sentences for the text of a failure: which keyword says what.

    `address`: where the request goes; `sending`: how it is sent; `client`: what the client says of itself; `csrf`: the
    header against CSRF; `ending(status)`: that such an answer ends the sign-in.
    """

    address: str
    sending: str
    client: str
    csrf: str
    final: str

    def ending(self, status: int) -> str:
        return self.final.format(status=status)


#: For a callable of the user's, whose keywords are its own.
OF_A_CALLABLE = Advice(
    address="check the address",
    sending="check how the refresh token is sent",
    client="check the client's id and secret, the scope and the grant",
    csrf="send the header that it wants",
    final="raise RefreshRefused in the refresh callable",
)

OF_A_LOGIN = replace(OF_A_CALLABLE, sending="check what the login is given, and how it is sent")


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice of a built-in refresher: for its logins, for its refreshes, and one sentence for its logouts."""

    login: Advice
    refresh: Advice
    logout: str


def built_in(*, login: str, refresh: str, logout: str, client: str) -> Advised:
    """For a refresher whose addresses are said by these keywords; `client` is its half-sentence about the client."""

    def advice(keyword: str, sending: str) -> Advice:
        return Advice(
            address=f"check the address ({keyword})",
            sending=sending,
            client=client,
            csrf="send the header that it wants with headers=, a mapping or a function of the tokens",
            final="say final=[{status}]",
        )

    return Advised(
        advice(login, "check what login() is given, and how it is sent (send=, headers=)"),
        advice(refresh, "check how the refresh token is sent (send=, refresh_field=)"),
        f"check {logout}, logout_method= and logout_token=",
    )
