"""The reference says what the package does: it is made from it, and held against real files."""

from __future__ import annotations

import json

import jsonschema
import pytest

from glp_export.config.run_config import fields
from glp_export.core import errors
from glp_export.tasks import KINDS
from tests.docs.pages import DOCS, generated_parts


@pytest.fixture(scope="module")
def formats():
    generated_parts()  # finds the generator
    from generate.schemas import FILES

    return {file.name: file.schema() for file in FILES}


def test_the_pages_in_the_repository_are_what_the_package_says():
    generated_parts()  # finds the generator
    from generate import PARTS
    from generate.pages import filled, reference_pages

    pages = reference_pages(DOCS)
    assert len(pages) >= 6
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert filled(text, PARTS) == text, f"{page.name}: make reference"


def test_every_setting_has_its_row():
    for name, _, _ in fields():
        assert f"| `{name}` | `--{name.replace('_', '-')}`" in generated_parts()["settings.md"]


def test_every_error_has_its_exit_code():
    for one in errors.GlpError.__subclasses__():
        assert f"`{one.__name__}`" in generated_parts()["exit-codes.md"]


def test_every_kind_of_task_has_its_section():
    sections = generated_parts()["tasks.md"].split("## ")
    for name in KINDS:
        (own,) = (section for section in sections if section.startswith(f"{name}\n"))
        assert len(own.splitlines()[2]) > 10, f"{name}: its file says nothing of it"


def test_every_command_has_its_section_and_an_example():
    sections = generated_parts()["commands.md"].split("\n## ")
    assert all("```bash\nglp-export" in section for section in sections)


@pytest.mark.parametrize(
    "name",
    ["plan", "parity", "benchmark", "precisions", "environment", "ort_config"],
)
def test_the_schemas_hold_for_the_files_of_an_artifact(name, formats, artifact):
    (path,) = (file for file in formats if file.endswith(f"{name}.json"))
    jsonschema.validate(json.loads((artifact / path).read_text()), formats[path])


def test_the_schemas_refuse_what_the_files_never_have(formats, artifact):
    content = json.loads((artifact / "glp/benchmark.json").read_text())
    content["rows"][0]["p50_ms"] = "fast"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, formats["glp/benchmark.json"])
