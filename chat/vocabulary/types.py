"""Field types that several requests share. A value that breaks a rule is refused with the field's name and the rule."""

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

# Python's `$` also matches before a line break at the end; JSON Schema's does not, and knows no `\Z`.
_END = r"$(?!\n)"

USER_ID: Final = r"[\x21-\x7e]{1,64}"
"""What the id of a user is anywhere; `token.user_id_pattern` says which of them there are in a deployment."""

UserId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[\x21-\x7e]+{_END}")]
CONVERSATION_ID: Final = r"[a-z2-7]{26}(~[1-9][0-9]{0,12})?"

ConversationId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=rf"^{CONVERSATION_ID}{_END}",
        description="26 characters of base32, `~<offset>` for a thread",
    ),
]
IdempotencyKey: TypeAlias = Annotated[
    str, Meta(pattern=rf"^[\x21-\x7e]{{1,64}}{_END}", description="1–64 visible ASCII characters, a UUID as a rule")
]
ExternalId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Offset: TypeAlias = Annotated[int, Meta(ge=0, le=2**44 - 1)]
MessageOffset: TypeAlias = Annotated[int, Meta(ge=1, le=2**44 - 1)]
PageLimit: TypeAlias = Annotated[int, Meta(ge=1, le=200)]
Title: TypeAlias = Annotated[str, Meta(max_length=200)]
Name: TypeAlias = Annotated[str, Meta(max_length=100)]
Url: TypeAlias = Annotated[str, Meta(max_length=2048, pattern=rf"^(https?://\S+)?{_END}")]
Locale: TypeAlias = Annotated[str, Meta(max_length=35, pattern=rf"^([A-Za-z]{{2,8}}([-_][A-Za-z0-9]{{1,8}})*)?{_END}")]
Custom: TypeAlias = dict[str, Any]
CONTENT_TYPE: Final = r"[a-z0-9._-]{1,64}"
Content: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        description="an object whose `type` (1–64 of a-z, 0-9 and ._-) says what else it has",
        extra_json_schema={
            "required": ["type"],
            "properties": {"type": {"type": "string", "pattern": f"^{CONTENT_TYPE}$"}},
        },
    ),
]
EpochMs: TypeAlias = int

END_OF_TIME: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: until further notice."""

Until: TypeAlias = Annotated[int, Meta(ge=1, le=END_OF_TIME, description="a time in the future, in ms UTC")]
Description: TypeAlias = Annotated[str, Meta(max_length=2000)]
