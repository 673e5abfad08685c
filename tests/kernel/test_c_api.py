"""The C surface of mcroute, which users' Cython code was compiled against, stays, or its number is raised.

`tests/vectors/c_api.json` is the C surface that `mcroute/__init__.pxd` offers: signatures, constants, and the
offset and size of every field. Functions and constants may be added. After a meant change of what is there,
raise MCROUTE_RING_API or MCROUTE_PROTOCOL_API and write it anew: `MCROUTE_NEW_C_API=1 pytest tests/kernel`.
"""

import importlib
import json
import os
import re
from pathlib import Path

import pytest

import mcroute
from mcroute.placement import own_placement
from tests.compiling import compile_cython

# The compiler is slow on a busy machine.
pytestmark = pytest.mark.timeout(300)

FROZEN = Path(__file__).parent.parent / "vectors" / "c_api.json"
PACKAGE = Path(mcroute.__file__).parent
DECLARED = [
    "_ring.pxd",
    *(f"_protocol/{name}.pxd" for name in ("views", "refusals", "encoders")),
]
EXPORTING = [
    *(f"_hashing.{name}" for name in ("crc", "fnv", "jenkins", "md5", "murmur", "sha384", "spooky", "xxh3")),
    "_ring",
    *(f"_protocol.{name}" for name in ("commands", "encoders", "refusals", "replies", "requests")),
]
NUMBERS = {"MCROUTE_RING_API", "MCROUTE_PROTOCOL_API"}
BLOCK = re.compile(r"^cdef (enum|struct)(?: (\w+))?:\n((?:[ \t]+.*\n|\n)+)", re.MULTILINE)


def declared() -> tuple[list[str], dict[str, list[str]]]:
    """The names of the constants, and the fields of the structs."""
    constants, structs = [], {}
    for path in DECLARED:
        for kind, name, body in BLOCK.findall((PACKAGE / path).read_text()):
            lines = [line.partition("#")[0].strip() for line in body.splitlines()]
            if kind == "enum":
                constants += [line.partition("=")[0].strip() for line in lines if line]
            else:
                structs[name] = [line.split()[-1] for line in lines if line]
    return constants, structs


def layout_source() -> str:
    """A module that looks at all of it with a C compiler's eyes."""
    constants, structs = declared()
    names = ", ".join([*constants, *structs])
    lines = ["# cython: language_level=3, freethreading_compatible=True", f"from mcroute cimport {names}", ""]
    lines += [
        "constants = {",
        *(f'    "{name}": int({name}),' for name in constants),
        "}",
        "structs = {}",
        "",
    ]
    for name, fields in structs.items():
        lines += [f"cdef {name} a_{name}", f'structs["{name}"] = {{"": sizeof({name})}}']
        lines += [
            f'structs["{name}"]["{f}"] = (<char*>&a_{name}.{f} - <char*>&a_{name}, sizeof(a_{name}.{f}))'
            for f in fields
        ]
    return "\n".join(lines) + "\n"


def functions() -> dict[str, str]:
    found = {}
    for module in EXPORTING:
        exported = importlib.import_module(f"mcroute.{module}").__pyx_capi__
        for name, capsule in exported.items():
            signature = re.search(r'"(.*)"', repr(capsule))
            assert signature is not None
            found[name] = re.sub(r"__pyx_(?:t|obj)_\w+?_(?=[A-Z])", "", signature[1])
    return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    there = tmp_path_factory.mktemp("layout")
    (there / "layout.pyx").write_text(layout_source())
    compile_cython(there / "layout.pyx", there)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(there))
        layout = importlib.import_module("layout")
    # As in JSON: lists for tuples.
    found = {"functions": functions(), "constants": layout.constants, "structs": layout.structs}
    found = json.loads(json.dumps(found))
    if os.environ.get("MCROUTE_NEW_C_API"):
        FROZEN.write_text(json.dumps(found, indent=1) + "\n")
    return found


@pytest.mark.parametrize("part", ["functions", "constants", "structs"])
def test_the_c_level_is_as_it_was(surface: dict[str, dict], part: str) -> None:
    frozen = json.loads(FROZEN.read_text())
    kept = {name: what for name, what in surface[part].items() if name in frozen[part]}
    # A raised version number alone is a change too: the file must be written anew.
    assert kept == frozen[part], f"other code was compiled against this; see {Path(__file__).name}"


def test_the_c_api_declares_constants_structs_and_functions(surface: dict[str, dict]) -> None:
    assert surface["constants"].keys() >= NUMBERS
    assert {"RequestView", "ReplyView", "Limits"} <= surface["structs"].keys()
    assert {"request_parse", "reply_parse", "ring_owner", "hash_murmur3_32"} <= surface["functions"].keys()


def test_structs_have_no_place_for_padding_to_differ(surface: dict[str, dict]) -> None:
    """Every field lies on a multiple of its own size: all compilers then agree on the layout."""
    for fields in surface["structs"].values():
        for name, place in fields.items():
            assert name == "" or place[0] % place[1] == 0


def test_numbers_of_64_bits_are_so_on_every_machine() -> None:
    """A size_t has 32 bits on some: `text_max` of a placement would not fit, nor would any ring be built."""
    table = (PACKAGE / "_distributions/table.pxd").read_text()
    for name, most in (("seed", 2**64 - 1), ("text_max", own_placement(["a"], "murmur3", None)[0].text_max)):
        assert most >= 2**32
        assert re.search(rf"^    uint64_t {name}\b", table, re.MULTILINE)
