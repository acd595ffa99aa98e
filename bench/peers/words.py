"""Made-up words for bench/translate --argos."""


def word(number):
    """Letters only: what looks like code is protected."""
    return "w" + "".join(chr(ord("a") + number // 26 ** place % 26) for place in range(4))
