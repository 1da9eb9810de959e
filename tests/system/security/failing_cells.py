"""The ways in which a notebook's cell fails: the name of the exception, and its code. None of them holds a secret."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    raises: str
    code: str


CELLS = {
    "refused": Cell("SessionExpired", "desk.client(faults.refuse()).get('/api/me/')"),
    "refused, async": Cell("SessionExpired", "await desk.async_client(faults.refuse()).get('/api/me/')"),
    "503": Cell("RefreshUnavailable", "desk.client(faults.unavailable()).get('/api/me/')"),
    "503, async": Cell("RefreshUnavailable", "await desk.async_client(faults.unavailable()).get('/api/me/')"),
    "html": Cell("RefreshUnavailable", "desk.session(faults.html(200)).fresh().run()"),
    "unusable": Cell(
        "RefreshUnavailable",
        """
session = desk.session(faults.answer(200, desk.next_pair()))
await session.fresh()
""",
    ),
    "answer lost": Cell("RefreshUnavailable", "await desk.session(faults.reset_after()).fresh()"),
    "timeout": Cell("RefreshTimeout", "desk.client(faults.never(), deadline=0.05).get('/api/me/')"),
    "nobody listens": Cell("RefreshUnavailable", "await desk.session(url=desk.nobody()).fresh()"),
    "misconfigured": Cell(
        "RefreshMisconfigured", "desk.session(faults.answer(400, {'error': 'invalid_client'})).fresh().run()"
    ),
    "refused after a 401": Cell(
        "SessionExpired",
        """
client = desk.refused(desk.client(faults.refuse(), expired=False))
client.get('/api/me/')
""",
    ),
    "refused after a 401, async": Cell(
        "SessionExpired",
        """
client = desk.refused(desk.async_client(faults.refuse(), expired=False))
await client.get('/api/me/')
""",
    ),
    "piped": Cell(
        "SessionExpired", "desk.session(faults.refuse()).fresh().pipe(ops.map(lambda tokens: tokens.access)).run()"
    ),
    "callable": Cell(
        "RefresherError",
        """
def refresh(tokens):
    return [][0]
await desk.session(refresher=refresh).fresh()
""",
    ),
    "async callable": Cell(
        "RefresherError",
        """
async def refresh(tokens):
    return [][0]
desk.session(refresher=refresh).fresh().run()
""",
    ),
    "callable returns nothing": Cell("RefreshUnavailable", "desk.session(refresher=lambda tokens: None).fresh().run()"),
    "login": Cell("LoginFailed", "Session(simplejwt(desk.server.url)).login(**desk.credentials()).run()"),
    "login, async": Cell("LoginFailed", "await Session(simplejwt(desk.server.url)).login(**desk.credentials())"),
    "login, nobody listens": Cell("LoginFailed", "Session(simplejwt(desk.nobody())).login(**desk.credentials()).run()"),
    "request, 404": Cell("ApiStatusError", "await request(desk.store(expired=False), Nowhere())"),
    "request, no answer": Cell(
        "ApiNetworkError",
        """
store = desk.store(expired=False, base_url=desk.nobody())
await request(store, Nowhere())
""",
    ),
    "request, refused": Cell("SessionExpired", "await request(desk.store(faults.refuse()), Nowhere())"),
    "origin": Cell("OriginNotAllowed", "desk.client(expired=False).get('https://evil.example/')"),
    "origin, async": Cell("OriginNotAllowed", "await desk.async_client(expired=False).get('https://evil.example/')"),
    "another user": Cell(
        "SessionChanged",
        """
session = desk.session(expired=False)
before = session.auth.tokens
session.sign_in(desk.secrets.of(desk.session(expired=False).auth.tokens)).run()
await session.replace(before)
""",
    ),
    "not replayable": Cell(
        "NotReplayable",
        """
client = desk.refused(desk.client(expired=False))
answer = client.post('/api/echo/', content=iter([b'once']))
raise answer.extensions['rxauth']
""",
    ),
    "epic": Cell(
        "ValueError",
        """
def boom(action):
    raise ValueError('an epic with tokens in its hands')
store = Store(auth_reducer, AuthState(), report=lambda error, *about: desk.reported.append(error))
store.add_epic(lambda actions, state: actions.of_type(SignedIn).pipe(ops.map(boom)))
session = Session(lambda tokens: tokens, store=store, select=lambda state: state)
await session.sign_in(desk.session().auth.tokens)
while not desk.reported:
    await asyncio.sleep(0)
raise desk.reported.pop()
""",
    ),
    "reducer": Cell(
        "ValueError",
        """
def reducer(state, action):
    if isinstance(action, SignedIn):
        raise ValueError('a reducer')
    return auth_reducer(state, action)
desk.session(store=Store(reducer, AuthState()), select=lambda state: state)
""",
    ),
    "gate": Cell(
        "ValueError",
        """
failed = []
def effect(item, tokens):
    raise ValueError('an effect with tokens in its hands')
gate = desk.session(expired=False).gate(effect, failed=lambda item, error: failed.append(error))
reactivex.of(1).pipe(gate).subscribe()
raise failed[0]
""",
    ),
    "gated": Cell(
        "ValueError",
        """
def load(dispatch, get_state):
    raise ValueError('a thunk')
session = desk.session(expired=False)
await session.store.dispatch(session.gated(load))
""",
    ),
    "storage": Cell(
        "OSError",
        """
session = desk.session(storage=BrokenStorage(), expired=False)
raise session.storage.save(await session.fresh(), lambda: True)
""",
    ),
    "pickle": Cell("TypeError", "pickle.dumps(desk.session())"),
    "misspelt": Cell("AttributeError", "desk.session().auth.tokens.acess"),
}
