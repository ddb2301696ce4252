"""Text that can be copied with one click, and the page's one script, which does that: it makes its buttons itself, so that
without scripts there are none."""

from ssl_jax.report.html import Html, tag

SCRIPT = """
for (const box of document.querySelectorAll(".copied")) {
  const button = document.createElement("button"), text = box.querySelector("pre");
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = async () => {
    getSelection().selectAllChildren(text);
    try { await navigator.clipboard.writeText(text.textContent); } catch { document.execCommand("copy"); }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  box.prepend(button);
}
"""


def copied(text: str) -> Html:
    """A block of monospaced text, with a button that copies it."""
    return tag("div", tag("pre", text), class_="copied")
