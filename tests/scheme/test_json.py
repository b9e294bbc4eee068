import json
from pathlib import Path

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
    _files,
    dumps,
    load,
    read_scheme,
    save,
    verify,
)
from grokkit.scheme.catalog import catalog, standard
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
    "no format": (lambda c: c.pop("format"), "'target' .others.: neither is there, exactly one is needed"),
    "format and target": (lambda c: c.update(target={"kind": "complex"}), "both are there, exactly one is needed"),
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
    "version that is true": (lambda c: c.update(version=True), "version True"),
    "version that is a float": (lambda c: c.update(version=1.0), "version 1.0"),
    "many unknown keys": (lambda c: c.update({f"k{i}": 1 for i in range(99)}), "unknown .'k0', 'k1', 'k10', ...."),
    "ring with a leading zero": (lambda c: c.update(ring="GF(02)"), "ring 'GF"),
    "provenance that is null": (lambda c: c.update(provenance=None), "provenance"),
    "seed that is true": (lambda c: c["provenance"].update(seed=True), "provenance: seed is True"),
    "seed too large": (lambda c: c["provenance"].update(seed=2**70), "provenance: seed"),
    "method that is a number": (lambda c: c["provenance"].update(method=5), "provenance: method is 5"),
    "certificate with a float": (lambda c: c["certificate"].update(rank=7.0), "rank is 7.0, proven 7"),
    "certificate with ternary 1": (lambda c: c["certificate"].update(ternary=1), "ternary is 1, proven True"),
    "certificate with more": (lambda c: c["certificate"].update(extra="x"), "certificate: keys unknown .'extra'."),
    "certificate with less": (lambda c: c["certificate"].pop("rank"), "certificate: keys missing .'rank'."),
    "certificate of an odd version": (lambda c: c["certificate"].update(version=[1]), "version is a list"),
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


LONG = "a\n\x1b[31m\u202e" + "x" * 10**6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.update(ring=LONG),
        lambda c: c.update(version=LONG),
        lambda c: c.update({LONG: 1}),
        lambda c: c.update(rank=10**4000),
        lambda c: c["certificate"].update(digest=LONG),
        lambda c: c["certificate"].update({LONG: 1}),
        lambda c: c["certificate"].update(version=10**4000),
        lambda c: c["U"]["rows"][0].__setitem__(0, LONG),
        lambda c: c["U"].update(denominator=LONG),
        lambda c: c["provenance"].update(method=[LONG]),
        lambda c: c["provenance"].update(configuration=LONG),
        lambda c: c["provenance"].update(configuration={LONG: {LONG: 1e308, "x": [[[[[[0]]]]]] * 3}}, seed=LONG),
    ],
)
def test_messages_do_not_repeat_what_a_file_says_at_length(tmp_path, content, spoil):
    spoil(content)
    path = write(tmp_path / "s.json", content)
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    message = str(caught.value).removeprefix(str(path))
    assert len(message) < 250
    assert message.isprintable()


def test_the_line_of_a_number_that_is_too_long(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{\n  "rank":\n  ' + "9" * 5000 + "}")
    with pytest.raises(UnreadableFile, match="more than 4300 digits in line 3"):
        load(path)


def test_files_with_too_many_values_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    monkeypatch.setattr(_files, "MAX_JSON_VALUES", 100)
    for text in ("[" + "[]," * 100 + "0]", "[" + "{}," * 101 + "0]", "[" + '"",' * 51 + "0]"):
        path.write_text(text)
        with pytest.raises(UnreadableFile, match="more than 100 "):
            load(path)
    large = standard(3, 3, 5)
    with pytest.raises(InvalidInput, match="not written: <3,3,5;45> as JSON is more than 100 lists"):
        save(large, path)
    monkeypatch.setattr(_files, "MAX_JSON_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="larger than"):
        _files.parse_json(b"1" * 1001, path)


HOSTILE = {
    "deep nesting": "[" * 200_000,
    "deep objects": '{"a":' * 100_000,
    "duplicate keys": '{"grokkit": "scheme", "grokkit": "scheme"}',
    "NaN": '{"grokkit": NaN}',
    "Infinity": '{"grokkit": -Infinity}',
    "a number past float64": '{"grokkit": 1e999}',
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
    with pytest.raises(InvalidInput) as caught:
        save(catalog["winograd"], path)
    assert str(caught.value) == f"{path}: not written: No space left on device"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_said_with_path_and_reason(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path, reason in (
        (tmp_path / "no" / "s.json", f"there is no folder {tmp_path / 'no'}; make it first"),
        (tmp_path, "Is a directory"),
        (file / "s.json", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/dev/full"), "No space left on device"),
        (tmp_path / "a\0b", "null"),
    ):
        with pytest.raises(InvalidInput) as caught:
            save(catalog["strassen"], path)
        assert str(caught.value).startswith(f"{path}: not written: ")
        assert reason in str(caught.value)
    save(catalog["strassen"], tmp_path / ("x" * 250))
    assert len(list(tmp_path.iterdir())) == 2


def test_targets_of_others_have_no_files():
    from grokkit.scheme import Target

    class Other(Target):
        shape, nonzeros, name, entries = (1, 1, 1), 1, "<other>", (np.array([[0, 0, 0]]), np.array([1]))

        def variable(self, side, index, latex=False):
            return "x"

        def to_json(self):
            return {"kind": "other"}

    with pytest.raises(InvalidInput, match="its target Other has no form in scheme files"):
        dumps(Scheme(Other(), [[1]], [[1]], [[1]]))


def test_large_expanded_schemes_round_trip(tmp_path):
    from grokkit.scheme import expand

    large = expand(catalog["strassen"], 3)
    save(large, tmp_path / "large.json", verify(large))
    found = load(tmp_path / "large.json")
    assert (np.asarray(found.W) == large.W).all()
    assert found == large


def test_a_link_is_kept_and_its_file_replaced(tmp_path):
    """So that --out /dev/stdout > file cannot replace /dev/stdout itself."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    save(catalog["strassen"], link)
    assert link.is_symlink() and load(target) == catalog["strassen"]
    ahead = tmp_path / "ahead.json"
    ahead.symlink_to(tmp_path / "not-yet.json")
    save(catalog["strassen"], ahead)
    assert ahead.is_symlink() and load(tmp_path / "not-yet.json") == catalog["strassen"]
