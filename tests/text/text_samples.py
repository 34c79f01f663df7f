"""Texts that are hard on whoever handles text."""

from hypothesis import strategies as st

SENTENCES = [
    "Two young, White males are outside near many bushes.",
    "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    "the cat sat on the mat; the cat ate the rat at 12:30 on 3 May 2024",
    "나는 학교에 갔다. 나는 집에 왔다.",
    "नमस्ते दुनिया, नमस्ते",
    "どこですか 東京タワー",
    "don't l’homme (foo) [bar] ... !!! 😀 👩‍👩‍👧 ❤️",
] * 3

NASTY = (
    "<s>", "</s>", "<unk>", "<pad>", "<sos>", "< pad >", "< eos >", "▁", "▁the", "Ġ", "Ġthe", "<0x41>", "<0xE2>", "##",
    "@@", " ", "  ", "\t", "\n", "\r", "\r\n", "\x00", "\x1b[31m", "\x1c", "\x7f", "\x85", "\u00a0", "\u2028", "\u3000",
    "\u200b", "\u200c", "\u200d", "\u202e", "\u2066", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "e\u0301", "é", "İ",
    "ﬁ", "①", "ｶﾞ", "한", "\u1112\u1161\u11ab", "\u0344", "a\u0301\u0323", "\u0327", "👩‍👩‍👧‍👦", "❤️", "🇰🇷", "👍🏽",
    "שָׁלוֹם", "مرحبا", "می‌خواهم", "नमस्ते", "ภาษาไทย", "漢字", "かな", "𝐀", "the", "The", " the", "don't", "2024", "1,000",
    "ß", "Σ", "ΑΣ", "\u212b", "\u0f73",
)  # fmt: skip


def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Any characters of Unicode but surrogates, and known trouble-makers, side by side."""
    return st.lists(st.sampled_from(NASTY) | st.text(max_size=4), max_size=max_size).map("".join)
