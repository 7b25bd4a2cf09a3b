"""What notifications say besides names and messages, in the languages there are. Pure.

A language is a row of `LANGUAGES`, under its tag of BCP 47 in lower case. To add one, translate all words of a row and
name it in the configuration's choices for `push.language`; tests say what is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Attached: TypeAlias = Literal["photo", "video", "audio", "file"]


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of one language. `{n}` is how many, two at least; `few` is for those that end in 2, 3 and 4 (not 12 to 14)
    in languages that have another plural for them. `someone` has no name. The others stand for what has no text.
    """

    one: str
    several: str
    generic_title: str
    generic_body: str
    someone: str
    photo: str
    video: str
    audio: str
    file: str
    few: str = ""

    def count(self, n: int, *, more: bool) -> str:
        """So many new messages, or `more` than that."""
        is_few = bool(self.few) and not more and n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14)
        return (self.few if is_few else self.several).replace("{n}", f"{n}+" if more else str(n))

    def attached(self, kind: Attached) -> str:
        match kind:
            case "photo":
                return self.photo
            case "video":
                return self.video
            case "audio":
                return self.audio
            case "file":
                return self.file


LANGUAGES: Final[Mapping[str, Words]] = {
    "en": Words(
        one="New message",
        several="{n} new messages",
        generic_title="New message",
        generic_body="You have new messages",
        someone="Somebody",
        photo="Photo",
        video="Video",
        audio="Audio",
        file="Attachment",
    ),
    "de": Words(
        one="Neue Nachricht",
        several="{n} neue Nachrichten",
        generic_title="Neue Nachricht",
        generic_body="Du hast neue Nachrichten",
        someone="Jemand",
        photo="Foto",
        video="Video",
        audio="Audio",
        file="Anhang",
    ),
    "es": Words(
        one="Mensaje nuevo",
        several="{n} mensajes nuevos",
        generic_title="Mensaje nuevo",
        generic_body="Tienes mensajes nuevos",
        someone="Alguien",
        photo="Foto",
        video="Vídeo",
        audio="Audio",
        file="Archivo adjunto",
    ),
    "fr": Words(
        one="Nouveau message",
        several="{n} nouveaux messages",
        generic_title="Nouveau message",
        generic_body="Vous avez de nouveaux messages",
        someone="Quelqu’un",
        photo="Photo",
        video="Vidéo",
        audio="Audio",
        file="Pièce jointe",
    ),
    "it": Words(
        one="Nuovo messaggio",
        several="{n} nuovi messaggi",
        generic_title="Nuovo messaggio",
        generic_body="Hai nuovi messaggi",
        someone="Qualcuno",
        photo="Foto",
        video="Video",
        audio="Audio",
        file="Allegato",
    ),
    "ja": Words(
        one="新着メッセージ",
        several="新着メッセージ{n}件",
        generic_title="新着メッセージ",
        generic_body="新着メッセージがあります",
        someone="だれか",
        photo="写真",
        video="動画",
        audio="音声",
        file="添付ファイル",
    ),
    "nl": Words(
        one="Nieuw bericht",
        several="{n} nieuwe berichten",
        generic_title="Nieuw bericht",
        generic_body="Je hebt nieuwe berichten",
        someone="Iemand",
        photo="Foto",
        video="Video",
        audio="Audio",
        file="Bijlage",
    ),
    "pl": Words(
        one="Nowa wiadomość",
        several="{n} nowych wiadomości",
        few="{n} nowe wiadomości",
        generic_title="Nowa wiadomość",
        generic_body="Masz nowe wiadomości",
        someone="Ktoś",
        photo="Zdjęcie",
        video="Film",
        audio="Nagranie",
        file="Załącznik",
    ),
    "pt": Words(
        one="Nova mensagem",
        several="{n} novas mensagens",
        generic_title="Nova mensagem",
        generic_body="Você tem novas mensagens",
        someone="Alguém",
        photo="Foto",
        video="Vídeo",
        audio="Áudio",
        file="Anexo",
    ),
    "pt-pt": Words(
        one="Nova mensagem",
        several="{n} mensagens novas",
        generic_title="Nova mensagem",
        generic_body="Tem mensagens novas",
        someone="Alguém",
        photo="Fotografia",
        video="Vídeo",
        audio="Áudio",
        file="Anexo",
    ),
    "tr": Words(
        one="Yeni mesaj",
        several="{n} yeni mesaj",
        generic_title="Yeni mesaj",
        generic_body="Yeni mesajlarınız var",
        someone="Biri",
        photo="Fotoğraf",
        video="Video",
        audio="Ses dosyası",
        file="Dosya eki",
    ),
}

USUAL: Final = "en"


def words_for(locale: str, otherwise: str = USUAL) -> Words:
    """In the language of a locale (`pt-BR`, `de_AT`), or the nearest there is; `otherwise` where there is none."""
    parts = locale.replace("_", "-").lower().split("-")
    while parts:
        found = LANGUAGES.get("-".join(parts))
        if found is not None:
            return found
        parts.pop()
    return LANGUAGES[otherwise]


def attached(content_type: str) -> Attached:
    """What an attachment of that type is to a person."""
    match content_type.partition("/")[0]:
        case "image":
            return "photo"
        case "video":
            return "video"
        case "audio":
            return "audio"
        case _:
            return "file"
