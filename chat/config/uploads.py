"""The keys of `[uploads]`: where files that users attach are kept, and what they may be."""

from dataclasses import dataclass, field
from typing import Annotated

from chat.config.keys import Rule, Table
from chat.config.values import NO_SECRET, Bytes, Seconds, Secret


@dataclass(frozen=True, slots=True)
class S3Section:
    endpoint: Annotated[
        str,
        Rule(
            "Where this server reaches the store, for example `https://s3.eu-central-1.amazonaws.com` or "
            "`http://minio:9000`.",
            pattern=r"https?://[^/?#\s]+/?",
        ),
    ] = ""
    public_endpoint: Annotated[
        str, Rule("Where clients reach it, when that is another address.", pattern=r"https?://[^/?#\s]+/?")
    ] = ""
    region: Annotated[str, Rule("Its region, as signatures name it.", pattern=r"[a-z0-9-]+")] = "us-east-1"
    bucket: Annotated[str, Rule("The bucket. It must not be public.", pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")] = ""
    prefix: Annotated[str, Rule("Start of every object's name, such as `hubbub/`.", pattern=r"([A-Za-z0-9_.-]+/)*")] = (
        ""
    )
    path_style: Annotated[
        bool, Rule("The bucket is in the path (MinIO and most others) instead of in the host name (AWS).")
    ] = True
    access_key_id: Annotated[
        Secret, Rule("Access key. It needs `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject` on the bucket.")
    ] = NO_SECRET
    secret_access_key: Annotated[Secret, Rule("The secret that belongs to it.")] = NO_SECRET


@dataclass(frozen=True, slots=True)
class UploadsSection:
    store: Annotated[
        str,
        Rule(
            "`disk`: files are kept in a directory and served by the hubs. `s3`: clients put and get them by signed "
            "links of an S3-compatible store (needs `pip install 'hubbub[s3]'`). `off`: the upload methods answer 108.",
            choices=("disk", "s3", "off"),
        ),
    ] = "disk"
    directory: Annotated[
        str,
        Rule(
            "Directory of the store `disk`, relative to the working directory. All hubs and workers must see the same "
            "one: with more than one machine take `s3`, or a shared file system. It is made when it is missing.",
            required=True,
        ),
    ] = "uploads"
    link_key: Annotated[
        Secret,
        Rule("Signs the links of the store `disk`. Empty: derived from `api.key`; without that too: no uploads."),
    ] = NO_SECRET
    link_ttl: Annotated[
        Seconds,
        Rule("How long a link is good, to put a file or to get one.", minimum=10.0, maximum=7 * 86400.0),
    ] = 900.0
    max_size: Annotated[Bytes, Rule("Largest file.", minimum=1, maximum=5 * 1024**3)] = 25 * 1024**2
    allowed_types: Annotated[
        tuple[str, ...],
        Rule("Types that may be uploaded, as globs such as `image/*`. A file's content decides, not its name."),
    ] = ("*/*",)
    image_max_pixels: Annotated[
        int,
        Rule(
            "Largest image, in pixels; it is looked up before anything is decoded. Decoding takes about four bytes "
            "each.",
            minimum=1,
            maximum=80_000_000,
        ),
    ] = 40_000_000
    user_pending_limit: Annotated[
        int, Rule("Uploads of one user that are announced and not completed; one more gets error 106.", minimum=1)
    ] = 20
    user_day_limit: Annotated[
        int,
        Rule("Uploads that one user may announce within 24 hours; one more gets error 111.", minimum=1, maximum=10_000),
    ] = 500
    user_day_max_size: Annotated[
        Bytes, Rule("Bytes that one user may announce within 24 hours; more gets error 111.", minimum=1)
    ] = 1024**3
    pending_ttl: Annotated[
        Seconds,
        Rule("An upload that is not completed is removed after this. Not below `link_ttl`.", minimum=60.0),
    ] = 3600.0
    unused_ttl: Annotated[
        Seconds, Rule("A completed upload that no message uses is removed after this.", minimum=60.0)
    ] = 86400.0
    s3: Annotated[S3Section, Table("The S3-compatible store, when `uploads.store` is `s3`.")] = field(
        default_factory=S3Section
    )
