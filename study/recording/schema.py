"""What the files of a record may hold: the type and the range of every value that is read back.

A file may hold more; what it must hold is checked whenever it is read, so that nothing behind it meets a text where it
expects a number. `study.recording.soundness` compares what is right in itself with the rest of its record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from study.recording.evaluation import COLUMNS, COUNT_COLUMNS, Row
from study.recording.files import Unreadable, read_json, read_lines

Count = Annotated[int, Field(ge=0)]
Measure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
Loss = float | None  # None, nan or infinite: the training diverged
Text = Annotated[str, Field(max_length=1000)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
LONGEST = 60  # characters of a value that a message quotes


class Checked(BaseModel):
    """An object whose values have exactly these types; others may stand beside them."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


def _kind(column: str) -> Any:
    if column in COUNT_COLUMNS:
        return Count
    return Loss if column.endswith("/loss") else Percent if column.endswith("_error") else Measure


# One line of metrics.jsonl.
Line = create_model("Line", __base__=Checked, **{name: (_kind(name), ...) for name in COLUMNS})  # type: ignore[call-overload]


class Summary(Line):  # type: ignore[misc, valid-type]
    """summary.json: the last line, and what else a finished run leaves."""

    weights_sha256: Digest
    ended: Text
    parameters: Count
    warm_until: Count | None = None
    train_hours: Measure | None = None
    peak_memory_mb: Measure | None = None
    diverged: Row | None = None


class Parent(Checked):
    """The run from whose copy another one started."""

    run: Text
    weights_sha256: Digest


class Session(Checked):
    """The provenance of one session of a run. Only what a resumed run is compared with must be there."""

    recipe: Row
    data_fingerprint: Text
    extent: Text | None = None
    commit: Text | None = None
    dirty: bool | None = None
    untracked: list[Text] | None = None
    versions: dict[str, Text | None] = {}
    device: Text | None = None
    threads: Count | None = None
    world_size: Annotated[int, Field(ge=1)] | None = None
    per_device_batch: Count | None = None
    precision: Text | None = None
    tf32: bool | None = None
    step_path: Text | None = None
    checkpoint_every: Count | None = None
    plan: Text | None = None
    parent: Parent | None = None
    argv: list[str] = []
    started: Text | None = None
    wandb_id: Text | None = None
    url: Text | None = None
    stopped: Text | None = None


class Provenance(Session):
    """provenance.json: the first session, and those that resumed it."""

    resumed: list[Session] = []


class Responses(Checked):
    """responses.json: Fig. 7's measurement, a number a layer."""

    layers: list[Text]
    std: list[Measure | None]  # none of a network whose weights are no numbers

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if len(self.layers) != len(self.std):
            raise ValueError(f"{len(self.layers)} layers, but {len(self.std)} numbers")
        return self


class Confusion(Checked):
    """confusion.json: test images by true class (rows) and predicted class (columns)."""

    classes: list[Text]
    counts: list[list[Count]]


class Signal(Checked):
    """What `study probe` measured at one layer."""

    layer: Text


class Block(Checked):
    """What `study probe` measured at one block."""

    block: Text


class Lesion(Checked):
    """The error of a network in which some blocks were changed."""

    change: Text
    count: Count
    error: Percent


class Mistakes(Checked):
    """The test images that a network gets wrong: number, class, predicted class."""

    seen: Count
    classes: list[Text]
    wrong: list[Annotated[list[Count], Field(min_length=3, max_length=3)]]


class Embedding(Checked):
    """Test images in a plane, as they are behind one block."""

    block: Text
    label: list[Count]
    x: list[Count]
    y: list[Count]


class Landscape(Checked):
    """A slice of the loss around a network."""

    images: Count
    reach: Measure
    loss: list[list[Loss]]


class Similarity(Checked):
    """How alike the blocks of two networks represent the images."""

    with_: Text = Field(alias="with")
    weights_sha256: Digest
    blocks: list[Text]
    others: list[Text]
    cka: list[list[float | None]]


class Probes(Checked):
    """probes.json; a part is missing until it has been measured."""

    signals: list[Signal] = []
    blocks: list[Block] = []
    copy_: Row | None = Field(None, alias="copy")
    lesions: list[Lesion] = []
    mistakes: Mistakes | None = None
    filters: list[list[list[list[float]]]] = []
    embeddings: list[Embedding] = []
    landscape: Landscape | None = None
    similarity: list[Similarity] = []


PROBE_PARTS: tuple[str, ...] = tuple(field.alias or name for name, field in Probes.model_fields.items())


def check(model: type[BaseModel], value: Mapping[str, Any], where: str) -> None:
    """Compare a value with what it must be.

    Args:
        model: One of the classes above.
        value: What was read.
        where: The file, and the line in it.

    Raises:
        Unreadable: The message says where the first wrong value is and what is wrong with it.
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"])) or "it"
        given = "" if first["type"] == "missing" else f", not {repr(first['input'])[:LONGEST]}"
        raise Unreadable(f"{where}: {name}: {first['msg']}{given}") from None


def read(path: Path, model: type[BaseModel]) -> Row | None:
    """Read a JSON object of a model; None if there is no such file.

    Raises:
        Unreadable: The file holds something else.
    """
    value = read_json(path)
    if value is not None:
        check(model, value, path.name)
    return value


def read_history(path: Path, model: type[BaseModel] = Line) -> Iterator[Row]:
    """Read the lines of a history, without a last line that a kill has cut off.

    Args:
        path: metrics.jsonl, or another file with a line for each evaluation.
        model: What a line must be.

    Raises:
        Unreadable: A line is something else, or its step is not above that of the line before; those before have come.
    """
    last = -1
    for number, row in enumerate(read_lines(path), start=1):
        where = f"{path.name}, line {number}"
        check(model, row, where)
        if row["step"] <= last:
            raise Unreadable(f"{where}: step {row['step']} does not follow {last}: two records were mixed")
        last = row["step"]
        yield row
