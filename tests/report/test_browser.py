"""The report of a run with hostile names in a real browser: no script runs, and no request leaves the page."""

import base64
import hashlib
import html
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from ssl_jax.report import save_pictures, write_report
from ssl_jax.report.copying import SCRIPT
from ssl_jax.report.figures import write_svg
from ssl_jax.report.html import POLICY, policy_for
from ssl_jax.report.layers import layers_picture

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Each asks for an address where it is not escaped: as an element, an attribute, a style, by a script.
NAMES = (
    "<script src=stolen></script>",
    "<script>fetch('stolen')</script>",
    "<script>document.documentElement.dataset.ran = 1; new Image().src = 'stolen'</script>",
    "<img src=//elsewhere.test/stolen><img src=stolen>",
    '"><img src=x.png onerror="fetch(\'stolen\')">',
    "'\"><svg onload=\"fetch('stolen')\"></svg>",
    "</title></style></svg></textarea><img src='stolen'>",
    "<style>body { background: url(stolen) }</style>",
    "<link rel=stylesheet href=stolen>",
    "<iframe src=stolen></iframe>",
    "<meta http-equiv=refresh content='0; url=stolen'>",
    "<base href='stolen/'><img src=x.png>",
    "x\" style=\"background: url('stolen')\" onmouseover=\"fetch('stolen')",
    "<object data=stolen></object>",
    "--><!----><img src=stolen>",
)
# These are no elements even where they are not escaped, but no text in UTF-8 either.
ODD = ("\x00<\x00img src=stolen>", "\ud800<img src=stolen>", "\x1b]0;title\x07<img src=stolen>")


def unescaped(name: str) -> str:
    return f'<!doctype html><html><body style="height: 9px"><p title="{name}">{name}</p></body></html>'


@contextmanager
def served(pages: dict[str, tuple[str, str]]) -> Iterator[tuple[int, list[str]]]:
    """A server of these pages, each with its type, on this port, and the list of the addresses that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.headers['Host']}{self.path}")
            kind, text = pages.get(self.path, ("text/html", ""))
            content = text.encode()
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def hostile_run(folder) -> str:
    """The report of a run in which every name is hostile, in a folder that is, too."""
    run = folder / "<img src=stolen>"
    run.mkdir()
    names = [*NAMES, *ODD]
    nested = {name: {name: [name]} for name in names}
    request = {
        "method": NAMES[0], "recipe": NAMES[3], "arguments": {"data": NAMES[4], **nested}, "versions": nested,
        "device": NAMES[5], "devices": 2, "commit": NAMES[6], "started": NAMES[7], "seed": 3,
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(request))
    protocols = {name: {"accuracy": 0.5, name: name} for name in ("linear", *names)}
    features = dict.fromkeys(("pretrained", "untrained", *names), protocols)
    (run / "results.json").write_text(json.dumps({"method": NAMES[1], **nested, "features": features}))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 0.5, **dict.fromkeys(names, 1.0)}) + "\n")
    labels = np.arange(len(names))
    images = np.zeros((len(names), 4, 4, 3), np.uint8)
    save_pictures(
        run, class_names=np.array([name.replace("\x00", "").replace("\ud800", "\udce9") for name in names]),
        query=images, query_label=labels, neighbors_after=images[:, None], neighbors_after_label=labels[::-1, None],
        embedding=np.random.default_rng(0).normal(size=(len(names), 3)), embedding_label=labels,
    )  # fmt: skip
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browsed(tmp_path_factory) -> list[str]:
    """What a browser asked for: with a report, a figure, and the same names unescaped, with the page's policy and without."""
    if BROWSER is None:
        pytest.skip("no browser: install chromium")
    folder = tmp_path_factory.mktemp("browser")
    page = hostile_run(folder)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    of_layers = {name: {"pretrained": {"linear": {"accuracy": 0.5}}} for name in NAMES[:6]}
    write_svg(folder / "layers.svg", layers_picture(of_layers))
    pages = {
        # Without the policy, which would hide that a name is not escaped.
        "/report/": ("text/html", page.replace(html.escape(policy_for(SCRIPT)), "")),
        "/figure/": ("image/svg+xml", (folder / "layers.svg").read_text()),
    }
    for number, name in enumerate(NAMES):
        pages[f"/control/{number}/"] = ("text/html", unescaped(name))
        pages[f"/policy/{number}/"] = ("text/html", unescaped(name).replace("<body", f"<head>{policy}</head><body"))
    frames = "".join(f'<iframe src="{path}"></iframe>' for path in pages)
    # The last request is our own, half a second after everything that the frames contain has been asked for.
    done = "<script>onload = () => setTimeout(() => fetch('/done'), 500)</script>"
    with served(pages | {"/": ("text/html", f"<!doctype html>{done}<body>{frames}")}) as (port, asked):
        words = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
            f"--host-resolver-rules=MAP * 127.0.0.1:{port}", "--remote-debugging-port=0", f"http://127.0.0.1:{port}/",
        ]  # fmt: skip
        browser = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until = time.monotonic() + 60
            while not any(address.endswith("/done") for address in asked) and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
    missing = [path for path in [*pages, "/done"] if not any(address.endswith(path) for address in asked)]
    assert not missing
    return asked


def stolen_by(asked: list[str], page: str) -> set[str]:
    return {address for address in asked if f"/{page}/" in address and not address.endswith("/")}


@pytest.mark.slow
def test_the_browser_obeys_each_name_where_it_is_not_escaped(browsed):
    obeyed = {int(address.split("/control/")[1].split("/")[0]) for address in stolen_by(browsed, "control")}
    assert obeyed == set(range(len(NAMES)))
    assert any("elsewhere.test" in address for address in browsed)


@pytest.mark.parametrize("page", ["report", "figure"])
def test_nothing_in_a_page_is_obeyed(browsed, page):
    assert not stolen_by(browsed, page)
    assert sum("elsewhere.test" in address for address in browsed) == 1  # That of the unescaped page.


def test_the_policy_of_the_page_alone_stops_scripts_and_requests(browsed):
    """Of what is not escaped; but it cannot keep a page from sending its reader elsewhere, which takes no script."""
    refresh = next(number for number, name in enumerate(NAMES) if "http-equiv=refresh" in name)
    asked = {address for address in stolen_by(browsed, "policy") if f"/policy/{refresh}/" not in address}
    assert not asked


def test_every_page_has_the_policy(tmp_path):
    page = hostile_run(tmp_path)
    head = page[: page.index("<title>")]
    assert (
        head.count('<meta http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;; img-src data:;')
        == 1
    )
    assert "<img src=stolen" not in page and page.count("<script") == 1


def test_the_policy_names_the_pages_own_script(tmp_path):
    """By its checksum: a script of a name has another."""
    page = hostile_run(tmp_path)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{checksum}'" in html.unescape(page) and html.escape(policy_for(SCRIPT)) in page
    assert "script" not in policy_for() and policy_for() == POLICY


@pytest.mark.slow
def test_the_pages_own_script_makes_a_button_for_each_text(tmp_path):
    if BROWSER is None:
        pytest.skip("no browser: install chromium")
    (tmp_path / "page.html").write_text(hostile_run(tmp_path))
    words = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    seen = subprocess.run(
        [*words, f"file://{tmp_path / 'page.html'}"], capture_output=True, text=True, timeout=120
    ).stdout
    assert seen.count('<button type="button">Copy</button>') == 2 and "data-ran" not in seen
