"""What every command does alike: help, examples that work, JSON, colours, bars, completion."""

import csv
import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from urllib.request import urlopen

import click
import numpy as np
import pytest
from click.shell_completion import BashComplete

from mistdata import __version__
from mistdata.cli import cli
from mistdata.cli.estimating import SHIPPED
from mistdata.distributions.families import FAMILIES
from mistdata.estimator.checkpoint import SHIPPED as WEIGHTS
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import published
from tests.in_process import mistdata, refuses
from tests.servers import web
from tests.test_importing import entries, written

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(cli.commands)
EXAMPLES = {name: shlex.split(command.example)[1:] for name, command in cli.commands.items()}
LONG = {
    "generate",
    "flow-fit",
    "flow-adapt",
    "fidelity",
}  # their own tests run them, with less to do
TERMINAL = {"TERM": "xterm", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, small_store, small_recipe):
    """A folder with all that the examples name."""
    folder = tmp_path_factory.mktemp("prepared")
    text = small_recipe.read_text().replace("seed = 7", "seed = 8")
    generate(make_plan(parse_recipe(text, "other.toml")), folder / "SECOND", InProcess())
    for name in ("STORE", "FIRST"):
        shutil.copytree(small_store, folder / name)
    rows = np.random.default_rng(0).normal(size=(60, 3)).tolist()
    rows[3][0] = ""
    with (folder / "data.csv").open("w") as table:
        csv.writer(table).writerows([["age", "weight", "dose"], *rows])
    written(folder / "meta_dataset.pkl", entries())
    written(folder / "test.pkl", entries(5))
    for name, *options in (("ksg", "--options", "k=5"), ("cca",)):
        made = ("benchmark", name, folder / "STORE", folder / f"{name}.parquet", *options)
        done = mistdata(*made, "--splits", "train", "--limit", 5, "--in-process")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch):
    """A copy of that folder, to be in."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def in_terminal(*command, **environment):
    """Run a command whose output and errors are one terminal; return what that shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=TERMINAL | environment
    )
    os.close(theirs)
    shown = everything_shown(ours)
    process.wait(timeout=60)
    return shown


def everything_shown(terminal):
    """Read a terminal until nobody else has it."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # how Linux says so
            break
    os.close(terminal)
    return shown.decode()


def mistdata_in_terminal(*arguments, **environment):
    return in_terminal(sys.executable, "-m", "mistdata", *map(str, arguments), **environment)


def test_a_person_sees_a_link_to_a_dashboard_that_answers(tmp_path):
    ours, theirs = pty.openpty()
    words = ["generate", ROOT / "tests/data/kill.toml", tmp_path / "store", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mistdata", *map(str, words)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=TERMINAL,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while (found := re.search(rb"dashboard: (http://127.0.0.1:\d+/status)\s", shown)) is None:
        shown += os.read(ours, 4096)
    with urlopen(found[1].decode(), timeout=60) as answer:
        assert answer.status == 200 and b"Dask" in answer.read()
    everything_shown(ours)
    assert process.wait(timeout=120) == 0


# help


def test_the_help_lists_every_command_once_under_a_heading():
    lines = mistdata("--help").stdout.partition("Options:")[2].splitlines()
    assert [line.removesuffix(":") for line in lines if line.endswith(":") and line[0] != " "] == (
        list(cli.headings)
    )
    listed = [match[1] for line in lines if (match := re.match(r"  ([a-z][a-z-]+)  ", line))]
    assert sorted(listed) == COMMANDS
    assert lines[-1].startswith("Example: mistdata ")
    assert "..." not in "".join(lines), "no sentence is cut short"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_one_example_that_can_be_parsed(name, here):
    shutil.copytree(ROOT / "pipelines", "pipelines")
    text = mistdata(name, "--help").stdout
    assert text.splitlines()[-1] == f"Example: {cli.commands[name].example}"
    assert text.count("Example:") == 1
    first, *arguments = EXAMPLES[name]
    assert first == name
    context = cli.commands[name].make_context(name, arguments, parent=click.Context(cli))
    assert context.params


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LONG))
def test_examples_work(name, here):
    done = mistdata(*EXAMPLES[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout and done.stderr == ""


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LONG - {"completion"}))
def test_examples_print_one_json_object_when_asked(name, here):
    done = mistdata(*EXAMPLES[name], "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name):
    silent = [
        parameter.name
        for parameter in cli.commands[name].params
        if isinstance(parameter, click.Option) and not parameter.help.partition("[default")[0]
    ]
    assert silent == []


def test_paragraphs_of_a_help_are_not_indented_and_have_no_gaps():
    for name in COMMANDS:
        about = mistdata(name, "--help").stdout.partition("Options:")[0].partition("\n\n")[2]
        for paragraph in about.split("\n\n"):
            gaps = [re.search(r"^   |\S  ", line) is not None for line in paragraph.splitlines()]
            assert not any(gaps) or all(gaps), paragraph  # in all of its lines: a table


def test_every_command_that_reports_can_do_so_in_json():
    without = [
        name
        for name, command in cli.commands.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert without == ["completion"]


def test_the_version_is_that_of_the_package():
    assert mistdata("--version").stdout == f"mistdata, version {__version__}\n"


# errors


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_is_none_is_one_json_object(name):
    said = refuses(2, name, "--jsno", "--json")
    assert "No such option" in said
    if name != "completion":
        assert "--json" in said.partition("--jsno")[2], "the nearest one is suggested"


@pytest.mark.parametrize(
    ("code", "arguments", "part"),
    [
        (2, ["genrate", "--json"], "did you mean 'generate'?"),
        (2, ["inspect", "/nowhere", "--json"], "not a mistdata store"),
        (2, ["seal", "http://127.0.0.1:9/store", "--json"], "a web server is only read"),
        (2, ["generate", "{recipe}", "http://127.0.0.1:9/s"], "a web server is only read"),
        (2, ["export", "STORE", "http://127.0.0.1:9/s", "--to", "npz"], "only read"),
        (2, ["catalogs", "small@1", "--recipe", "--json"], "choose one of --recipe and --json"),
        (2, ["compare", "STORE", "ksg.parquet", "--markdown", "--json"], "choose one of"),
        (2, ["inspect", "smal@1", "--json"], "did you mean 'small@1'?"),
        (2, ["benchmark", "ksgg", "STORE", "--in-process", "--splits", "train"], "mean 'ksg'?"),
        (2, ["export", "STORE", "OUT", "--to", "parqet"], "did you mean 'parquet'?"),
        (2, ["export", "STORE", "OUT"], "Choose from: npz, parquet, hf, webdataset (see"),
        (2, ["export", "STORE", "OUT", "--to", "npz", "--where", "famly = 1"], "mean 'family'?"),
        (
            2,
            ["select", "STORE", "OUT", "--name", "a", "--where", "family = 'gausian-lvm'"],
            "STORE: no dataset meets \"family = 'gausian-lvm'\": no family is 'gausian-lvm'; did"
            " you mean 'gaussian-lvm'?",
        ),
        (2, ["benchmark", "cca", "STORE", "--where", "n = x", "--splits", "train"], "no column"),
        (2, ["compare", "STORE", "none.parquet", "--json"], "none.parquet: there is no such file"),
        (2, ["compare", "STORE", "data.csv"], "data.csv: not a result of mistdata benchmark"),
        (2, ["inspect", "nowhere"], "nowhere: not a mistdata store (there is no such folder)"),
        (
            2,
            ["report", "STORE", "a.html", "--audit", "data.csv"],
            "data.csv: must be what `mistdata",
        ),
        (2, ["report", "STORE", "a.html", "--audit", "list.json"], "list.json: must be what"),
        (2, ["import", "data.csv", "OUT", "--name", "a"], "damaged, or another kind of file"),
        (
            2,
            ["flow-fit", "data.csv", "F", "--columns", "weight,dose", "--device", "gpu"],
            "there is no device 'gpu' here",
        ),
        (2, ["estimate", "STORE", "--x", "a", "--y", "b"], "STORE: a folder; expected a file"),
        (3, ["seal", "PART", "--json"], "shards missing"),
        (4, ["generate", "{recipe}", "SECOND", "--in-process", "--json"], "belongs to the plan"),
    ],
)
def test_errors_are_one_line_or_one_object_with_the_exit_code(
    code, arguments, part, here, small_recipe
):
    Path("list.json").write_text("[]")
    if "PART" in arguments:
        assert mistdata("generate", small_recipe, "PART", "--shards", "1").returncode == 0
    assert part in refuses(code, *(each.format(recipe=small_recipe) for each in arguments))


def test_a_damaged_store_is_two_objects(here):
    path = Path("STORE/train/values/c/0")
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    assert "1 problem found" in refuses(5, "verify", "STORE", "--json")
    found = json.loads(mistdata("verify", "STORE", "--json").stdout)
    assert not found["ok"]


def test_an_interruption_is_one_json_object_too(tmp_path):
    recipe, store = ROOT / "pipelines" / "quickstart.toml", tmp_path / "store"
    command = [sys.executable, "-m", "mistdata", "generate", recipe, store, "--in-process"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=TERMINAL
    ) as process:
        while not list(store.glob("train/values/c/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert json.loads(err) == {
        "error": "interrupted; run the same command again to resume",
        "code": 130,
    }


# colours and bars, in a terminal


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "0"}, False), ({"TERM": "dumb"}, False)],
)
def test_errors_are_red_on_a_terminal_that_is_to_have_colours(environment, colour):
    shown = mistdata_in_terminal("families", "gausian-lvm", **environment)
    assert "did you mean 'gaussian-lvm'?" in shown
    assert ("\x1b[31mmistdata:\x1b[0m no family" in shown) == colour
    assert ("\x1b" in shown) == colour


def test_what_is_done_is_green_and_warnings_are_yellow(here):
    assert "STORE: \x1b[32msealed\x1b[0m, " in mistdata_in_terminal("seal", "STORE")
    assert "\x1b" not in mistdata_in_terminal("seal", "STORE", NO_COLOR="1")
    shown = mistdata_in_terminal(*EXAMPLES["estimate"])
    assert "\x1b[33mwarning:\x1b[0m 1 of 60 rows" in shown


def test_a_bar_shows_rate_and_time_left_and_quiet_shows_none(here):
    shown = mistdata_in_terminal("verify", "STORE")
    assert re.search(r"260 of 260 datasets, +[\d.k]+ datasets/s, \d\d:\d\d left", shown), shown
    assert "intact" in shown
    shown = mistdata_in_terminal("verify", "STORE", "--quiet")
    assert "intact" in shown and "left" not in shown and "/s" not in shown


def test_every_command_with_a_bar_can_be_quiet():
    quiet = {n for n, c in cli.commands.items() if any("--quiet" in p.opts for p in c.params)}
    assert quiet == {
        "generate", "export", "select", "merge", "import", "flow-fit", "flow-adapt", "verify",
        "repair", "benchmark", "matrix",
    }  # fmt: skip


# completion

TYPED = b"mistdata insp\t--ag\tsma\tsmall@\t\nexit\n"


def test_bash_completes_commands_options_and_published_stores(tmp_path):
    """Keys are typed into a real bash; what it then runs writes its arguments down."""
    program = tmp_path / "mistdata"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\n"
        "from mistdata.cli import main\n"
        "if '_MISTDATA_COMPLETE' in os.environ or sys.argv[1] == 'completion':\n    main()\n"
        f"else:\n    Path({str(tmp_path / 'typed')!r}).write_text(' '.join(sys.argv[1:]))\n"
    )
    program.chmod(0o755)
    (tmp_path / "rc").write_text('eval "$(mistdata completion bash)"\n')
    ours, theirs = pty.openpty()
    environment = TERMINAL | {"PATH": f"{tmp_path}:{TERMINAL['PATH']}", "HOME": str(tmp_path)}
    bash = subprocess.Popen(
        ["bash", "--rcfile", tmp_path / "rc", "-i"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, TYPED)
    shown = everything_shown(ours)
    bash.wait(timeout=60)
    assert (tmp_path / "typed").read_text() == "inspect --against small@1 small@1", shown


def test_completing_asks_no_server_and_starts_nothing_again(prepared, tmp_path, monkeypatch):
    (tmp_path / "catalogs").mkdir()
    monkeypatch.setenv(published.CATALOGS, str(tmp_path / "catalogs"))
    monkeypatch.setenv("MISTDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(published.STORES, raising=False)
    with web(prepared) as site:
        entry = tmp_path / "catalogs" / "small-1.json"
        published.publish(prepared / "STORE", entry, url=f"{site.url}/STORE")
        completing = BashComplete(cli, {}, "mistdata", "_MISTDATA_COMPLETE")
        found = completing.get_completions(["inspect", "small@1"], "--ag")
        assert [each.value for each in found] == ["--against"]
        found = completing.get_completions(["generate", "--portable"], "--wo")
        assert [each.value for each in found] == ["--workers"]
        assert site.asked == []
        assert mistdata("inspect", "small@1").returncode == 0
        assert site.asked, "the command itself does ask"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_says_how_to_install_it(shell):
    done = mistdata("completion", shell)
    assert done.stderr == ""
    assert "_MISTDATA_COMPLETE" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("# To install") and f"mistdata completion {shell}" in last


def offered(name, parameter, typed):
    """Return kind and text of what completes a parameter of a command."""
    (found,) = [p for p in cli.commands[name].params if p.name == parameter]
    return [(each.type, each.value) for each in found.shell_complete(click.Context(cli), typed)]


@pytest.mark.parametrize(
    ("name", "parameter", "typed", "expected"),
    [
        ("families", "name", "bits-", [("plain", n) for n in FAMILIES if n.startswith("bits-")]),
        ("sample", "family", "lom", [("plain", "lomax")]),
        ("transforms", "name", "spir", [("plain", "spiral")]),
        ("benchmark", "estimator", "orac", [("file", "orac"), ("plain", "oracle")]),
        ("compare", "metric", "cover_90", [("plain", "cover_90")]),
        ("estimate", "model", "", [("file", ""), ("plain", "small"), ("plain", "base")]),
        ("matrix", "model", "ba", [("file", "ba"), ("plain", "base")]),
        ("export", "kind", "web", [("plain", "webdataset")]),
    ],
)
def test_names_are_offered_where_one_is_to_be_given(name, parameter, typed, expected):
    assert expected and offered(name, parameter, typed) == expected


def test_the_models_that_are_offered_are_those_that_are_shipped():
    assert sorted(SHIPPED) == sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def test_titles_are_offered_where_a_store_is_read_and_folders_everywhere():
    titles = [entry.title for entry in published.entries()]
    known = [("plain", title) for title in titles if title.startswith("sm")]
    assert known
    assert offered("verify", "store", "sm") == [("dir", "sm"), *known]
    assert offered("catalogs", "title", "sm") == known
    assert offered("generate", "store", "sm") == [("dir", "sm")]
    assert offered("verify", "store", "") == [("dir", "")]
    assert offered("verify", "store", "./sm") == [("dir", "./sm")]
