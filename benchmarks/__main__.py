"""All benchmarks, one after the other: `make bench`."""

from benchmarks import defenses, federation, gradients, matching, stages


def main() -> None:
    """Run every benchmark with its defaults."""
    for benchmark in (stages, gradients, matching, federation, defenses):
        benchmark.main()


if __name__ == "__main__":
    main()
