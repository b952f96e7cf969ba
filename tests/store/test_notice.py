import logging

from diamonds.store.notice import Notice


def test_what_goes_on_is_said_at_once_and_then_once_a_minute_with_how_often(caplog):
    now = [0.0]
    notice = Notice(logging.getLogger("test"), "%(times)d exchanges could not be kept: %(why)s", lambda: now[0])

    for now[0] in range(130):
        notice.happened(f"at {now[0]}\nand more")
    now[0] = 179.0
    notice.say()
    now[0] = 180.0
    notice.say()
    notice.say()

    assert [each.message for each in caplog.records] == [
        "1 exchanges could not be kept: at 0",
        "60 exchanges could not be kept: at 60",
        "60 exchanges could not be kept: at 120",
        "9 exchanges could not be kept: at 129",
    ]
