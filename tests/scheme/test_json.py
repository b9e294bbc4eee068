import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import (
    InvalidInput,
    Provenance,
    Refuted,
    Scheme,
    UnreadableFile,
    dumps,
    load,
    read_scheme,
    save,
    verify,
)
from grokkit.scheme.catalog import catalog
from strategies import any_schemes, exact_schemes


@pytest.fixture
def content():
    """A valid file as an object, to be spoiled."""
    return json.loads(dumps(catalog["strassen"], verify(catalog["strassen"])))


def write(path, content):
    path.write_text(json.dumps(content))
    return path


@given(scheme=any_schemes(), seed=st.one_of(st.none(), st.integers(0, 2**63)))
def test_save_then_load_is_the_identity(tmp_path_factory, scheme, seed):
    path = tmp_path_factory.mktemp("json") / "s.json"
    scheme = scheme.with_provenance(Provenance("test", seed, {"a": [1, {"b": None}]}))
    save(scheme, path)
    found = load(path)
    assert found == scheme
    assert found.provenance == scheme.provenance
    assert dumps(found) == dumps(scheme)


@given(scheme=exact_schemes())
def test_certificates_travel_and_are_proven_again(tmp_path_factory, scheme):
    path = tmp_path_factory.mktemp("json") / "s.json"
    certificate = verify(scheme)
    save(scheme, path, certificate)
    assert load(path) == scheme
    _, claimed = read_scheme(path)
    assert claimed == certificate.to_json()


def test_the_text_is_sorted_and_one_row_a_line():
    text = dumps(catalog["strassen"])
    content = json.loads(text)
    assert list(content) == sorted(content)
    assert "      [1, 0, 0, 1],\n" in text
    assert text.endswith("}\n")


def test_a_certificate_of_another_scheme_is_not_written():
    with pytest.raises(InvalidInput, match="belongs to another scheme"):
        dumps(catalog["winograd"], verify(catalog["strassen"]))


def test_a_forged_certificate_is_not_believed(tmp_path, content):
    content["W"]["rows"][0][0] = 0
    with pytest.raises(Refuted):
        load(write(tmp_path / "forged.json", content))


def test_a_certificate_of_another_scheme_is_noticed(tmp_path, content):
    other = json.loads(dumps(catalog["winograd"], verify(catalog["winograd"])))
    content["certificate"] = other["certificate"]
    with pytest.raises(UnreadableFile, match="certificate does not belong to this scheme: digest"):
        load(write(tmp_path / "swapped.json", content))


def test_a_wrong_scheme_without_certificate_loads_but_does_not_verify(tmp_path, content):
    del content["certificate"]
    content["W"]["rows"][0][0] = 0
    scheme = load(write(tmp_path / "wrong.json", content))
    with pytest.raises(Refuted):
        verify(scheme)


SPOILED = {
    "rank of a billion": (lambda c: c.update(rank=10**9), "U: 7 rows, but format and rank need 1000000000"),
    "rank beyond any": (lambda c: c.update(rank=10**30), "rank is"),
    "negative rank": (lambda c: c.update(rank=-1), "rank is -1"),
    "fractional rank": (lambda c: c.update(rank=7.0), "rank is 7.0"),
    "format that the factors do not fit": (lambda c: c.update(format=[2, 2, 3]), "but format and rank need"),
    "huge format": (lambda c: c.update(format=[10**9, 1, 1]), "format is 1000000000"),
    "format of two numbers": (lambda c: c.update(format=[2, 2]), "three integers"),
    "format of strings": (lambda c: c.update(format=["2", "2", "2"]), "format is '2'"),
    "float coefficient": (lambda c: c["U"]["rows"][0].__setitem__(0, 1.0), r"U\[0\]\[0\] is 1.0"),
    "boolean coefficient": (lambda c: c["U"]["rows"][0].__setitem__(0, True), r"U\[0\]\[0\] is True"),
    "string coefficient": (lambda c: c["V"]["rows"][2].__setitem__(3, "1"), r"V\[2\]\[3\] is '1'"),
    "nested row": (lambda c: c["V"]["rows"].__setitem__(0, [[1, 0, 0, 1]]), "row 0 has 1 entries"),
    "ragged row": (lambda c: c["W"]["rows"][1].pop(), "W: row 1 has 6 entries"),
    "row that is no list": (lambda c: c["W"]["rows"].__setitem__(1, 5), "W: row 1 has 5 entries"),
    "missing factor": (lambda c: c.pop("V"), "missing .'V'."),
    "unknown key": (lambda c: c.update(extra=1), "unknown .'extra'."),
    "zero denominator": (lambda c: c["U"].update(denominator=0), "denominator is 0"),
    "factor that is a list": (lambda c: c.update(U=[[1]]), "U must be an object"),
    "unknown ring": (lambda c: c.update(ring="R"), "ring 'R'"),
    "ring that is a number": (lambda c: c.update(ring=5), "ring is 5"),
    "wrong ternary": (lambda c: c.update(ternary=False), "ternary is False"),
    "future version": (lambda c: c.update(version=99), "version 99"),
    "another kind": (lambda c: c.update(grokkit="report"), "not a grokkit scheme file"),
    "provenance of a wrong type": (lambda c: c.update(provenance=3), "provenance"),
    "certificate of a wrong type": (
        lambda c: c.update(certificate="yes"),
        "certificate is 'yes', not an object",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_files_are_unreadable_with_the_reason(tmp_path, content, name):
    spoil, message = SPOILED[name]
    spoil(content)
    path = write(tmp_path / "spoiled.json", content)
    with pytest.raises(UnreadableFile, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


HOSTILE = {
    "deep nesting": "[" * 200_000,
    "deep objects": '{"a":' * 100_000,
    "duplicate keys": '{"grokkit": "scheme", "grokkit": "scheme"}',
    "NaN": '{"grokkit": NaN}',
    "Infinity": '{"grokkit": -Infinity}',
    "truncated": '{"grokkit": "scheme", "U": {"denominator": 1, "rows": [[1, 0',
    "empty": "",
    "a number of a million digits": '{"rank": ' + "9" * 1_000_000 + "}",
    "a top-level list": "[1, 2]",
    "a top-level string": '"scheme"',
    "trailing garbage": '{"grokkit": "scheme"} {}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_unreadable(tmp_path, name):
    path = tmp_path / "hostile.json"
    path.write_text(HOSTILE[name])
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_parse_errors_name_line_and_column(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{\n  "rank": 7,\n  "ring" "Z"\n}')
    with pytest.raises(UnreadableFile, match="line 3, column 10"):
        load(path)


def test_binary_and_oversized_files_are_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xfe\x00\x01" * 100)
    with pytest.raises(UnreadableFile, match="not UTF-8"):
        load(path)
    from grokkit.scheme import _files

    with pytest.raises(UnreadableFile, match="larger than"):
        _files.read_bytes(path, limit=399)
    assert len(_files.read_bytes(path, limit=400)) == 400


def test_missing_files_are_the_system_s_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.json")


@given(data=st.data())
def test_mutated_files_never_crash(tmp_path_factory, data):
    """A short fuzz: flip, drop or repeat a piece of a valid file; it reads, or it is refused in one line."""
    raw = bytearray(dumps(catalog["strassen"]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["flip", "drop", "repeat"]))
        if kind == "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        elif kind == "drop":
            del raw[at : at + data.draw(st.integers(1, 40))]
        else:
            raw[at:at] = raw[at : at + data.draw(st.integers(1, 40))]
        raw = raw or bytearray(b" ")
    path = tmp_path_factory.mktemp("fuzz") / "s.json"
    path.write_bytes(bytes(raw))
    try:
        scheme = load(path)
    except UnreadableFile as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(scheme, Scheme)


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    save(catalog["strassen"], path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(catalog["winograd"], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_large_expanded_schemes_round_trip(tmp_path):
    from grokkit.scheme import expand

    large = expand(catalog["strassen"], 3)
    save(large, tmp_path / "large.json", verify(large))
    found = load(tmp_path / "large.json")
    assert (np.asarray(found.W) == large.W).all()
    assert found == large
