"""Description of the machine and the date of a table of measurements."""

import datetime
import importlib.metadata
import os
import platform

import jax


def about(*packages: str) -> str:
    """Processor or accelerator, cores, versions of installed packages, and today's date."""
    device = jax.devices()[0].device_kind if jax.default_backend() != "cpu" else processor()
    versions = ", ".join(f"{name} {version(name)}" for name in packages if version(name))
    return f"{device}, {os.cpu_count()} cores; {versions}; {datetime.date.today().isoformat()}"


def version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The model of the processor, from the kernel."""
    with open("/proc/cpuinfo") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.processor()
