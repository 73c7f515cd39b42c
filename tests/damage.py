"""Damage to files, as tests do it."""


def flip(path, position, bit=0):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
