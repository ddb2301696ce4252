"""The files of one's own that a page shows: snippets that begin with their name, `# my_method.py`."""

import re
import sys


def write(page, folder, monkeypatch):
    """Writes the files of a page into a folder, whence they are imported in this test alone; returns their texts by name."""
    files = dict(re.findall(r"```python\n# (my_\w+\.py)\n(.*?)```", page, re.DOTALL))
    for name, text in files.items():
        (folder / name).write_text(text)
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path] if files else [*sys.path])
    return files
