"""What a change did: edits to addressed places, found, applied and turned round.

Rules:

- A delta is a list of edits that are applied one after the other; the concatenation of the
  deltas of several versions is itself a delta, and leads over all of them.
- An edit is `{"at", "old", "new"}` (a value changed; only `new`: it came; only `old`: it went)
  or `{"at", "splices"}` (a list, or a text where that is shorter; see `splices`, whose
  indexes count in the old value). Values are JSON, in the form in which they are saved.
- An address names a place by ids, never by a position: `title`, `metadata/<key>`, `sections`
  (the order of their ids), `sections/<id>` (came or went whole), `sections/<id>/<field>`,
  `insights/<id>/metadata/<key>`; the empty address is the whole outline, and only a create
  has it. Keys are escaped as in RFC 6901; the leading slash is left out, but for the
  key "", which is `/`. `order` has no address: it follows from the position.
- `apply` believes nothing: every `old` and everything that a splice removes must be there,
  every item that comes out of it is validated and must be saved just as the delta says, and
  whatever is wrong with a delta raises `DeltaError`.
- Items that are one object in both outlines cost nothing, and items that a delta does not
  touch are the same objects after it.

Outlines given to this module are `normalised`; then, to the byte:

    apply(a, diff(a, b)) == b
    apply(b, invert(diff(a, b))) == a

    >>> diff(report, edited)
    [{'at': 'insights/5f9d…/importance', 'old': 6, 'new': 8},
     {'at': 'sections/ab01…/content', 'splices': [[412, 'old words', 'new words']]}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from living_reports.model import splices
from living_reports.model.report import Insight, Outline, Section, describe, normalised, outline_data
from living_reports.model.splices import same

Edit = dict[str, Any]
Delta = list[Edit]
Built = TypeVar("Built", Outline, Section | Insight)

BOOKKEEPING = frozenset({"outline_version", "updated_at"})
"""The fields that change along with every version, of the outline and of its items."""

_MODELS: dict[str, type[Section | Insight]] = {"sections": Section, "insights": Insight}
_ID_FIELDS = {"sections": "section_id", "insights": "insight_id"}

_SPLICED = frozenset(
    {
        ("metadata", "tags"),
        ("sections", "insight_ids"),
        ("sections", "content"),
        ("sections", "notes"),
        ("insights", "summary"),
        ("insights", "citations"),
        ("insights", "supporting_queries"),
    }
)

_SHAPES = ({"at", "old", "new"}, {"at", "old"}, {"at", "new"}, {"at", "splices"})


class DeltaError(ValueError):
    """A delta is malformed, or does not fit; where one place is to blame, its address comes first."""


# --- Addresses ---------------------------------------------------------------------------


def address(*parts: str) -> str:
    """The address of a place, for example `address("metadata", "a/b")` is `metadata/a~1b`."""
    if parts == ("",):
        return "/"
    return "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def parts(at: str) -> list[str]:
    """What an address is made of; none for the whole outline.

    Raises:
        DeltaError: `at` is not an address.
    """
    if at in ("", "/"):
        return [""] if at else []
    path = [part.replace("~1", "/").replace("~0", "~") for part in at.split("/")]
    if address(*path) != at:
        raise DeltaError(f"{at}: is not an address")
    return path


def is_bookkeeping(at: str) -> bool:
    """Whether the place changes along with every version, whatever the change was.

    Raises:
        DeltaError: `at` is not an address.
    """
    path = parts(at)
    if len(path) == 3 and path[0] in _ID_FIELDS:
        path = path[2:]
    return len(path) == 1 and path[0] in BOOKKEEPING


def item_of(at: str) -> str | None:
    """The id of the section or insight that the place belongs to, if it belongs to one.

    Raises:
        DeltaError: `at` is not an address.
    """
    path = parts(at)
    return path[1] if len(path) > 1 and path[0] in _ID_FIELDS else None


# --- diff --------------------------------------------------------------------------------


def diff(old: Outline | None, new: Outline) -> Delta:
    """The delta that leads from one outline to the other; from `None`, the create."""
    if old is None:
        return [{"at": address(), "new": outline_data(new)}]
    return [
        *_field_edits((), _head(old), _head(new)),
        *_item_edits("sections", old.sections, new.sections),
        *_item_edits("insights", old.insights, new.insights),
    ]


def _head(outline: Outline) -> dict[str, Any]:
    """Everything but the items, as JSON."""
    return outline.model_dump(exclude={"sections", "insights"}, exclude_none=True, by_alias=True)


def _item(item: Section | Insight) -> dict[str, Any]:
    """The item as JSON, as deltas have it: without its position."""
    return item.model_dump(exclude={"order"}, exclude_none=True, by_alias=True)


def _item_edits(
    name: str, old: Sequence[Section | Insight], new: Sequence[Section | Insight]
) -> Iterator[Edit]:
    """How the sections, or the insights, changed: their order, then one after the other."""
    start, stop = _differing(old, new)
    before, after = (_by_id(name, items[start : len(items) - stop]) for items in (old, new))
    if list(before) != list(after):
        moves = splices.between_lists(list(before), list(after))
        yield {"at": name, "splices": [[start + index, *change] for index, *change in moves]}
    for item_id, item in before.items():
        if item_id not in after:
            yield {"at": address(name, item_id), "old": _item(item)}
    for item_id, item in after.items():
        known = before.get(item_id)
        if known is None:
            yield {"at": address(name, item_id), "new": _item(item)}
        elif not _only_moved(known, item):
            yield from _field_edits((name, item_id), _item(known), _item(item))


def _differing(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int]:
    """How many items at the start, and how many at the end, are the same objects."""
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i] is not new[i]), limit)
    limit -= start
    return start, next((i for i in range(limit) if old[-1 - i] is not new[-1 - i]), limit)


def _by_id(name: str, items: Sequence[Section | Insight]) -> dict[str, Section | Insight]:
    return dict(zip(map(attrgetter(_ID_FIELDS[name]), items), items, strict=True))


def _only_moved(old: Section | Insight, new: Section | Insight) -> bool:
    """Whether the two share all their values, save perhaps the position."""
    values = vars(new)
    return all(
        value is values[key] or key == "order" or (key == "insight_ids" and value == values[key])
        for key, value in vars(old).items()
    )


def _field_edits(prefix: tuple[str, ...], old: dict[str, Any], new: dict[str, Any]) -> Iterator[Edit]:
    """How the fields of one object changed; `metadata` key by key."""
    for key in _differing_keys(old, new):
        if key != "metadata":
            yield from _value_edit((*prefix, key), old, new)
            continue
        for name in sorted(_differing_keys(old[key], new[key])):
            yield from _value_edit((*prefix, key, name), old[key], new[key])


def _differing_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The keys that one lacks or that have another value, in their order."""
    return [key for key in (old | new) if key not in old or key not in new or not same(old[key], new[key])]


def _value_edit(path: tuple[str, ...], old: dict[str, Any], new: dict[str, Any]) -> Iterator[Edit]:
    """How the value under the last part of the path changed."""
    key = path[-1]
    if key not in new:
        yield {"at": address(*path), "old": old[key]}
    elif key not in old:
        yield {"at": address(*path), "new": new[key]}
    else:
        yield from _change(path, old[key], new[key])


def _change(path: tuple[str, ...], old: Any, new: Any) -> Iterator[Edit]:
    if len(path) < 4 and (path[0], path[-1]) in _SPLICED:
        if isinstance(old, str) and isinstance(new, str):
            yield _text_edit(path, old, new)
            return
        if isinstance(old, list) and isinstance(new, list) and (path[0] != "metadata" or _texts(old, new)):
            yield from _list_edit(path, old, new)
            return
    yield {"at": address(*path), "old": old, "new": new}


def _texts(*lists: list[Any]) -> bool:
    return all(isinstance(value, str) for values in lists for value in values)


def _list_edit(path: tuple[str, ...], old: list[Any], new: list[Any]) -> Iterator[Edit]:
    if found := splices.between_lists(old, new):
        yield {"at": address(*path), "splices": found}


def _text_edit(path: tuple[str, ...], old: str, new: str) -> Edit:
    """Splices, or the whole texts where the log gets shorter by it."""
    found = splices.between_texts(old, new)
    size = len(to_json({"splices": found}))
    whole = {"old": old, "new": new}
    # The first comparison spares most long texts from being written out for the second.
    if size <= len(old) + len(new) or size < len(to_json(whole)):
        return {"at": address(*path), "splices": found}
    return {"at": address(*path), **whole}


# --- apply -------------------------------------------------------------------------------


def apply(outline: Outline | None, delta: Delta) -> Outline:
    """The outline after the delta; `None` where the delta begins with a create.

    Raises:
        DeltaError: The delta is malformed, does not fit the outline, or does not lead to a
            valid one.
    """
    edits = list(_checked(delta))
    try:
        if outline is None:
            outline, edits = _created(edits), edits[1:]
        return _Draft(outline).after(edits) if edits else outline
    except RecursionError as error:
        raise DeltaError("a value is nested too deep") from error


def _created(edits: list[tuple[list[str], Edit]]) -> Outline:
    if not edits or edits[0][0] or edits[0][1].keys() != {"at", "new"}:
        raise DeltaError("a delta without an outline begins with the whole of it")
    data = edits[0][1]["new"]
    try:
        outline = Outline.model_validate(data)
    except ValidationError as error:
        raise DeltaError(f"a create: {describe(error)}") from error
    if not same(outline_data(outline), data):
        raise DeltaError("a create: not in the form in which outlines are saved")
    return normalised(outline)


def _checked(delta: Delta) -> Iterator[tuple[list[str], Edit]]:
    """The edits with what their addresses are made of; a log may hold anything."""
    if not isinstance(delta, list):
        raise DeltaError("a delta is a list of edits")
    for edit in delta:
        if not isinstance(edit, dict) or not isinstance(edit.get("at"), str):
            raise DeltaError("an edit is an object with an address")
        if edit.keys() not in _SHAPES:
            raise DeltaError(f"{edit['at']}: an edit has old, new or both, or splices")
        yield parts(edit["at"]), edit


class _Draft:
    """An outline while a delta is applied: what is touched becomes JSON, and is built anew."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._head: dict[str, Any] | None = None
        self._lists: dict[str, _Items] = {}

    def after(self, edits: list[tuple[list[str], Edit]]) -> Outline:
        """The outline after these edits."""
        for path, edit in edits:
            try:
                self._apply(path, edit)
            except ValueError as error:
                raise DeltaError(f"{edit['at']}: {error}") from error
        outline = self._outline
        items = {"sections": outline.sections, "insights": outline.insights}
        items |= {name: touched.built() for name, touched in self._lists.items()}
        if self._head is not None:
            outline = _built(Outline, self._head, _head, "the outline")
        outline = outline.model_copy(update=items)
        return normalised(outline) if "sections" in self._lists else outline

    def _apply(self, path: list[str], edit: Edit) -> None:
        name = path[0] if path else ""
        if name in _MODELS:
            if name not in self._lists:
                self._lists[name] = _Items(name, getattr(self._outline, name))
            self._lists[name].apply(path[1:], edit)
        else:
            self._head = _edited(_head(self._outline) if self._head is None else self._head, path, edit)


class _Items:
    """The sections, or the insights, while a delta is applied."""

    def __init__(self, name: str, items: Sequence[Section | Insight]) -> None:
        self._name = name
        self._untouched = _by_id(name, items)
        self._touched: dict[str, Any] = {}
        self._order: list[str] = list(self._untouched)

    def apply(self, path: list[str], edit: Edit) -> None:
        """Take one edit; the path begins with the item's id, or is empty for the order."""
        if not path:
            self._order = _spliced_order(self._order, edit)
            return
        item_id, *field = path
        if item_id in self._untouched:
            self._touched[item_id] = _item(self._untouched.pop(item_id))
        if not field:
            _put(self._touched, item_id, edit)
        elif item_id in self._touched:
            self._touched[item_id] = _edited(self._touched[item_id], field, edit)
        else:
            raise ValueError("there is no such item")

    def built(self) -> list[Section | Insight]:
        """The items in their order; those that no edit touched are what they were."""
        there = dict(self._untouched)
        for item_id, data in self._touched.items():
            at = address(self._name, item_id)
            there[item_id] = item = _built(_MODELS[self._name], data, _item, at)
            if getattr(item, _ID_FIELDS[self._name]) != item_id:
                raise DeltaError(f"{at}: has another id")
        if len(self._order) != len(there) or set(self._order) != there.keys():
            raise DeltaError(f"{self._name}: the order does not name each of them once")
        return [there[item_id] for item_id in self._order]


def _spliced_order(order: list[str], edit: Edit) -> list[str]:
    if "splices" not in edit:
        raise ValueError("an order changes by splices")
    spliced: list[Any] = splices.apply(order, edit["splices"])
    if not _texts(spliced):
        raise ValueError("an id is a text")
    return spliced


def _edited(data: Any, path: list[str], edit: Edit) -> dict[str, Any]:
    """A copy of the object in which the field, or the key of its metadata, is edited."""
    if not isinstance(data, dict):
        raise ValueError("is not in an object")
    edited: dict[str, Any] = dict(data)
    holder = edited
    if len(path) == 2 and path[0] == "metadata" and isinstance(data.get("metadata"), dict):
        holder = edited["metadata"] = dict(data["metadata"])
    elif len(path) != 1:
        raise ValueError("there is no such place")
    _put(holder, path[-1], edit)
    return edited


def _put(holder: dict[str, Any], key: str, edit: Edit) -> None:
    """Edit the value under the key, after a look at what is there."""
    if "splices" in edit:
        holder[key] = splices.apply(holder.get(key), edit["splices"])
        return
    if ("old" in edit) != (key in holder) or ("old" in edit and not same(edit["old"], holder[key])):
        raise ValueError("what is there is not what the delta says")
    if "new" in edit:
        holder[key] = edit["new"]
    else:
        del holder[key]


def _built(model: type[Built], data: Any, saved: Callable[[Built], dict[str, Any]], at: str) -> Built:
    """The value of this JSON, provided that it is valid and would be saved just so."""
    try:
        built = model.model_validate(data)
    except ValidationError as error:
        raise DeltaError(f"{at}: {describe(error)}") from error
    again = saved(built)
    if again.keys() != data.keys() or not all(same(value, data[key]) for key, value in again.items()):
        raise DeltaError(f"{at}: not in the form in which it is saved")
    return built


# --- invert ------------------------------------------------------------------------------


def invert(delta: Delta) -> Delta:
    """The delta that leads back: the last edit first, each turned round.

    Raises:
        DeltaError: The delta is malformed, or contains a create: nothing was there before.
    """
    return [_inverted(path, edit) for path, edit in _checked(delta)][::-1]


def _inverted(path: list[str], edit: Edit) -> Edit:
    at = edit["at"]
    if not path:
        raise DeltaError("a create cannot be inverted")
    if "splices" in edit:
        try:
            return {"at": at, "splices": splices.invert(edit["splices"])}
        except ValueError as error:
            raise DeltaError(f"{at}: {error}") from error
    swapped = {"at": at}
    if "new" in edit:
        swapped["old"] = edit["new"]
    if "old" in edit:
        swapped["new"] = edit["old"]
    return swapped
