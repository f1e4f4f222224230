"""References: from the few words by which records and sentences cite a source to its BibTeX."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_ENTRY = re.compile(r"^@\w+\{(\w+),\n(?:  .*\n)+\}$", re.MULTILINE)
_NAMED = re.compile(r"[^\W\d_][\w'-]+(?: et al\.| and [^\W\d_][\w'-]+)? \d{4}\b")
"""'Guo et al. 2017' wherever it stands in a text."""
_CITED = re.compile(r"(?:mixup: )?(.+?) (\d{4})\b")
"""Authors and year of 'Nadeau and Bengio 2003, Mach. Learn. 52:239'."""


@dataclass(frozen=True)
class Reference:
    """A source that a report names."""

    key: str
    bibtex: str
    text: str
    """Authors, year, title and where it appeared."""
    link: str
    """Its address; empty where none is known."""


@lru_cache(maxsize=1)
def known_references() -> dict[str, Reference]:
    """Key -> reference, of all that stand in references.bib."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    return {found[1]: _read(found[1], found[0]) for found in _ENTRY.finditer(text)}


def key_of(cited: str) -> str:
    """The key of a source that is cited as 'Nadeau and Bengio 2003, …': nadeau2003.

    It is the first author's surname in plain letters, and the year; empty where there are none.
    """
    found = _CITED.match(cited)
    if found is None:
        return ""
    author = re.split(r" et al\.| and |,", found[1])[0]
    plain = unicodedata.normalize("NFKD", author).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", plain.lower()) + found[2]


@dataclass
class Bibliography:
    """The sources that a text cites, in the order of their first naming."""

    cited: dict[str, Reference] = field(default_factory=dict)

    def cite(self, *sources: str) -> str:
        """Sources as a text names them: ' (Nadeau and Bengio 2003)', or nothing for none.

        Args:
            sources: as records cite them; several in one are parted by semicolons. One that isn't
                in references.bib, such as that of an extension, is listed as it is cited.
        """
        named = []
        for source in filter(None, (part.strip() for text in sources for part in text.split(";"))):
            key = key_of(source)
            known = known_references().get(key)
            self.cited[key or source] = known or _as_cited(key, source)
            found = _CITED.match(source)
            named.append(f"{found[1]} {found[2]}" if found else source)
        return f" ({'; '.join(dict.fromkeys(named))})" if named else ""

    def notice(self, text: str) -> None:
        """List the known sources that a text names by itself, such as a record's own words."""
        for source in _NAMED.findall(text):
            if key_of(source) in known_references():
                self.cite(source)

    @property
    def references(self) -> list[Reference]:
        """Those cited, in the order of the alphabet."""
        return sorted(self.cited.values(), key=lambda reference: reference.text.lower())

    @property
    def bibtex(self) -> str:
        """Those cited, as BibTeX."""
        return "\n\n".join(reference.bibtex for reference in self.references)


def _read(key: str, entry: str) -> Reference:
    fields = dict(_FIELD.findall(entry))
    authors = fields["author"].replace(" and others", " et al.").split(" and ")
    title = fields["title"].strip("{}").replace("`", "‘").replace("'", "’")
    place = " ".join(
        part
        for part in (
            fields["journal"],
            fields.get("volume", "")
            + (f"({fields['number']})" if "number" in fields else "")
            + (":" if "volume" in fields and "pages" in fields else "")
            + fields.get("pages", "").replace("--", "–"),
        )
        if part
    )
    link = ""
    if "doi" in fields:
        link = f"https://doi.org/{fields['doi']}"
    elif "eprint" in fields:
        link = f"https://arxiv.org/abs/{fields['eprint']}"
    return Reference(
        key, entry, f"{'; '.join(authors)} ({fields['year']}). {title}. {place}.", link
    )


def _as_cited(key: str, source: str) -> Reference:
    plain = re.sub(r"[{}\\]", "", source)
    return Reference(
        key or source, f"@misc{{{key or 'source'},\n  note = {{{plain}}},\n}}", source, ""
    )
