"""The playground in Chromium, against `hubbub dev`: the first minutes of a newcomer, and what may go wrong in them."""

import os
import re
import signal

import pytest
from playwright.async_api import Route, expect

from browser.chromium import PHONE, Pages
from browser.local import Local
from browser.playground import Playground, new_group, send, stored
from support.servers import short_directory
from support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_pages_exchange_messages(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await alice.write("hello bob")
    await expect(bob.message("hello bob")).to_be_visible()
    await bob.write("hello alice\nhow are you?")
    await alice.expect_texts(["hello bob", "hello alice\nhow are you?"])
    await bob.expect_texts(["hello bob", "hello alice\nhow are you?"])
    await expect(alice.message("hello bob")).to_have_class(re.compile(r"\bown\b"))
    await expect(alice.message("hello alice")).not_to_have_class(re.compile(r"\bown\b"))


async def test_ones_own_message_is_sent_and_then_read(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    await alice.write("are you there?")
    await expect(alice.message("are you there?")).to_have_attribute("data-status", "sent")
    await Playground.open(pages, local, "bob", conversation)
    await expect(alice.message("are you there?")).to_have_attribute("data-status", "read")


async def test_typing_is_seen_and_ends_with_the_message(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await bob.composer.press_sequentially("let me thi")
    await expect(alice.strip).to_contain_text("Bob Okafor is typing")
    await expect(alice.item(conversation)).to_contain_text("typing…")
    await bob.composer.fill("")
    await expect(alice.strip).to_have_text("")
    await bob.composer.press_sequentially("I see")
    await expect(alice.strip).to_contain_text("is typing")
    await bob.composer.press("Enter")
    await expect(alice.message("I see")).to_be_visible()
    await expect(alice.strip).to_have_text("")


async def test_unread_counts_move(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    elsewhere = await new_group(local)
    bob = await Playground.open(pages, local, "bob", elsewhere)
    for text in ("one", "two", "three"):
        await send(local, "alice", conversation, text)
    await expect(bob.unread(conversation)).to_have_text("3")
    await expect(bob.item(conversation)).to_contain_text("Alice: three")
    await expect(bob.page).to_have_title(re.compile(r"^\([0-9]+\) Bob Okafor"))
    await bob.item(conversation).click()
    await expect(bob.page.get_by_text("New messages")).to_be_visible()
    await expect(bob.unread(conversation)).to_have_text("")


async def test_reading_on_one_device_takes_the_badge_away_on_another(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    elsewhere = await new_group(local)
    other = await Playground.open(pages, local, "bob", elsewhere)
    await send(local, "alice", conversation, "for bob")
    await expect(other.unread(conversation)).to_have_text("1")
    await Playground.open(pages, local, "bob", conversation)
    await expect(other.unread(conversation)).to_have_text("")


async def test_history_scrolls_back_and_stays_where_it_is(pages: Pages, local: Local) -> None:
    texts = [f"message {i}." for i in range(1, 131)]
    conversation = await new_group(local, texts=tuple(texts))
    alice = await Playground.open(pages, local, "alice", conversation)
    await expect(alice.message("message 130.")).to_be_in_viewport()
    assert await alice.messages.count() == 50
    await alice.scroller.evaluate("scroller => { scroller.scrollTop = 500; }")
    before = await alice.message("message 95.").bounding_box()
    await expect(alice.messages).to_have_count(100)
    after = await alice.message("message 95.").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) <= 1
    await alice.scroller.evaluate("scroller => { scroller.scrollTop = 0; }")
    await alice.expect_texts(texts)
    await expect(alice.page.get_by_text("The beginning of this conversation")).to_be_attached()


async def test_who_reads_old_messages_stays_there_and_can_jump_to_the_newest(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=tuple(f"message {i}." for i in range(1, 61)))
    bob = await Playground.open(pages, local, "bob", conversation)
    await expect(bob.message("message 60.")).to_be_attached()
    await bob.scroller.evaluate("scroller => { scroller.scrollTop = 300; }")
    await send(local, "alice", conversation, "something new")
    await expect(bob.message("something new")).to_be_attached()
    await expect(bob.message("something new")).not_to_be_in_viewport()
    await bob.page.get_by_role("button", name="Jump to the newest messages").click()
    await expect(bob.message("something new")).to_be_in_viewport()
    await expect(bob.unread(conversation)).to_have_text("")


async def test_presence_is_seen(pages: Pages, local: Local) -> None:
    created = await local.call("alice", "conversation.create", kind="direct", members=["carol"])
    conversation = created["conversation"]["id"]
    carol = await Playground.open(pages, local, "carol", conversation)
    alice = await Playground.open(pages, local, "alice", conversation)
    await expect(alice.page.locator("#subtitle")).to_have_text("Online")
    await expect(alice.item(conversation).locator(".presence")).to_have_class(re.compile("is-online"))
    await carol.page.close()
    seen = alice.page.locator("#subtitle")
    await expect(seen).to_have_text(re.compile("Last seen|Offline"), timeout=60_000)


async def test_a_page_survives_that_the_hub_is_killed(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    texts = [f"line {i}." for i in range(20)]
    await alice.write(*texts[:10])
    os.kill(local.pid("hub"), signal.SIGKILL)  # it is started again, with another pid
    await alice.write(*texts[10:])
    await expect(alice.page.locator('.row[data-status="pending"]')).to_have_count(0, timeout=60_000)
    await bob.expect_texts(texts)
    await alice.expect_texts(texts)
    assert await stored(local, "alice", conversation) == texts
    await bob.write("still here")
    await expect(alice.message("still here")).to_be_visible()


async def test_what_is_written_while_everything_is_down_arrives_once(pages: Pages) -> None:
    with short_directory() as directory:
        with Local.running(directory) as local:
            conversation = await new_group(local)
            alice = await Playground.open(pages, local, "alice", conversation)
            bob = await Playground.open(pages, local, "bob", conversation)
            await alice.write("before")
            await expect(bob.message("before")).to_be_visible()
            local.kill()
            await expect(alice.status).to_have_text("Offline")
            await expect(alice.strip).to_contain_text("sent when the connection is back")
            await alice.write("one", "two")
            await bob.write("three")
            await expect(alice.page.locator('.row[data-status="pending"]')).to_have_count(2)
            context = bob.page.context
            await bob.page.close()
        with Local.running(directory, local.port) as local:
            bob = await Playground.open(pages, local, "bob", conversation, context=context)
            await expect(alice.status).to_have_text("Connected")
            for page in (alice, bob):
                await expect(page.messages).to_have_count(4)
                await expect(page.page.locator('.row[data-status="pending"]')).to_have_count(0)
            texts = await stored(local, "alice", conversation)
            assert sorted(texts) == ["before", "one", "three", "two"]
            assert texts.index("one") < texts.index("two")
            assert await alice.texts() == await bob.texts() == texts


async def test_a_page_outlives_its_token(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    context = await pages.context()
    fetched = 0

    async def short(route: Route) -> None:
        nonlocal fetched
        fetched += 1
        await route.fulfill(json={"token": local.token("alice", ttl_s=3), "user": "alice"})

    await context.route("**/play/token", short)
    alice = await Playground.open(pages, local, "alice", conversation, context=context)
    await alice.page.evaluate(
        "new MutationObserver(() => { document.body.dataset.lost = 'yes'; })"
        ".observe(document.querySelector('.status'), {attributes: true})"
    )
    before = fetched
    await eventually(lambda: fetched >= before + 3)
    await alice.write("still me")
    await expect(alice.message("still me")).to_have_attribute("data-status", "sent")
    assert await alice.page.evaluate("document.body.dataset.lost") is None


async def test_a_draft_survives_a_reload(pages: Pages, local: Local) -> None:
    alice = await Playground.open(pages, local, "alice", await new_group(local))
    await alice.composer.fill("half a thou")
    await alice.page.reload()
    await expect(alice.composer).to_have_value("half a thou")


async def test_a_refused_message_can_be_tried_again_or_discarded(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    bob = await Playground.open(pages, local, "bob", conversation)
    await local.call("alice", "conversation.set_role", conversation=conversation, user="bob", role="reader")
    await bob.write("may I?", "please")
    await expect(bob.page.locator('.row[data-status="failed"]')).to_have_count(2)
    await local.call("alice", "conversation.set_role", conversation=conversation, user="bob", role="member")
    await bob.message("may I?").get_by_role("button", name="Discard").click()
    await bob.message("please").get_by_role("button", name="Try again").click()
    await expect(bob.message("please")).to_have_attribute("data-status", "sent")
    assert await stored(local, "alice", conversation) == ["please"]


async def test_history_that_cannot_be_read_can_be_tried_again(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("you found me",))
    elsewhere = await new_group(local)
    alice = await Playground.open(pages, local, "alice", elsewhere)

    async def fail(route: Route) -> None:
        await route.abort()

    await alice.page.route("**/v1/conversations/*/messages*", fail)
    await alice.item(conversation).click()
    await expect(alice.page.get_by_text("Messages could not be read.")).to_be_visible()
    await alice.page.unroute("**/v1/conversations/*/messages*")
    await alice.page.get_by_role("button", name="Try again").click()
    await expect(alice.message("you found me")).to_be_visible()


async def test_a_group_is_started_and_appears_at_its_members(pages: Pages, local: Local) -> None:
    alice = await Playground.open(pages, local, "alice", await new_group(local))
    bob = await Playground.open(pages, local, "bob", await new_group(local))
    await alice.page.get_by_role("button", name="New conversation").click()
    dialog = alice.page.get_by_role("dialog")
    await dialog.get_by_role("radio", name="Group").check()
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Pick somebody to talk to.")
    await dialog.get_by_label("Name").fill("Lunch plans")
    await dialog.get_by_text("Bob Okafor").click()
    await dialog.get_by_role("button", name="Create").click()
    await expect(alice.page.get_by_role("heading", name="Lunch plans")).to_be_visible()
    await alice.write("pizza?")
    item = bob.page.locator(".item", has_text="Lunch plans")
    await expect(item).to_contain_text("Alice: pizza?")
    await item.click()
    await expect(bob.message("pizza?")).to_be_visible()


async def test_a_user_that_does_not_exist_yet_can_be_written_to(pages: Pages, local: Local) -> None:
    alice = await Playground.open(pages, local, "alice")
    await alice.page.get_by_role("button", name="New conversation").click()
    await alice.page.get_by_label("Somebody else, by user id").fill("erin")
    await alice.page.keyboard.press("Enter")
    await expect(alice.page.get_by_role("heading", name="erin")).to_be_visible()
    await alice.write("welcome")
    await expect(alice.message("welcome")).to_have_attribute("data-status", "sent")


async def test_hands_stay_on_the_keyboard(pages: Pages, local: Local) -> None:
    first = await new_group(local, texts=("of the first",))
    second = await new_group(local, texts=("of the second",))
    alice = await Playground.open(pages, local, "alice", second)
    await expect(alice.composer).to_be_focused()
    await alice.composer.press_sequentially("two")
    await alice.composer.press("Shift+Enter")
    await alice.composer.press_sequentially("lines")
    await alice.composer.press("Enter")
    await expect(alice.message("two\nlines")).to_be_visible()
    await alice.composer.press("Escape")
    await expect(alice.item(second)).to_be_focused()
    await alice.page.keyboard.press("ArrowDown")
    await expect(alice.item(first)).to_be_focused()
    await alice.page.keyboard.press("Enter")
    await expect(alice.message("of the first")).to_be_visible()
    await expect(alice.composer).to_be_focused()


async def test_on_a_phone_the_list_and_the_conversation_are_two_views(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("hello",))
    alice = await Playground.open(pages, local, "alice", size=PHONE)
    await expect(alice.item(conversation)).to_be_visible()
    await expect(alice.composer).to_be_hidden()
    await alice.item(conversation).tap()
    await expect(alice.message("hello")).to_be_visible()
    await expect(alice.item(conversation)).to_be_hidden()
    await alice.page.get_by_role("link", name="Back to the conversations").tap()
    await expect(alice.item(conversation)).to_be_visible()


async def test_long_names_do_not_widen_a_phone(pages: Pages, local: Local) -> None:
    name = "somebody-whose-identifier-is-long-" + "x" * 30
    conversation = await new_group(local, texts=("w" * 400,), members=("alice", name))
    alice = await Playground.open(pages, local, "alice", size=PHONE)
    await alice.item(conversation).tap()
    await expect(alice.message("www")).to_be_visible()
    await expect(alice.page.locator("#subtitle")).to_contain_text("2 members, 1 online")
    await alice.page.get_by_role("link", name="Back to the conversations").tap()
    await alice.page.get_by_role("button", name="New conversation").tap()
    await expect(alice.page.get_by_role("dialog").get_by_text(name)).to_be_attached()
    wider = "element => element.scrollWidth - element.clientWidth"
    assert await alice.page.get_by_role("dialog").evaluate(wider) <= 0
    assert await alice.page.locator("html").evaluate(wider) <= 0


async def test_somebody_else_is_one_click_away(pages: Pages, local: Local) -> None:
    alice = await Playground.open(pages, local, "alice")
    async with alice.page.context.expect_page() as opening:
        await alice.page.get_by_role("link", name="Open as Bob Okafor in a new tab").click()
    bob = Playground(await opening.value)
    await expect(bob.status).to_have_text("Connected")
    await expect(bob.page.locator(".me-who")).to_have_text("Bob Okafor")


@pytest.mark.parametrize("query", ["", "?as=mallory"])
async def test_whoever_is_no_demo_user_is_asked_who_to_be(pages: Pages, local: Local, query: str) -> None:
    page = await pages.open(f"{local.http}/play{query}")
    await expect(page.get_by_text("There is no demo user")).to_have_count(1 if query else 0)
    await page.get_by_role("link", name="Carol Lindqvist").click()
    await expect(page.get_by_role("status")).to_have_text("Connected")
