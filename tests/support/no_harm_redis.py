"""What stock does right, the rows with a Redis: one that is late, one that fails over, two workers that share it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from no_harm import FRESH, LISTED, SAME, Case, row
from no_harm_server import COUNT
from sites import Session


def signed_out(case: Case, word: str, seconds: float) -> int:
    """Sign somebody out, and use their token while Redis is late."""
    user = case.site.signed_up(f"s{next(COUNT)}x{case.tree}")
    assert user.call("GET", LISTED).ok
    user.call("POST", "/api/v1/auths/signout").raise_for_status()
    assert case.redis
    case.redis.hold(word, seconds)
    try:
        return user.call("GET", LISTED).status_code
    finally:
        case.redis.hold("nothing", 0)


@row(auth=True, REDIS_URL="line")
def a_signed_out_token_while_redis_is_late(case: Case) -> int:
    return signed_out(case, "revoked", 0.6)


@row(auth=True, REDIS_URL="line")
def a_signed_out_token_with_a_redis_far_away(case: Case) -> int:
    return signed_out(case, "\r\n", 0.08)


@row("more", auth=True, REDIS_URL="line")
def the_cached_list_with_a_redis_far_away(case: Case) -> bool:
    assert case.redis
    with case.base_models_cached():
        case.site.connect([case.url("far")])
        case.ids()
        case.redis.hold("\r\n", 0.08)
        try:
            before = case.asked("far")
            for _ in range(3):
                assert case.ids(LISTED)
            return case.asked("far") == before
        finally:
            case.redis.hold("nothing", 0)


def polled(user: Session, path: str, seconds: float = 6) -> list[int]:
    """Return the status of one request after the other."""
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seen.append(user.call("GET", path).status_code)
        time.sleep(0.1)
    return seen


@row(auth=True, REDIS_URL="sentinel")
def a_redis_that_fails_over(case: Case) -> list[Any]:
    case.site.connect([case.url("over", body=SAME)])
    gone = case.site.signed_up(f"g{next(COUNT)}x{case.tree}")
    gone.call("POST", "/api/v1/auths/signout").raise_for_status()
    case.ids()
    assert case.fail_over
    with ThreadPoolExecutor(2) as pool:
        lists, refused = (pool.submit(polled, *arguments) for arguments in ((case.site, FRESH), (gone, LISTED)))
        time.sleep(1)
        case.fail_over()
    return [set(lists.result()), set(refused.result()), case.answers("same")]


@row("more", auth=True, REDIS_URL="sentinel")
def the_cached_list_after_a_failover(case: Case) -> bool:
    assert case.fail_over
    with case.base_models_cached():
        case.site.connect([case.url("cached")])
        case.ids()
        case.fail_over()
        case.ids(LISTED)
        before = case.asked("cached")
        return bool(case.ids(LISTED)) and case.asked("cached") == before


@row(auth=True, REDIS_URL="line", WORKERS="2")
def two_workers_know_what_an_admin_set(case: Case) -> list[Any]:
    assert case.other
    seen = []
    for name in ("first", "second"):
        case.site.connect([case.url(name, body={"data": [{"id": name}]})])
        seen += [sorted(site.models().ids) for site in (case.site, case.other, case.site)]
    return seen


@row("more", auth=True, REDIS_URL="line", WORKERS="2")
def two_workers_fail_over(case: Case) -> int:
    """One of them lists; both chat."""
    assert case.other
    case.site.connect([case.url("one", body=SAME), case.url("two", body=SAME)])
    case.ids()
    case.other.models()
    case.url("one", hang_up=True)
    case.ids()
    return sum(site.chat("same").status_code == 200 for site in (case.site, case.other) for _ in range(3))


@row("more", auth=True, REDIS_URL="line", WORKERS="2")
def a_chat_at_a_worker_whose_list_is_older(case: Case) -> int:
    assert case.other
    case.site.connect([case.url("listed", body={"data": [{"id": "elsewhere"}]})])
    case.ids()
    time.sleep(1.1)  # for so long a worker keeps a list
    return case.other.chat("elsewhere").status_code == 200


@row(auth=True, REDIS_URL="line", WORKERS="2")
def a_token_signed_out_at_the_other_worker(case: Case) -> list[int]:
    assert case.other
    user = case.site.signed_up(f"w{next(COUNT)}x{case.tree}")
    at_other = Session(case.other.url, user.token)
    seen = [at_other.call("GET", LISTED).status_code]
    user.call("POST", "/api/v1/auths/signout").raise_for_status()
    return [*seen, at_other.call("GET", LISTED).status_code]
