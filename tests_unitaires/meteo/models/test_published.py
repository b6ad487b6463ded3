import pytest
from pydantic import ValidationError

from meteo.models.published import CARD_TAG, SIGNATURE_TAG, Entry

TOLD = {
    "version": "7", "run_id": "r", "source": "mlflow-artifacts:/1", "creation_timestamp": 5,
    "tags": [{"key": CARD_TAG, "value": "abc"}, {"key": SIGNATURE_TAG, "value": "def"}],
}  # fmt: skip


def test_a_version_is_spoken_of_by_its_tags_and_sorted_aliases() -> None:
    entry = Entry.model_validate({**TOLD, "aliases": ["previous", "champion"], "more": 1})
    version = entry.published()
    assert (version.version, version.digest, version.signature) == ("7", "abc", "def")
    assert version.aliases == ("champion", "previous")
    assert entry.published(["challenger"]).aliases == ("challenger",), "told apart from the version"


def test_a_version_without_a_card_has_no_digest() -> None:
    assert Entry.model_validate({**TOLD, "tags": []}).published().digest == ""


@pytest.mark.parametrize(
    "wrong",
    [{"version": "7/../8"}, {"version": ""}, {"source": ""}, {"source": "a\x00b"}, {"creation_timestamp": -1},
     {"creation_timestamp": 10**18}],
)  # fmt: skip
def test_what_cannot_be_a_version_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Entry.model_validate({**TOLD, **wrong})
