"""RedisStorage on a real server: what is stored there, and who may change it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from rxauth.errors import InvalidRecord, StorageError
from rxauth.storage import SharedStorage, WatchedStorage, codec
from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis import lease as redis_lease
from tests.storage.redis_kit import Server, every_client, in_threads, record

ALIEN = '{"version": 99, "of": "the future"}'
KEY = "rxauth:session"


class TestWhatIsStored:
    @every_client
    def test_what_one_saves_another_loads(self, make: Callable[..., RedisStorage], how: str) -> None:
        saved = record(account="mary", endpoint="https://auth.example/token", spending=1234.5)
        assert make(how).load() is None
        assert make(how).save(saved)
        assert make("url").load() == saved
        assert isinstance(make(how), SharedStorage)
        assert isinstance(make(how), WatchedStorage)

    @every_client
    def test_save_is_compare_and_set(self, make: Callable[..., RedisStorage], how: str) -> None:
        storage = make(how)
        first, second = record(1), record(2)
        assert not storage.save(second, first.key), "nothing is stored"
        assert storage.save(first)
        assert not storage.save(second, ("sign-in-1", 7))
        assert not storage.save(second, ("sign-in-2", 1))
        assert storage.save(second, first.key)
        assert not storage.save(second, first.key), "it is not the first any more"
        assert storage.load() == second
        storage.clear("sign-in-1")
        assert not storage.save(record(3), second.key), "a tombstone"
        assert storage.save(record(1, "sign-in-2")), "but a login may take its place"

    def test_of_savers_of_the_same_generation_one_wins(self, make: Callable[..., RedisStorage]) -> None:
        make().save(record(1))
        start, wins = threading.Barrier(8), []

        def save(number: int) -> None:
            storage = make("sync")
            start.wait()
            wins.append(storage.save(replace(record(2), account=str(number)), ("sign-in-1", 1)))

        in_threads([lambda number=number: save(number) for number in range(8)])
        assert sorted(wins) == [False] * 7 + [True]

    def test_a_change_between_the_look_and_the_write_is_looked_at_again(
        self, make: Callable[..., RedisStorage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, quick = make(), make()
        quick.save(record(1))
        dumps, late = codec.dumps, [record(2, account="quick")]

        def interrupted(stored: Any) -> str:
            if late:
                assert quick.save(late.pop(), ("sign-in-1", 1))
            return dumps(stored)

        monkeypatch.setattr(codec, "dumps", interrupted)
        assert not slow.save(record(2, account="slow"), ("sign-in-1", 1))
        assert quick.load() == record(2, account="quick")

    @pytest.mark.parametrize("damage", [ALIEN, "no json", "", b"\xff\xfe\x00"])
    def test_what_it_can_not_read_is_refused_and_left_alone(
        self, redis_server: Server, make: Callable[..., RedisStorage], damage: str | bytes
    ) -> None:
        raw = redis.Redis(port=redis_server.port)
        raw.set(KEY, damage)
        storage = make()
        for call in (storage.load, lambda: storage.save(record(1)), lambda: storage.clear("sign-in-1")):
            with pytest.raises(InvalidRecord, match=KEY):
                call()
        assert raw.get(KEY) == (damage if isinstance(damage, bytes) else damage.encode())
        raw.close()

    def test_another_kind_of_value_is_left_alone(self, redis_server: Server, make: Callable[..., RedisStorage]) -> None:
        redis_server.client.rpush(KEY, "a list")
        for call in (make().load, lambda: make().save(record(1)), lambda: make().clear("sign-in-1")):
            with pytest.raises(StorageError, match="WRONGTYPE"):
                call()
        assert redis_server.client.lrange(KEY, 0, -1) == ["a list"]

    def test_clear_leaves_a_tombstone_that_ends(self, redis_server: Server, make: Callable[..., RedisStorage]) -> None:
        storage = make(tombstone=1000.0)
        storage.clear("sign-in-1")
        assert storage.load() is None
        storage.save(record(4, account="mary", spending=7.0))
        assert redis_server.client.pttl(KEY) == -1, "a record stays"
        storage.clear("sign-in-2")
        assert storage.load() == record(4, account="mary", spending=7.0)
        storage.clear("sign-in-1")
        assert make().load() == replace(record(4, account="mary"), tokens=None)
        assert 900_000 < redis_server.client.pttl(KEY) <= 1_000_000
        redis_server.client.pexpire(KEY, 5000)
        storage.clear("sign-in-1")
        assert redis_server.client.pttl(KEY) <= 5000, "it has been cleared before"
        storage.save(record(1, "sign-in-2"))
        assert redis_server.client.pttl(KEY) == -1

    @pytest.mark.parametrize("options", [{"lease": 0}, {"timeout": -1.0}, {"tombstone": float("inf")}, {"key": ""}])
    def test_options_that_make_no_sense_are_refused(self, redis_server: Server, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            RedisStorage(redis_server.url, **options)

    @pytest.mark.parametrize("key", ["mine", "{user7}:tokens", "a{b}c", "a{b"])
    def test_all_names_are_in_the_slot_of_the_record(self, key: str) -> None:
        from redis.crc import key_slot

        names = redis_lease.Keys.of(key)
        assert names.record == key
        assert len(set(names)) == 5
        assert len({key_slot(name.encode()) for name in names}) == 1

    @pytest.mark.parametrize("key", ["a}b", "a{}b"])
    def test_a_name_that_can_not_share_its_slot_is_refused(self, key: str) -> None:
        with pytest.raises(ValueError, match="hash tag"):
            redis_lease.Keys.of(key)
