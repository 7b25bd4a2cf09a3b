"""What one does with messages in the playground, seen by the other person as well."""

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import expect

from browser.chromium import PHONE, Pages
from browser.local import Local
from browser.playground import Playground, new_group, send

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_edited_message_changes_for_everybody(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("see you at noon",))
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await alice.choose("see you at noon", "Edit")
    await expect(alice.composer).to_have_value("see you at noon")
    await alice.write("see you at one")
    await bob.expect_texts(["see you at one"])
    await expect(bob.message("see you at one").locator(".edited")).to_have_text("edited")
    await expect(alice.composer).to_have_value("")
    await alice.composer.press("ArrowUp")
    await expect(alice.composer).to_have_value("see you at one")
    await alice.composer.press("Escape")
    await expect(alice.composer).to_have_value("")


async def test_an_answer_shows_what_it_answers(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("tea or coffee?",))
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await bob.choose("tea or coffee?", "Reply")
    await expect(bob.page.locator("#about")).to_contain_text("Replying to Alice Moreau")
    await bob.write("tea")
    answer = alice.messages.nth(1)
    await expect(answer.locator(".words")).to_have_text("tea")
    await expect(answer.locator(".quote-text")).to_have_text("tea or coffee?")
    await answer.locator(".quote").click()
    await expect(alice.messages.nth(0)).to_have_class(re.compile("is-found"))


async def test_reactions_are_counted_and_can_be_taken_back(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("it works",))
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await bob.choose("it works", "React with 👍")
    await expect(alice.chips("it works")).to_have_text(["👍1"])
    await expect(bob.chips("it works")).to_have_attribute("aria-pressed", "true")
    await alice.chips("it works").click()
    await expect(bob.chips("it works")).to_have_text(["👍2"])
    await bob.chips("it works").click()
    await expect(alice.chips("it works")).to_have_text(["👍1"])


async def test_a_deleted_message_leaves_its_place(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("one", "oops", "three"))
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await alice.choose("oops", "Delete for everyone")
    await alice.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    for page in (alice, bob):
        await page.expect_texts(["one", "This message was deleted", "three"])
    await bob.choose("three", "Delete for me")
    await bob.expect_texts(["one", "This message was deleted"])
    await alice.expect_texts(["one", "This message was deleted", "three"])


async def test_a_thread_has_its_own_page_and_is_counted_below_its_message(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("where do we meet?",))
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", conversation)
    await bob.choose("where do we meet?", "Reply in thread")
    await expect(bob.page.locator("#title")).to_have_text("Thread")
    await bob.write("at the station", "by the clock")
    await bob.expect_texts(["where do we meet?", "at the station", "by the clock"])
    await expect(alice.chips("where do we meet?")).to_have_text("2 replies")
    await alice.chips("where do we meet?").click()
    await alice.expect_texts(["where do we meet?", "at the station", "by the clock"])
    await alice.write("good")
    await bob.expect_texts(["where do we meet?", "at the station", "by the clock", "good"])
    await bob.page.get_by_role("link", name="Back to the conversation").click()
    await bob.expect_texts(["where do we meet?"])
    await expect(bob.chips("where do we meet?")).to_have_text("3 replies")


async def test_a_pinned_message_is_in_reach(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("the address is 5 Elm Street", *(f"line {i}." for i in range(70))))
    alice = await Playground.open(pages, local, "alice", conversation)
    await expect(alice.message("line 69.")).to_be_in_viewport()
    await local.call("alice", "message.pin", conversation=conversation, offset=2)
    pinned = alice.page.locator("#pinned")
    await pinned.click()
    await expect(alice.message("the address is")).to_be_in_viewport()
    await expect(pinned).to_contain_text("the address is 5 Elm Street")


async def test_words_are_found_and_shown_where_they_were_said(pages: Pages, local: Local) -> None:
    texts = ("The recipe: flour, water, salt", *(f"line {i}." for i in range(80)))
    conversation = await new_group(local, texts=texts)
    bob = await Playground.open(pages, local, "bob", size=PHONE)
    await bob.item(conversation).tap()
    await bob.page.get_by_role("button", name="Search in this conversation").click()
    await bob.page.get_by_role("searchbox").fill("salt flour")
    hit = bob.page.locator(".hit")
    await expect(hit).to_have_count(1)
    await expect(hit).to_contain_text("The recipe")
    await hit.click()
    await expect(bob.message("The recipe")).to_be_in_viewport()


async def test_a_picture_is_sent_and_seen(pages: Pages, local: Local, tmp_path: Path) -> None:
    picture = tmp_path / "sunset.png"
    Image.linear_gradient("L").resize((640, 400)).convert("RGB").save(picture)
    conversation = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", size=PHONE)
    await bob.item(conversation).tap()
    await alice.page.set_input_files("#files", picture)
    await expect(alice.page.locator(".attached")).to_have_attribute("data-state", "ready")
    await alice.write("look")
    shown = bob.page.get_by_role("img", name="sunset.png")
    await expect(shown).to_be_visible()
    await expect(bob.page.locator(".picture-link")).not_to_have_class(re.compile("is-blurred"))
    assert await shown.evaluate("image => image.naturalWidth") == 640


async def test_who_received_and_who_read_is_seen(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    elsewhere = await new_group(local)
    alice = await Playground.open(pages, local, "alice", conversation)
    bob = await Playground.open(pages, local, "bob", elsewhere)
    await alice.write("are you there?")
    await expect(alice.message("are you there?")).to_have_attribute("data-status", "delivered")
    await bob.item(conversation).click()
    await expect(alice.message("are you there?")).to_have_attribute("data-status", "read")
    await alice.choose("are you there?", "Seen by")
    await expect(alice.page.get_by_role("dialog")).to_contain_text("Bob Okafor")


async def test_the_menu_works_by_keyboard_and_offers_what_one_may(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    await send(local, "bob", conversation, "from bob")
    await send(local, "alice", conversation, "from alice")
    bob = await Playground.open(pages, local, "bob", conversation)
    await bob.message("from alice").locator(".row-more").focus()
    await bob.page.keyboard.press("Enter")
    items = bob.page.get_by_role("menuitem")
    await expect(items.filter(has_text="Reply in thread")).to_be_visible()
    await expect(items.filter(has_text="Edit")).to_have_count(0)
    await expect(items.filter(has_text="Delete for everyone")).to_have_count(0)
    await bob.page.keyboard.press("End")
    await expect(items.last).to_be_focused()
    await bob.page.keyboard.press("Escape")
    await expect(bob.message("from alice").locator(".row-more")).to_be_focused()
