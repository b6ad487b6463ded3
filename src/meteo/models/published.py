"""Published versions of the model, as MLflow tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from meteo.runtime.answers import LAST_MS, Needed

CARD_TAG = "card_sha256"
SIGNATURE_TAG = "card_hmac"


@dataclass(frozen=True)
class Published:
    """A version of the registered model."""

    version: str
    run_id: str
    source: str
    created_at_ms: int
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of its card, which holds those of all its files."""
        return self.tags.get(CARD_TAG, "")

    @property
    def signature(self) -> str:
        """What shows that its card was written by somebody who has the key; see `Registry.verify`."""
        return self.tags.get(SIGNATURE_TAG, "")


class Entry(Needed):
    """A version as MLflow tells it."""

    class Tag(Needed):
        key: str
        value: str = ""

    version: str = Field(pattern=r"^[0-9]{1,9}$")
    run_id: str = ""
    source: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")
    creation_timestamp: int = Field(ge=0, le=LAST_MS)
    tags: tuple[Tag, ...] = ()
    aliases: tuple[str, ...] = ()

    def published(self, aliases: Sequence[str] = ()) -> Published:
        """As we speak of it, with `aliases` where MLflow tells them apart from the version."""
        tags = {tag.key: tag.value for tag in self.tags}
        named = tuple(sorted(aliases or self.aliases))
        return Published(self.version, self.run_id, self.source, self.creation_timestamp, tags, named)


class Found(Needed):
    model_version: Entry


class Page(Needed):
    model_versions: tuple[Entry, ...] = ()
    next_page_token: str = ""


class Registered(Needed):
    class Model(Needed):
        class Alias(Needed):
            alias: str
            version: str

        aliases: tuple[Alias, ...] = ()

    registered_model: Model


class Failure(Needed):
    error_code: str
