"""What a table of measurements says about where and when it was made."""

import datetime
import importlib.metadata
import os
import platform

import jax


def about(*packages: str) -> str:
    """Processor or accelerator, cores, versions of the packages that are installed, and today's date."""
    device = jax.devices()[0].device_kind if jax.default_backend() != "cpu" else processor()
    known = ", ".join(f"{name} {version(name)}" for name in packages if version(name))
    return f"{device}, {os.cpu_count()} cores; {known}; {datetime.date.today().isoformat()}"


def version(package: str) -> str | None:
    """Its version; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The model that the kernel names."""
    with open("/proc/cpuinfo") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.processor()
