"""Scheme files of targets other than matrix products."""

import json

import pytest
from hypothesis import given

from bilinear import KNOWN, TOOM_3, any_schemes_of, other_targets, scaled
from grokkit.scheme import (
    Provenance,
    Refuted,
    SchemeFile,
    UnreadableFile,
    dumps,
    load,
    read_scheme,
    save,
    standard_scheme,
    verify,
)
from grokkit.scheme._read_target import target_from_json


@pytest.fixture
def content():
    """A valid file as an object, to be spoiled."""
    return json.loads(dumps(TOOM_3, verify(TOOM_3)))


def write(path, content):
    path.write_text(json.dumps(content))
    return path


@given(other_targets)
def test_targets_and_their_json(target):
    content = json.loads(json.dumps(target.to_json()))
    assert content.keys() == {"target"}
    assert target_from_json(content["target"]) == target


@given(any_schemes_of())
def test_save_then_load_is_the_identity(tmp_path_factory, scheme):
    path = tmp_path_factory.mktemp("json") / "s.json"
    scheme = scheme.with_provenance(Provenance("test", 3, {"a": 1}))
    save(scheme, path)
    found = load(path)
    assert found == scheme
    assert found.provenance == scheme.provenance
    assert dumps(found) == dumps(scheme)


@given(other_targets.flatmap(lambda target: scaled(standard_scheme(target))))
def test_certificates_travel_and_are_proven_again(tmp_path_factory, scheme):
    path = tmp_path_factory.mktemp("json") / "s.json"
    certificate = verify(scheme)
    save(scheme, path, certificate)
    assert load(path) == scheme
    assert read_scheme(path)[1] == certificate.to_json()
    assert SchemeFile(path).read().certificate.target == scheme.target


@pytest.mark.parametrize("name", KNOWN)
def test_a_target_is_one_line(name):
    text = dumps(KNOWN[name])
    assert f'\n  "target": {json.dumps(KNOWN[name].target.to_json()["target"])},\n' in text
    assert '"format"' not in text


def test_the_order_of_keys_in_a_certificate_does_not_matter(tmp_path, content):
    content["certificate"]["target"] = {"terms": [3, 3], "kind": "polynomial"}
    assert load(write(tmp_path / "s.json", content)) == TOOM_3


def test_a_forged_certificate_is_not_believed(tmp_path, content):
    content["W"]["rows"][0][1] = 1
    with pytest.raises(Refuted):
        load(write(tmp_path / "forged.json", content))


SPOILED = {
    "no target": (lambda c: c.pop("target"), "neither is there, exactly one is needed"),
    "target and format": (lambda c: c.update(format=[3, 3, 3]), "both are there, exactly one is needed"),
    "target a list": (lambda c: c.update(target=[3, 3]), "target is a list; an object with a kind is needed"),
    "no kind": (lambda c: c["target"].pop("kind"), "target: kind is None; one of polynomial, cyclic, .* is needed"),
    "unknown kind": (lambda c: c["target"].update(kind="matrix"), "target: kind is 'matrix'; one of polynomial"),
    "kind a list": (lambda c: c["target"].update(kind=[]), "target: kind is a list"),
    "more keys": (
        lambda c: c["target"].update(n=3),
        "target: a polynomial target has the keys kind, terms and no others",
    ),
    "less keys": (lambda c: c["target"].pop("terms"), "has the keys kind, terms and no others"),
    "keys of another": (
        lambda c: c["target"].update(kind="quaternion"),
        "a quaternion target has the keys kind and no",
    ),
    "terms a number": (lambda c: c["target"].update(terms=3), "target: terms is 3; a list of 2 integers is needed"),
    "three terms": (lambda c: c["target"].update(terms=[3, 3, 3]), "terms is a list; a list of 2 integers is needed"),
    "float terms": (lambda c: c["target"].update(terms=[3, 3.0]), "terms is a list; a list of 2 integers is needed"),
    "true terms": (lambda c: c["target"].update(terms=[3, True]), "terms is a list; a list of 2 integers is needed"),
    "no terms": (lambda c: c["target"].update(terms=[3, 0]), "the number of terms is 0; it must lie in 1"),
    "length a list": (lambda c: c.update(target={"kind": "cyclic", "length": [3]}), "length is a list; an integer is"),
    "terms that the factors do not fit": (
        lambda c: c["target"].update(terms=[3, 2]),
        "V: row 0 has 3 entries, but target and rank need 2",
    ),
    "certificate of another target": (
        lambda c: c["certificate"].update(target={"kind": "complex"}),
        "certificate does not belong to this scheme: target is a dict, proven {'kind': 'polynomial'",
    ),
    "certificate with a format": (lambda c: c["certificate"].update(format=[3, 3, 3]), "certificate: keys unknown"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_files_are_unreadable_with_the_reason(tmp_path, content, name):
    spoil, message = SPOILED[name]
    spoil(content)
    path = write(tmp_path / "spoiled.json", content)
    for read in (load, lambda path: SchemeFile(path).read()):
        with pytest.raises(UnreadableFile, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
