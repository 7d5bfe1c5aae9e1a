"""Deltas: the edits between two outlines, computed, applied and inverted.

Rules:

- A delta is a list of edits that are applied in order. The concatenated deltas of several
  versions are a delta from the first to the last.
- An edit is `{"at", "old", "new"}` (a changed value; without `old` an added one, without `new`
  a removed one) or `{"at", "splices"}` (a list, or a text where splices are shorter; see
  `splices`). Values are JSON in the form in which they are saved.
- An address names a place by ids, never by position: `title`, `metadata/<key>`, `sections`
  (the order of their ids), `sections/<id>` (a whole section), `sections/<id>/<field>`,
  `insights/<id>/metadata/<key>`. The empty address is the whole outline and occurs only in a
  create. Keys are escaped as in RFC 6901, without the leading slash; the key "" is `/`. Fields
  that follow from the position have no address.
- `apply` verifies everything: each `old` and each removed piece has to be present, and each
  resulting item is validated and must be saved exactly as the delta says. Any defect of a
  delta raises `DeltaError`.
- Items that are the same object in both outlines take no time. Items that a delta does not
  touch stay the same objects.

For outlines that are `normalised`, to the byte:

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
from living_reports.model.fields import BOOKKEEPING, ID_FIELDS, ITEMS, ORDERS, POSITIONS, SPLICED
from living_reports.model.report import Insight, Outline, Section, describe, normalised, outline_data
from living_reports.model.splices import same

Edit = dict[str, Any]
"""One entry of a delta."""
Delta = list[Edit]
Place = tuple[str, ...]
"""The parts of an address."""
Built = TypeVar("Built", Outline, Section | Insight)

_MODELS: dict[str, type[Section | Insight]] = {"sections": Section, "insights": Insight}

_ITEM_LISTS, _POSITIONS = set(ITEMS), set(POSITIONS)
_SHAPES = ({"at", "old", "new"}, {"at", "old"}, {"at", "new"}, {"at", "splices"})


class DeltaError(ValueError):
    """A delta is malformed or does not fit; the message begins with the address of the defect, if any."""


# --- Addresses ---------------------------------------------------------------------------


def address(*parts: str) -> str:
    """Return the address with these parts: `address("metadata", "a/b")` is `metadata/a~1b`."""
    if parts == ("",):
        return "/"
    return "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def parts(at: str) -> list[str]:
    """Return the parts of an address; none for the whole outline.

    Raises:
        DeltaError: `at` is not an address.
    """
    if at in ("", "/"):
        return [""] if at else []
    found = [part.replace("~1", "/").replace("~0", "~") for part in at.split("/")]
    if address(*found) != at:
        raise DeltaError(f"{at}: not a valid address")
    return found


def is_bookkeeping(at: str) -> bool:
    """Return whether the field at an address changes along with every version.

    Raises:
        DeltaError: `at` is not an address.
    """
    place = parts(at)
    if len(place) == 3 and place[0] in ITEMS:
        place = place[2:]
    return len(place) == 1 and place[0] in BOOKKEEPING


def content_edits(delta: Sequence[Edit]) -> Delta:
    """Return a delta without the fields that every version changes."""
    return [edit for edit in delta if not is_bookkeeping(edit["at"])]


def field_of(place: Sequence[str]) -> tuple[str, str]:
    """Return the table and the name of the field at the parts of an address, as `fields.RULES` has them.

    >>> field_of(("sections", "5f9d…", "metadata", "citations"))
    ('sections/metadata', 'citations')
    """
    return "/".join((*place[:1], *place[2:-1])), place[-1]


def item_of(at: str) -> str | None:
    """Return the id of the section or insight that contains the address, if one does.

    Raises:
        DeltaError: `at` is not an address.
    """
    place = parts(at)
    return place[1] if len(place) > 1 and place[0] in ITEMS else None


def writing_places(at: str) -> frozenset[str]:
    """Return the addresses of the edits that write a value: its own, its item's and the whole outline's.

    Raises:
        DeltaError: `at` is not an address.
    """
    place = parts(at)
    return frozenset({at, address(*place[:2]) if item_of(at) else at, ""})


# --- diff --------------------------------------------------------------------------------


def diff(old: Outline | None, new: Outline) -> Delta:
    """Return the delta between two outlines; from `None`, a create."""
    if old is None:
        return [{"at": address(), "new": outline_data(new)}]
    return [
        *_field_edits((), head_data(old), head_data(new)),
        *_item_edits("sections", old.sections, new.sections),
        *_item_edits("insights", old.insights, new.insights),
    ]


def head_data(outline: Outline) -> dict[str, Any]:
    """Return everything but the items as JSON data."""
    return outline.model_dump(exclude=_ITEM_LISTS, exclude_none=True, by_alias=True)


def _item(item: Section | Insight) -> dict[str, Any]:
    """Return the item as JSON data in the form of deltas, without its position."""
    return item.model_dump(exclude=_POSITIONS, exclude_none=True, by_alias=True)


def _item_edits(
    name: str, old: Sequence[Section | Insight], new: Sequence[Section | Insight]
) -> Iterator[Edit]:
    """Yield the edits of all sections or all insights: first of their order, then item by item."""
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
    """Count the items at the start and at the end that are the same objects."""
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i] is not new[i]), limit)
    limit -= start
    return start, next((i for i in range(limit) if old[-1 - i] is not new[-1 - i]), limit)


def _by_id(name: str, items: Sequence[Section | Insight]) -> dict[str, Section | Insight]:
    return dict(zip(map(attrgetter(ID_FIELDS[name]), items), items, strict=True))


def _only_moved(old: Section | Insight, new: Section | Insight) -> bool:
    """Return whether the two share all their values, except perhaps the position."""
    values = vars(new)
    return all(
        value is values[key] or key in POSITIONS or (key in ORDERS and value == values[key])
        for key, value in vars(old).items()
    )


def _field_edits(prefix: Place, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Edit]:
    """Yield the edits of the fields of one object; of `metadata` key by key."""
    for key in _differing_keys(old, new):
        if key != "metadata":
            yield from _value_edit((*prefix, key), old, new)
            continue
        for name in sorted(_differing_keys(old[key], new[key])):
            yield from _value_edit((*prefix, key, name), old[key], new[key])


def _differing_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the keys that one side lacks or that have another value, in their order."""
    return [key for key in (old | new) if key not in old or key not in new or not same(old[key], new[key])]


def _value_edit(place: Place, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Edit]:
    """Yield the edit of the value under the last part of the address, if it changed."""
    key = place[-1]
    if key not in new:
        yield {"at": address(*place), "old": old[key]}
    elif key not in old:
        yield {"at": address(*place), "new": new[key]}
    else:
        yield from _change(place, old[key], new[key])


def _change(place: Place, old: Any, new: Any) -> Iterator[Edit]:
    if field_of(place) in SPLICED:
        if isinstance(old, str) and isinstance(new, str):
            yield _text_edit(place, old, new)
            return
        if isinstance(old, list) and isinstance(new, list) and (place[0] != "metadata" or _texts(old, new)):
            yield from _list_edit(place, old, new)
            return
    yield {"at": address(*place), "old": old, "new": new}


def _texts(*lists: list[Any]) -> bool:
    return all(isinstance(value, str) for values in lists for value in values)


def _list_edit(place: Place, old: list[Any], new: list[Any]) -> Iterator[Edit]:
    if found := splices.between_lists(old, new):
        yield {"at": address(*place), "splices": found}


def _text_edit(place: Place, old: str, new: str) -> Edit:
    """Return an edit with splices, or with the whole texts where that makes the log shorter."""
    found = splices.between_texts(old, new)
    size = len(to_json({"splices": found}))
    whole = {"old": old, "new": new}
    # The first comparison avoids serialising most long texts for the second.
    if size <= len(old) + len(new) or size < len(to_json(whole)):
        return {"at": address(*place), "splices": found}
    return {"at": address(*place), **whole}


# --- apply -------------------------------------------------------------------------------


def apply(outline: Outline | None, delta: Delta) -> Outline:
    """Return the outline after the delta; `outline` is `None` where the delta begins with a create.

    Raises:
        DeltaError: The delta is malformed, does not fit the outline, or its result is not
            valid.
    """
    edits = list(_checked(delta))
    try:
        if outline is None:
            outline, edits = _created(edits), edits[1:]
        return _outline_after(outline, edits) if edits else outline
    except RecursionError as error:
        raise DeltaError("a value is nested too deeply") from error


def _outline_after(outline: Outline, edits: list[tuple[list[str], Edit]]) -> Outline:
    draft = Draft(outline)
    for place, edit in edits:
        draft.edit(place, edit)
    return draft.outline()


def _created(edits: list[tuple[list[str], Edit]]) -> Outline:
    if not edits or edits[0][0] or edits[0][1].keys() != {"at", "new"}:
        raise DeltaError("a delta without an outline must begin with a create")
    data = edits[0][1]["new"]
    try:
        outline = Outline.model_validate(data)
    except ValidationError as error:
        raise DeltaError(f"create: {describe(error)}") from error
    if not same(outline_data(outline), data):
        raise DeltaError("create: not in the form in which outlines are saved")
    return normalised(outline)


def _checked(delta: Delta) -> Iterator[tuple[list[str], Edit]]:
    """Yield the well-formed edits with the parts of their addresses; a log may contain anything."""
    if not isinstance(delta, list):
        raise DeltaError("a delta must be a list of edits")
    for edit in delta:
        if not isinstance(edit, dict) or not isinstance(edit.get("at"), str):
            raise DeltaError("an edit must be an object with an address")
        if edit.keys() not in _SHAPES:
            raise DeltaError(f"{edit['at']}: an edit needs old, new or both, or splices")
        yield parts(edit["at"]), edit


class Draft:
    """An outline while deltas are applied: touched items become JSON data and are built anew.

    >>> draft = Draft(report)
    >>> draft.edit(["title"], {"at": "title", "old": "Health", "new": "Shop"})
    >>> draft.value(["title"]), draft.outline().title
    ('Shop', 'Shop')
    """

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._head: dict[str, Any] | None = None
        self._lists: dict[str, _Items] = {}

    def edit(self, place: list[str], edit: Edit) -> None:
        """Apply one edit at a place; only the item there is copied.

        Raises:
            DeltaError: It does not fit.
        """
        try:
            self._apply(place, edit)
        except ValueError as error:
            raise DeltaError(f"{edit['at']}: {error}") from error

    def value(self, place: list[str]) -> Any:
        """Return the value at a place as JSON data; `None` if there is none. It must not be changed."""
        if place and place[0] in _MODELS:
            return self._items(place[0]).value(place[1:])
        return _value(self._head_data(), place)

    def outline(self) -> Outline:
        """Return the outline after all edits.

        Raises:
            DeltaError: It is not valid.
        """
        outline = self._outline
        items = {"sections": outline.sections, "insights": outline.insights}
        items |= {name: touched.built() for name, touched in self._lists.items()}
        if self._head is not None:
            outline = _built(Outline, self._head, head_data, "the outline")
        outline = outline.model_copy(update=items)
        return normalised(outline) if "sections" in self._lists else outline

    def _apply(self, place: list[str], edit: Edit) -> None:
        if place and place[0] in _MODELS:
            self._items(place[0]).apply(place[1:], edit)
        else:
            self._head = _edited(self._head_data(), place, edit)

    def _head_data(self) -> dict[str, Any]:
        if self._head is None:
            self._head = head_data(self._outline)
        return self._head

    def _items(self, name: str) -> _Items:
        if name not in self._lists:
            self._lists[name] = _Items(name, getattr(self._outline, name))
        return self._lists[name]


class _Items:
    """The sections or the insights while a delta is applied."""

    def __init__(self, name: str, items: Sequence[Section | Insight]) -> None:
        self._name = name
        self._untouched = _by_id(name, items)
        self._touched: dict[str, Any] = {}
        self._order: list[str] = list(self._untouched)

    def apply(self, place: list[str], edit: Edit) -> None:
        """Apply one edit; `place` begins with the item's id, or is empty for the order."""
        if not place:
            self._order = _spliced_order(self._order, edit)
            return
        item_id, *field = place
        if item_id in self._untouched:
            self._touched[item_id] = _item(self._untouched.pop(item_id))
        if not field:
            _put(self._touched, item_id, edit)
        elif item_id in self._touched:
            self._touched[item_id] = _edited(self._touched[item_id], field, edit)
        else:
            raise ValueError("no such item")

    def value(self, place: list[str]) -> Any:
        """Return the value at a place; `place` begins with the item's id, or is empty for the order."""
        if not place:
            return self._order
        item_id, *field = place
        if item_id in self._untouched:
            return _value(_item(self._untouched[item_id]), field)
        return _value(self._touched.get(item_id), field)

    def built(self) -> list[Section | Insight]:
        """Return the items in their order; untouched ones are the same objects as before."""
        there = dict(self._untouched)
        for item_id, data in self._touched.items():
            at = address(self._name, item_id)
            there[item_id] = item = _built(_MODELS[self._name], data, _item, at)
            if getattr(item, ID_FIELDS[self._name]) != item_id:
                raise DeltaError(f"{at}: the item has another id")
        if len(self._order) != len(there) or set(self._order) != there.keys():
            raise DeltaError(f"{self._name}: the order does not name each item once")
        return [there[item_id] for item_id in self._order]


def _spliced_order(order: list[str], edit: Edit) -> list[str]:
    if "splices" not in edit:
        raise ValueError("an order can only be spliced")
    spliced: list[Any] = splices.apply(order, edit["splices"])
    if not _texts(spliced):
        raise ValueError("an id must be a string")
    return spliced


def _edited(data: Any, place: list[str], edit: Edit) -> dict[str, Any]:
    """Return a copy of the object with the edit applied to a field or a key of its metadata."""
    if not isinstance(data, dict):
        raise ValueError("not inside an object")
    edited: dict[str, Any] = dict(data)
    holder = edited
    if len(place) == 2 and place[0] == "metadata" and isinstance(data.get("metadata"), dict):
        holder = edited["metadata"] = dict(data["metadata"])
    elif len(place) != 1:
        raise ValueError("no such place")
    _put(holder, place[-1], edit)
    return edited


def _value(data: Any, place: list[str]) -> Any:
    """Return the value at a field or a key of metadata, or the data itself; `None` if there is none."""
    for name in place:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _put(holder: dict[str, Any], key: str, edit: Edit) -> None:
    """Apply the edit to the value under the key, if the present value is the old one."""
    if "splices" in edit:
        holder[key] = splices.apply(holder.get(key), edit["splices"])
        return
    if ("old" in edit) != (key in holder) or ("old" in edit and not same(edit["old"], holder[key])):
        raise ValueError("the present value is not the one in the delta")
    if "new" in edit:
        holder[key] = edit["new"]
    else:
        del holder[key]


def _built(model: type[Built], data: Any, saved: Callable[[Built], dict[str, Any]], at: str) -> Built:
    """Build the value of this JSON data, which must be valid and be saved in exactly this form."""
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
    """Return the delta of the opposite direction: each edit inverted, the last one first.

    Raises:
        DeltaError: The delta is malformed, or contains a create.
    """
    return [_inverted(place, edit) for place, edit in _checked(delta)][::-1]


def _inverted(place: list[str], edit: Edit) -> Edit:
    at = edit["at"]
    if not place:
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
