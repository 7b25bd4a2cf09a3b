"""The playground as a person sees it: conversations by name, messages in order."""

import secrets
from typing import Any, Final

from playwright.async_api import BrowserContext, Locator, Page, expect

from browser.chromium import DESKTOP, Pages
from browser.local import Local

GROUP: Final = ("alice", "bob")


class Playground:
    """A page of one demo user."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.locator("#text")
        self.strip = page.locator("#strip")
        self.status = page.get_by_role("status")
        self.scroller = page.locator("#scroller")
        self.messages = page.locator(".row")

    @classmethod
    async def open(
        cls,
        pages: Pages,
        local: Local,
        user: str,
        conversation: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        context: BrowserContext | None = None,
    ) -> "Playground":
        """The page of a user, with this conversation on screen."""
        url = f"{local.http}/play?as={user}" + (f"#{conversation}" if conversation else "")
        self = cls(await pages.open(url, size=size, context=context))
        await expect(self.status).to_have_text("Connected")
        return self

    def item(self, conversation: str) -> Locator:
        """A conversation in the list."""
        return self.page.locator(f'.item[data-id="{conversation}"]')

    def unread(self, conversation: str) -> Locator:
        return self.item(conversation).locator(".item-badge")

    async def write(self, *texts: str) -> None:
        """Type and send, as fast as hands can."""
        for text in texts:
            await self.composer.fill(text)
            await self.composer.press("Enter")

    def message(self, text: str) -> Locator:
        return self.messages.filter(has_text=text)

    async def choose(self, text: str, action: str) -> None:
        """Choose from the menu of a message."""
        row = self.message(text)
        await row.hover()
        await row.locator(".row-more").click()
        await self.page.get_by_role("menu").get_by_role("menuitem", name=action, exact=True).click()

    def chips(self, text: str) -> Locator:
        """The reactions to a message, and the way to its replies."""
        return self.message(text).locator(".chip")

    async def texts(self) -> list[str]:
        """All messages on the page, from the top."""
        return await self.page.locator(".row .words").all_text_contents()

    async def expect_texts(self, expected: list[str]) -> None:
        """Wait for exactly these messages, in this order."""
        await expect(self.page.locator(".row .words")).to_have_text(expected)


async def new_group(local: Local, *, texts: tuple[str, ...] = (), members: tuple[str, ...] = GROUP) -> str:
    """A conversation that nobody else's test knows, with messages of its first member."""
    creator, *others = members
    title = f"Group {secrets.token_hex(3)}"
    created = await local.call(creator, "conversation.create", kind="group", members=others, title=title)
    conversation = str(created["conversation"]["id"])
    for text in texts:
        await send(local, creator, conversation, text)
    return conversation


async def send(local: Local, user: str, conversation: str, text: str) -> Any:
    """Send as somebody whose page is not looked at."""
    return await local.call(
        user, "message.send", conversation=conversation, idempotency_key=secrets.token_hex(8), text=text
    )


async def stored(local: Local, user: str, conversation: str) -> list[str]:
    """What the server has, from the beginning."""
    page = await local.call(user, "history.page", conversation=conversation, after=0, limit=200)
    return [message["text"] for message in page["items"]]
