"""Numbers of things in messages."""


def counted(number: int, noun: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "graph"), counted(1_000, "graph")
        ('1 graph', '1,000 graphs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
