"""The commands as a person uses them, on the synthetic images and a schedule of seconds."""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from event_files import pictures
from PIL import Image
from watch import watched

from ssl_jax.cli import main
from ssl_jax.cli.words import COMMANDS
from ssl_jax.commands.pretraining import _for_trackers
from ssl_jax.data import Batches
from ssl_jax.evaluate.invariance import view_diagnostics
from ssl_jax.evaluate.results import digest

SMALL = (
    "--data synthetic --image-size 16 --epochs 2 --batch-size 64 --log-every 4 --evaluate-every 8 --devices 1".split()
)


def command(capsys, *words):
    code = main(list(map(str, words)))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that went to its end, and the line it printed."""
    run, said = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    with contextlib.redirect_stdout(said), watched() as noted:
        assert main(["pretrain", "simclr", *SMALL, "--run", str(run)]) == 0
    assert not noted
    return run, said.getvalue()


@pytest.mark.slow
def test_no_network_no_unpickling_and_no_program_but_git(finished, tmp_path, monkeypatch, capsys):
    """Of all commands of a demo, here after `finished`, from a folder with a program of its own called git."""
    run, _ = finished
    (tmp_path / "git").write_text("#!/bin/sh\ntouch ran\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    words = (
        ["list"],
        ["evaluate", run, "--protocols", "knn"],
        ["report", run],
        ["evaluate", run, "--data", "nobodys_data"],
    )
    with watched() as noted:
        codes = [command(capsys, *each)[0] for each in words]
    assert codes == [0, 0, 0, 2] and not noted and not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_the_command_of_a_finished_run_keeps_what_was_added_to_its_results(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    results = json.loads((run / "results.json").read_text())
    tuned = {"accuracy": 0.5, "interval": [0.4, 0.6]}
    results["features"]["pretrained"]["fine_tune"] = tuned
    results["features"]["pretrained"]["knn"]["accuracy"] = 0.123
    (run / "results.json").write_text(json.dumps(results | {"datasets": {"other": {"pretrained": {"knn": tuned}}}}))
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--run", run)
    assert (
        code == 0
        and "synthetic: " in err
        and "Nearest neighbours" in err
        and err.splitlines()[-1].startswith("report: ")
    )
    again = json.loads((run / "results.json").read_text())
    assert again["features"]["pretrained"]["fine_tune"] == tuned and again["datasets"]["other"]
    assert again["features"]["pretrained"]["knn"]["accuracy"] == json.loads(finished[1])["knn"]
    assert again["seconds"] == results["seconds"]


def test_pretrain_ends_with_one_line_of_json(finished):
    run, out = finished
    (line,) = out.splitlines()
    results = json.loads(line)
    expected = {
        "method", "steps", "images_per_second", "knn", "linear_probe", "linear_probe_random_init", "linear_probe_pixels",
        "few_label_probe", "few_label_probe_pixels", "seconds", "run", "report",
    }  # fmt: skip
    assert expected <= set(results) and results["method"] == "simclr" and results["steps"] == 16
    assert results == digest(json.loads((run / "results.json").read_text()))
    assert 0.25 < results["linear_probe"] <= 1


def test_a_run_leaves_its_request_metrics_pictures_and_report(finished):
    run, _ = finished
    request = json.loads((run / "run.json").read_text())
    assert request["arguments"]["epochs"] == 2 and request["arguments"]["temperature"] == 0.2 and request["seed"] == 0
    assert {"versions", "commit", "device", "devices", "started"} <= set(request)
    page = (run / "report.html").read_text()
    assert "No results yet" not in page and page.count("<img") > 20
    assert (run / "checkpoints/16").is_dir()
    assert sorted(pictures(run, "neighbors")) == [8, 16] and sorted(pictures(run, "neighbors_after")) == [16]


def test_trackers_get_the_numbers_of_the_results():
    of = {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}, "linear": {"accuracy": None, "interval": None}}
    results = {"method": "simclr", "steps": 16, "seconds": 1.5, "features": {"pretrained": of}, "run": "runs/simclr"}
    assert _for_trackers(results) == {"results/seconds": 1.5, "results/knn": 0.5}


@pytest.mark.slow
def test_evaluate_agrees_with_pretrain(finished, capsys):
    run, out = finished
    code, again, _ = command(capsys, "evaluate", run)
    assert code == 0
    first, second = json.loads(out), json.loads(again)
    for name in ("knn", "linear_probe", "few_label_probe", "linear_probe_pixels", "linear_probe_random_init"):
        assert second[name] == pytest.approx(first[name], abs=0.01), name


@pytest.mark.slow
def test_what_pretrain_computed_is_not_computed_again(finished, tmp_path, capsys, monkeypatch):
    run, output = finished[0], tmp_path / "x.npy"
    kept = {path: path.stat().st_size for path in (run / "features").iterdir()}
    monkeypatch.setattr("ssl_jax.commands.kept_features.encode", None)
    for words in (["evaluate", run], ["embed", run, "--output", output, "--split", "all"]):
        code, _, err = command(capsys, *words)
        assert code == 0 and f"reading features that are kept in {run}/features\n" in err
    assert {path: path.stat().st_size for path in (run / "features").iterdir()} == kept and len(kept) == 6


@pytest.mark.slow
def test_evaluate_a_layer_on_held_out_training_images(finished, capsys):
    run, out = finished
    code, told, _ = command(capsys, "evaluate", run, "--layer", "layer1", "--held-out")
    first, other = json.loads(out), json.loads(told)
    assert (
        code == 0 and other["layer"] == "layer1" and other["data"].endswith("a fifth of its training images held out")
    )
    assert other["linear_probe_pixels"] != first["linear_probe_pixels"]  # Other images.
    assert other["linear_probe"] != first["linear_probe"]


@pytest.mark.slow
@pytest.mark.parametrize("layers", [[], ["--layers", "layer1"]])
def test_evaluate_features_of_a_few_training_images(finished, layers, capsys):
    run, _ = finished
    code, _, err = command(capsys, "evaluate", run, "--protocols", "knn", "--train-images", 20, *layers)
    assert code == 0 and "features of 20 of " in err


@pytest.mark.slow
def test_diagnostics_on_request_are_in_results_line_and_report(finished, capsys, monkeypatch):
    monkeypatch.setattr(view_diagnostics, "__kwdefaults__", {"images": 24, "views": 3, "seed": 0})
    run, _ = finished
    before = json.loads((run / "results.json").read_text())
    code, out, _ = command(capsys, "evaluate", run, "--protocols", "diagnostics", "--save", "--no-flip")
    line, results = json.loads(out), json.loads((run / "results.json").read_text())
    for source, ending in {"pretrained": "", "untrained": "_random_init", "pixels": "_pixels"}.items():
        found = results["features"][source]["diagnostics"]
        assert found["lidar"] == line[f"diagnostics{ending}_lidar"] >= 1 and found["lidar_samples"] == [24, 3]
        assert {"crop", "flip", "blur"} < found["invariance"].keys() and found["std"] > 0
        assert results["features"][source]["knn"] == before["features"][source]["knn"]
    page = (run / "report.html").read_text()
    assert code == 0 and "<h2>Diagnostics</h2>" in page and "LiDAR: directions that tell images apart" in page
    (run / "results.json").write_text(json.dumps(before))


@pytest.mark.slow
def test_evaluate_every_layer_in_one_command(finished, capsys):
    run, _ = finished
    before = json.loads((run / "results.json").read_text())
    code, out, err = command(capsys, "evaluate", run, "--layers", "all", "--save")
    found = json.loads(out)["layers"]
    assert code == 0 and list(found) == ["layer1", "layer2", "layer3", "features"]
    assert all(
        list(of) == ["pretrained", "untrained"] and list(of["pretrained"]) == ["knn", "linear"] for of in found.values()
    )
    assert found["features"]["pretrained"]["linear"]["accuracy"] == pytest.approx(
        before["features"]["pretrained"]["linear"]["accuracy"], abs=0.01
    )
    lines = [line for line in err.splitlines() if line.startswith(("layer", "features"))]
    assert [line.split()[0] for line in lines] == ["layer", "layer1", "layer2", "layer3", "features"]
    assert "accuracies of random predictions: 25.0" in err
    assert (run / "layers.svg").read_text().startswith("<svg")
    assert json.loads((run / "results.json").read_text()) == {**before, "layers": found}
    code, out, _ = command(capsys, "evaluate", run, "--layers", "layer2", "--protocols", "knn")
    assert code == 0 and json.loads(out)["layers"] == {
        "layer2": {source: {"knn": found["layer2"][source]["knn"]} for source in ("pretrained", "untrained")}
    }
    (run / "results.json").write_text(json.dumps(before))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--layers layer1 layer9", "unknown layer 'layer9': did you mean 'layer"),
        ("--layer layer1 --layers all", "layer: got layer1 beside layers"),
        ("--data digits shapes --layers all", "layers: got several data sets, digits, shapes"),
        ("--data digits shapes --protocols knn --labels 2", "labels: got 2.0, expected a share above 0 and at most 1"),
        (
            "--layers all --protocols knn robustness",
            "protocols: robustness encodes further images, which layers cannot",
        ),
        ("--min-scale 0", "min_scale: got 0.0, expected a part of the area above 0"),
        ("--train-images 0", "train_images: got 0"),
        ("--protocols", "--protocols: got no value, expected one or more: name them, or leave --protocols out"),
        ("--layers --seed 1", "--layers: got no value, expected one or more"),
        ("--data /nowhere --labels 0", "labels: got 0.0, expected a share"),
        ("--data /nowhere --min-scale 2", "min_scale: got 2.0, expected a part"),
        ("--data /nowhere --layer leyer1", "unknown layer 'leyer1': did you mean 'layer1'?"),
        ("--protocols lineer", "unknown protocol 'lineer': did you mean 'linear'?"),
        (
            "--save --held-out",
            "save: results.json holds results of all training images, on test images, at the last step, got held_out",
        ),
        ("--save --train-images 5 --data digits shapes", "at the last step, got train_images: leave out --save"),
        ("--save --train-images 5", "at the last step, got train_images: leave out --save, or train_images."),
    ],
)
def test_mistaken_options_of_evaluate(finished, words, sentence, capsys):
    run, _ = finished
    code, out, err = command(capsys, "evaluate", run, *words.split())
    assert code == 2 and out == "" and sentence in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words", ["finetune RUN", "evaluate RUN --save --protocols knn", "evaluate RUN --save --data digits shapes"]
)
def test_a_run_that_cannot_be_written_is_refused_before_the_computation(finished, words, monkeypatch, capsys):
    """Once the sentence came after minutes of fine-tuning, whose results were lost."""

    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    run, _ = finished
    monkeypatch.setattr("ssl_jax.commands.fine_tuning.fine_tune", None)
    monkeypatch.setattr("ssl_jax.commands.evaluation.evaluate_trained", None)
    monkeypatch.setattr("ssl_jax.commands.output.tempfile.TemporaryFile", refuse)
    code, out, err = command(capsys, *words.replace("RUN", str(run)).split())
    assert code == 2 and not out and err.count("\n") == 1
    assert f"run: cannot write {run} (Read-only file system): free disk space, permit access, or " in err


@pytest.mark.slow
def test_transfer_to_several_data_sets_is_one_table(finished, capsys):
    run, _ = finished
    before = json.loads((run / "results.json").read_text())
    code, out, err = command(capsys, "evaluate", run, "--data", "synthetic", "shapes", "--protocols", "knn", "--save")
    found = json.loads(out)["datasets"]
    assert (
        code == 0
        and list(found) == ["synthetic", "shapes"]
        and list(found["shapes"]) == ["pretrained", "untrained", "pixels"]
    )
    assert [line.split()[0] for line in err.splitlines() if line.startswith(("data ", "synthetic ", "shapes "))] == [
        "data", "synthetic", "shapes",
    ]  # fmt: skip
    assert json.loads((run / "results.json").read_text())["datasets"] == found
    (run / "results.json").write_text(json.dumps(before))


@pytest.mark.slow
def test_finetune_on_a_share_of_the_labels(finished, capsys):
    run, _ = finished
    before = json.loads((run / "results.json").read_text())
    code, out, err = command(
        capsys, "finetune", run, "--labels", 0.1, "--epochs", 4, "--batch-size", 16, "--learning-rates", 0.01
    )
    found = json.loads(out)
    assert code == 0 and found["data"] == "synthetic, 10 % of the labels" and "data" in err
    after = json.loads((run / "results.json").read_text())
    results = after["datasets"]["synthetic, 10 % of the labels"]
    assert list(results) == ["pretrained", "untrained"] and {**after, "datasets": None} == {**before, "datasets": None}
    fields = results["pretrained"]["fine_tune"]
    assert found["fine_tune"] == fields["accuracy"] and fields["interval"][0] <= fields["accuracy"]
    assert found["fine_tune_random_init"] == results["untrained"]["fine_tune"]["accuracy"]
    assert fields["chosen"] == {"learning_rate": 0.01} and fields["epochs"] == 4
    code, out, _ = command(capsys, "evaluate", run, "--labels", 0.1, "--protocols", "linear", "knn")
    assert code == 0 and json.loads(out)["data"] == found["data"] and json.loads(out)["linear_probe"] > 0.25
    (run / "results.json").write_text(json.dumps(before))


@pytest.mark.slow
def test_embed_writes_the_features_that_clusterfit_takes(finished, tmp_path, capsys):
    run, _ = finished
    file = tmp_path / "new" / "features.npy"
    code, out, _ = command(capsys, "embed", run, "--output", file)
    features = np.load(file)
    assert code == 0 and out == f"{file}\n" and [path.name for path in file.parent.iterdir()] == ["features.npy"]
    assert features.shape == (512, 256) and features.dtype == np.float32 and features.std(axis=0).max() > 0.01
    options = [*SMALL, "--features", file, "--clusters", 8, "--run", tmp_path / "run"]
    code, out, _ = command(capsys, "pretrain", "clusterfit", *options)
    assert code == 0 and json.loads(out)["method"] == "clusterfit"
    np.save(tmp_path / "short.npy", features[:5])
    (tmp_path / "text.npy").write_text("no numbers")
    for name, message in {
        "short.npy": "holds an array (5, 256), expected a row for each of the 512 images",
        "text.npy": "is no .npy file of numbers",
        "none.npy": "there is no file",
    }.items():
        code, _, err = command(capsys, "pretrain", "clusterfit", *SMALL, "--features", tmp_path / name)
        assert code == 2 and message in err and err.count("\n") == 1


def test_embed_gives_no_image_the_features_of_another(finished, tmp_path, capsys):
    run, _ = finished
    (tmp_path / "images").mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
    (tmp_path / "images/2.png").write_text("no image")
    code, _, err = command(capsys, "embed", run, tmp_path / "images", "--output", tmp_path / "features.npy")
    features = np.load(tmp_path / "features.npy")
    assert code == 0 and "cannot be read: left out" in err
    assert "features.npy: 4 rows of 256 numbers, without 1 of 5 images, which cannot be read\n" in err
    assert np.isfinite(features).all() and len(np.unique(features, axis=0)) == len(features) == 4


@pytest.mark.parametrize("words", ["evaluate {run} --data clips", "embed {run} clips --output x.npy"])
def test_data_of_another_kind_than_the_run(finished, tmp_path, monkeypatch, capsys, words):
    run, _ = finished
    monkeypatch.chdir(tmp_path)
    code, out, err = command(capsys, *words.format(run=run).split())
    assert code == 2 and out == "" and err.count("\n") == 1 and not list(tmp_path.iterdir())
    assert (
        "data: clips holds clips with sound, but the run was pre-trained on images: choose data that hold images."
        in err
    )


def test_places_that_embed_cannot_write(finished, tmp_path, monkeypatch, capsys):
    run, _ = finished
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_text("mine")
    for output in ("folder.npy", "file/x.npy", "/dev/null/x.npy", "/proc/x.npy", "n" * 300 + ".npy"):
        code, out, err = command(capsys, "embed", run, "--output", output)
        assert code == 2 and out == "" and err.count("\n") == 1, err
        assert (
            err.startswith("ssl-jax: output: cannot write ") and "name a file in a folder that can be written." in err
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.npy"]


@pytest.mark.slow
def test_the_same_command_again_finds_the_run_finished(finished, capsys):
    run, out = finished
    code, again, err = command(capsys, "pretrain", "simclr", *SMALL, "--run", run)
    assert code == 0 and "resuming from step 16 of 16" in err
    assert json.loads(again)["linear_probe"] == json.loads(out)["linear_probe"]


@pytest.mark.slow
def test_from_repeats_a_run_also_with_a_signal_between(finished, tmp_path, capsys, monkeypatch):
    run, out = finished
    words = ["--run", tmp_path / "again", "--devices", 1, "--log-every", 4, "--evaluate-every", 8]

    def stopping(batches):
        if batches.state()["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return following(batches)

    following = Batches.__next__
    with monkeypatch.context() as patch:
        patch.setattr(Batches, "__next__", stopping)
        code, nothing, err = command(capsys, "pretrain", "--from", run / "run.json", *words)
    assert code == 75 and not nothing
    assert err.splitlines()[-1].startswith("ssl-jax: stopped by SIGTERM after step 6 of 16: the state is saved in")
    code, again, err = command(capsys, "pretrain", "--from", run / "run.json", *words)
    assert code == 0 and "resuming from step 6 of 16" in err
    first, second = json.loads(out), json.loads(again)
    assert {k: v for k, v in first.items() if "probe" in k or "knn" in k} == {
        k: v for k, v in second.items() if "probe" in k or "knn" in k
    }


@pytest.mark.slow
def test_changed_examples_stop_a_resumed_run_and_are_said_of_a_repeated_one(finished, tmp_path, capsys, monkeypatch):
    run, _ = finished
    record = json.loads((run / "run.json").read_text())
    record["examples"]["test_checksum"], record["versions"]["jax"] = "0", "0.0.1"
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "results.json").write_text("{}")
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--run", tmp_path)
    assert code == 2 and "have changed (test_checksum is '0' in its run.json and" in err
    monkeypatch.setattr("ssl_jax.commands.pretraining.fit", lambda *_, **__: exec("raise KeyboardInterrupt"))
    code, _, err = command(capsys, "pretrain", "--from", tmp_path / "run.json", "--run", tmp_path / "again")
    assert code == 130 and "results may differ: " in err and "jax is '0.0.1'" in err and "test_checksum is '0'" in err


def test_an_interrupt_behind_the_error_of_an_import_is_said_as_one(capsys, monkeypatch):
    """While a library is imported, as of jaxlib, Ctrl-C comes as an ImportError."""

    def importing(words):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("Encountered an error while initializing the extension.") from interrupt

    monkeypatch.setitem(COMMANDS, "embed", importing)
    assert main(["embed", "run"]) == 130 and capsys.readouterr().err == "ssl-jax: stopped\n"


def test_report_can_be_made_anew(finished, capsys):
    run, _ = finished
    (run / "report.html").unlink()
    code, out, _ = command(capsys, "report", run)
    assert code == 0 and out.strip() == str(run / "report.html") and (run / "report.html").is_file()


def test_list_names_methods_recipes_encoders_and_data(capsys):
    code, out, _ = command(capsys, "list")
    assert code == 0
    for name in ("simclr", "demo", "cifar", "imagenet", "resnet50", "vit_small/16", "digits", "fashion-mnist"):
        assert name in out


@pytest.mark.parametrize("words", [["--help"], ["pretrain", "--help"], ["help"], ["help", "pretrain"]])
def test_help(words, capsys):
    code, out, _ = command(capsys, *words)
    assert code == 0 and "ssl-jax pretrain METHOD" in out


@pytest.mark.slow
@pytest.mark.parametrize("words", ["list", "pretrain simclr --help"])
def test_a_reader_that_has_seen_enough_is_no_fault(words):
    """As `ssl-jax list | head -1`: no traceback, and the exit code of a program that SIGPIPE ended."""
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-c", "import sys; from ssl_jax.cli import main; sys.exit(main())", *words.split()]
    ended = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


def test_help_of_data(capsys):
    code, out, _ = command(capsys, "data", "--help")
    assert code == 0 and "usage: ssl-jax data prepare" in out


def test_help_of_a_recipe_explains_its_options(capsys):
    code, out, _ = command(capsys, "pretrain", "simclr", "--help")
    assert code == 0 and not re.search(r"\bArgs:", out)
    for option, text in (("temperature FLOAT", "softmax temperature"), ("run {None}|PATH", "folder of the run")):
        assert re.search(rf"--{re.escape(option)} +{text}", out)


MISTAKES = {
    "": "",
    "pretrian": "unknown command 'pretrian': did you mean 'pretrain'?",
    "pretrain": "method: none was given, choose one of: ",
    "pretrain --seed 1 simclr": "method: simclr comes after options: put it first, as in `ssl-jax pretrain simclr --seed 1`.",
    "pretrain simcrl": "unknown method 'simcrl': did you mean 'simclr'?",
    "pretrain SimCLR": "unknown method 'SimCLR': did you mean 'simclr'?",
    "list simclr": "list: got simclr, and it takes no words: leave it out.",
    "embed": "missing: RUN and --output FILE (all options: ssl-jax embed --help)",
    "export run": "missing: --layout {timm,torchvision,transformers} and --output PATH (all",
    "evaluate --halp": "run: got no value, expected one (all",
    "finetune run --learning-rates": "--learning-rates: got no value, expected one or more: name them, or leave",
    "pretrain simclr --recipe imagnet": "unknown recipe of simclr 'imagnet': did you mean 'imagenet'?",
    "pretrain simclr --recipe": "--recipe needs a value after it.",
    "pretrain simclr --temprature 0.1": "Unrecognized options: --temprature, 0.1: did you mean --temperature?",
    "pretrain simclr --data my photos": "--data: got a second value, photos, and takes one: leave it out; one with spaces",
    "pretrain simclr --epochs=1 2 --seed 0": "--epochs: got a second value, 2, and takes one: leave it out",
    "pretrain simclr --strict yes": "Unrecognized options: yes",
    "pretrain simclr --epochs many": "Error parsing --epochs: could not convert string to float: 'many'",
    "pretrain simclr --seed 4294967296": "ssl-jax: seed: got 4294967296, expected 0 to 4,294,967,295.",
    "pretrain simclr --encoder resnet19": "unknown encoder 'resnet19': did you mean 'resnet18'?",
    "pretrain simclr --data digit": "digits",
    "pretrain swav --image-size 16": "small_size: got 20, expected at most 16, the side of the images: lower --small-size",
    "pretrain simclr --data synthetic --image-size 16 --devices 3 --batch-size 64": "batch_size: 64 examples",
    "pretrain simclr --devices 99": "devices: got 99, but 8 are available",
    "pretrain simclr --temperature 0": "temperature: got 0.0, expected 0.001 to 1000.",
    "pretrain simclr --epochs -1": "epochs: got -1.0, expected 1e-06 to 1e+06.",
    "pretrain simclr --batch-size 0": "batch_size: got 0, expected 1 to 2,147,483,647.",
    "pretrain simclr --log-every 0": "log_every: got 0, expected 1 to 2,147,483,647.",
    "pretrain simclr --seed -1": "seed: got -1, expected 0 to 4,294,967,295.",
    "evaluate nowhere": "run: there is no nowhere/run.json: name the folder of a run",
    "report nowhere": "nowhere",
    "embed nowhere --output features.npz": "output: got features.npz, expected a file that ends in .parquet, .csv or",
    "export nowhere --layout timm --output x.pth": "output: got x.pth, expected a file that ends in .safetensors",
    "export nowhere --layout timm --output x.safetensors": "run: there is no nowhere/run.json",
    "export nowhere --layout pytorch --output x.safetensors": "invalid choice 'pytorch' for argument '--layout'",
    "pretrain mae --encoder small": "encoder: mae masks patches of a ViT, got small: choose one of vit_micro,",
    "pretrain --from nowhere/run.json": "run: there is no nowhere/run.json",
    "pretrain --from=": "--from needs a value after it.",
    "pretrain simclr --recipe=": "--recipe needs a value after it.",
    "pretrain simclr --run=": "--run: the value is empty",
    "pretrain simclr --learning-rate nan": "learning_rate: got nan, expected 1e-12 to 10000.",
    "pretrain simclr --epochs inf": "epochs: got inf, expected 1e-06 to 1e+06.",
    "pretrain simclr --weight-decay -1": "weight_decay: got -1.0, expected 0 to 100.",
    "pretrain simclr --epochs 1e6 --batch-size 1 --devices 1": "examples in batches of 1 are 4,000,000,000 steps",
    "pretrain simclr --image-size 8000": "has ",  # The memory of this machine.
    "pretrain moco --batch-size 104": "batch_size=104: queue.push: the queue's length must be a multiple of the keys",
    "pretrain simclr --batch-size 1 --devices 1": "batch_size=1: diagnostics: embeddings must be [B, D] with at least two",
    "pretrain dino --encoder vit_tiny/8 --image-size 32": "image_size=32, encoder='vit_tiny/8': vit: images must be in",
    "pretrain cpc --image-size 7": "image_size=7: overlapping_patches: images must be [B, H, W, C], no side below 14",
    "pretrain vicreg --covariance nan": "covariance: got nan, expected 0 to 1e+06.",
    "pretrain simclr --run /dev/null --data synthetic": "run: /dev/null exists and is not a run",
    "pretrain simclr --run /dev/null/run --data synthetic": "run: cannot write /dev/null/run (Not a directory): choose another",
    f"pretrain simclr --run {'a' * 300} --data synthetic": "(File name too long): choose another folder with --run",
    "pretrain simclr --coordinator here --processes 2 --process 0": "coordinator: got 'here', expected host:port",
    "pretrain simclr --coordinator a:1 --processes 2 --process 2": "process: got 2, expected 0 to 1",
    "pretrain simclr --processes 2": "--coordinator and --process is not given",
    "evaluate . --seed -1": "seed: got -1, expected 0 to 4,294,967,295.",
}


@pytest.mark.parametrize(
    "words", [["simclr"], ["--temperature", "0.2"], ["--image-size=32"], ["--seed", "1", "--epochs", "2"]]
)
def test_a_repeated_run_takes_no_method_and_no_options_of_its_recipe(words, tmp_path, capsys):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"method": "simclr", "recipe": "demo", "arguments": {}, "seed": 0}))
    code, _, err = command(capsys, "pretrain", *words, "--from", file)
    taken = next(word.partition("=")[0] for word in words if word not in ("--seed", "1"))
    assert (
        code == 2
        and f"from: a repeated run has the method and the recipe's options of {file}, got {taken}: leave" in err
    )


@pytest.mark.parametrize("words", [["--run", " "], ["--run= "], ["--data", "\t"], ["--data", ""]])
def test_a_value_of_white_space_is_empty(words, tmp_path, monkeypatch, capsys):
    """Once `--run " "` trained in a folder of that name."""
    monkeypatch.chdir(tmp_path)
    code, _, err = command(capsys, "pretrain", "simclr", *words)
    assert code == 2 and words[0].split("=")[0] + ": the value is empty: give one" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_one_sentence_and_exit_code_2(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(capsys, *words.split())
    assert code == 2 and out == "" and MISTAKES[words] in err
    if words:
        assert err.startswith("ssl-jax: ") and err.count("\n") == 1
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_what_is_missing_is_named_in_a_terminal_without_unicode(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["embed"]) == 2 and "missing: RUN and --output FILE (all" in capsys.readouterr().err


def test_a_network_that_no_library_has_is_not_exported(finished, tmp_path, capsys):
    for layout in ("timm", "torchvision", "transformers"):
        code, out, err = command(
            capsys, "export", finished[0], "--layout", layout, "--output", tmp_path / "x" / "y.safetensors"
        )
        assert code == 2 and not out and not (tmp_path / "x").exists()
        assert f"layout: {layout} has no SmallConvNet; docs/weights.md says which networks go with which library" in err


@pytest.mark.slow
def test_a_run_directory_of_another_run(finished, capsys):
    run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--temperature", 0.5, "--run", run)
    assert (
        code == 2
        and "temperature is 0.2 in its run.json and 0.5 in this command" in err
        and "choose another folder with --run" in err
    )
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--encoder", "resnet18", "--run", run)
    assert code == 2 and "encoder is 'small' in its run.json and 'resnet18' in this command" in err
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--no-resume", "--run", run)
    assert code == 2 and "--no-resume was given" in err
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_a_folder_that_is_not_a_run(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, _, err = command(capsys, "pretrain", "simclr", *SMALL, "--run", tmp_path)
    assert code == 2 and "exists and is not a run" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_evaluate_a_step_that_has_no_checkpoint(finished, capsys):
    run, _ = finished
    code, out, err = command(capsys, "evaluate", run, "--step", 77)
    assert code == 2 and out == "" and "anew" not in err
    assert "step: got 77" in err and "has the checkpoints of steps 8 and 16: choose one of these." in err


def test_evaluate_before_the_first_checkpoint(finished, tmp_path, capsys):
    run, _ = finished
    (tmp_path / "run.json").write_text((run / "run.json").read_text())
    for name in (tmp_path, tmp_path / "run.json"):
        code, _, err = command(capsys, "evaluate", name)
        assert code == 1 and f"run: {tmp_path} holds no checkpoint yet" in err


@pytest.mark.slow
def test_training_images_without_labels_beside_labelled_test_images(tmp_path, capsys):
    """STL-10's usual case: the run ends well, without accuracies, and says why."""
    for number in range(16):
        for place in (f"train/{number}.png", f"test/{'ab'[number % 2]}/{number}.png"):
            (tmp_path / "data" / place).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 255, (12, 12), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / place)
    words = f"--data {tmp_path}/data --image-size 12 --batch-size 8 --epochs 0.5 --devices 1".split()
    code, out, err = command(capsys, "pretrain", "simclr", *words, "--run", tmp_path / "run")
    results = json.loads(out)
    assert code == 0 and results["steps"] == 1 and results["knn"] is results["linear_probe_pixels"] is None
    assert "has no labelled training images: the features are not evaluated\n" in err and "nan" not in err.lower()
    assert results == digest(json.loads((tmp_path / "run/results.json").read_text()))
    page = (tmp_path / "run/report.html").read_text()
    assert "A SimCLR run without labels." in page and page.count("<img") > 20
    assert "NaN" not in (tmp_path / "run/metrics.jsonl").read_text()
