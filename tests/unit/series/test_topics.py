from __future__ import annotations

from webui_fork.series import narrowing, topics
from webui_fork.series.topics import Change, Topic

CONFIG = "import os\n\nTIMEOUT = 10\n\n\ndef load():\n    return os.environ\n"
ROUTER = """\
from config import load


def one(user):
    return user


def two(user):
    return user


def three(user):
    return user
"""


def _split(*changes: Change) -> tuple[Topic, ...]:
    blocks = [block for change in changes for block in narrowing.blocks(change.path, change.old, change.new)]
    split = topics.split(changes, blocks)
    assert {id(block) for topic in split for block in topic.blocks} == {id(block) for block in blocks}
    return split


def test_what_brings_a_name_goes_with_what_uses_it() -> None:
    config = Change("a/config.py", CONFIG, CONFIG.replace("TIMEOUT = 10\n", "TIMEOUT = 10\nMAX_USERS = 5\n"))
    router = Change(
        "a/router.py",
        ROUTER,
        ROUTER.replace("def one(user):\n", "def one(user):\n    if user > MAX_USERS:\n        return None\n").replace(
            "def three(user):\n    return user", "def three(user):\n    return user + 1"
        ),
    )
    first, second = _split(config, router)
    assert first.paths == ("a/config.py", "a/router.py")
    assert first.subject == "Add MAX_USERS to router"
    assert [block.function for block in first.blocks] == ["", "one"]
    assert (second.subject, second.paths) == ("Change three in router", ("a/router.py",))


def test_a_new_file_goes_with_what_imports_it() -> None:
    new = Change("a/audit_trail.py", "", "def record_login(user):\n    return user\n")
    router = Change(
        "a/router.py", ROUTER, ROUTER.replace("def two(user):\n", "def two(user):\n    record_login(user)\n")
    )
    (topic,) = _split(new, router)
    assert (topic.subject, topic.paths) == ("Add audit_trail", ("a/audit_trail.py", "a/router.py"))


def test_a_file_that_goes_takes_its_users_with_it() -> None:
    gone = Change("a/telemetry.py", "def report():\n    return 1\n", "")
    old = ROUTER.replace("def two(user):\n", "def two(user):\n    telemetry.report()\n")
    (topic,) = _split(gone, Change("a/router.py", old, ROUTER))
    assert topic.subject == "Remove telemetry"


def test_what_has_nothing_in_common_is_apart() -> None:
    router = Change("a/router.py", ROUTER, ROUTER.replace("return user", "return None"))
    assert [topic.subject for topic in _split(router)] == [
        "Change one in router", "Change two in router", "Change three in router"
    ]  # fmt: skip


def test_one_subject_is_one_patch() -> None:
    changed = ROUTER.replace("def one(user):\n    return user", "def one(user):\n    return None")
    subjects = [topic.subject for topic in _split(Change("a/x.py", ROUTER, changed), Change("b/x.py", ROUTER, changed))]
    assert subjects == ["Change one in x", "Change one in x, part 2"]


def test_a_name_that_the_release_has_joins_nothing() -> None:
    config = Change("a/config.py", CONFIG, CONFIG.replace("TIMEOUT = 10\n", "TIMEOUT = 20\n"))
    used = ROUTER.replace("def one(user):\n", "def one(user, timeout=TIMEOUT):\n")
    assert len(_split(config, Change("a/router.py", ROUTER, used))) == 2


def test_scripts_of_the_front_end_have_names_too() -> None:
    old = "<script>\n\tlet open = false;\n</script>\n\n<p>text</p>\n\n<div>\n</div>\n"
    new = old.replace("open = false;\n", "open = false;\n\tconst banner_text = 'x';\n").replace(
        "<div>\n", "<div>\n{banner_text}\n"
    )
    (topic,) = _split(Change("src/a/Chat.svelte", old, new))
    assert topic.subject == "Add banner_text to Chat"


def test_a_name_that_is_taken_is_counted_up() -> None:
    changed = ROUTER.replace("def one(user):\n    return user", "def one(user):\n    return None")
    plain = Change("q/x_part_2.svelte", "a\n", "b\n")
    rows = [Change("p/x.svelte", "a\n", "b\n"), Change("q/x.svelte", "a\n", "b\n"), plain]
    assert [topic.subject for topic in _split(*rows)] == ["Change x", "Change x, part 2", "Change x_part_2, part 2"]
    long = "very_long_name_of_a_function_that_goes_on_and_on_for_ever"
    subjects = [topic.subject for topic in _split(
        *(Change(f"a/{long}{end}.svelte", "a\n", "b\n") for end in ("1", "2")), Change("b/router.py", ROUTER, changed)
    )]  # fmt: skip
    assert len(set(subjects)) == 3
    assert all(len(subject) <= 60 for subject in subjects)


def test_a_word_that_everything_uses_joins_nothing() -> None:
    many = [
        Change(f"a/m{number}.py", ROUTER, ROUTER.replace("return user", "return shared_word(user)", 1))
        for number in range(13)
    ]
    new = Change("a/words.py", "", "def shared_word(a):\n    return a\n")
    assert len(_split(new, *many)) == 14
    assert len(_split(new, *many[:11])) == 1


def test_a_known_word_is_the_forks_where_the_file_imports_it_now() -> None:
    new = Change("a/lists.py", "", "def shown(models):\n    return models\n")
    old = ROUTER.replace("def three", "shown = 1\n\n\ndef three")
    uses = old.replace("def two(user):\n", "def two(user):\n    shown(user)\n")
    assert len(_split(new, Change("a/router.py", old, uses))) == 2
    imports = uses.replace("from config import load\n", "from config import load\nfrom lists import shown\n")
    joined = [topic for topic in _split(new, Change("a/router.py", old, imports)) if len(topic.paths) == 2]
    assert joined


def test_methods_of_a_class_go_together() -> None:
    old = "class A:\n    def one(self):\n        return 1\n\n    def two(self):\n        return 1\n"
    assert len(_split(Change("a/x.py", old, old.replace("return 1", "return 2")))) == 1
